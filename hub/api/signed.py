"""What the routes of signed links share: how they read, and how they answer people and programs.

The token is the whole authority: no cookie is read, and no Origin asked for, since a page under
`Referrer-Policy: no-referrer` posts with `Origin: null`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.enums import MediaType

from hub.api.body import read_body, read_headers
from hub.api.pages import POLICY
from hub.api.problems import Problem, problem_of, respond_with_problem
from hub.cloudevents import read_data
from hub.errors import BadRequest, HubError

__all__ = ["json_answer", "page_answer", "probed", "read_given", "refusal", "wants_json"]

_MAX_BODY = 64 * 1024
_HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex, nofollow",
    "x-content-type-options": "nosniff",
    "vary": "accept",
}


async def read_given(
    request: Request[Any, Any, Any], timeout: float
) -> tuple[dict[str, Any], bool]:
    """What was posted, and whether it is a form's. Raises `BadRequest`."""
    headers = read_headers(request.scope)
    body = await read_body(request.receive, headers, limit=_MAX_BODY, timeout=timeout)
    kind = headers.get("content-type", "")
    data, _ = read_data(kind, body) if body.strip() else ({}, None)
    if not isinstance(data, dict):
        raise BadRequest("the body is a form or a JSON object, or nothing")
    return data, "json" not in kind


def wants_json(request: Request[Any, Any, Any]) -> bool:
    """Is it a program that asks?"""
    best = request.accept.best_match(["text/html", "application/json"])
    return best == "application/json"


def json_answer(value: object, *, status: int = 200) -> Response[bytes]:
    """The answer to a program."""
    return Response(
        msgspec.json.encode(value),
        status_code=status,
        media_type=MediaType.JSON,
        headers=_HEADERS,
    )


def page_answer(
    page: str, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response[bytes]:
    """The answer to a person."""
    return Response(
        page.encode(),
        status_code=status,
        media_type=MediaType.HTML,
        headers=_HEADERS | {"content-security-policy": POLICY} | (headers or {}),
    )


def refusal(
    request: Request[Any, Any, Any], error: HubError, page: Callable[[Problem], str]
) -> Response[bytes]:
    """Why it did not work, for whoever asks."""
    if wants_json(request):
        response = respond_with_problem(request, error)
        for name, value in _HEADERS.items():
            response.headers[name] = value
        return response
    problem, headers = problem_of(error)
    return page_answer(page(problem), status=problem.status, headers=headers)


def probed(verify: Callable[[], object]) -> Response[None]:
    """The answer to HEAD: does the link work? It asks nobody else, and changes nothing."""
    status = 200
    try:
        verify()
    except HubError as error:
        status = error.status
    return Response(None, status_code=status, media_type=MediaType.HTML, headers=_HEADERS)
