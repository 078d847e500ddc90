"""What the bytes of a request's body say: JSON or a form, read strictly.

JSON is RFC 8259 as I-JSON (RFC 7493) narrows it: names are unique, text is UTF-8 without lone
surrogates, numbers fit 64 bits. What two programs could read differently is refused.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from hub.errors import BadRequest

__all__ = ["MAX_DEPTH", "check_json", "media_type", "read_form", "read_json"]

MAX_DEPTH = 64
"""How deep lists and objects may nest."""
_MAX_FIELDS = 1000
_INTEGERS = range(-(2**63), 2**64)
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_LONG_NUMBER = re.compile(rb"[0-9]{19}")


def media_type(content_type: str) -> str:
    """The media type of a Content-Type header, in lower case and without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def read_json(body: bytes) -> Any:
    """Read one JSON value.

    Raises `BadRequest` for what is no JSON, for text that is not UTF-8 or has a lone surrogate,
    for a name that stands twice in an object, for an integer beyond 64 bits or a number beyond a
    double, and for nesting deeper than `MAX_DEPTH`.
    """
    if not body.strip():
        raise BadRequest("the body is empty, not JSON")
    try:
        value = msgspec.json.decode(body)
    except RecursionError:
        raise BadRequest(_too_deep()) from None
    except UnicodeDecodeError:
        raise BadRequest("the body is not UTF-8") from None
    except msgspec.ValidationError:
        raise BadRequest("a number in the body is too large for 64 bits") from None
    except msgspec.DecodeError as error:
        raise BadRequest(f"the body is no valid JSON: {_reason(error)}") from None
    brackets = body.count(b"[") + body.count(b"{")
    if brackets > MAX_DEPTH and isinstance(value, (dict, list)) and _depth_exceeds(value):
        raise BadRequest(_too_deep())
    if _repeats_a_name(body, value):
        raise BadRequest("the body has an object in which a name stands twice")
    if _LONG_NUMBER.search(body):
        check_json(value)
    return value


def check_json(value: Any) -> None:
    """Hold a value that was read elsewhere to the same bounds on integers.

    Raises `BadRequest`.
    """
    rest = [value]
    while rest:
        item = rest.pop()
        if isinstance(item, dict):
            rest.extend(item.values())
        elif isinstance(item, list):
            rest.extend(item)
        elif isinstance(item, int) and item not in _INTEGERS:
            raise BadRequest("an integer in the body is too large for 64 bits; send it as a string")


def read_form(body: bytes) -> dict[str, str | list[str]]:
    """Read `application/x-www-form-urlencoded`: a name that is repeated becomes a list.

    Raises `BadRequest` for what is not UTF-8, for too many fields, and for JSON that was sent
    under a form's content type, which is what some tools do unless told otherwise.
    """
    if body.lstrip()[:1] in (b"{", b"["):
        raise BadRequest(
            "the body is JSON but was sent as a form; send it with Content-Type: application/json"
        )
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS
        )
    except UnicodeDecodeError:
        raise BadRequest("the form is not UTF-8") from None
    except ValueError:
        raise BadRequest(f"the form has more than {_MAX_FIELDS} fields") from None
    form: dict[str, str | list[str]] = {}
    for name, value in pairs:
        before = form.get(name)
        if before is None:
            form[name] = value
        elif isinstance(before, list):
            before.append(value)
        else:
            form[name] = [before, value]
    return form


def _repeats_a_name(body: bytes, value: Any) -> bool:
    # The decoder keeps the last of two equal names, so a body that repeats one has more members,
    # and by that more colons outside of strings, than what was read of it.
    written = msgspec.json.encode(value)
    if b"\\u" not in body:
        return body.count(b":") != written.count(b":")
    return _outside_strings(body).count(b":") != _outside_strings(written).count(b":")


def _depth_exceeds(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for item in level
            for child in (item.values() if type(item) is dict else item)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True


def _outside_strings(text: bytes) -> bytes:
    return _STRING.sub(b"", text)


def _too_deep() -> str:
    return f"the body nests deeper than {MAX_DEPTH} levels"


def _reason(error: msgspec.DecodeError) -> str:
    return str(error).removeprefix("JSON is malformed: ").replace("Input data was", "it is")
