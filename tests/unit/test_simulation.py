"""Runs in virtual time: the loop, calls and their mocks, events, and invariants of random trees."""

from __future__ import annotations

import asyncio
import warnings
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from hub.connector import Connector, action
from hub.durations import parse_duration
from hub.errors import EndlessRun, InvalidDefinition, NotFound
from hub.event import Event
from hub.simulation import (
    START_TIME,
    Mock,
    MockFailure,
    SimulatedRun,
    Simulation,
    simulate,
)
from hub.simulation.loop import VirtualLoop
from hub.simulation.shape import example_of
from hub.tree import NODES, Tree, load_tree
from tests.stories import KINDS, Story, essence, stories

EVENTS = """
events:
  go: {webhook: app, where: event.type == "go", key: event.data.user}
  done: {webhook: app, where: event.type == "done", key: event.data.user}
start: go
"""


def tree(do: str, name: str = "story", head: str = "") -> Tree:
    return load_tree(f"tree: {name}\n{head}{EVENTS}\ndo:\n{do}")


def event(kind: str = "go", id: str = "1", user: str = "u") -> Event:  # noqa: A002
    return Event(id=id, source="/test", type=kind, data={"user": user})


def lived(do: str, *events: dict[str, Any], **mocks: Any) -> SimulatedRun:
    named = {name.replace("__", "."): mock for name, mock in mocks.items()}
    start = {"type": "go", "data": {"user": "u"}}
    told = [{"data": {"user": "u"}, **event} for event in events]
    return simulate(tree(do), start, told, mocks=named)


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


# -- time -------------------------------------------------------------------------------------


def test_ten_years_pass_exactly() -> None:
    run = lived("  - {repeat: 3650, do: {delay: 1 day}}\n  - delay: 1ms\n")
    assert run.status == "succeeded"
    assert run.lasts == timedelta(days=3650, milliseconds=1)


def test_the_longest_delay_is_exact() -> None:
    longest = parse_duration("36500 days")
    run = lived("  - delay: 36500 days\n  - delay: 1ms\n")
    assert run.lasts == longest + timedelta(milliseconds=1)


def test_a_run_that_waits_for_what_does_not_come_is_told_not_hung() -> None:
    run = lived("  - wait_for: done\n")
    assert (run.status, run.state.waiting_for, run.lasts) == ("running", ["done"], None)
    assert run.state.nodes["do[0]"].status == "waiting"


def test_an_event_at_the_deadline_comes_in_time() -> None:
    run = lived("  - wait_for: done\n    timeout: 2h\n", {"after": "2h", "type": "done"})
    assert (run.status, run.lasts) == ("succeeded", hours(2))


def test_time_can_pass_in_parts() -> None:
    with Simulation([tree("  - delay: 2h\n  - wait_for: done\n")]) as simulation:
        simulation.send(event(), "app")
        assert simulation.run(hours(1)).run("story/u").state.waiting_for == ["delay"]
        assert simulation.now == START_TIME + hours(1)
        simulation.send(event("done", "2"), "app", at=hours(5))
        assert simulation.run(hours(2)).run("story/u").state.waiting_for == ["done"]
        result = simulation.run()
    assert result.run("story/u").lasts == hours(5)


async def test_it_can_be_used_inside_a_running_loop() -> None:
    loop = asyncio.get_running_loop()
    run = lived("  - delay: 7 days\n")
    assert run.lasts == timedelta(days=7)
    assert asyncio.get_running_loop() is loop


def test_a_loop_that_never_waits_has_an_end() -> None:
    steps = "\n".join("  - log: x" for _ in range(100))
    with Simulation([tree(steps)], max_steps=50) as simulation:
        simulation.send(event(), "app")
        with pytest.raises(EndlessRun, match="50 steps"):
            simulation.run()


def test_a_timer_beyond_all_time_has_an_end() -> None:
    loop = VirtualLoop(100)  # type: ignore[abstract]
    loop.call_later(1e12, lambda: None)
    with pytest.raises(EndlessRun, match="thousand years"):
        loop.run_until_idle()


def test_cancelled_timers_do_not_move_the_clock() -> None:
    loop = VirtualLoop(100)  # type: ignore[abstract]
    loop.call_later(100.0, lambda: None).cancel()
    loop.call_later(1.5, lambda: None)
    loop.run_until_idle()
    assert loop.time() == 1.5


