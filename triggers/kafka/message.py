"""What one message means: the event in it, or what is kept of it when there is none.

Source of the CloudEvents modes: Kafka Protocol Binding for CloudEvents 1.0.2, section 3.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from hub.cloudevents import STRUCTURED, read_data
from hub.errors import ExpressionError, HubError, InvalidEvent
from hub.event import Event
from hub.payload import media_type, read_json
from triggers.kafka.registry import Registry, RegistryAway
from triggers.kafka.settings import Settings

__all__ = ["Message", "Reader", "Unreadable", "place_of"]

_LONGEST = 1024
_ATTRIBUTE = re.compile(r"[a-z0-9]{1,64}")
# What an event has already, and so no header may be.
_TAKEN = frozenset(
    {
        *("id", "source", "type", "subject", "time", "data", "specversion"),
        *("datacontenttype", "dataschema", "database64", "tombstone"),
    }
)
_MILLISECONDS = 100_000_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One message as it was read. `timestamp` is in milliseconds since 1970, -1 for none."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]

    @property
    def size(self) -> int:
        """About how many bytes it has."""
        return len(self.value or b"") + len(self.key or b"") + 100


class Unreadable(Exception):
    """No event can be made of the message. `remains` is what is kept of it."""

    def __init__(self, reason: str, remains: Event) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remains = remains


def place_of(message: Message) -> str:
    """The id of a message that carries none: where it stands, and its timestamp.

    A topic that is deleted and made again counts from 0 again, as every topic of a broker in memory
    does after a restart. The timestamp tells the new messages from those of before.
    """
    return f"{message.topic}-{message.partition}-{message.offset}-{message.timestamp}"


class Reader:
    """Reads the messages of one trigger. It is pure: a message means the same each time.

    Where values are written by the schemas of a registry, `prepare` has these first.

    What the settings do not say of the event is taken from the message: `id` is
    `topic-partition-offset-timestamp`, `type` is `value.type` where that is a text and else
    `<trigger>.received`, `subject` is the key, `time` the timestamp, and `data` is `value.data`
    where there is one and else the whole value. A message without a value (a tombstone) has no
    data and the extension `tombstone`.
    """

    def __init__(self, trigger: str, settings: Settings, registry: Registry | None = None) -> None:
        self._trigger = trigger
        self._registry = registry
        self._format = settings.format
        self._key_header = settings.key_header
        self._id_header = settings.id_header
        self._templates = settings.templates()

    async def prepare(self, messages: Sequence[Message]) -> None:
        """Have all that `read` needs for these messages. Raises `RegistryAway`."""
        if self._registry is not None:
            await self._registry.fetch([m.value for m in messages if m.value is not None])

    def read(self, message: Message) -> Event:
        """The event in the message. Raises `Unreadable`, and `RegistryAway` without `prepare`."""
        try:
            message = self._with_key(message)
            headers = _headers(message)
            if self._format != "raw" and _is_cloudevent(headers):
                return _cloudevent(message, headers, self._registry)
            if self._format == "cloudevents":
                raise InvalidEvent("the message is no CloudEvent: it has no header ce_specversion")
            return self._event(message, headers)
        except RegistryAway:
            raise
        except HubError as error:
            raise Unreadable(error.message, self.remains(message)) from None
        except Exception as error:
            # Whatever one message does to its reader, the next ones are not to wait for it.
            reason = f"the message cannot be read ({type(error).__name__})"
            raise Unreadable(reason, self.remains(message)) from error

    def remains(self, message: Message) -> Event:
        """What is kept of a message that cannot be read: its bytes, in base64, and its place."""
        value = message.value
        return Event(
            id=place_of(message),
            source=_source(message),
            type=f"{self._trigger}.unreadable",
            time=_instant(message.timestamp),
            datacontenttype="application/octet-stream",
            data=None if value is None else base64.b64encode(value).decode(),
            extensions={**_extensions(message), "database64": True},
        )

    def _event(self, message: Message, headers: Mapping[str, str]) -> Event:
        value, raw = self._value(message)
        given: dict[str, Any] = {}
        if self._templates:
            given = self._evaluate(message, value, headers)
        fields = value if isinstance(value, dict) else {}
        type_ = fields.get("type")
        if not isinstance(type_, str) or not 0 < len(type_) <= _LONGEST:
            type_ = f"{self._trigger}.received"
        key = _key(message)
        subject = given.get("subject", key)
        extensions = _extensions(message)
        if raw and "data" not in given:
            extensions["database64"] = True
        return Event(
            id=self._id(message, given),
            source=_source(message),
            type=_text("type", given["type"]) if "type" in given else type_,
            subject=None if subject is None else _text("subject", subject),
            time=_time(given["time"]) if "time" in given else _instant(message.timestamp),
            data=given["data"] if "data" in given else fields.get("data", value),
            extensions=extensions,
        )

    def _value(self, message: Message) -> tuple[Any, bool]:
        """The decoded value, and whether it is base64 of raw bytes."""
        if message.value is None:
            return None, False
        if self._format == "raw":
            return _text_or_base64(message.value)
        if self._registry is not None:
            return self._registry.decode(message.value), False
        return read_json(message.value), False

    def _with_key(self, message: Message) -> Message:
        """The message with the key that its header holds, where the settings name one."""
        if self._key_header is None:
            return message
        key = _last(message, self._key_header)
        return message if key is None else replace(message, key=key)

    def _id(self, message: Message, given: Mapping[str, Any]) -> str:
        if "id" in given:
            return _text("id", given["id"])
        own = None if self._id_header is None else _last(message, self._id_header)
        return place_of(message) if own is None else _text("id", _text_or_base64(own)[0])

    def _evaluate(self, message: Message, value: Any, headers: Mapping[str, str]) -> dict[str, Any]:
        key = None if message.key is None else _text_or_base64(message.key)[0]
        scope = {
            "value": value,
            "key": key,
            "headers": headers,
            "topic": message.topic,
            "partition": message.partition,
            "offset": message.offset,
            "timestamp": _instant(message.timestamp),
        }
        try:
            return {name: template.evaluate(scope) for name, template in self._templates.items()}
        except ExpressionError as error:
            raise InvalidEvent(f"no event can be made of this message: {error.message}") from None


def _is_cloudevent(headers: Mapping[str, str]) -> bool:
    return "ce_specversion" in headers or media_type(headers.get("content-type", "")).startswith(
        "application/cloudevents"
    )


def _cloudevent(message: Message, headers: Mapping[str, str], registry: Registry | None) -> Event:
    kind = media_type(headers.get("content-type", ""))
    if kind == STRUCTURED:
        if message.value is None:
            raise InvalidEvent("a structured CloudEvent is in the value, and there is none")
        document = read_json(message.value)
        if not isinstance(document, dict):
            raise InvalidEvent("a CloudEvent is a JSON object")
    elif kind.startswith("application/cloudevents"):
        raise InvalidEvent(f"CloudEvents as {kind!r} are not read here; send {STRUCTURED!r}")
    else:
        document = _binary(message, headers, registry)
    # What the event says of itself goes before what is known of its message.
    return Event.from_cloudevent({**_extensions(message), **document})


def _binary(
    message: Message, headers: Mapping[str, str], registry: Registry | None
) -> dict[str, Any]:
    document: dict[str, Any] = {
        name[3:]: text for name, text in headers.items() if name.startswith("ce_")
    }
    if "data" in document or "datacontenttype" in document:
        raise InvalidEvent("'ce_data' and 'ce_datacontenttype' are no attributes' headers")
    content_type = headers.get("content-type", "")
    if content_type:
        document["datacontenttype"] = content_type
    if registry is not None and message.value is not None and message.value[:1] == b"\0":
        document["data"] = registry.decode(message.value)
    elif message.value is not None:
        data, raw = read_data(content_type, message.value)
        if data is not None:
            document["data_base64" if raw else "data"] = data
    return document


def _last(message: Message, name: str) -> bytes | None:
    """The value of a header; of several with one name the last, as Kafka's own clients do."""
    return next((v for n, v in reversed(message.headers) if n == name and v), None)


