"""`/api/trees/{name}/scenarios` and `POST /api/trees/{name}/try`: a tree lived in virtual time."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from hub.api.body import read_body, read_headers
from hub.api.guards import EDITOR, VIEWER, lets
from hub.api.runs import RunView, view_run
from hub.api.services import Services
from hub.errors import BadRequest, Diagnostic, InvalidDefinition
from hub.simulation import (
    Difference,
    SimulatedCall,
    SimulatedDecision,
    SimulatedDelivery,
    Trial,
    TrialRequest,
    Trials,
)
from hub.tree.yaml import read_yaml

__all__ = ["ScenarioItem", "ScenarioList", "TrialView", "trials"]

_MAX_BODY = 2 * 1024 * 1024


class ScenarioItem(msgspec.Struct, frozen=True, kw_only=True):
    """A scenario of the tree's test file as a plain document."""

    name: str
    scenario: dict[str, Any]


class ScenarioList(msgspec.Struct, frozen=True, kw_only=True):
    """The scenarios of `file`; `problems` where it cannot be read."""

    items: list[ScenarioItem]
    file: str | None
    problems: list[Diagnostic] = []
    next: str | None = None


class _Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tree's text, and one scenario as YAML."""

    text: str
    scenario: str


class TriedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of the scenario, or one that a run sent, and what became of it."""

    event: dict[str, Any]
    trigger: str
    at: datetime
    status: str
    deliveries: list[SimulatedDelivery]


class TrialView(msgspec.Struct, frozen=True, kw_only=True):
    """What was lived: the runs as `/api/runs` shows them, the one that it is about first."""

    passed: bool
    problems: list[Diagnostic]
    differences: list[Difference]
    runs: list[RunView]
    calls: list[SimulatedCall]
    events: list[TriedEvent]
    decisions: list[SimulatedDecision]
    logs: list[str]
    began: datetime | None
    now: datetime | None


def trials(services: Services) -> list[HTTPRouteHandler]:
    """The routes that try a tree out."""
    lived = Trials()

    @get(
        "/api/trees/{name:str}/scenarios",
        opt=VIEWER,
        summary="The scenarios of a tree's test file",
        tags=["project"],
    )
    async def list_scenarios(name: FromPath[str]) -> ScenarioList:
        lived.warm()
        file = await asyncio.to_thread(services.files.tests, name) if services.files else None
        if file is None:
            return ScenarioList(items=[], file=None)
        try:
            value = (await asyncio.to_thread(read_yaml, file.text, file=file.file)).value
        except InvalidDefinition as error:
            return ScenarioList(items=[], file=file.file, problems=error.diagnostics)
        listed = value if isinstance(value, list) else []
        return ScenarioList(
            items=[
                ScenarioItem(name=str(one.get("name", f"scenario {number}")), scenario=one)
                for number, one in enumerate(listed, 1)
                if isinstance(one, dict)
            ],
            file=file.file,
        )

    @post(
        "/api/trees/{name:str}/try",
        opt=lets(EDITOR, "tree.try"),
        status_code=200,
        summary="Live a scenario with this text of the tree, in virtual time; nothing is called",
        tags=["project"],
    )
    async def try_tree(request: Request[Any, Any, Any], name: FromPath[str]) -> TrialView:
        asked = await _asked(request, services)
        router = services.router()
        trial = await lived.live(
            TrialRequest(
                text=asked.text,
                file=f"trees/{name}.yaml",
                scenario=asked.scenario,
                others=[msgspec.Raw(t.document) for n, t in router.trees.items() if n != name],
                groups={group: list(people) for group, people in router.groups.items()},
            )
        )
        return await asyncio.to_thread(_view, trial)

    return [list_scenarios, try_tree]


async def _asked(request: Request[Any, Any, Any], services: Services) -> _Asked:
    body = await read_body(
        request.receive,
        read_headers(request.scope),
        limit=_MAX_BODY,
        timeout=services.body_timeout,
    )
    try:
        return msgspec.json.decode(body, type=_Asked)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body does not fit: {error}") from None


def _view(trial: Trial) -> TrialView:
    return TrialView(
        passed=trial.passed,
        problems=trial.problems,
        differences=trial.differences,
        runs=[view_run(state) for state in trial.runs],
        calls=trial.calls,
        events=[
            TriedEvent(
                event=one.event.to_cloudevent(),
                trigger=one.trigger,
                at=one.at,
                status=one.status,
                deliveries=one.deliveries,
            )
            for one in trial.events
        ],
        decisions=trial.decisions,
        logs=trial.logs,
        began=trial.began,
        now=trial.now,
    )
