"""Scenario files: `trees/<tree>.test.yaml` read, with everything that is wrong found at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.connector import Action
from hub.errors import InvalidDefinition
from hub.routing.router import Router
from hub.simulation.read_decisions import read_decisions
from hub.simulation.read_events import EventReader
from hub.simulation.read_expectation import ExpectationReader
from hub.simulation.read_mocks import MockReader
from hub.simulation.reading import Reading
from hub.simulation.scenario import Scenario
from hub.tree import Tree
from hub.tree.words import Place
from hub.tree.yaml import read_yaml

__all__ = ["load_scenario", "load_scenarios", "read_scenario"]

_SCENARIO = ("name", "start", "events", "decisions", "mocks", "expect")


def load_scenarios(
    text: str | bytes,
    tree: Tree,
    router: Router,
    *,
    file: str | None = None,
    actions: Mapping[str, Action] | None = None,
) -> list[Scenario]:
    """Read a scenario file of a tree.

    `router` knows the project's trees; `actions` are the installed ones by default. Raises
    `InvalidDefinition` with all that is wrong, each with its file, line and column.
    """
    document = read_yaml(text, file=file)
    reading = Reading(tree, router, actions, document, file)
    value = document.value
    if not isinstance(value, list) or not value:
        reading.problem((), "a scenario file is a list", "begin each scenario with `- name: ...`")
        raise InvalidDefinition(reading.report.diagnostics)
    scenarios = [_scenario(reading, (index,), item) for index, item in enumerate(value)]
    taken: dict[str, int] = {}
    for index, scenario in enumerate(scenarios):
        if scenario is not None and taken.setdefault(scenario.name, index) != index:
            reading.problem((index, "name"), f"the name {scenario.name!r} is taken")
    if reading.report.has_errors:
        raise InvalidDefinition(reading.report.diagnostics)
    return [scenario for scenario in scenarios if scenario is not None]


def load_scenario(
    text: str | bytes, tree: Tree, router: Router, *, file: str | None = None
) -> Scenario:
    """Read the text of one scenario, without the dash that it has in a file of several.

    Raises `InvalidDefinition`.
    """
    document = read_yaml(text, file=file)
    reading = Reading(tree, router, None, document, file)
    scenario = _scenario(reading, (), document.value)
    if scenario is None or reading.report.has_errors:
        raise InvalidDefinition(reading.report.diagnostics)
    return scenario


def read_scenario(
    value: Any, tree: Tree, router: Router, *, actions: Mapping[str, Action] | None = None
) -> Scenario:
    """Read one scenario from its plain document. Raises `InvalidDefinition`."""
    reading = Reading(tree, router, actions, None, None)
    scenario = _scenario(reading, (), value)
    if scenario is None or reading.report.has_errors:
        raise InvalidDefinition(reading.report.diagnostics)
    return scenario


def _scenario(reading: Reading, place: Place, value: Any) -> Scenario | None:
    if not reading.mapping(place, value, _SCENARIO, "a scenario"):
        return None
    reading.literal(place, value)
    name = value.get("name")
    if not isinstance(name, str) or not name:
        reading.problem(place, "a scenario has a name", "say in it what the tree does then")
        name = ""
    if "start" not in value:
        reading.problem(place, "a scenario has a start event", "write `start: {type: ...}`")
        return None
    events = EventReader(reading)
    began, start, run_id = events.start((*place, "start"), value["start"])
    happenings = events.events((*place, "events"), value.get("events"), began, run_id)
    decisions = read_decisions(reading, (*place, "decisions"), value.get("decisions"))
    mocks = MockReader(reading).mocks((*place, "mocks"), value.get("mocks"))
    expect = ExpectationReader(reading).expectation((*place, "expect"), value.get("expect"))
    if start is None or run_id is None:
        return None
    position = reading.report.document.position(place) if reading.report.document else None
    return Scenario(
        name=name,
        tree=reading.tree.name,
        run_id=run_id,
        start=start,
        happenings=happenings,
        decisions=decisions,
        mocks=mocks,
        expect=expect,
        start_time=began,
        file=reading.report.file,
        line=position[0] if position else None,
    )