def test_events_of_a_moment_come_before_its_timers() -> None:
    loop = VirtualLoop(100)  # type: ignore[abstract]
    seen: list[str] = []
    loop.call_later(1.0, seen.append, "timer")
    loop.call_on_event(1.0, lambda: seen.append("event"))
    loop.run_until_idle()
    assert seen == ["event", "timer"]


def test_a_fault_of_the_program_is_raised_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: object, run: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(NODES["log"], "run", broken)
    with pytest.raises(ZeroDivisionError):
        lived("  - log: x\n")


def test_runs_that_are_given_up_leave_nothing_behind() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            lived(
                "  - fallback:\n      - wait_for: done\n        timeout: 1h\n      - wait_for: done\n"
            )


# -- actions ----------------------------------------------------------------------------------


def test_an_action_without_a_mock_succeeds() -> None:
    run = lived("  - crm.add: {name: Ada}\n    id: added\n")
    assert run.status == "succeeded"
    assert run.called("crm.add") == [{"name": "Ada"}]
    assert run.calls[0].outcome == "succeeded"


def test_an_installed_action_gives_what_its_output_looks_like() -> None:
    run = lived("  - email.send: {to: a@example.com, subject: x, text: y}\n    id: mail\n")
    assert run.status == "succeeded"
    assert set(run.state.steps["mail"]) == {"message_id", "accepted", "refused"}


def test_arguments_that_do_not_fit_fail_as_they_would() -> None:
    run = lived("  - email.send: {to: '${{ 42 }}', subject: x, nonsense: '${{ 1 }}'}\n")
    assert run.error is not None
    assert run.error.code == "invalid_input"
    assert "nonsense" in run.error.message


def test_a_result_reaches_the_next_steps() -> None:
    run = lived(
        "  - crm.find: {}\n    id: user\n  - set: {name: '${{ steps.user.name }}'}\n",
        crm__find={"result": {"name": "Ada"}},
    )
    assert run.state.vars == {"name": "Ada"}


def test_a_retry_is_lived_in_virtual_time() -> None:
    run = lived(
        "  - crm.add: {}\n    retry: {attempts: 3, backoff: 1h, factor: 2, max: 1 day}\n",
        crm__add={"fail": {"code": "down", "message": "no"}, "times": 2},
    )
    assert run.status == "succeeded"
    assert run.lasts == hours(3)
    assert [(c.attempt, c.outcome, c.code) for c in run.calls] == [
        (1, "failed", "down"),
        (2, "failed", "down"),
        (3, "succeeded", None),
    ]


def test_attempts_come_to_an_end() -> None:
    run = lived(
        "  - crm.add: {}\n    retry: {attempts: 2, backoff: 10s}\n",
        crm__add={"fail": {"code": "down", "message": "no"}},
    )
    assert run.error is not None
    assert (run.error.code, run.error.message, run.error.path) == ("down", "no", "do[0]")
    assert (len(run.calls), run.lasts) == (2, timedelta(seconds=10))


@pytest.mark.parametrize(
    ("retry", "fail"),
    [
        ("{attempts: 5, unless: [down]}", {"code": "down"}),
        ("{attempts: 5}", {"code": "down", "retryable": False}),
    ],
)
def test_some_failures_are_final(retry: str, fail: dict[str, Any]) -> None:
    run = lived(f"  - crm.add: {{}}\n    retry: {retry}\n", crm__add={"fail": fail})
    assert (run.status, len(run.calls)) == ("failed", 1)


def test_what_fails_for_ever_is_not_retried_for_ever() -> None:
    run = lived("  - crm.add: {}\n", crm__add={"fail": {"code": "down"}})
    assert (run.status, run.lasts) == ("failed", timedelta(0))


def test_what_fails_a_few_times_is_retried_by_default() -> None:
    run = lived("  - crm.add: {}\n", crm__add={"fail": {"code": "down"}, "times": 3})
    assert (run.status, run.lasts) == ("succeeded", timedelta(seconds=1 + 2 + 4))


def test_an_action_takes_its_time_and_no_more_than_its_timeout() -> None:
    assert lived("  - crm.add: {}\n", crm__add={"takes": "5s"}).lasts == timedelta(seconds=5)
    run = lived("  - crm.add: {}\n    retry: 1\n", crm__add={"takes": "31s"})
    assert run.error is not None
    assert (run.error.code, run.lasts) == ("action_timeout", timedelta(seconds=30))


