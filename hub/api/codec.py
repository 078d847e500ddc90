"""`/api/codec`: for Temporal's own page and command, so that those who may can read what is encrypted.

The protocol is Temporal's: https://docs.temporal.io/production-deployment/data-encryption (Codec
Server). The browser of Temporal's page asks from another origin, so that origin must be named.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from google.protobuf import json_format
from litestar import Request, Response, route
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from temporalio.api.common.v1 import Payload, Payloads

from hub.api.body import read_body, read_headers
from hub.api.guards import OPERATOR, ORIGINS
from hub.api.services import Services
from hub.errors import BadRequest, HubError

__all__ = ["codec"]

Work = Callable[[Sequence[Payload]], Awaitable[list[Payload]]]

_HEADERS = "authorization, content-type, x-namespace"


def codec(services: Services) -> list[HTTPRouteHandler]:
    """The routes, where payloads pass a codec."""
    made = services.codec
    if made is None:
        return []
    origins = services.codec_origins

    async def turned(request: Request[Any, Any, Any], work: Work) -> Response[bytes]:
        body = await read_body(
            request.receive,
            read_headers(request.scope),
            limit=services.max_body,
            timeout=services.body_timeout,
        )
        try:
            given = json_format.Parse(body, Payloads())
        except (json_format.ParseError, UnicodeDecodeError, RecursionError):
            raise BadRequest('the body is no {"payloads": [...]} of Temporal\'s JSON') from None
        try:
            payloads = await work(given.payloads)
        except HubError as error:
            raise BadRequest(error.message) from None
        answer = json_format.MessageToJson(Payloads(payloads=payloads), indent=None)
        return Response(
            answer.encode(),
            status_code=200,
            media_type="application/json",
            headers=_allowed(request, origins),
        )

    def turning(path: str, work: Work) -> HTTPRouteHandler:
        @route(
            path,
            http_method=[HttpMethod.POST, HttpMethod.OPTIONS],
            opt=OPERATOR | {ORIGINS: origins},
            include_in_schema=False,
            status_code=200,
        )
        async def turn(request: Request[Any, Any, Any]) -> Response[bytes]:
            if request.method == "OPTIONS":
                return Response(b"", status_code=204, headers=_allowed(request, origins))
            return await turned(request, work)

        return turn

    return [
        turning("/api/codec/decode", made.decode),
        turning("/api/codec/encode", made.encode),
    ]


def _allowed(request: Request[Any, Any, Any], origins: frozenset[str]) -> dict[str, str]:
    origin = request.headers.get("origin", "")
    if origin not in origins:
        return {}
    return {
        "access-control-allow-origin": origin,
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": _HEADERS,
        "vary": "origin",
    }
