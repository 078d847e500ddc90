"""A trial: one scenario lived with a tree's text as it stands in somebody's editor."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from hub.connector import installed_actions
from hub.errors import Diagnostic, InvalidDefinition
from hub.routing.router import Router
from hub.run import RunState
from hub.simulation.expectation import Difference
from hub.simulation.read import load_scenario
from hub.simulation.result import SimulatedCall, SimulatedDecision, SimulatedEvent
from hub.simulation.scenario import Verdict, run_scenario
from hub.tree import Tree, load_tree, tree_from_document
from hub.trigger import installed_triggers

__all__ = ["Trial", "TrialRequest", "try_out"]

_FILE = "scenario"


class TrialRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A tree's text, one scenario as YAML, and the project around them.

    `others` are the documents of the project's other trees, `groups` the people whom approvals
    ask. `file` is what diagnostics of the tree name.
    """

    text: str
    file: str
    scenario: str
    others: list[msgspec.Raw] = []
    groups: Mapping[str, list[str]] = {}


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What was lived. `runs` are those of the scenario, the one that it is about first.

    `problems` are what is wrong with the tree or (in the file "scenario") with the scenario; with
    any of them nothing was lived. Times are virtual, from `began` on.
    """

    passed: bool = False
    problems: list[Diagnostic] = []
    differences: list[Difference] = []
    runs: list[RunState] = []
    calls: list[SimulatedCall] = []
    events: list[SimulatedEvent] = []
    decisions: list[SimulatedDecision] = []
    logs: list[str] = []
    began: datetime | None = None
    now: datetime | None = None


def try_out(request: TrialRequest) -> Trial:
    """Live the scenario. Never raises for what a tree or a scenario says."""
    try:
        tree = load_tree(
            request.text,
            file=request.file,
            actions=installed_actions(),
            kinds=installed_triggers(),
        )
        router = Router([*_others(request, tree), tree], groups=dict(request.groups))
        scenario = load_scenario(request.scenario, tree, router, file=_FILE)
    except InvalidDefinition as error:
        return Trial(problems=list(error.diagnostics))
    return _told(run_scenario(scenario, router))


def _others(request: TrialRequest, tree: Tree) -> list[Tree]:
    found = [tree_from_document(bytes(document)) for document in request.others]
    return [other for other in found if other.name != tree.name]


def _told(verdict: Verdict) -> Trial:
    lived = verdict.simulation
    if lived is None:
        return Trial(passed=verdict.passed, differences=verdict.differences)
    first = verdict.run
    rest = [run.state for run in lived.runs if first is None or run.state is not first.state]
    return Trial(
        passed=verdict.passed,
        differences=verdict.differences,
        runs=rest if first is None else [first.state, *rest],
        calls=lived.calls,
        events=lived.events,
        decisions=lived.decisions,
        logs=lived.logs,
        began=verdict.scenario.start_time,
        now=lived.now,
    )