def test_a_call_that_is_given_up_is_cancelled() -> None:
    run = lived("  - crm.add: {}\n    timeout: 2s\n", crm__add={"takes": "5s"})
    assert (run.status, run.lasts) == ("failed", timedelta(seconds=2))
    assert [call.outcome for call in run.calls] == ["cancelled"]


def test_outcomes_come_one_after_the_other_and_by_condition() -> None:
    run = lived(
        "".join(f"  - crm.get: {{n: {n}}}\n    id: s{n}\n" for n in (1, 2, 3, 9, 4)),
        crm__get=[
            {"when": "arguments.n == 9", "result": "nine"},
            {"result": "first"},
            {"result": "second"},
            {"result": "rest"},
        ],
    )
    assert run.state.steps == {
        "s1": "first", "s2": "second", "s3": "rest", "s9": "nine", "s4": "rest",
    }  # fmt: skip


def test_a_condition_that_cannot_be_evaluated_is_said() -> None:
    run = lived("  - crm.get: {}\n", crm__get={"when": "arguments.nope > 1", "result": 1})
    assert run.error is not None
    assert "arguments.nope" in run.error.message


def test_links_reach_the_connector_as_links() -> None:
    run = lived("  - crm.add: {link: \"${{ callback('done') }}\"}\n")
    assert run.called("crm.add") == [{"link": "https://hub.invalid/callbacks/done"}]


class Given(msgspec.Struct):
    """Arguments."""


class Taken(msgspec.Struct):
    """Of every kind."""

    at: datetime
    name: str
    count: int
    ratio: float
    sure: bool
    maybe: str | None
    tags: list[str]
    more: dict[str, int]
    inner: Given
    preset: str = "kept"


class Store(Connector):
    """Keeps things."""

    name = "store"
    settings_type = Given

    @action(timeout=timedelta(minutes=2))
    async def put(self, given: Given, call: object) -> Taken:
        """Put."""
        raise NotImplementedError


def test_example_results_fit_their_type() -> None:
    example = example_of(Taken, datetime(2030, 1, 1, tzinfo=UTC))
    assert msgspec.convert(example, Taken).preset == "kept"
    assert example_of(None, START_TIME) is None


def test_actions_may_be_given() -> None:
    known = {a.name: a for a in Store.actions()}
    mocks = {"store.put": [Mock(takes=timedelta(seconds=119))]}
    with Simulation([tree("  - store.put: {}\n")], mocks=mocks, actions=known) as simulation:
        simulation.send(event(), "app")
        run = simulation.run().runs[0]
    assert run.status == "succeeded"
    assert run.result["preset"] == "kept"


# -- events -----------------------------------------------------------------------------------


def test_events_find_their_runs_by_key() -> None:
    with Simulation([tree("  - wait_for: done\n")]) as simulation:
        simulation.send(event(id="1", user="a"), "app")
        simulation.send(event(id="2", user="b"), "app")
        simulation.send(event("done", "3", "b"), "app", at=hours(1))
        simulation.send(event("done", "4", "c"), "app", at=hours(2))
        simulation.send(event("done", "5", "b"), "other", at=hours(3))
        result = simulation.run()
    assert {run.id: run.status for run in result.runs} == {
        "story/a": "running",
        "story/b": "succeeded",
    }
    fates = [(e.event.id, e.status, [d.outcome for d in e.deliveries]) for e in result.events]
    assert fates == [
        ("1", "delivered", ["started"]),
        ("2", "delivered", ["started"]),
        ("3", "delivered", ["resumed"]),
        ("4", "unmatched", ["no_run"]),
        ("5", "unmatched", []),
    ]


def test_an_event_that_comes_twice_is_one() -> None:
    with Simulation([tree("  - wait_for: done\n  - wait_for: done\n")]) as simulation:
        simulation.send(event(), "app")
        for after in (1, 2):
            simulation.send(event("done", "2"), "app", at=hours(after))
        result = simulation.run()
    assert [e.status for e in result.events] == ["delivered", "delivered", "duplicate"]
    assert result.runs[0].state.waiting_for == ["done"]


def test_one_event_reaches_several_trees() -> None:
    trees = [tree("  - delay: 1h\n", "one"), tree("  - delay: 2h\n", "two")]
    with Simulation(trees) as simulation:
        simulation.send(event(), "app")
        result = simulation.run()
    assert [(run.id, run.lasts) for run in result.runs] == [
        ("one/u", hours(1)),
        ("two/u", hours(2)),
    ]


