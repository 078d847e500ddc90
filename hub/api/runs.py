"""`/api/runs`: what runs, what ran, and the few things that may be done to a run.

A run's id is the user's data and stands in the path as it is, slashes and all. What is done to a
run is the last segment of a POST, and nothing else is ever read as an action: GET shows the run
whose whole id is given, be it one whose key ends in `/cancel`. Only who asks for server-sent events
(`Accept: text/event-stream`) means by a last `/live` the stream of the run before it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery, QueryParameter

from hub.api.actors import audited
from hub.api.body import read_body, read_headers, tail_of
from hub.api.guards import EDITOR, OPERATOR, VIEWER, lets, require
from hub.api.live_runs import LiveRuns
from hub.api.services import Services
from hub.api.streams import EventStream, Nothing, wants_stream
from hub.durations import parse_duration
from hub.errors import BadRequest, InvalidDuration, NotFound
from hub.payload import read_json
from hub.run.migration import Migration
from hub.run.runs import RunSummary
from hub.run.state import Failure, Handled, NodeState, NodeStatus, RunState, RunStatus

__all__ = ["ACTIONS", "ActionTaken", "NodeView", "RunList", "RunView", "runs", "view_run"]

ACTIONS: Final[Mapping[str, dict[str, Any]]] = {
    "cancel": OPERATOR,
    "terminate": OPERATOR,
    "forward": OPERATOR,
    "migrate": EDITOR,
}
"""What may be done to a run, and who may."""
Migrate = Callable[[Request[Any, Any, Any], str, dict[str, Any]], Awaitable[Migration]]
_PREFIX = "/api/runs/"
_MAX_BODY = 64 * 1024


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """One node of a run. `attempt` counts from 1, and is 0 before the node has begun."""

    type: str
    id: str | None
    status: NodeStatus
    started_at: datetime | None
    ended_at: datetime | None
    deadline: datetime | None
    attempt: int
    result: Any
    error: Failure | None


class MailboxView(msgspec.Struct, frozen=True, kw_only=True):
    """The run's mailbox: `stored` are events not yet used, `handled` the last ones' fates."""

    stored: list[StoredView]
    handled: list[Handled]


class StoredView(msgspec.Struct, frozen=True, kw_only=True):
    """An event that waits for its node, and the names of the waits that it satisfies."""

    event: dict[str, Any]
    subscriptions: list[str]


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """One run with all its nodes by path, in the order in which they began."""

    id: str
    tree: str
    key: str | None
    hash: str
    status: RunStatus
    started_at: datetime | None
    ended_at: datetime | None
    waiting_for: list[str]
    nodes: dict[str, NodeView]
    result: Any
    error: Failure | None
    mailbox: MailboxView


class RunList(msgspec.Struct, frozen=True, kw_only=True):
    """Runs, newest first; `next` is the cursor of the rest."""

    items: list[RunSummary]
    next: str | None


class ActionTaken(msgspec.Struct, frozen=True, kw_only=True):
    """The action was handed to the run of this id."""

    id: str


def runs(services: Services, migrate: Migrate) -> list[HTTPRouteHandler]:
    """The routes under `/api/runs`. `migrate` does what a POST to `/migrate` asks."""

    @get(
        "/api/runs",
        opt=lets(VIEWER, "run.see"),
        summary="Runs, newest first",
        tags=["runs"],
    )
    async def list_runs(
        tree: FromQuery[str | None] = None,
        key: FromQuery[str | None] = None,
        text: Annotated[
            str | None,
            QueryParameter(description="how a run's id or its key begins", max_length=200),
        ] = None,
        status: FromQuery[RunStatus | None] = None,
        waiting_for: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
        cursor: FromQuery[str | None] = None,
    ) -> RunList:
        page = await services.runs.list(
            tree=tree,
            key=key,
            text=text,
            status=status,
            waiting_for=waiting_for,
            limit=limit,
            cursor=cursor,
        )
        return RunList(items=list(page.items), next=page.next)

    live = LiveRuns(services.runs, lambda state: msgspec.json.encode(view_run(state)))

    @get(
        "/api/runs/{run_id:path}",
        opt=VIEWER,
        summary="One run with its nodes",
        tags=["runs"],
    )
    async def show_run(request: Request[Any, Any, Any]) -> Response[RunView]:
        segments = tail_of(request.scope, _PREFIX)
        if not wants_stream(request):
            return Response(view_run(await services.runs.show("/".join(segments))))
        *segments, last = segments
        if last != "live" or not segments:
            raise NotFound("a stream of a run is at /api/runs/{id}/live")
        services.streams.admit()
        stream = await live.open("/".join(segments), request.headers.get("last-event-id"))
        if stream.is_known_end:
            stream.close()
            # The answer by which a browser's EventSource comes no more.
            return Nothing()
        return EventStream(stream, services.streams)

    @post(
        "/api/runs/{run_id:path}",
        opt=lets(OPERATOR, more={f"run.{action}": who for action, who in ACTIONS.items()}),
        status_code=202,
        include_in_schema=False,
    )
    async def act_on_run(request: Request[Any, Any, Any]) -> Response[Any]:
        *segments, action = tail_of(request.scope, _PREFIX)
        if action not in ACTIONS or not segments:
            raise NotFound("a POST to a run ends in what to do with it: /" + ", /".join(ACTIONS))
        require(request, ACTIONS[action])
        run_id = "/".join(segments)
        options = await _options(request, services.body_timeout)
        if action == "migrate":
            return Response(await migrate(request, run_id, options), status_code=200)
        async with audited(services, request, f"run.{action}", run_id, after=options or None):
            if action == "cancel":
                await services.runs.cancel(run_id)
            elif action == "terminate":
                await services.runs.terminate(run_id, _reason(options))
            else:
                await services.runs.forward(run_id, parse_duration(_by(options)))
        return Response(ActionTaken(id=run_id))

    return [list_runs, show_run, act_on_run]


async def _options(request: Request[Any, Any, Any], timeout: float) -> dict[str, Any]:
    body = await read_body(
        request.receive, read_headers(request.scope), limit=_MAX_BODY, timeout=timeout
    )
    options = read_json(body) if body.strip() else {}
    if not isinstance(options, dict):
        raise BadRequest("the body is a JSON object, or nothing")
    return options


def _reason(options: dict[str, Any]) -> str:
    reason = options.get("reason", "terminated by request")
    if not isinstance(reason, str) or len(reason) > 1000:
        raise BadRequest("'reason' is a string of at most 1000 characters")
    return reason


def _by(options: dict[str, Any]) -> str:
    by = options.get("by")
    if not isinstance(by, str):
        raise InvalidDuration('say how far: {"by": "24h"}')
    return by


def view_run(state: RunState) -> RunView:
    """A run's document as it is shown."""
    return RunView(
        id=state.id,
        tree=state.tree,
        key=state.key,
        hash=state.hash,
        status=state.status,
        started_at=state.started_at,
        ended_at=state.ended_at,
        waiting_for=state.waiting_for,
        nodes={path: _node(node) for path, node in state.nodes.items()},
        result=state.result,
        error=state.error,
        mailbox=MailboxView(
            stored=[
                StoredView(event=s.event.to_cloudevent(), subscriptions=list(s.subscriptions))
                for s in state.mailbox.stored
            ],
            handled=state.mailbox.handled,
        ),
    )


def _node(node: NodeState) -> NodeView:
    return NodeView(
        type=node.type,
        id=node.id,
        status=node.status,
        started_at=node.started_at,
        ended_at=node.ended_at,
        deadline=node.deadline,
        attempt=node.attempt,
        result=node.result,
        error=node.error,
    )
