"""A run that is moved to another definition keeps what it did, and refuses what is unsafe."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

import msgspec
import pytest

from hub.event import Event
from hub.run import RunState, TreeRun
from hub.run.migration import Plan, plan_migration
from hub.simulation import Simulation, SimulationResult, simulation
from hub.tree import Tree, load_tree, read_tree, tree_from_document
from tests.stories import Story, collect_stories

STORIES = 25
POINTS = 3
EVENTS = """
events:
  begun: {webhook: app, where: event.type == "begun", key: event.data.id}
  paid: {webhook: app, where: event.type == "paid", key: event.data.id}
  packed: {webhook: app, where: event.type == "packed", key: event.data.id}
start: begun
"""


def tree(do: str, events: str = EVENTS) -> Tree:
    lines = "".join(f"  {line}\n" for line in do.strip("\n").splitlines())
    return tree_from_document(load_tree(f"tree: order\n{events}do:\n{lines}").document)


def event(kind: str, number: int = 0) -> Event:
    return Event(id=f"{kind}-{number}", source="/t", type=kind, data={"id": "o1"})


def state_of(old: Tree, *events: str, span: timedelta = timedelta(hours=1)) -> RunState:
    """The state of a run of the tree that has begun and had these events, a minute apart."""
    with Simulation([old], actions={}) as living:
        for number, kind in enumerate(["begun", *events]):
            living.send(event(kind, number), "app", at=timedelta(minutes=number))
        return living.run(span).runs[0].state


def planned(old: str, new: str, *events: str) -> Plan:
    before = tree(old)
    return plan_migration(before, tree(new), state_of(before, *events))


def nodes(plan: Plan) -> dict[str, str]:
    assert not plan.reasons
    assert plan.state is not None
    return {path: state.status for path, state in plan.state.nodes.items()}


# --- what maps ---


def test_a_wait_stays_where_its_id_is_and_what_stands_before_it_is_passed_over() -> None:
    plan = planned(
        "- {log: a}\n- {wait_for: paid, id: payment, timeout: 24h}\n- {log: end}",
        "- {log: a}\n- {set: {x: 1}}\n- {log: b}\n- {wait_for: paid, id: payment, timeout: 24h}\n- {log: other}",
    )
    assert nodes(plan) == {
        "do": "running", "do[0]": "succeeded", "do[1]": "skipped", "do[2]": "skipped",
        "do[3]": "waiting",
    }  # fmt: skip
    assert plan.skipped == ["do[1]", "do[2]"]
    assert plan.state is not None
    assert plan.state.nodes["do[3]"].deadline is not None


MATCHED = "wait_for: {event: paid, match: event.data.id}, id: payment"


def test_a_wait_by_match_goes_on_with_its_ticket() -> None:
    plan = planned(f"- {{{MATCHED}}}", f"- {{log: a}}\n- {{{MATCHED}}}")
    assert plan.state is not None
    assert [ticket.path for ticket in plan.state.tickets.open.values()] == ["do[1]"]


def test_a_wait_by_match_whose_event_is_defined_otherwise_is_refused() -> None:
    old = tree(f"- {{{MATCHED}}}")
    new = tree(
        f"- {{{MATCHED}}}", EVENTS.replace('"paid", key: event.data.id', '"paid", key: event.id')
    )
    plan = plan_migration(old, new, state_of(old))
    assert plan.reasons == ["do[0] waits for paid by `match`, which is defined otherwise"]
    plan = planned(f"- {{{MATCHED}}}", "- {wait_for: paid, id: payment}")
    assert plan.reasons == ["do[0] is open, and waits without `match` in the new definition"]
    plan = planned("- {wait_for: paid, id: payment}", f"- {{{MATCHED}}}")
    assert plan.reasons == ["do[0] is open, and waits with `match` in the new definition"]


def test_nodes_without_ids_are_known_by_what_is_written_and_by_their_turn() -> None:
    plan = planned(
        "- {log: a}\n- {delay: 2h}\n- {delay: 3h}",
        "- {log: new}\n- {log: a}\n- {delay: 1h}\n- {delay: 3h}",
    )
    assert nodes(plan)["do[2]"] == "waiting"
    assert plan.skipped == ["do[0]"]
    assert "do[2] goes on as it began" in plan.notes[0]
    unsure = planned("- {delay: 2h}", "- {delay: 1h}\n- {delay: 3h}")
    assert "has no counterpart of it" in unsure.reasons[0]


def test_a_node_that_gets_its_first_id_has_its_result_by_it() -> None:
    plan = planned(
        "- {succeed: 7}\n- {wait_for: paid}", "- {succeed: 7, id: seven}\n- {wait_for: paid, id: p}"
    )
    assert plan.state is not None
    assert plan.state.steps == {"seven": 7}
    assert plan.state.nodes["do[1]"].id == "p"


def test_what_was_done_is_not_done_again_where_it_stands_later_now() -> None:
    plan = planned(
        "- {log: a, id: a}\n- {wait_for: paid, id: p}",
        "- {wait_for: paid, id: p}\n- {log: a, id: a}",
    )
    assert plan.kept == ["do[1]"]
    assert nodes(plan) == {"do": "running", "do[0]": "waiting", "do[1]": "succeeded"}


def test_what_is_not_known_again_is_said_to_be_repeated() -> None:
    plan = planned(
        "- {log: hello}\n- {wait_for: paid, id: p}",
        "- {wait_for: paid, id: p}\n- sequence: [{log: hello}]",
    )
    assert (plan.gone, plan.repeated) == (["do[0]"], ["do[1].sequence[0]"])


def test_branches_that_have_ended_are_known_by_their_new_numbers() -> None:
    old = "- parallel:\n    - {log: a}\n    - {wait_for: paid, id: p}\n    - {wait_for: packed, id: q}"
    new = "- parallel:\n    - {wait_for: packed, id: q}\n    - {log: a}\n    - {delay: 1h}\n    - {wait_for: paid, id: p}"
    plan = planned(old, new)
    assert plan.state is not None
    assert plan.state.nodes["do[0]"].memory == [1]
    assert nodes(plan)["do[0].parallel[3]"] == "waiting"


def test_rounds_of_a_loop_go_on_where_their_loop_stands_now() -> None:
    loop = "- repeat:\n    times: 5\n    do:\n      - {log: x}\n      - {wait_for: paid}"
    plan = planned(loop, "- {log: first}\n" + loop, "paid", "paid")
    assert nodes(plan)[_round_of(plan)] == "waiting"
    assert plan.state is not None
    assert plan.state.nodes["do[1]"].iteration == 2


def _round_of(plan: Plan) -> str:
    assert plan.state is not None
    (path,) = [p for p, s in plan.state.nodes.items() if s.status == "waiting"]
    assert path.startswith("do[1]#2.")
    return path


def test_an_unused_event_keeps_only_the_names_that_are_waited_for() -> None:
    old = "- {wait_for: paid, id: p}\n- {wait_for: packed}"
    kept = planned(old, "- {wait_for: paid, id: p}\n- {wait_for: packed}\n- {log: x}", "packed")
    assert kept.state is not None
    assert [one.event.type for one in kept.state.mailbox.stored] == ["packed"]
    lost = planned(old, "- {wait_for: paid, id: p}", "packed")
    assert lost.state is not None
    assert lost.state.mailbox.stored == []
    assert "nothing waits for it any more" in lost.notes[0]


def test_the_state_names_its_new_definition_and_the_old_one_is_left_alone() -> None:
    before, after = tree("- {wait_for: paid, id: p}"), tree("- {log: x}\n- {wait_for: paid, id: p}")
    state = state_of(before)
    copy = msgspec.json.encode(state)
    plan = plan_migration(before, after, state)
    assert plan.state is not None
    assert (plan.from_hash, plan.state.hash) == (before.hash, after.hash)
    assert msgspec.json.encode(state) == copy


# --- what is refused ---


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("- {wait_for: paid, id: p}", "- {log: x}", "do[0] (p) waits, and the new definition has no node 'p'"),
        ("- {wait_for: paid}", "- {log: x}", "do[0] (wait_for) waits, and the new definition has no counterpart"),
        ("- {wait_for: paid, id: p}", "- {delay: 1h, id: p}", "'p' is a delay in the new definition"),
        ("- {wait_for: paid, id: p}", "- {wait_for: packed, id: p}", "waits for paid, and in the new definition for packed"),
        ("- {wait_for: paid, id: p}", "- {wait_for: {all: [paid]}, id: p}", "in the new definition for paid"),
        (
            "- {wait_for: paid, id: p}",
            "- sequence:\n    - {wait_for: paid, id: p}",
            "do[0] is under way, and stands elsewhere",
        ),
        (
            "- repeat: {do: [{delay: 2h}]}",
            "- repeat: {do: [{log: x}, {delay: 2h}]}",
            "is in a round, and what a round does has changed",
        ),
        (
            "- for_each: {in: [1], do: [{delay: 2h}]}",
            "- for_each: {in: [1], as: one, do: [{delay: 2h}]}",
            "is in a round, and what a round does has changed",
        ),
        (
            "- {wait_for: paid, id: p}",
            "- while: {condition: 'true', do: [{wait_for: paid, id: p}]}",
            "stands in other loops",
        ),
        (
            "- if: event.data.id == 'o1'\n  then: [{delay: 2h}]\n  else: [{log: x}]",
            "- if: event.data.id == 'o1'\n  then: [{log: x}]\n  else: [{delay: 2h}]",
            "waits, and the new definition has no counterpart",
        ),
        (
            "- switch: event.data.id\n  cases: {o2: [{log: x}]}\n  default: [{delay: 2h}]",
            "- switch: event.data.id\n  cases: {o2: [{log: x}], o1: [{log: y}]}\n  default: [{delay: 2h}]",
            "has chosen a part that the new definition would not choose",
        ),
        (
            "- try: [{fail: x}]\n  catch: [{delay: 2h}]",
            "- try: {log: x}\n  catch: [{delay: 2h}]",
            "goes on by its outcome, and it is gone",
        ),
        (
            "- race: [{invert: {fail: x}, if: 'false'}, {delay: 2h}, {sequence: [{log: a}, {delay: 3h}]}]",
            "- race: [{delay: 2h}, {sequence: [{log: a}, {delay: 3h}]}]",
            "has ended, and is gone",
        ),
        (
            "- saga: [{set: {x: 1}, undo: {log: back}}, {delay: 2h}]",
            "- saga: [{delay: 2h}]",
            "its undo is gone",
        ),
        (
            "- saga: [{set: {x: 1}, id: s, undo: {log: back}}, {delay: 2h}]",
            "- saga: [{set: {x: 1}, id: s}, {delay: 2h}]",
            "has no undo in the new definition",
        ),
    ],
)  # fmt: skip
def test_what_is_unsafe_is_refused_with_the_reason(old: str, new: str, reason: str) -> None:
    plan = planned(old, new)
    assert plan.state is None
    assert reason in "; ".join(plan.reasons)


def test_a_wait_on_an_event_that_is_gone_is_refused() -> None:
    before = tree("- {wait_for: paid, id: p}")
    events = EVENTS.replace("  paid:", "  payed:")
    plan = plan_migration(before, tree("- {wait_for: payed, id: p}", events), state_of(before))
    assert "do[0] waits for paid, an event that is gone" in plan.reasons


def test_what_is_in_flight_cleans_up_or_has_ended_is_refused() -> None:
    before = tree("- {wait_for: paid, id: p}")
    state = state_of(before)
    assert "in flight" in plan_migration(before, before, state, ["do[0]"]).reasons[0]
    for change, said in (
        ({"cancelling": True}, "cleans up"),
        ({"status": "succeeded"}, "has ended"),
    ):
        changed = msgspec.structs.replace(state, **change)
        assert said in plan_migration(before, before, changed).reasons[0]
    state.nodes["do[0]"].halted = True
    assert "was given up" in plan_migration(before, before, state).reasons[0]
    other = load_tree(before.document.replace(b'"order"', b'"other"'))
    assert "it is a run of 'order'" in plan_migration(before, other, state_of(before)).reasons[0]


def test_a_dormant_run_takes_any_definition_of_its_tree() -> None:
    before, after = tree("- {wait_for: paid, id: p}"), tree("- {log: x}\n- {wait_for: paid}")
    dormant = RunState(id="order/o1", tree="order", key="o1", hash=before.hash)
    plan = plan_migration(before, after, dormant)
    assert plan.state is not None
    assert (plan.state.hash, plan.reasons) == (after.hash, ())


# --- how it goes on: in virtual time ---


def moved(
    monkeypatch: pytest.MonkeyPatch, told: Story, new: Tree, point: int
) -> tuple[SimulationResult, Plan | None]:
    """The story, with its run moved to the new tree at one of the points where it can be cut."""
    asked = itertools.count()
    plans: list[Plan] = []

    def go_on(live: Any) -> None:
        run = live.run
        state = simulation._copy(run.state)
        state.part += 1
        plan = plan_migration(run.tree, new, state, run.in_flight)
        plans.append(plan)
        use, state = (new, plan.state) if plan.state is not None else (run.tree, state)
        live.run = TreeRun(use, simulation._copy(state), live.home, run.trees, run.groups)

    monkeypatch.setattr(simulation._Live, "_go_on", go_on)
    result = told.simulate("u", cuts=lambda: next(asked) == point)
    return result, plans[0] if plans else None


@cache
def some_stories() -> list[Story]:
    return collect_stories(STORIES)


def points_of(told: Story) -> Sequence[int]:
    """Some of the points at which the story can be cut."""
    asked = itertools.count()
    told.simulate("u", cuts=lambda: next(asked) < 0)
    last = next(asked)
    return range(0, last, max(1, last // POINTS))


def essence(result: SimulationResult) -> Any:
    """What was done and came out, wherever in the tree."""
    (run,) = result.runs
    error = None if run.state.error is None else (run.state.error.code, run.state.error.message)
    calls = [(call.action, call.arguments, call.attempt, call.outcome) for call in result.calls]
    return run.state.status, error, calls, run.state.vars, run.state.steps


def wrapped(told: Story, document: Callable[[list[Any]], list[Any]]) -> Tree:
    written = msgspec.json.decode(told.tree.document)
    do = written["do"] if isinstance(written["do"], list) else [written["do"]]
    written["do"] = document(do)
    return tree_from_document(read_tree(written, actions=None).document)


def test_random_runs_that_are_moved_to_what_they_are_live_on_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count = 0
    for told in some_stories():
        whole = essence(told.simulate("u"))
        for point in points_of(told):
            result, plan = moved(monkeypatch, told, tree_from_document(told.tree.document), point)
            assert essence(result) == whole
            if plan is not None and not plan.reasons:
                assert [plan.skipped, plan.repeated, plan.gone, plan.notes] == [[], [], [], []]
                count += 1
    assert count > 15


def test_random_runs_that_are_moved_with_steps_around_them_do_nothing_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count = 0
    for told in some_stories():
        if not isinstance(msgspec.json.decode(told.tree.document)["do"], list):
            continue
        whole = essence(told.simulate("u"))
        new = wrapped(told, lambda do: [{"set": {"before": 1}}, *do, {"set": {"after": 1}}])
        for point in points_of(told):
            result, plan = moved(monkeypatch, told, new, point)
            status, error, calls, variables, steps = essence(result)
            if plan is None or plan.reasons:
                assert (status, error, calls, variables, steps) == whole
                continue
            count += 1
            # Where nothing had begun yet, all of it is still to come.
            assert plan.skipped in ([], ["do[0]"])
            assert ("before" in variables) == (plan.skipped == [])
            variables.pop("before", None)
            assert variables.pop("after", 1) == 1
            assert (status, error, calls, variables, steps) == whole
    assert count > 15
