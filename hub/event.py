"""The event: one CloudEvents 1.0 event, as it is journaled, routed and handed to runs.

Source of the attribute rules: CloudEvents specification 1.0.2, "Context Attributes".
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec

from hub.errors import InvalidEvent

__all__ = ["Event"]

_ATTRIBUTE_NAME = re.compile(r"[a-z0-9]{1,64}")
_CORE = frozenset(
    {"id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data"}
)
_MAX_ATTRIBUTE = 1024


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event: who says that what happened, to whom, when, and the payload.

    `id` is unique within its trigger and is what duplicates are recognised by. `data` is any JSON
    value. `extensions` are further CloudEvents attributes; their names are lower-case letters and
    digits, their values strings, integers or booleans.
    """

    id: str
    source: str
    type: str
    subject: str | None = None
    time: datetime | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    data: Any = None
    extensions: dict[str, str | int | bool] = {}

    def to_cloudevent(self) -> dict[str, Any]:
        """The event in the CloudEvents JSON format: extensions stand beside the attributes."""
        document: dict[str, Any] = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
        }
        for name in ("subject", "datacontenttype", "dataschema"):
            value = getattr(self, name)
            if value is not None:
                document[name] = value
        if self.time is not None:
            document["time"] = self.time.isoformat().replace("+00:00", "Z")
        document |= self.extensions
        if self.data is not None:
            document["data"] = self.data
        return document

    @classmethod
    def from_cloudevent(cls, document: object) -> Event:
        """Read the CloudEvents JSON format.

        Raises `InvalidEvent`, which names the attribute, for anything that the specification
        does not allow.
        """
        if not isinstance(document, dict):
            raise InvalidEvent("a CloudEvent is a JSON object")
        version = document.get("specversion")
        if version != "1.0":
            raise InvalidEvent(f"specversion is {version!r}; this hub reads CloudEvents '1.0'")
        fields: dict[str, Any] = {}
        extensions: dict[str, str | int | bool] = {}
        for name, value in document.items():
            if name == "specversion" or value is None:
                continue
            if name == "data":
                fields["data"] = value
            elif name == "data_base64":
                if document.get("data") is not None:
                    raise InvalidEvent("an event has either data or data_base64, not both")
                if not isinstance(value, str):
                    raise InvalidEvent("data_base64 must be a base64 text")
                # Binary payloads stay in their base64 text: events are JSON all the way through.
                fields["data"] = value
                extensions["database64"] = True
            elif name in _CORE:
                fields[name] = _text(name, value)
            elif not isinstance(name, str) or not _ATTRIBUTE_NAME.fullmatch(name):
                raise InvalidEvent(
                    f"{name!r} is no attribute name: lower-case letters and digits only"
                )
            elif isinstance(value, (bool, int)):
                extensions[name] = value
            else:
                extensions[name] = _text(name, value)
        for name in ("id", "source", "type"):
            if not fields.get(name):
                raise InvalidEvent(f"the attribute {name!r} is required and must not be empty")
        if "time" in fields:
            fields["time"] = _time(fields["time"])
        return cls(**fields, extensions=extensions)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidEvent(f"the attribute {name!r} must be a string, not {type(value).__name__}")
    if len(value) > _MAX_ATTRIBUTE:
        raise InvalidEvent(f"the attribute {name!r} is longer than {_MAX_ATTRIBUTE} characters")
    return value


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidEvent(f"the attribute 'time' is no RFC 3339 time: {text!r}") from None
    if time.tzinfo is None:
        raise InvalidEvent(f"the attribute 'time' has no zone: {text!r}")
    return time
