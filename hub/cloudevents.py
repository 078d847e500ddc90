"""CloudEvents over HTTP: the binary, structured and batched content modes.

Source: CloudEvents HTTP Protocol Binding 1.0.2, section 3, and the JSON format, section 2 to 4.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from hub.errors import BadRequest, InvalidEvent
from hub.event import Event
from hub.payload import media_type, read_form, read_json

__all__ = ["BATCHED", "STRUCTURED", "is_cloudevent", "read_cloudevents", "read_data"]

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
_FORM = "application/x-www-form-urlencoded"


def is_cloudevent(headers: Mapping[str, str]) -> bool:
    """Whether the request says of itself that it carries CloudEvents."""
    return "ce-specversion" in headers or media_type(headers.get("content-type", "")).startswith(
        "application/cloudevents"
    )


def read_cloudevents(headers: Mapping[str, str], body: bytes) -> Sequence[Event]:
    """Read the events of a request in any of the three modes.

    `headers` have lower-case names. Raises `InvalidEvent` for what is no CloudEvent, `BadRequest`
    for a body that cannot be read.
    """
    kind = media_type(headers.get("content-type", ""))
    if kind == STRUCTURED:
        return [Event.from_cloudevent(read_json(body))]
    if kind == BATCHED:
        documents = read_json(body)
        if not isinstance(documents, list):
            raise InvalidEvent("a batch of CloudEvents is a JSON list")
        return [Event.from_cloudevent(document) for document in documents]
    if kind.startswith("application/cloudevents"):
        raise InvalidEvent(f"CloudEvents as {kind!r} are not read here; send {STRUCTURED!r}")
    return [_binary(headers, body)]


def read_data(content_type: str, body: bytes) -> tuple[Any, bool]:
    """Read a payload by its content type: the value, and whether it is base64 of raw bytes.

    JSON (also when no type is said) gives its value, a form a mapping, other text a string, and
    bytes that are no text their base64. An empty body without a JSON type gives None.

    Raises `BadRequest`.
    """
    kind = media_type(content_type)
    if kind == "application/json" or kind.endswith("+json"):
        return read_json(body), False
    if not body:
        return None, False
    if not kind:
        return read_json(body), False
    if kind == _FORM:
        return read_form(body), False
    if kind == "multipart/form-data":
        raise BadRequest("multipart forms are not read here; send the form urlencoded, or JSON")
    try:
        return body.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True


def _binary(headers: Mapping[str, str], body: bytes) -> Event:
    document: dict[str, Any] = {}
    for name, value in headers.items():
        if name.startswith("ce-"):
            document[name[3:]] = _header_text(name, value)
    if "data" in document or "datacontenttype" in document:
        raise InvalidEvent("'ce-data' and 'ce-datacontenttype' are no attributes' headers")
    content_type = headers.get("content-type", "")
    if content_type:
        document["datacontenttype"] = content_type
    data, raw = read_data(content_type, body)
    if data is not None:
        document["data_base64" if raw else "data"] = data
    return Event.from_cloudevent(document)


def _header_text(name: str, value: str) -> str:
    # Section 3.1.3.2: values are percent-encoded UTF-8; some senders write the UTF-8 bare.
    try:
        return unquote(value.encode("latin-1").decode(), errors="strict")
    except (UnicodeDecodeError, UnicodeEncodeError):
        raise InvalidEvent(f"the header {name!r} is not percent-encoded UTF-8") from None
