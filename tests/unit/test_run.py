"""What a run does at its edges: cancelled twice, cancelled in a pause, too large to go on."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hub.run import RunState
from hub.run import run as run_module
from hub.simulation import Simulation, SimulationResult
from hub.simulation.home import SimulatedHome
from tests.node_cases import Case, delivery, mocks, once_in_a_moment

HOUR = timedelta(hours=1)


def lived(
    do: str, *events: tuple[timedelta, str], cancel: tuple[timedelta, ...] = ()
) -> SimulationResult:
    case = Case("edge", do)
    with Simulation([case.tree], mocks=mocks(), actions={}) as simulation:
        begin = delivery("begin", "u", "begin")
        simulation.send(begin.event, begin.trigger)
        for number, (after, kind) in enumerate(events):
            came = delivery(kind, "u", f"{kind}-{number}")
            simulation.send(came.event, came.trigger, at=after)
        for after in cancel:
            simulation.cancel("edge/u", at=after)
        return simulation.run()


def done(result: SimulationResult) -> list[int]:
    return [call.arguments["n"] for call in result.calls]


def state_of(result: SimulationResult) -> RunState:
    (run,) = result.runs
    return run.state


CLEANING = """
- try: [{wait_for: first}]
  finally: [{test.do: {n: 1}}, {delay: 2h}, {test.do: {n: 2}}]
"""


def test_a_second_cancellation_changes_nothing() -> None:
    once = lived(CLEANING, cancel=(HOUR,))
    twice = lived(CLEANING, cancel=(HOUR, 2 * HOUR))
    assert done(once) == done(twice) == [1, 2]
    assert state_of(once).status == state_of(twice).status == "cancelled"
    assert state_of(once).ended_at == state_of(twice).ended_at


def test_cancelled_in_the_pause_before_a_retry() -> None:
    tree = """
- sequence: [{test.do: {n: 1}}, {fail: "no"}]
  retry: {attempts: 9, backoff: 2h}
"""
    result = lived(tree, cancel=(HOUR,))
    assert state_of(result).status == "cancelled"
    assert done(result) == [1]


def test_a_failing_cleanup_does_not_undo_the_cancellation() -> None:
    tree = "- try: [{wait_for: first}]\n  finally: {fail: not today}\n"
    result = lived(tree, cancel=(HOUR,))
    assert state_of(result).status == "cancelled"
    assert result.logs == ["cleaning up failed: not today"]


def test_a_failing_finally_fails_a_node_that_had_succeeded() -> None:
    result = lived("- try: {test.do: {n: 1}}\n  finally: {fail: {message: late, code: late}}\n")
    error = state_of(result).error
    assert error is not None
    assert error.code == "late"


def test_if_is_asked_once() -> None:
    tree = """
- if: vars.count == 0
  sequence:
  - {set: {count: 1}}
  - {check: vars.count == 2}
  retry: {attempts: 2, backoff: 1h}
"""
    result = lived(tree)
    assert state_of(result).nodes["do[0]"].status == "failed"
    assert state_of(result).nodes["do[0]"].attempt == 2


def test_an_event_at_the_very_deadline_is_in_time() -> None:
    tree = "- {wait_for: first, timeout: 1h, id: came}\n"
    assert state_of(lived(tree, (HOUR, "first"))).status == "succeeded"
    late = lived(tree, (HOUR + timedelta(microseconds=1), "first"))
    assert state_of(late).status == "failed"


def test_an_inner_timeout_is_told_from_an_outer_one() -> None:
    tree = """
- timeout: 3h
  fallback:
  - {wait_for: first, timeout: 1h}
  - {wait_for: second, timeout: 9h}
"""
    state = state_of(lived(tree))
    assert state.error is not None
    assert (state.error.code, state.error.path) == ("timeout", "do[0]")
    assert state.nodes["do[0].fallback[0]"].status == "failed"
    assert state.nodes["do[0].fallback[1]"].status == "cancelled"


def test_an_event_whose_wait_was_given_up_is_kept() -> None:
    tree = """
- race:
  - {wait_for: first}
  - [{delay: 1h}, {succeed: }]
- {wait_for: first, id: came}
"""
    # Both in one moment: the event comes first, and wins.
    state = state_of(lived(tree, (HOUR, "first"), (2 * HOUR, "first")))
    assert state.status == "succeeded"
    assert state.steps["came"]["id"] == "u-first-1"
    kept = state_of(lived(tree, (HOUR + timedelta(seconds=1), "first")))
    assert kept.steps["came"]["id"] == "u-first-0"


def test_a_state_too_large_ends_the_run_and_cleans_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimulatedHome, "is_long", once_in_a_moment())
    monkeypatch.setattr(run_module, "MAX_STATE_BYTES", 20_000)
    tree = """
- try:
  - while: "true"
    do:
    - {delay: 1h}
    - {set: {count: "${{ [vars.count, vars.count] }}"}}
    max: 30
  finally: {test.do: {n: 1}}
"""
    result = lived(tree)
    state = state_of(result)
    assert state.status == "failed"
    assert state.error is not None
    assert state.error.code == "state_too_large"
    assert done(result) == [1]


def test_undo_belongs_to_the_steps_of_a_saga() -> None:
    tree = Case("edge", "- saga:\n  - {test.do: {n: 1}, undo: {test.do: {n: 2}}}\n").tree
    assert [n.path for n in tree.nodes() if n.type == "test.do"] == [
        "do[0].saga[0]",
        "do[0].saga[0].undo",
    ]
