"""Each kind of node in virtual time, whole and cut into parts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hub.simulation import Simulation, SimulationResult
from hub.simulation.home import SimulatedHome
from hub.tree import NODES, load_tree
from tests.node_cases import CASES, Case, delivery, mocks, once_in_a_moment


def lived(case: Case) -> SimulationResult:
    with Simulation(case.trees.values(), mocks=mocks(), actions={}) as simulation:
        begin = delivery("begin", "u", "begin")
        simulation.send(begin.event, begin.trigger)
        for number, (after, kind) in enumerate(case.events):
            came = delivery(kind, "u", f"{kind}-{number}")
            simulation.send(came.event, came.trigger, at=after)
        if case.cancel is not None:
            simulation.cancel(f"{case.name}/u", at=case.cancel)
        return simulation.run()


def check(case: Case, result: SimulationResult) -> None:
    run = next(run for run in result.runs if run.state.tree == case.name)
    state = run.state
    error = None if state.error is None else state.error.code
    case.check(state.status, state.result, error, state.vars)
    if case.done is not None:
        assert tuple(call.arguments["n"] for call in run.calls) == case.done
    if case.others_done is not None:
        others = [call for run in result.runs if run.state.tree != case.name for call in run.calls]
        assert tuple(call.arguments["n"] for call in others) == case.others_done
    assert state.waiting_for == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_node(case: Case) -> None:
    check(case, lived(case))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_node_in_parts(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimulatedHome, "is_long", once_in_a_moment())
    result = lived(case)
    check(case, result)


def test_every_kind_of_node_has_a_story() -> None:
    told = {node.verb for case in CASES for tree in case.trees.values() for node in tree.nodes()}
    others = {"approval"}
    assert set(NODES) - told - others == set()


DAILY = """
tree: daily
events:
  begin: {webhook: app, where: event.type == "begin", key: event.data.user_id}
  tick: {webhook: app, where: event.type == "tick", key: event.data.user_id}
start: begin
vars: {came: 0}
do:
- repeat: 3650
  do:
  - test.do: {n: 1}
  - fallback:
    - [{wait_for: tick, timeout: 1h}, {set: {came: "${{ vars.came + 1 }}"}}]
    - {log: none}
  - {delay: 23h}
"""


def test_ten_years_of_days_stay_small(monkeypatch: pytest.MonkeyPatch) -> None:

    def is_long(home: SimulatedHome, *, very: bool = False) -> bool:
        nonlocal asked
        asked += 1
        return not very and asked % 997 == 0

    asked = 0
    monkeypatch.setattr(SimulatedHome, "is_long", is_long)
    with Simulation([load_tree(DAILY)], mocks=mocks(), actions={}) as simulation:
        begin = delivery("begin", "u", "begin")
        simulation.send(begin.event, begin.trigger)
        for day in range(0, 3650, 10):
            tick = delivery("tick", "u", f"tick-{day}")
            simulation.send(tick.event, tick.trigger, at=timedelta(days=day, minutes=30))
        simulation.run(timedelta(days=3000, hours=12))
        early = simulation.result().runs[0].state
        result = simulation.run()
    (run,) = result.runs
    assert run.state.status == "succeeded"
    assert run.state.vars["came"] == 365
    assert len(run.calls) == 3650
    assert run.state.part > 5
    assert len(early.nodes) < 20