def _headers(message: Message) -> dict[str, str]:
    """The headers as texts; of several with one name the last counts, as Kafka's own clients do.

    CloudEvents' own names are written in lower case whatever the sender's spelling.
    """
    headers: dict[str, str] = {}
    for name, value in message.headers:
        if value is None:
            continue
        lower = name.lower()
        known = lower == "content-type" or lower.startswith("ce_")
        headers[lower if known else name] = _text_or_base64(value)[0]
    return headers


def _extensions(message: Message) -> dict[str, str | int | bool]:
    """Where the message stands and what it carries beside its value, as far as names allow."""
    extensions: dict[str, str | int | bool] = {}
    for name, value in _headers(message).items():
        lower = name.lower()
        if _ATTRIBUTE.fullmatch(lower) and lower not in _TAKEN and len(value) <= _LONGEST:
            extensions[lower] = value
    key = _key(message)
    if key is not None:
        extensions["kafkakey"] = key
    extensions |= {
        "kafkatopic": message.topic,
        "kafkapartition": message.partition,
        # CloudEvents' integers have 32 bits.
        "kafkaoffset": str(message.offset),
        "kafkatimestamp": str(message.timestamp),
    }
    if message.value is None:
        extensions["tombstone"] = True
    return extensions


def _key(message: Message) -> str | None:
    """The key as a text, unless it is too long for an attribute."""
    if not message.key:
        return None
    key, _ = _text_or_base64(message.key)
    return key if len(key) <= _LONGEST else None


def _text_or_base64(data: bytes) -> tuple[str, bool]:
    try:
        return data.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(data).decode(), True


def _source(message: Message) -> str:
    return f"/kafka/{message.topic}"


def _instant(timestamp: int) -> datetime | None:
    if timestamp < 0:
        return None
    try:
        return datetime.fromtimestamp(timestamp / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _text(field: str, value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST:
        raise InvalidEvent(
            f"the event's {field!r} must come out as a text of 1 to {_LONGEST} characters"
        )
    return value


def _time(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        if isinstance(value, datetime):
            time = value
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            seconds = value / 1000 if abs(value) >= _MILLISECONDS else value
            time = datetime.fromtimestamp(seconds, UTC)
        else:
            time = datetime.fromisoformat(value)
    except (TypeError, ValueError, OverflowError, OSError):
        raise InvalidEvent(
            "the event's 'time' must come out as an RFC 3339 time or seconds"
        ) from None
    if time.tzinfo is None:
        raise InvalidEvent("the event's 'time' has no zone")
    return time
