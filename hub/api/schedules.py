"""`/api/schedules`: what is due when, and the few things that may be done to a schedule.

A schedule's id is `tree/event`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, get_args

import msgspec
from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, QueryParameter

from hub.api.actors import audited
from hub.api.body import read_body, read_headers
from hub.api.guards import OPERATOR, VIEWER, lets
from hub.api.paging import Limit, page_of
from hub.api.services import Services
from hub.errors import BadRequest, Busy, NotFound
from hub.payload import read_json
from hub.routing.schedules import ProjectSchedules
from hub.run.schedules import ScheduleView
from hub.timetable import Overlap

__all__ = ["ScheduleActed", "ScheduleList", "ScheduleTimes", "schedules"]

_MAX_BODY = 64 * 1024
_MAX_NOTE = 1000
_MAX_SPAN = timedelta(days=366)


class ScheduleList(msgspec.Struct, frozen=True, kw_only=True):
    """All schedules, by id."""

    items: list[ScheduleView]
    next: str | None = None


class ScheduleTimes(msgspec.Struct, frozen=True, kw_only=True):
    """The next times at which a schedule is due, as the server has them."""

    items: list[datetime]
    next: str | None = None


class ScheduleActed(msgspec.Struct, frozen=True, kw_only=True):
    """It was done to the schedule of this id."""

    id: str


def schedules(services: Services) -> list[HTTPRouteHandler]:
    """The routes under `/api/schedules`."""

    def kept() -> ProjectSchedules:
        if services.schedules is None:
            raise Busy("this process does not look after schedules")
        return services.schedules

    async def options_of(request: Request[Any, Any, Any], *known: str) -> dict[str, Any]:
        body = await read_body(
            request.receive,
            read_headers(request.scope),
            limit=_MAX_BODY,
            timeout=services.body_timeout,
        )
        options = read_json(body) if body.strip() else {}
        if not isinstance(options, dict):
            raise BadRequest("the body is a JSON object, or nothing")
        for name in options:
            if name not in known:
                raise BadRequest(f"there is no option {name!r}; known: {', '.join(known)}")
        return options

    @get(
        "/api/schedules",
        opt=lets(VIEWER, "schedule.see"),
        summary="The project's schedules",
        tags=["schedules"],
    )
    async def list_schedules(
        limit: Limit = 1000, cursor: FromQuery[str | None] = None
    ) -> ScheduleList:
        found = list(await kept().list())
        items, following = page_of(found, lambda one: one.id, limit, cursor)
        return ScheduleList(items=items, next=following)

    @get(
        "/api/schedules/{tree:str}/{event:str}",
        opt=VIEWER,
        summary="One schedule",
        tags=["schedules"],
    )
    async def show_schedule(tree: FromPath[str], event: FromPath[str]) -> ScheduleView:
        for view in await kept().list():
            if view.id == f"{tree}/{event}":
                return view
        raise NotFound(f"there is no schedule '{tree}/{event}'")

    @get(
        "/api/schedules/{tree:str}/{event:str}/times",
        opt=VIEWER,
        summary="The next times at which it is due",
        tags=["schedules"],
    )
    async def show_times(
        tree: FromPath[str],
        event: FromPath[str],
        after: FromQuery[datetime | None] = None,
        count: Annotated[int, QueryParameter(ge=1, le=1000)] = 10,
    ) -> ScheduleTimes:
        if after is not None and after.tzinfo is None:
            raise BadRequest("'after' needs a zone: 2026-01-31T08:00:00Z")
        times = await kept().kept.times(f"{tree}/{event}", after or datetime.now(UTC), count)
        return ScheduleTimes(items=list(times))

    @post(
        "/api/schedules/{tree:str}/{event:str}/trigger",
        opt=lets(OPERATOR, "schedule.trigger"),
        status_code=202,
        summary="Start a run now",
        tags=["schedules"],
    )
    async def trigger(
        request: Request[Any, Any, Any], tree: FromPath[str], event: FromPath[str]
    ) -> ScheduleActed:
        options = await options_of(request, "overlap")
        overlap = _overlap(options)
        async with audited(
            services, request, "schedule.trigger", f"{tree}/{event}", after=options or None
        ):
            await kept().kept.trigger(f"{tree}/{event}", overlap)
        return ScheduleActed(id=f"{tree}/{event}")

    @post(
        "/api/schedules/{tree:str}/{event:str}/pause",
        opt=lets(OPERATOR, "schedule.pause"),
        status_code=202,
        summary="Let no time count until it is resumed",
        tags=["schedules"],
    )
    async def pause(
        request: Request[Any, Any, Any], tree: FromPath[str], event: FromPath[str]
    ) -> ScheduleActed:
        note = _note(await options_of(request, "note"), "paused by hand")
        async with audited(
            services, request, "schedule.pause", f"{tree}/{event}", after={"note": note}
        ):
            await kept().kept.pause(f"{tree}/{event}", note)
        return ScheduleActed(id=f"{tree}/{event}")

    @post(
        "/api/schedules/{tree:str}/{event:str}/resume",
        opt=lets(OPERATOR, "schedule.resume"),
        status_code=202,
        summary="Let its times count again",
        tags=["schedules"],
    )
    async def resume(
        request: Request[Any, Any, Any], tree: FromPath[str], event: FromPath[str]
    ) -> ScheduleActed:
        note = _note(await options_of(request, "note"), "resumed by hand")
        async with audited(
            services, request, "schedule.resume", f"{tree}/{event}", after={"note": note}
        ):
            await kept().kept.resume(f"{tree}/{event}", note)
        return ScheduleActed(id=f"{tree}/{event}")

    @post(
        "/api/schedules/{tree:str}/{event:str}/backfill",
        opt=lets(OPERATOR, "schedule.backfill"),
        status_code=202,
        summary="Start the runs of the times in a span, both ends included",
        tags=["schedules"],
    )
    async def backfill(
        request: Request[Any, Any, Any], tree: FromPath[str], event: FromPath[str]
    ) -> ScheduleActed:
        options = await options_of(request, "from", "to", "overlap")
        begin, end = _time(options, "from"), _time(options, "to")
        if end - begin > _MAX_SPAN:
            raise BadRequest("at most a year is filled at once")
        # By the schedule's own rule most of them would be skipped: they are all due at once.
        overlap = _overlap(options) or "buffer_all"
        async with audited(
            services, request, "schedule.backfill", f"{tree}/{event}", after=options
        ):
            await kept().kept.backfill(f"{tree}/{event}", begin, end, overlap)
        return ScheduleActed(id=f"{tree}/{event}")

    return [list_schedules, show_schedule, show_times, trigger, pause, resume, backfill]


def _overlap(options: dict[str, Any]) -> Overlap | None:
    overlap: Overlap | None = options.get("overlap")
    if overlap is not None and overlap not in get_args(Overlap):
        raise BadRequest(f"'overlap' is one of {', '.join(get_args(Overlap))}")
    return overlap


def _note(options: dict[str, Any], default: str) -> str:
    note = options.get("note", default)
    if not isinstance(note, str) or len(note) > _MAX_NOTE:
        raise BadRequest(f"'note' is a string of at most {_MAX_NOTE} characters")
    return note or default


def _time(options: dict[str, Any], name: str) -> datetime:
    value = options.get(name)
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise BadRequest(f"{name!r} is a time with a zone: 2026-01-31T08:00:00Z")
    return at