def test_a_start_event_goes_to_the_live_run_or_starts_another() -> None:
    with Simulation([tree("  - delay: 2h\n")]) as simulation:
        for number, after in enumerate((0, 1, 3)):
            simulation.send(event(id=str(number)), "app", at=hours(after))
        result = simulation.run()
    assert [run.id for run in result.runs] == ["story/u", "story/u"]
    assert [d.outcome for e in result.events for d in e.deliveries] == [
        "started",
        "ignored",
        "started",
    ]


def test_a_run_can_be_cancelled() -> None:
    run = lived("  - delay: 2h\n", {"after": "1h", "cancel": True, "data": None})
    assert (run.status, run.lasts) == ("cancelled", hours(1))
    assert run.state.nodes["do[0]"].status == "cancelled"


def test_cancelling_what_is_not_there_is_said() -> None:
    with Simulation([tree("  - delay: 2h\n")]) as simulation:
        simulation.cancel("story/nobody")
        with pytest.raises(NotFound, match="nobody"):
            simulation.run()


def test_a_followed_link_resumes() -> None:
    run = lived(
        "  - wait_for: done\n    id: wait\n",
        {"after": "2h", "callback": "done", "data": {"answer": "yes"}},
    )
    assert run.lasts == hours(2)
    assert run.result["data"] == {"answer": "yes"}


def test_a_tree_or_a_story_that_is_wrong_is_said() -> None:
    with pytest.raises(InvalidDefinition):
        simulate("tree: x", {"type": "go"})
    with pytest.raises(InvalidDefinition, match="did you mean `go`"):
        simulate(tree("  - log: x\n"), {"type": "goo", "data": {"user": "u"}})


def test_ids_and_states_are_the_same_each_time() -> None:
    def once() -> Any:
        with Simulation([tree("  - crm.add: {}\n  - wait_for: done\n")]) as simulation:
            simulation.send(event(), "app")
            return simulation.run()

    assert msgspec.json.encode(once()) == msgspec.json.encode(once())


def test_mocks_in_python() -> None:
    mocks = {"crm.add": [Mock(fail=MockFailure(code="down", retryable=False))]}
    with Simulation([tree("  - crm.add: {}\n")], mocks=mocks) as simulation:
        simulation.send(event(), "app")
        assert simulation.run().runs[0].status == "failed"


# -- random trees -----------------------------------------------------------------------------


@settings(
    max_examples=200,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(stories())
def test_random_trees_keep_their_promises(story: Story) -> None:
    result = story.simulate("u", "v")
    run, other = result.runs
    state = run.state
    # Two runs of one story live beside each other as each would alone.
    (alone,) = story.simulate("u").runs
    assert essence(alone) == essence(run)
    assert other.status == run.status
    assert other.lasts == run.lasts
    # A run ends, or it waits for something.
    assert state.status in ("succeeded", "failed") or state.waiting_for
    if state.status == "running":
        waiting = [n for n in state.nodes.values() if n.status == "waiting"]
        assert len(waiting) == len(state.waiting_for)
        assert all(n.expires_at is None for n in waiting), "a deadline has been passed over"
    else:
        assert state.ended_at is not None
        assert not state.waiting_for
        for node in state.nodes.values():
            assert node.status in ("succeeded", "failed", "cancelled", "skipped")
    assert (state.error is not None) == (state.status == "failed")
    # Nothing ends before it begins, or outlives its run.
    for node in state.nodes.values():
        if node.ended_at is not None and node.started_at is not None:
            assert run.state.started_at is not None
            assert run.state.started_at <= node.started_at <= node.ended_at <= result.now
    # What a step has given is what others see of it.
    for node in state.nodes.values():
        if node.id is not None and node.status == "succeeded":
            assert state.steps[node.id] == node.result
    # An event satisfies one wait.
    used = [h.id for h in state.mailbox.handled if h.outcome == "resumed"]
    assert len(used) == len(set(used))
    # Calls never overlap or repeat but by attempts.
    marks = [(call.path, call.arguments["n"], call.attempt, call.at) for call in run.calls]
    assert len(marks) == len(set(marks))


def test_the_random_trees_have_the_nodes_that_exist() -> None:
    assert set(KINDS) - {"act"} <= set(NODES)
