"""A scenario: a start event, what comes after it, mocks, and what is expected of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from hub.connector import Action
from hub.errors import EndlessRun, HubError
from hub.event import Event
from hub.routing.router import CALLBACK, Router
from hub.simulation.expectation import Difference, Expectation
from hub.simulation.mocks import Mock
from hub.simulation.result import SimulatedRun, SimulationResult
from hub.simulation.simulation import START_TIME, Simulation

__all__ = ["Happening", "Scenario", "ScriptedDecision", "Verdict", "live", "run_scenario"]


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """Something that comes from outside, so long after the start: an event, or a cancellation.

    `outcome` is what is expected to become of the event: the run's own word for it (`resumed`,
    `late`, ...), `no_run`, or `unmatched`.
    """

    after: timedelta = timedelta(0)
    event: Event | None = None
    trigger: str = ""
    outcome: str | None = None


class ScriptedDecision(msgspec.Struct, frozen=True, kw_only=True):
    """What one person decides, so long after the start.

    With `delegate` it is passed on `to` somebody else. `node` is the id of the approval, where the
    run may have several open. `outcome` is what is
    expected to become of it: `recorded`, or the code of why it is not.
    """

    after: timedelta
    who: str
    decision: Literal["approve", "reject", "delegate"]
    to: str | None = None
    node: str | None = None
    comment: str | None = None
    form: Mapping[str, Any] = {}
    outcome: str = "recorded"


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One test of a tree. `run_id` is the run that its start event starts."""

    name: str
    tree: str
    run_id: str
    start: Happening
    happenings: Sequence[Happening] = ()
    decisions: Sequence[ScriptedDecision] = ()
    mocks: Mapping[str, Sequence[Mock]] = {}
    expect: Expectation = Expectation()
    start_time: datetime = START_TIME
    file: str | None = None
    line: int | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """How a scenario went. `run` is None when the start event started none, or it has no end."""

    scenario: Scenario
    differences: list[Difference]
    run: SimulatedRun | None = None
    simulation: SimulationResult | None = None

    @property
    def passed(self) -> bool:
        """Was everything as expected?"""
        return not self.differences


def run_scenario(
    scenario: Scenario, router: Router, *, actions: Mapping[str, Action] | None = None
) -> Verdict:
    """Live the scenario and compare. Never raises for what a tree does."""
    try:
        result = live(scenario, router, actions=actions)
    except EndlessRun as error:
        return _broken(scenario, "a run that ends or waits", error)
    except HubError as error:
        return _broken(scenario, "a scenario that can be lived", error)
    run = result.first(scenario.run_id)
    if run is None:
        got = "; ".join(d.reason or d.outcome for e in result.events for d in e.deliveries)
        difference = Difference(what="start", expected=scenario.run_id, got=got or "no run")
        return Verdict(scenario=scenario, differences=[difference], simulation=result)
    tree = router.trees[scenario.tree]
    differences = scenario.expect.differences(run, tree, result.calls_of(run))
    differences += _fates(scenario, result)
    return Verdict(scenario=scenario, differences=differences, run=run, simulation=result)


def live(
    scenario: Scenario, router: Router, *, actions: Mapping[str, Action] | None = None
) -> SimulationResult:
    """Live the scenario. Raises `EndlessRun` for a run that neither ends nor waits."""
    with Simulation(
        router, mocks=scenario.mocks, start_time=scenario.start_time, actions=actions
    ) as simulation:
        for happening in (scenario.start, *scenario.happenings):
            if happening.event is None:
                simulation.cancel(scenario.run_id, at=happening.after)
            else:
                simulation.send(happening.event, happening.trigger, at=happening.after)
        for one in scenario.decisions:
            simulation.decide(
                scenario.run_id,
                one.who,
                one.decision,
                to=one.to,
                node=one.node,
                comment=one.comment,
                form=one.form,
                at=one.after,
            )
        return simulation.run()


def _broken(scenario: Scenario, expected: str, error: HubError) -> Verdict:
    difference = Difference(what="simulation", expected=expected, got=error.message)
    return Verdict(scenario=scenario, differences=[difference])


def _fates(scenario: Scenario, result: SimulationResult) -> list[Difference]:
    """Events of which something else became than expected."""
    differences = []
    for happening in (scenario.start, *scenario.happenings):
        event = happening.event
        if event is None or happening.outcome is None:
            continue
        fate = next(e for e in result.events if e.event is event)
        got = next((d.outcome for d in fate.deliveries if d.run_id == scenario.run_id), fate.status)
        if got != happening.outcome:
            what = "link" if happening.trigger == CALLBACK else event.type
            differences.append(
                Difference(what=f"outcome of {what}", expected=happening.outcome, got=got)
            )
    for planned, came in zip(scenario.decisions, result.decisions, strict=True):
        if came.outcome != planned.outcome:
            what = f"decision of {planned.who}"
            got = f"{came.outcome}: {came.message}" if came.message else came.outcome
            differences.append(Difference(what=what, expected=planned.outcome, got=got))
    return differences
