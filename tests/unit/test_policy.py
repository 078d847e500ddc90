"""Start policies, early events, joins and `cancel_on` in virtual time, to the very moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import count

import pytest

from hub.errors import InvalidDefinition
from hub.event import Event
from hub.simulation import Simulation, SimulationResult
from hub.tree import Tree, load_tree

TREE = """
tree: story
events:
  go: {webhook: app, where: event.type == "go", key: event.data.user}
  paid: {webhook: app, where: event.type == "paid", key: event.data.user, early: EARLY}
  packed: {webhook: app, where: event.type == "packed", key: event.data.user}
  stop: {webhook: app, where: event.type == "stop", key: event.data.user}
start: START
cancel_on: stop
do:
"""
WAITS = "  - {id: first, wait_for: paid}\n  - {id: second, wait_for: packed}\n"


def tree(do: str = WAITS, start: str = "go", early: str = "1h") -> Tree:
    text = TREE.replace("START", start).replace("EARLY", early)
    return load_tree((text if early else text.replace(", early: ", "")) + do)


def told(of: Tree, *events: tuple[str, float], cuts: bool = False) -> SimulationResult:
    """What becomes of events, each of a type and at a minute; ids are `type@minute`."""
    asked = count()
    with Simulation([of], cuts=(lambda: next(asked) % 3 == 2) if cuts else None) as simulation:
        for kind, minute in events:
            event = Event(id=f"{kind}@{minute}", source="/test", type=kind, data={"user": "u"})
            simulation.send(event, "app", at=timedelta(minutes=minute))
        return simulation.run()


def outcomes(result: SimulationResult) -> list[str]:
    return [delivery.outcome for event in result.events for delivery in event.deliveries]


def statuses(result: SimulationResult) -> list[str]:
    return [run.state.status for run in result.runs]


ANY_PLACE = pytest.mark.parametrize("cuts", [False, True], ids=["whole", "cut"])


# -- when_running and rerun --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("deliver", ["started", "ignored", "resumed", "resumed"]),
        ("ignore", ["started", "ignored", "resumed", "resumed"]),
        ("restart", ["started", "started", "resumed", "resumed"]),
    ],
)
@ANY_PLACE
def test_a_second_start_event(policy: str, expected: Sequence[str], cuts: bool) -> None:
    of = tree(start=f"{{event: go, when_running: {policy}}}", early="")
    result = told(of, ("go", 0), ("go", 1), ("paid", 2), ("packed", 3), cuts=cuts)
    assert outcomes(result) == expected
    assert statuses(result)[-1] == "succeeded"


@ANY_PLACE
def test_restart_cleans_up_first_and_keeps_what_comes_meanwhile(cuts: bool) -> None:
    do = f"  - try:\n{WAITS.replace('  -', '      -')}    finally: [{{delay: 10m}}]\n"
    of = tree(do, start="{event: go, when_running: restart}")
    result = told(of, ("go", 0), ("go", 1), ("paid", 2), ("packed", 3), cuts=cuts)
    assert statuses(result) == ["cancelled", "succeeded"]
    first, second = (run.state for run in result.runs)
    assert first.ended_at == second.started_at
    assert second.event is not None
    assert second.event.id == "go@1"
    assert second.steps["first"]["id"] == "paid@2"


def test_of_several_restarts_while_it_cleans_up_the_last_counts() -> None:
    do = f"  - try:\n{WAITS.replace('  -', '      -')}    finally: [{{delay: 10m}}]\n"
    of = tree(do, start="{event: go, when_running: restart}")
    result = told(of, ("go", 0), ("go", 1), ("paid", 2), ("go", 3), ("packed", 4))
    second = result.runs[1].state
    assert second.event is not None
    assert second.event.id == "go@3"
    assert [stored.event.id for stored in second.mailbox.stored] == ["packed@4"]


def test_parallel_runs_are_each_reached() -> None:
    of = tree(start="{event: go, when_running: parallel}", early="")
    result = told(of, ("go", 0), ("go", 1), ("paid", 2), ("packed", 3))
    assert [run.state.id for run in result.runs] == ["story/u~go@0", "story/u~go@1"]
    assert statuses(result) == ["succeeded", "succeeded"]
    assert outcomes(result) == ["started", "started", *["resumed"] * 4]


@pytest.mark.parametrize(
    ("rerun", "last", "outcome"),
    [
        ("always", "packed", "started"),
        ("after_failure", "packed", "rejected"),
        ("after_failure", "stop", "started"),
        ("never", "stop", "rejected"),
    ],
)
def test_a_start_event_after_the_end(rerun: str, last: str, outcome: str) -> None:
    of = tree(start=f"{{event: go, rerun: {rerun}}}", early="")
    result = told(of, ("go", 0), ("paid", 1), (last, 2), ("go", 3))
    assert outcomes(result)[-1] == outcome


# -- early -------------------------------------------------------------------------------------


@ANY_PLACE
def test_early_events_wake_with_the_run_in_order(cuts: bool) -> None:
    do = "  - {id: a, wait_for: paid}\n  - {id: b, wait_for: paid}\n"
    result = told(tree(do), ("paid", 0), ("paid", 1), ("go", 2), cuts=cuts)
    assert outcomes(result) == ["buffered", "buffered", "started"]
    steps = result.runs[0].state.steps
    assert [steps["a"]["id"], steps["b"]["id"]] == ["paid@0", "paid@1"]


def test_without_early_there_is_no_run() -> None:
    assert outcomes(told(tree(early=""), ("paid", 0), ("go", 1))) == ["no_run", "started"]


@ANY_PLACE
def test_a_dormant_run_expires_with_its_last_event(cuts: bool) -> None:
    result = told(tree(), ("paid", 0), ("paid", 30), ("go", 91), cuts=cuts)
    assert statuses(result) == ["expired", "running"]
    ended = result.runs[0].state
    assert ended.ended_at is not None
    assert (ended.ended_at - result.runs[1].state.started_at) == -timedelta(minutes=1)  # type: ignore[operator]


def test_each_early_event_has_a_deadline_of_its_own() -> None:
    result = told(tree(), ("paid", 0), ("paid", 30), ("go", 70))
    state = result.runs[0].state
    assert state.steps["first"]["id"] == "paid@30"
    assert [(h.id, h.outcome) for h in state.mailbox.handled if h.id == "paid@0"] == [
        ("paid@0", "buffered"),
        ("paid@0", "late"),
    ]


def test_a_start_event_at_the_very_deadline_starts_the_run_without_the_event() -> None:
    result = told(tree(), ("paid", 0), ("go", 60))
    (run,) = result.runs
    assert run.state.status == "running"
    assert "first" not in run.state.steps


def test_an_early_event_that_cancels_does_so_when_the_run_begins() -> None:
    text = TREE.replace("START", "go").replace("EARLY", "1h") + WAITS
    text = text.replace('"stop", key: event.data.user', '"stop", key: event.data.user, early: 1h')
    result = told(load_tree(text), ("stop", 0), ("go", 1))
    assert statuses(result) == ["cancelled"]


@pytest.mark.parametrize(
    ("start", "key", "said"),
    [
        ("{event: go, rerun: never}", True, "use the key up"),
        ("{event: go, when_running: parallel}", True, "one run of its key"),
        ("{event: go, when_running: ignore}", False, "has no `key`"),
    ],
)
def test_policies_that_could_not_be_kept_are_refused(start: str, key: bool, said: str) -> None:
    text = TREE.replace("START", start).replace("EARLY", "1h") + WAITS
    if not key:
        text = text.replace('== "go", key: event.data.user', '== "go"').replace(", early: 1h", "")
    with pytest.raises(InvalidDefinition) as caught:
        load_tree(text)
    assert said in str(caught.value)


# -- cancel_on and joins -------------------------------------------------------------------------


@ANY_PLACE
def test_cancel_on_cleans_up(cuts: bool) -> None:
    do = f"  - try:\n{WAITS.replace('  -', '      -')}    finally: [{{delay: 10m}}]\n"
    result = told(tree(do), ("go", 0), ("stop", 1), ("stop", 2), cuts=cuts)
    (run,) = result.runs
    assert run.state.status == "cancelled"
    assert outcomes(result) == ["started", "resumed", "resumed"]
    assert run.state.ended_at == run.state.started_at + timedelta(minutes=11)  # type: ignore[operator]


JOIN = "  - {id: both, wait_for: {all: [paid, packed], within: 2h}}\n"


@ANY_PLACE
@pytest.mark.parametrize("order", [("paid", "packed"), ("packed", "paid")])
def test_a_join_takes_events_in_any_order(order: tuple[str, str], cuts: bool) -> None:
    result = told(tree(JOIN), ("go", 0), (order[0], 1), (order[0], 2), (order[1], 3), cuts=cuts)
    state = result.runs[0].state
    assert {name: event["id"] for name, event in state.steps["both"].items()} == {
        order[0]: f"{order[0]}@1",
        order[1]: f"{order[1]}@3",
    }
    # The second of a kind is for a wait to come.
    assert [stored.event.id for stored in state.mailbox.stored] == [f"{order[0]}@2"]


@ANY_PLACE
def test_a_join_whose_time_is_over_gives_back_what_came(cuts: bool) -> None:
    do = "  - fallback:\n    " + JOIN.replace("\n", "\n    ") + "  - {id: one, wait_for: paid}\n"
    result = told(tree(do), ("go", 0), ("paid", 1), ("packed", 150), cuts=cuts)
    state = result.runs[0].state
    assert state.steps["one"]["id"] == "paid@1"
    assert [h.outcome for h in state.mailbox.handled if h.id == "packed@150"] == []


@ANY_PLACE
def test_a_join_completed_at_its_very_deadline_has_succeeded(cuts: bool) -> None:
    result = told(tree(JOIN), ("go", 0), ("paid", 1), ("packed", 120), cuts=cuts)
    assert statuses(result) == ["succeeded"]


def test_any_takes_the_first_that_comes() -> None:
    do = "  - {id: one, wait_for: {any: [paid, packed]}}\n  - {id: next, wait_for: packed}\n"
    result = told(tree(do), ("go", 0), ("packed", 1), ("packed", 2))
    steps = result.runs[0].state.steps
    assert list(steps["one"]) == ["packed"]
    assert steps["next"]["id"] == "packed@2"


@pytest.mark.parametrize(
    ("wait", "said"),
    [
        ("{all: [paid, paid]}", "twice"),
        ("{all: [paid], any: [packed]}", "one event, for `all`"),
        ("{event: paid, all: [packed]}", "one event, for `all`"),
        ("{all: [paid, nothing]}", "no event 'nothing'"),
    ],
)
def test_waits_that_mean_nothing_are_refused(wait: str, said: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        tree(f"  - wait_for: {wait}\n")
    assert said in str(caught.value)
