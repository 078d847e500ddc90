"""`/callbacks/{token}`: the links that runs send out.

Mail scanners and previews follow links, so GET and HEAD change nothing; only the button's POST
delivers.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from litestar import Request, Response, get, post, route
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from hub.api import callback_pages as pages
from hub.api.guards import ANYONE
from hub.api.ingress import accepted
from hub.api.services import Services
from hub.api.signed import json_answer, page_answer, probed, read_given, refusal, wants_json
from hub.errors import HubError
from hub.event import Event
from hub.links import CallbackClaims

__all__ = ["callbacks"]

_TRIGGER = "callback"


def callbacks(services: Services) -> list[HTTPRouteHandler]:
    """The routes of callback links."""

    @get("/callbacks/{token:str}", opt=ANYONE, summary="What a link will do", tags=["callbacks"])
    async def show_callback(
        request: Request[Any, Any, Any], token: FromPath[str]
    ) -> Response[bytes]:
        try:
            claims = services.links.verify(token, datetime.now(UTC))
        except HubError as error:
            return refusal(request, error, pages.refused)
        if wants_json(request):
            return json_answer(
                {
                    "subscription": claims.subscription,
                    "label": claims.label,
                    "expires_at": claims.expires_at,
                }
            )
        return page_answer(pages.confirm(claims, services.project().name))

    @route(
        "/callbacks/{token:str}",
        http_method=[HttpMethod.HEAD],
        opt=ANYONE,
        include_in_schema=False,
    )
    async def probe_callback(token: FromPath[str]) -> Response[None]:
        return probed(lambda: services.links.verify(token, datetime.now(UTC)))

    @post("/callbacks/{token:str}", opt=ANYONE, summary="Do what a link says", tags=["callbacks"])
    async def deliver_callback(
        request: Request[Any, Any, Any], token: FromPath[str]
    ) -> Response[bytes]:
        try:
            now = datetime.now(UTC)
            claims = services.links.verify(token, now)
            data, _ = await read_given(request, services.body_timeout)
            receipts = await services.intake.accept(_TRIGGER, [_event(claims, data, now)])
        except HubError as error:
            return refusal(request, error, pages.refused)
        if wants_json(request):
            return json_answer(accepted(receipts), status=202)
        if receipts[0].duplicate:
            return page_answer(pages.already_received(claims))
        return page_answer(pages.thank_you(claims))

    return [show_callback, probe_callback, deliver_callback]


def _event(claims: CallbackClaims, data: dict[str, Any], now: datetime) -> Event:
    extensions: dict[str, str | int | bool] = {
        "hubrun": claims.run_id,
        "hubsubscription": claims.subscription,
    }
    if claims.first_run_id is not None:
        extensions["hubfirstrun"] = claims.first_run_id
    # A link that may be used again is a new event each time; the others are one by their token.
    once = claims.use == "once"
    return Event(
        id=claims.token_id if once else f"{claims.token_id}.{uuid.uuid4().hex}",
        source="/callbacks",
        type="hub.callback",
        subject=claims.run_id,
        time=now,
        data=data,
        extensions=extensions,
    )
