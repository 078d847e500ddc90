"""`POST /api/events/{id}/replay`: an event of the journal once more."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery

from hub.api.actors import audited
from hub.api.body import read_body, read_headers, tail_of
from hub.api.guards import OPERATOR, lets
from hub.api.services import Services
from hub.errors import BadRequest, NotFound
from hub.routing.replay import Replayed, ReplayMode, plan, replay

__all__ = ["ReplayOptions", "replays"]

_PREFIX = "/api/events/"
_MAX_BODY = 4096


class ReplayOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to replay: the starts only, or the resumes too; `dry_run` only tells what would happen.

    Runs recognise what they have already had from the event, unless `again` makes it a new one.
    """

    dry_run: bool = False
    mode: ReplayMode = "starts"
    again: bool = False


def replays(services: Services) -> list[HTTPRouteHandler]:
    """The route of replays."""

    @post(
        "/api/events/{event_id:path}",
        opt=lets(OPERATOR, "event.replay"),
        status_code=202,
        summary="Replay an event: the path ends in /replay",
        tags=["events"],
        include_in_schema=False,
    )
    async def replay_event(
        request: Request[Any, Any, Any], trigger: FromQuery[str | None] = None
    ) -> Replayed:
        *segments, action = tail_of(request.scope, _PREFIX)
        if action != "replay" or not segments:
            raise NotFound("a POST to an event ends in what to do with it: /replay")
        body = await read_body(
            request.receive,
            read_headers(request.scope),
            limit=_MAX_BODY,
            timeout=services.body_timeout,
        )
        try:
            options = msgspec.json.decode(body or b"{}", type=ReplayOptions)
        except msgspec.DecodeError as error:
            raise BadRequest(f"the body does not fit: {error}") from None
        entry = await services.journal.get("/".join(segments), trigger)
        matches = plan(entry, services.router(), options.mode)
        identifier = None
        if not options.dry_run:
            async with audited(
                services, request, "event.replay", entry.id, after=options
            ) as change:
                identifier = await replay(entry, services.intake, options.mode, again=options.again)
                change.after = {**msgspec.to_builtins(options), "id": identifier}
        return Replayed(of=entry.id, id=identifier, dry_run=options.dry_run, matches=matches)

    return [replay_event]
