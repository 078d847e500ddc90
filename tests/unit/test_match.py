"""Waits by a value that the run learnt, in virtual time: `wait_for` with `match`."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from hub.errors import InvalidDefinition
from hub.event import Event
from hub.simulation import Simulation, SimulationResult
from hub.tree import Tree, load_tree
from hub.tree.build import installed_constructors

TREE = """
tree: story
events:
  go: {webhook: app, where: event.type == "go", key: event.data.order}
  shipped: {webhook: app, where: event.type == "shipped", key: event.data.shipment, MORE}
start: go
vars: {shipment: "${{ event.data.shipment }}"}
do:
"""
WAIT = "  - {id: came, wait_for: {event: shipped, match: vars.shipment}}\n"
ANY_PLACE = pytest.mark.parametrize("cuts", [False, True], ids=["whole", "cut"])


def tree(do: str = WAIT, more: str = "early: 1h") -> Tree:
    return load_tree(TREE.replace("MORE", more) + do)


Sent = tuple[str, str, str | None, float]
"""A type, an order or a shipment, the shipment of an order, and the minute."""


def told(
    of: Tree, *events: tuple[Any, ...], cuts: bool = False, cancel: tuple[str, float] | None = None
) -> SimulationResult:
    """What becomes of events: (type, minute, data)."""
    asked = count()
    # Ever more seldom, so that each part comes to something.
    times = {n * (n + 1) // 2 for n in range(1, 100)}
    with Simulation([of], cuts=(lambda: next(asked) in times) if cuts else None) as simulation:
        for number, (kind, minute, data) in enumerate(events):
            event = Event(id=f"{kind}{number}", source="/test", type=kind, data=data)
            simulation.send(event, "app", at=timedelta(minutes=minute))
        if cancel is not None:
            simulation.cancel(cancel[0], at=timedelta(minutes=cancel[1]))
        return simulation.run()


def go(minute: float, order: str, shipment: str = "s") -> tuple[Any, ...]:
    return ("go", minute, {"order": order, "shipment": shipment})


def shipped(minute: float, shipment: str = "s") -> tuple[Any, ...]:
    return ("shipped", minute, {"shipment": shipment})


def came(result: SimulationResult) -> dict[str, Any]:
    """By the runs: the id of the event that `came` is, or how the run stands without it."""
    return {
        run.id.removeprefix("story/"): run.state.steps["came"]["id"]
        if run.state.steps.get("came")
        else run.error.code
        if run.error
        else run.status
        for run in result.runs
    }


def outcomes(result: SimulationResult) -> list[str]:
    return [delivery.outcome for event in result.events for delivery in event.deliveries]


@ANY_PLACE
def test_an_event_finds_the_run_by_a_value_that_is_not_its_key(cuts: bool) -> None:
    result = told(tree(), go(0, "o1", "s1"), go(0, "o2", "s2"), shipped(5, "s2"), cuts=cuts)
    assert came(result) == {"o1": "running", "o2": "shipped2"}
    assert outcomes(result) == ["started", "started", "resumed"]


@ANY_PLACE
@pytest.mark.parametrize("deliver", ["all", "one", "reject"])
def test_an_event_that_comes_before_its_wait_is_kept(deliver: str, cuts: bool) -> None:
    do = "  - {delay: 30m}\n" + WAIT
    of = tree(do, f"early: 1h, deliver: {deliver}")
    result = told(of, shipped(0), go(1, "o1"), cuts=cuts)
    assert came(result) == {"o1": "shipped0"}
    assert outcomes(result)[0] == "buffered"
    assert came(told(of, shipped(0), go(31, "o1"), cuts=cuts)) == {"o1": "running"}


def test_it_is_kept_for_an_hour_unless_the_tree_says_otherwise() -> None:
    assert came(told(tree(more="deliver: all"), shipped(0), go(59, "o1"))) == {"o1": "shipped0"}
    assert came(told(tree(more="deliver: all"), shipped(0), go(60, "o1"))) == {"o1": "running"}
    nothing = told(tree(more="early: 0s"), shipped(0), go(1, "o1"))
    assert (came(nothing), outcomes(nothing)[0]) == ({"o1": "running"}, "no_run")


@ANY_PLACE
def test_all_runs_that_wait_for_the_value_get_it(cuts: bool) -> None:
    result = told(tree(), go(0, "o1"), go(1, "o2"), shipped(2), go(3, "o3"), cuts=cuts)
    assert came(result) == {"o1": "shipped2", "o2": "shipped2", "o3": "shipped2"}


@ANY_PLACE
def test_one_run_gets_it_the_oldest_first(cuts: bool) -> None:
    of = tree(more="deliver: one")
    result = told(of, go(0, "o1"), go(1, "o2"), shipped(2), shipped(3), shipped(4), cuts=cuts)
    assert came(result) == {"o1": "shipped2", "o2": "shipped3"}


@ANY_PLACE
def test_a_second_wait_for_the_value_fails(cuts: bool) -> None:
    of = tree(more="deliver: reject")
    result = told(of, go(0, "o1"), go(1, "o2"), shipped(2), go(3, "o3"), shipped(4), cuts=cuts)
    assert came(result) == {"o1": "shipped2", "o2": "already_awaited", "o3": "shipped4"}


@ANY_PLACE
@pytest.mark.parametrize("how", ["timeout", "cancel", "race"])
def test_a_wait_that_is_over_takes_nothing_from_the_next(how: str, cuts: bool) -> None:
    do = {
        "timeout": WAIT.replace("}}", "}, timeout: 5m}"),
        "cancel": WAIT,
        "race": "  - race:\n    - {delay: 5m}\n  " + WAIT,
    }[how]
    of = tree(do, "deliver: one")
    cancel = ("story/o1", 5.0) if how == "cancel" else None
    result = told(of, go(0, "o1"), go(1, "o2"), shipped(5.5), cuts=cuts, cancel=cancel)
    assert came(result)["o2"] == "shipped2"


@ANY_PLACE
def test_an_event_at_the_very_end_of_a_wait_is_used_once(cuts: bool) -> None:
    do = (
        "  - race:\n    - {delay: 5m}\n    - {wait_for: {event: shipped, match: vars.shipment}}\n"
        "  - {delay: 1m}\n" + WAIT
    )
    result = told(tree(do, "deliver: one"), go(0, "o1"), shipped(5), cuts=cuts)
    (run,) = result.runs
    used = [h.path for h in run.state.mailbox.handled if h.outcome == "resumed"]
    assert len(used) == 1
    assert came(result)["o1"] in ("shipped1", "running")


@ANY_PLACE
def test_several_waits_of_one_run_for_one_value(cuts: bool) -> None:
    wait = "{wait_for: {event: shipped, match: vars.shipment}}"
    do = f"  - parallel: [{wait}, {wait}]\n"
    for deliver in ("all", "one"):
        of = tree(do, f"deliver: {deliver}")
        result = told(of, go(0, "o1"), shipped(1), cuts=cuts)
        assert [run.status for run in result.runs] == ["running"]
        result = told(of, go(0, "o1"), shipped(1), shipped(2), cuts=cuts)
        assert [run.status for run in result.runs] == ["succeeded"]
        ids = [event["id"] for event in result.runs[0].result]
        assert ids == ["shipped1", "shipped2"]


@ANY_PLACE
def test_a_loop_waits_again_and_gets_the_next(cuts: bool) -> None:
    do = (
        "  - repeat: 3\n    do:\n    - {id: one, wait_for: {event: shipped, match: vars.shipment}}\n"
        '    - {set: {ids: "${{ (vars.ids | default([])) + [steps.one.id] }}"}}\n'
    )
    of = tree(do)
    result = told(of, go(0, "o1"), shipped(1), shipped(2), shipped(3), cuts=cuts)
    assert result.runs[0].state.vars["ids"] == ["shipped1", "shipped2", "shipped3"]


def test_a_fresh_wait_takes_nothing_of_before() -> None:
    of = tree(WAIT.replace("match", "since: wait, match"))
    assert came(told(of, shipped(0), go(1, "o1"), shipped(2))) == {"o1": "shipped2"}


def test_a_match_that_gives_no_value_fails() -> None:
    of = tree(WAIT.replace("vars.shipment", "event.data.nothing | default(none)"))
    assert came(told(of, go(0, "o1"))) == {"o1": "invalid_match"}


def test_waits_by_the_key_and_by_a_value_stand_beside_each_other() -> None:
    """The run whose key the value is gets it as ever, and so does the run that knows the value."""
    do = (
        "  - if: event.data.shipment == 's'\n"
        "    then: {wait_for: {event: shipped, match: vars.shipment}}\n"
        "    else: {wait_for: shipped}\n"
    )
    result = told(tree(do, "deliver: all"), go(0, "o1"), go(0, "s", "other"), shipped(1))
    assert [run.result["id"] for run in result.runs] == ["shipped2", "shipped2"]
    assert result.events[-1].status == "delivered"


def test_runs_without_a_key_are_found_by_a_value() -> None:
    of = load_tree(
        "tree: story\nevents:\n  go: {webhook: app, where: event.type == 'go'}\n"
        "  shipped: {webhook: app, where: event.type == 'shipped', key: event.data.shipment}\n"
        "start: go\ndo:\n  - {id: came, wait_for: {event: shipped, match: event.data.shipment}}\n"
    )
    result = told(of, go(0, "o1", "s1"), go(0, "o2", "s2"), shipped(1, "s2"))
    assert list(came(result).values()) == ["running", "shipped2"]


@pytest.mark.parametrize(
    ("do", "more", "said"),
    [
        (
            "  - {wait_for: {all: [shipped], match: event.id}}\n",
            "early: 1h",
            "`match` is for a wait",
        ),
        (
            "  - {wait_for: {event: shipped, match: event.id, late: keep}, timeout: 1h}\n",
            "early: 1h",
            "`late` says nothing here",
        ),
        (
            "  - {wait_for: {event: shipped, match: event.id}}\n  - {wait_for: shipped}\n",
            "early: 1h",
            "here are both",
        ),
        (WAIT, "deliver: two", "'two' is not one of"),
        (WAIT.replace("vars.shipment", "vars.shipmen"), "early: 1h", "no variable 'shipmen'"),
    ],
)
def test_what_cannot_be_is_said(do: str, more: str, said: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        tree(do, more)
    assert any(said in d.message for d in caught.value.diagnostics), caught.value.diagnostics


def test_a_value_needs_a_key_to_be_compared_with() -> None:
    text = (TREE.replace("MORE", "early: 1h") + WAIT).replace(", key: event.data.shipment", "")
    with pytest.raises(InvalidDefinition) as caught:
        load_tree(text)
    assert [d.code for d in caught.value.diagnostics] == ["no_key"]


def test_a_wait_that_no_event_can_reach_names_match_as_a_way_out() -> None:
    text = (TREE.replace("MORE", "early: 1h") + "  - wait_for: shipped\n").replace(
        ", key: event.data.order", ""
    )
    with pytest.raises(InvalidDefinition) as caught:
        load_tree(text)
    suggestions = " ".join(d.suggestion or "" for d in caught.value.diagnostics)
    assert "`wait_for: {event: shipped, match: ...}`" in suggestions


def test_deliver_without_match_is_pointless() -> None:
    warnings = tree("  - wait_for: shipped\n", "deliver: one").warnings
    assert [d.code for d in warnings] == ["pointless_deliver"]


def test_built_in_python() -> None:
    built = installed_constructors()["WaitFor"]("shipped", match="vars.shipment", timeout="1h")
    assert built == {"wait_for": "shipped", "match": "vars.shipment", "timeout": "1h"}
