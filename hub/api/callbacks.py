"""`/callbacks/{token}`: the links that runs send out.

Mail scanners and previews follow links, so GET and HEAD change nothing; only the button's POST
delivers. The token is the whole authority: no cookie is read, and no Origin asked for, since a page
under `Referrer-Policy: no-referrer` posts with `Origin: null`.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec
from litestar import Request, Response, get, post, route
from litestar.enums import HttpMethod, MediaType
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from hub.api import pages
from hub.api.body import read_body, read_headers
from hub.api.guards import ANYONE
from hub.api.ingress import accepted
from hub.api.problems import problem_of, respond_with_problem
from hub.api.services import Services
from hub.cloudevents import read_data
from hub.errors import BadRequest, HubError
from hub.event import Event
from hub.links import CallbackClaims

__all__ = ["callbacks"]

_TRIGGER = "callback"
_MAX_BODY = 64 * 1024
_FORMS = ("application/x-www-form-urlencoded", "application/json")
_HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex, nofollow",
    "x-content-type-options": "nosniff",
    "vary": "accept",
}


def callbacks(services: Services) -> list[HTTPRouteHandler]:
    """The routes of callback links."""

    @get("/callbacks/{token:str}", opt=ANYONE, summary="What a link will do", tags=["callbacks"])
    async def show_callback(
        request: Request[Any, Any, Any], token: FromPath[str]
    ) -> Response[bytes]:
        try:
            claims = services.links.verify(token, datetime.now(UTC))
        except HubError as error:
            return _problem(request, error)
        if _wants_json(request):
            return _json(
                {
                    "subscription": claims.subscription,
                    "label": claims.label,
                    "expires_at": claims.expires_at,
                }
            )
        return _page(pages.confirm(claims, services.project().name))

    @route(
        "/callbacks/{token:str}",
        http_method=[HttpMethod.HEAD],
        opt=ANYONE,
        include_in_schema=False,
    )
    async def probe_callback(token: FromPath[str]) -> Response[None]:
        status = 200
        try:
            services.links.verify(token, datetime.now(UTC))
        except HubError as error:
            status = error.status
        return Response(None, status_code=status, media_type=MediaType.HTML, headers=_HEADERS)

    @post("/callbacks/{token:str}", opt=ANYONE, summary="Do what a link says", tags=["callbacks"])
    async def deliver_callback(
        request: Request[Any, Any, Any], token: FromPath[str]
    ) -> Response[bytes]:
        try:
            now = datetime.now(UTC)
            claims = services.links.verify(token, now)
            data = await _data(request, services.body_timeout)
            receipts = await services.intake.accept(_TRIGGER, [_event(claims, data, now)])
        except HubError as error:
            return _problem(request, error)
        if _wants_json(request):
            return _json(accepted(receipts), status=202)
        if receipts[0].duplicate:
            return _page(pages.already_received(claims))
        return _page(pages.thank_you(claims))

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


async def _data(request: Request[Any, Any, Any], timeout: float) -> dict[str, Any]:
    headers = read_headers(request.scope)
    body = await read_body(request.receive, headers, limit=_MAX_BODY, timeout=timeout)
    if not body.strip():
        return {}
    data, _ = read_data(headers.get("content-type", ""), body)
    if not isinstance(data, dict):
        raise BadRequest("the body is a form or a JSON object, or nothing")
    return data


def _wants_json(request: Request[Any, Any, Any]) -> bool:
    best = request.accept.best_match(["text/html", "application/json"])
    return best == "application/json"


def _problem(request: Request[Any, Any, Any], error: HubError) -> Response[bytes]:
    if _wants_json(request):
        response = respond_with_problem(request, error)
        for name, value in _HEADERS.items():
            response.headers[name] = value
        return response
    problem, headers = problem_of(error)
    return _page(pages.refused(problem), status=problem.status, headers=headers)


def _page(
    page: str, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response[bytes]:
    return Response(
        page.encode(),
        status_code=status,
        media_type=MediaType.HTML,
        headers=_HEADERS | {"content-security-policy": pages.POLICY} | (headers or {}),
    )


def _json(value: object, *, status: int = 200) -> Response[bytes]:
    return Response(
        msgspec.json.encode(value),
        status_code=status,
        media_type=MediaType.JSON,
        headers=_HEADERS,
    )
