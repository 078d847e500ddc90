"""`/api/events`: CloudEvents come in, the journal is read."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery, QueryParameter

from hub.api.actors import actor_of
from hub.api.body import read_body, read_headers, tail_of
from hub.api.guards import OPERATOR, VIEWER, lets
from hub.api.ingress import accepted
from hub.api.services import Services
from hub.api.streams import EventStream, wants_stream
from hub.api.tail import Tail
from hub.api.waiting import Outcomes, outcomes, wanted_wait
from hub.cloudevents import BATCHED, STRUCTURED, is_cloudevent, read_cloudevents
from hub.errors import BadRequest, NotFound, UnsupportedType
from hub.routing.explain import Explanation, explain, told
from hub.routing.journal import DeliveryRecord, Entry

__all__ = ["Accepted", "EventList", "EventView", "events"]

_TRIGGER = "api"
# What a callback link delivers is believed by the router; only a verified link may say it.
_RESERVED = frozenset({"callback"})
_PREFIX = "/api/events/"
_Status = Literal["accepted", "delivered", "unmatched", "duplicate", "dead"]


class Accepted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was made durable: `id` of one event, `ids` of several, and which were known before."""

    id: str | None = None
    duplicate: bool = False
    ids: list[str] | None = None
    duplicates: list[str] | None = None


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the journal with its deliveries; `event` is in the CloudEvents JSON format."""

    id: str
    trigger: str
    event: dict[str, Any]
    received_at: datetime
    status: _Status
    deliveries: list[DeliveryRecord]


class EventList(msgspec.Struct, frozen=True, kw_only=True):
    """Events, newest first; `next` is the cursor of the rest."""

    items: list[EventView]
    next: str | None


def events(services: Services) -> list[HTTPRouteHandler]:
    """The routes under `/api/events`."""
    tail = Tail(services.journal, lambda entry: msgspec.json.encode(_view(entry)))

    @post(
        "/api/events",
        opt=lets(OPERATOR, "event.send"),
        status_code=202,
        summary="Send CloudEvents: binary, structured or batched",
        tags=["events"],
        responses={
            202: ResponseSpec(Accepted, description="Durable", generate_examples=False),
            200: ResponseSpec(
                Outcomes, description="With `Prefer: wait=N`: delivered", generate_examples=False
            ),
        },
    )
    async def send_events(
        request: Request[Any, Any, Any], trigger: FromQuery[str] = _TRIGGER
    ) -> Response[Any]:
        if trigger in _RESERVED or (
            trigger != _TRIGGER and trigger not in services.project().triggers
        ):
            raise NotFound(f"there is no trigger {trigger!r}")
        headers = read_headers(request.scope)
        if not is_cloudevent(headers):
            raise UnsupportedType(
                f"send CloudEvents: as {STRUCTURED}, as {BATCHED}, or with ce-* headers"
            )
        body = await read_body(
            request.receive, headers, limit=services.max_body, timeout=services.body_timeout
        )
        sent = read_cloudevents(headers, body)
        receipts = await services.intake.accept(trigger, sent) if sent else ()
        if receipts:
            ids = [receipt.id for receipt in receipts]
            await services.journal.audit.note(
                actor_of(request), "event.send", ids[0], after={"trigger": trigger, "ids": ids}
            )
        seconds = wanted_wait(headers)
        if seconds is None:
            return Response(msgspec.convert(accepted(receipts), Accepted), status_code=202)
        told_of = await outcomes(services, trigger, receipts, seconds)
        return Response(
            Outcomes(events=told_of),
            status_code=202 if any(one.status == "accepted" for one in told_of) else 200,
            headers={"preference-applied": "wait"},
        )

    @get(
        "/api/events",
        opt=lets(VIEWER, "event.see"),
        summary="The journal, newest first",
        tags=["events"],
    )
    async def list_events(
        trigger: FromQuery[str | None] = None,
        event_type: Annotated[str | None, QueryParameter(name="type")] = None,
        key: FromQuery[str | None] = None,
        status: FromQuery[_Status | None] = None,
        since: FromQuery[datetime | None] = None,
        until: FromQuery[datetime | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
        cursor: FromQuery[str | None] = None,
    ) -> EventList:
        page = await services.journal.list(
            trigger=trigger,
            type=event_type,
            key=key,
            status=status,
            since=_zoned("since", since),
            until=_zoned("until", until),
            limit=limit,
            cursor=cursor,
        )
        return EventList(items=[_view(entry) for entry in page.items], next=page.next)

    @get(
        "/api/events/{event_id:path}",
        opt=VIEWER,
        summary="One event with its deliveries, or with /explain what each subscription made of it",
        tags=["events"],
    )
    async def show_event(
        request: Request[Any, Any, Any],
        trigger: FromQuery[str | None] = None,
        event_type: Annotated[str | None, QueryParameter(name="type")] = None,
    ) -> Response[EventView | Explanation]:
        *rest, last = tail_of(request.scope, _PREFIX)
        # An event may have any id. Only who asks for server-sent events means the stream by `live`.
        if last == "live" and not rest and wants_stream(request):
            services.streams.admit()
            place = request.headers.get("last-event-id")
            stream = await tail.open(place, trigger=trigger, type=event_type)
            return EventStream(stream, services.streams)
        if rest and last == "explain":
            entry = await services.journal.get("/".join(rest), trigger)
            return Response(await explain(entry, services.router(), services.runs))
        entry = await services.journal.get("/".join([*rest, last]), trigger)
        return Response(
            _view(await told(entry, services.journal, services.runs, services.router()))
        )

    return [send_events, list_events, show_event]


def _view(entry: Entry) -> EventView:
    return EventView(
        id=entry.id,
        trigger=entry.trigger,
        event=entry.event.to_cloudevent(),
        received_at=entry.received_at,
        status=entry.status,
        deliveries=entry.deliveries,
    )


def _zoned(name: str, time: datetime | None) -> datetime | None:
    if time is not None and time.tzinfo is None:
        raise BadRequest(f"{name!r} needs a zone: 2026-01-31T08:00:00Z")
    return time
