"""What a caller is answered where `respond:` says so."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import structlog

from hub.errors import Diagnostic, ExpressionError
from hub.expressions import Template, compile_template
from hub.trigger import Response
from triggers.webhook.settings import Respond

__all__ = ["Answer", "check_answer"]

_NAMES = frozenset({"event", "body", "headers", "query"})
_STATUS = range(200, 400)
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OWN = frozenset({"content-length", "transfer-encoding", "connection"})
_log = structlog.get_logger("hub.webhook")


class Answer:
    """The response of one webhook, compiled from settings that `check_answer` finds no fault with."""

    def __init__(self, respond: Respond) -> None:
        self._status = respond.status
        self._is_json = respond.json is not msgspec.UNSET
        self._body: Template | None = None
        if self._is_json:
            self._body = compile_template(respond.json)
        elif respond.text is not None:
            self._body = compile_template(respond.text)
        self._headers = {n.lower(): compile_template(v) for n, v in respond.headers.items()}

    def make(self, scope: Mapping[str, Any], *, webhook: str) -> Response | None:
        """The response for this event and request.

        None where it cannot be made of them: the event is good all the same, so it is not refused
        for the sake of its answer, and the log says why.
        """
        try:
            headers = {name: str(value.evaluate(scope)) for name, value in self._headers.items()}
            if not all(map(_HEADER_VALUE.fullmatch, headers.values())):
                raise ExpressionError("a header came out with characters that no header may have")
            content = b"" if self._body is None else self._written(self._body.evaluate(scope))
        except (ExpressionError, TypeError, ValueError) as error:
            reason = error.message if isinstance(error, ExpressionError) else type(error).__name__
            _log.warning("the answer cannot be made", webhook=webhook, reason=reason)
            return None
        if self._body is not None:
            kind = "application/json" if self._is_json else "text/plain; charset=utf-8"
            headers.setdefault("content-type", kind)
        return Response(status=self._status, headers=headers, body=content)

    def _written(self, value: Any) -> bytes:
        if self._is_json:
            return msgspec.json.encode(value)
        return (value if isinstance(value, str) else msgspec.json.encode(value).decode()).encode()


def check_answer(respond: Respond) -> Iterator[Diagnostic]:
    """Every fault of the settings, each with the field as its path."""
    if respond.status not in _STATUS:
        yield _fault("status", f"{respond.status} is no answer to an event that was accepted")
    if respond.json is not msgspec.UNSET and respond.text is not None:
        yield _fault("text", "an answer has either json or text, not both")
    parts: dict[str, Any] = {
        "json": None if respond.json is msgspec.UNSET else respond.json,
        "text": respond.text,
    }
    for name, value in respond.headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN:
            yield _fault("headers", f"{name!r} is no header that can be set here")
        parts[f"headers.{name}"] = value
    for path, value in parts.items():
        try:
            unknown = sorted(compile_template(value).names - _NAMES)
        except ExpressionError as error:
            yield _fault(path, error.message, code=error.code, suggestion=error.suggestion)
            continue
        for name in unknown:
            yield _fault(
                path,
                f"there is no {name!r} in an answer",
                code="unknown_name",
                suggestion="use event, body, headers and query",
            )


def _fault(
    path: str, message: str, *, code: str = "invalid_value", suggestion: str | None = None
) -> Diagnostic:
    return Diagnostic(message=message, path=f"respond.{path}", code=code, suggestion=suggestion)
