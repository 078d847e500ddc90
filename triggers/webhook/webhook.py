"""The webhook: verify, read, and make events of what was sent."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any

import msgspec
import structlog

from hub.cloudevents import is_cloudevent, read_cloudevents
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
from hub.fitting import fit
from hub.payload import media_type
from hub.trigger import HttpTrigger, Received, Request, Response, Said
from triggers.webhook.answer import Answer, check_answer
from triggers.webhook.providers import PROVIDERS, Draft, Provider
from triggers.webhook.providers.fields import LONGEST, moment_of, text_of
from triggers.webhook.rate import TokenBucket, parse_rate
from triggers.webhook.settings import Settings, parse_size

__all__ = ["Webhook"]

_EXPRESSIONS = ("id", "type", "subject", "time", "data")
_NAMES = frozenset({"body", "headers", "query"})
_log = structlog.get_logger("hub.webhook")


class Webhook(HttpTrigger):
    """One webhook at `/hooks/<name>`.

    Raises `InvalidDefinition` with every fault of its settings when it is made of wrong ones. They
    are its provider's own, or the common ones where the provider needs no others.

    What its settings do not say of the event is as the provider has it, or else: a fresh id, the
    type `<name>.received`, the time of receipt, the whole body as data. A CloudEvent, from senders
    that may send such, is taken as it is.
    """

    kind = "webhook"
    settings_type = Settings
    per_event = HttpTrigger.per_event | {"respond"}
    settings: Settings

    def __init__(self, name: str, settings: Settings) -> None:
        own, faults = _of_provider(settings)
        if own is not None:
            faults = self.check(own)
        if own is None or faults:
            raise InvalidDefinition(faults)
        super().__init__(name, own)
        self.max_body = parse_size(own.max_body) or HttpTrigger.max_body
        self.way = own.provider
        self._provider: Provider = PROVIDERS[own.provider](own)
        self._types = [pattern.lower() for pattern in own.content_types]
        rate = parse_rate(own.rate_limit) if own.rate_limit is not None else None
        self._bucket = TokenBucket(rate) if rate is not None else None
        self._answer = Answer(own.respond) if own.respond is not None else None
        self._templates: dict[str, Template] = {
            field: compile_template(value)
            for field in _EXPRESSIONS
            if (value := getattr(own, field)) is not None
        }
        if own.provider == "none":
            _log.warning("this webhook verifies nothing and accepts anything", webhook=name)

    @classmethod
    def read_settings(cls, value: Any, path: str) -> tuple[Settings | None, list[Diagnostic]]:
        """The settings of the provider that they name, or all that does not fit."""
        if not isinstance(value, Mapping):
            return fit(value, Settings, path)
        name = value.get("provider", "hmac")
        provider = PROVIDERS.get(name) if isinstance(name, str) else None
        if provider is None:
            return None, [_unknown_provider(name, f"{path}.provider" if path else "provider")]
        return fit(value, provider.settings_type, path)

    @classmethod
    def check(cls, settings: Settings) -> list[Diagnostic]:
        """Every fault of the settings, each with the field as its path."""
        own, faults = _of_provider(settings)
        if own is not None:
            faults.extend(PROVIDERS[own.provider].check(own))
        if parse_size(settings.max_body) is None:
            faults.append(
                _fault(
                    "max_body",
                    f"{settings.max_body!r} is no size",
                    'a number of bytes, or a text such as "1 MiB"',
                )
            )
        if settings.rate_limit is not None and parse_rate(settings.rate_limit) is None:
            faults.append(
                _fault(
                    "rate_limit",
                    f"{settings.rate_limit!r} is no rate",
                    'requests and a time of at most a day, such as "100/s" or "600/10m"',
                )
            )
        for index, pattern in enumerate(settings.content_types):
            if pattern.count("/") != 1 or "*" in pattern.removesuffix("/*"):
                faults.append(
                    _fault(
                        f"content_types[{index}]",
                        f"{pattern!r} is no content type",
                        "such as application/json or text/*",
                    )
                )
        if settings.respond is not None:
            faults.extend(check_answer(settings.respond))
        for field in _EXPRESSIONS:
            value = getattr(settings, field)
            if value is None:
                continue
            try:
                unknown = sorted(compile_template(value).names - _NAMES)
                faults += [_unknown(field, name) for name in unknown]
            except ExpressionError as error:
                faults.append(_fault(field, error.message, error.suggestion, code=error.code))
        return faults

    async def receive(self, request: Request) -> Received:
        """Verify the raw bytes first; only then is anything of them read."""
        await self._provider.verify(request)
        if self._bucket is not None:
            # Counted once they are genuine, so that nobody else can use them up.
            self._bucket.take(request.received_at)
        self._check_type(media_type(request.headers.get("content-type", "")))
        if self._provider.cloudevents and is_cloudevent(request.headers):
            self._check_mode(request)
            events = list(read_cloudevents(request.headers, request.body))
            return Received(events=events, response=self._response(request, None, events))
        body, raw = self._provider.read(request)
        answer = self._provider.handshake(request, body)
        if answer is not None:
            return Received(response=answer)
        said = self._provider.said(body)
        drafts = self._provider.draft(request, body)
        try:
            events = [self._event(request, draft, raw) for draft in drafts]
        except ExpressionError as error:
            raise BadRequest(f"no event can be made of this request: {error.message}") from None
        return Received(events=events, response=self._response(request, body, events), said=said)

    async def reply(self, said: Said, text: str, *, is_over: bool) -> None:
        await self._provider.reply(said, text, is_over=is_over)

    def _check_type(self, kind: str) -> None:
        if self._types and not any(
            kind == pattern or (pattern.endswith("/*") and kind.startswith(pattern[:-1]))
            for pattern in self._types
        ):
            raise UnsupportedType(f"{kind or 'no content type'!r} is not taken here")

    def _check_mode(self, request: Request) -> None:
        kind = media_type(request.headers.get("content-type", ""))
        if self._provider.proves == "body" and not kind.startswith("application/cloudevents"):
            raise BadRequest(
                "a CloudEvent in binary mode has its attributes in headers, which this signature "
                "does not cover; send it in structured mode"
            )

    def _event(self, request: Request, draft: Draft, raw: bool) -> Event:
        given: dict[str, Any] = {}
        if self._templates:
            scope = {"body": draft.body, "headers": request.headers, "query": request.query}
            given = {name: template.evaluate(scope) for name, template in self._templates.items()}
        usual_type = text_of(draft.type) or f"{self.name}.received"
        subject = given.get("subject", draft.subject)
        time = draft.time or request.received_at
        if given.get("time") is not None:
            time = _time(given["time"])
        extensions = dict(draft.extensions)
        if raw and "data" not in given:
            extensions["database64"] = True
        if "data" in given:
            data = given["data"]
        else:
            data = draft.body if draft.data is msgspec.UNSET else draft.data
        return Event(
            id=_text("id", given["id"]) if "id" in given else draft.id or str(uuid.uuid4()),
            source=f"/hooks/{self.name}",
            type=_text("type", given["type"]) if "type" in given else usual_type,
            subject=None if subject is None else _text("subject", subject),
            time=time,
            data=data,
            extensions=extensions,
        )

    def _response(self, request: Request, body: Any, events: list[Event]) -> Response | None:
        if self._answer is None:
            return self._provider.answer
        scope = {
            "event": events[0] if events else None,
            "body": body,
            "headers": request.headers,
            "query": request.query,
        }
        return self._answer.make(scope, webhook=self.name) or self._provider.answer


def _of_provider(settings: Settings) -> tuple[Settings | None, list[Diagnostic]]:
    """The settings as their provider knows them, or why they cannot be that."""
    provider = PROVIDERS.get(settings.provider)
    if provider is None:
        return None, [_unknown_provider(settings.provider, "provider")]
    if isinstance(settings, provider.settings_type):
        return settings, []
    return fit(msgspec.structs.asdict(settings), provider.settings_type)


def _unknown_provider(name: object, path: str) -> Diagnostic:
    close = get_close_matches(str(name), list(PROVIDERS), n=1)
    return _fault(
        path,
        f"there is no provider {name!r}",
        f"did you mean {close[0]!r}?" if close else "one of " + ", ".join(PROVIDERS),
        code="unknown_provider",
    )


def _unknown(field: str, name: str) -> Diagnostic:
    close = get_close_matches(name, sorted(_NAMES), n=1)
    return _fault(
        field,
        f"there is no {name!r} in a request",
        f"did you mean {close[0]!r}?" if close else "use body, headers and query",
        code="unknown_name",
    )


def _fault(
    path: str, message: str, suggestion: str | None, *, code: str = "invalid_value"
) -> Diagnostic:
    return Diagnostic(message=message, path=path, code=code, suggestion=suggestion)


def _text(field: str, value: Any) -> str:
    text = text_of(value)
    if not text:
        raise InvalidEvent(
            f"the event's {field!r} must come out as a text of 1 to {LONGEST} characters"
        )
    return text


def _time(value: Any) -> datetime:
    time = moment_of(value)
    if time is None:
        raise InvalidEvent(
            "the event's 'time' must come out as an RFC 3339 time with a zone, or as seconds"
        )
    return time
