"""The webhook: verify, read, and make events of what was sent."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

import structlog

from hub.cloudevents import is_cloudevent, read_cloudevents, read_data
from hub.errors import (
    BadRequest,
    Diagnostic,
    ExpressionError,
    InvalidDefinition,
    InvalidEvent,
    UnsupportedType,
)
from hub.event import Event
from hub.expressions import Template, compile_template
from hub.payload import media_type
from hub.trigger import HttpTrigger, Received, Request
from triggers.webhook.providers import PROVIDERS
from triggers.webhook.settings import Settings, parse_size

__all__ = ["Webhook"]

_EXPRESSIONS = ("id", "type", "subject", "time", "data")
_NAMES = frozenset({"body", "headers", "query"})
_LONGEST = 1024
_ID_HEADER = "webhook-id"
# Seconds since 1970 stay below this until the year 5138, milliseconds have passed it in 1973.
_MILLISECONDS = 100_000_000_000
_log = structlog.get_logger("hub.webhook")


class Webhook(HttpTrigger):
    """One webhook at `/hooks/<name>`.

    Raises `InvalidDefinition` with every fault of its settings when it is made of wrong ones.

    What its settings do not say of the event, it takes from the request: `id` from the header
    `webhook-id`, or else `body.id` when that is a string or a number, or else a fresh one; `type`
    from `body.type` when that is a string, or else `<name>.received`; `data` from `body.data`, or
    else the whole body. A CloudEvent in binary, structured or batched mode is taken as it is.
    """

    kind = "webhook"
    settings_type = Settings
    settings: Settings

    def __init__(self, name: str, settings: Settings) -> None:
        faults = self.check(settings)
        if faults:
            raise InvalidDefinition(faults)
        super().__init__(name, settings)
        self.max_body = parse_size(settings.max_body) or HttpTrigger.max_body
        self._provider = PROVIDERS[settings.provider](settings)
        self._types = [pattern.lower() for pattern in settings.content_types]
        self._templates: dict[str, Template] = {
            field: compile_template(value)
            for field in _EXPRESSIONS
            if (value := getattr(settings, field)) is not None
        }
        if settings.provider == "none":
            _log.warning("this webhook verifies nothing and accepts anything", webhook=name)

    @classmethod
    def check(cls, settings: Settings) -> list[Diagnostic]:
        """Every fault of the settings, each with the field as its path."""
        faults: list[Diagnostic] = []
        provider = PROVIDERS.get(settings.provider)
        if provider is None:
            close = get_close_matches(settings.provider, list(PROVIDERS), n=1)
            faults.append(
                Diagnostic(
                    message=f"there is no provider {settings.provider!r}",
                    path="provider",
                    code="unknown_provider",
                    suggestion=f"did you mean {close[0]!r}?"
                    if close
                    else "one of " + ", ".join(PROVIDERS),
                )
            )
        else:
            faults.extend(provider.check(settings))
        if parse_size(settings.max_body) is None:
            faults.append(
                Diagnostic(
                    message=f"{settings.max_body!r} is no size",
                    path="max_body",
                    code="invalid_value",
                    suggestion='a number of bytes, or a text such as "1 MiB"',
                )
            )
        for index, pattern in enumerate(settings.content_types):
            if pattern.count("/") != 1 or "*" in pattern.removesuffix("/*"):
                faults.append(
                    Diagnostic(
                        message=f"{pattern!r} is no content type",
                        path=f"content_types[{index}]",
                        code="invalid_value",
                        suggestion="such as application/json or text/*",
                    )
                )
        for field in _EXPRESSIONS:
            value = getattr(settings, field)
            if value is None:
                continue
            try:
                unknown = sorted(compile_template(value).names - _NAMES)
                faults += [_unknown(field, name) for name in unknown]
            except ExpressionError as error:
                faults.append(
                    Diagnostic(
                        message=error.message,
                        path=field,
                        code=error.code,
                        suggestion=error.suggestion,
                    )
                )
        return faults

    async def receive(self, request: Request) -> Received:
        """Verify the raw bytes first; only then is anything of them read."""
        self._provider.verify(request)
        if is_cloudevent(request.headers):
            return Received(events=read_cloudevents(request.headers, request.body))
        content_type = request.headers.get("content-type", "")
        self._check_type(media_type(content_type))
        body, raw = read_data(content_type, request.body)
        try:
            return Received(events=[self._event(request, body, raw)])
        except ExpressionError as error:
            raise BadRequest(f"no event can be made of this request: {error.message}") from None

    def _check_type(self, kind: str) -> None:
        if self._types and not any(
            kind == pattern or (pattern.endswith("/*") and kind.startswith(pattern[:-1]))
            for pattern in self._types
        ):
            raise UnsupportedType(f"{kind or 'no content type'!r} is not taken here")

    def _event(self, request: Request, body: Any, raw: bool) -> Event:
        fields = body if isinstance(body, dict) else {}
        given: dict[str, Any] = {}
        if self._templates:
            scope = {"body": body, "headers": request.headers, "query": request.query}
            given = {name: template.evaluate(scope) for name, template in self._templates.items()}
        usual_type = fields.get("type")
        if not isinstance(usual_type, str) or not 0 < len(usual_type) <= _LONGEST:
            usual_type = f"{self.name}.received"
        subject = given.get("subject")
        time = given.get("time")
        return Event(
            id=_text("id", given["id"]) if "id" in given else _usual_id(request.headers, fields),
            source=f"/hooks/{self.name}",
            type=_text("type", given["type"]) if "type" in given else usual_type,
            subject=None if subject is None else _text("subject", subject),
            time=request.received_at if time is None else _time(time),
            data=given["data"] if "data" in given else fields.get("data", body),
            extensions={"database64": True} if raw and "data" not in given else {},
        )


def _unknown(field: str, name: str) -> Diagnostic:
    close = get_close_matches(name, sorted(_NAMES), n=1)
    return Diagnostic(
        message=f"there is no {name!r} in a request",
        path=field,
        code="unknown_name",
        suggestion=f"did you mean {close[0]!r}?" if close else "use body, headers and query",
    )


def _usual_id(headers: Mapping[str, str], body: dict[str, Any]) -> str:
    for candidate in (headers.get(_ID_HEADER), body.get("id")):
        if isinstance(candidate, str) and 0 < len(candidate) <= _LONGEST:
            return candidate
        if isinstance(candidate, (int, float)) and not isinstance(candidate, bool):
            return str(candidate)
    return str(uuid.uuid4())


def _text(field: str, value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST:
        raise InvalidEvent(
            f"the event's {field!r} must come out as a text of 1 to {_LONGEST} characters"
        )
    return value


def _time(value: Any) -> datetime:
    try:
        if isinstance(value, datetime):
            time = value
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            time = datetime.fromtimestamp(
                value / 1000 if abs(value) >= _MILLISECONDS else value, UTC
            )
        else:
            time = datetime.fromisoformat(value)
    except (TypeError, ValueError, OverflowError, OSError):
        raise InvalidEvent(
            "the event's 'time' must come out as an RFC 3339 time or seconds"
        ) from None
    if time.tzinfo is None:
        raise InvalidEvent("the event's 'time' has no zone")
    return time
