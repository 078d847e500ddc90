"""Errors over HTTP: problem details (RFC 9457), with the codes of `hub.errors`."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from http import HTTPStatus
from traceback import format_exception
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from hub.errors import (
    BadSignature,
    Busy,
    Diagnostic,
    ExpressionError,
    HubError,
    InvalidDefinition,
    RateLimited,
    Refused,
    TooSlow,
    Unauthorized,
    Unreachable,
)

__all__ = ["Problem", "problem_of", "respond_with_problem"]

_MEDIA_TYPE = "application/problem+json"
_UNREACHABLE_RETRY = 5
_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_type",
    429: "too_many_requests",
}
_log = structlog.get_logger("hub.api")


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One problem as RFC 9457 writes it.

    `type` is always "about:blank": `code`, the code of the error in `hub.errors`, is what programs
    compare with. `errors` lists the single faults of a definition or of parameters. `instance`
    names the entry in the hub's log, for faults of the hub itself.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    errors: list[Diagnostic] | msgspec.UnsetType = msgspec.UNSET
    instance: str | msgspec.UnsetType = msgspec.UNSET


def problem_of(error: Exception) -> tuple[Problem, dict[str, str]]:
    """The problem that stands for an error, and the headers that go with it.

    Of an exception that is not meant for users nothing is told but the id under which it is logged.
    """
    if isinstance(error, HubError):
        return _of_hub_error(error)
    if isinstance(error, HTTPException) and error.status_code < 500:
        return _of_http_exception(error)
    error_id = uuid.uuid4()
    # As text: a renderer that is given the exception itself may print the frames' variables.
    _log.error("request failed", error_id=str(error_id), exception="".join(format_exception(error)))
    problem = Problem(
        title=_title(500),
        status=500,
        detail=f"The hub has failed on this request. Its log says why, under {error_id}.",
        code="internal",
        instance=error_id.urn,
    )
    return problem, {}


def respond_with_problem(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The exception handler of the whole application."""
    problem, headers = problem_of(error)
    if request.scope.get("http_version", "1.1") >= "2":
        headers.pop("connection", None)
    return Response(
        msgspec.json.encode(problem),
        status_code=problem.status,
        media_type=_MEDIA_TYPE,
        headers=headers,
    )


def _of_hub_error(error: HubError) -> tuple[Problem, dict[str, str]]:
    headers: dict[str, str] = {}
    errors: list[Diagnostic] | msgspec.UnsetType = msgspec.UNSET
    detail = error.message
    if isinstance(error, (Busy, RateLimited)):
        headers["retry-after"] = str(error.retry_after)
    elif isinstance(error, BadSignature) and "challenge" in error.details:
        headers["www-authenticate"] = error.details["challenge"]
    elif isinstance(error, Unauthorized):
        headers["www-authenticate"] = 'Bearer realm="hub"'
    elif isinstance(error, Unreachable):
        headers["retry-after"] = str(_UNREACHABLE_RETRY)
    elif isinstance(error, TooSlow):
        # The rest of the body may never come. That of one too large the server reads past, as
        # a sender whose connection is cut while it writes would never see the answer.
        headers["connection"] = "close"
    elif isinstance(error, InvalidDefinition):
        errors = error.diagnostics
        count = len(errors)
        detail = f"The definition has {count} error{'' if count == 1 else 's'}."
    elif isinstance(error, ExpressionError):
        errors = [Diagnostic(message=detail, code=error.code, suggestion=error.suggestion)]
    if error.status >= 500 and not isinstance(error, Refused):
        _log.warning("request failed", code=error.code, reason=error.message)
    problem = Problem(
        title=_title(error.status),
        status=error.status,
        detail=detail,
        code=error.code,
        errors=errors,
    )
    return problem, headers


def _of_http_exception(error: HTTPException) -> tuple[Problem, dict[str, str]]:
    status = error.status_code
    errors: list[Diagnostic] | msgspec.UnsetType = msgspec.UNSET
    detail = error.detail
    if isinstance(error.extra, list):
        errors = [
            Diagnostic(message=str(item.get("message", "")), path=str(item.get("key", "")))
            for item in error.extra
            if isinstance(item, Mapping)
        ]
    if status == 404:
        detail = "There is nothing at this address."
    elif status == 405:
        detail = "This address does not take that method; the Allow header lists those it takes."
    elif errors:
        detail = "Some parameters are not valid: " + "; ".join(
            f"{fault.path}: {fault.message}" for fault in errors
        )
    problem = Problem(
        title=_title(status),
        status=status,
        detail=detail,
        code=_CODES.get(status, "refused"),
        errors=errors,
    )
    return problem, {name.lower(): value for name, value in (error.headers or {}).items()}


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
