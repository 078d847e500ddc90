"""Reading a request as it comes: the body with a bound on its size and its time, the headers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote_to_bytes

from hub.errors import BadRequest, TooLarge, TooSlow

if TYPE_CHECKING:
    from litestar.types import Receive, Scope

__all__ = ["read_body", "read_headers", "read_query", "tail_of"]


async def read_body(
    receive: Receive, headers: Mapping[str, str], *, limit: int, timeout: float
) -> bytes:
    """The whole body, of at most `limit` bytes, within `timeout` seconds.

    Whatever Content-Length says: only what arrives is counted. Raises `TooLarge` as soon as the
    limit is passed, `TooSlow`, and `BadRequest` when the sender goes away before the end.
    """
    announced = headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > 18 or int(announced) > limit):
        raise _too_large(limit)
    try:
        async with asyncio.timeout(timeout):
            message = await receive()
            first = _content(message)
            if not message.get("more_body"):
                if len(first) > limit:
                    raise _too_large(limit)
                return first
            parts = [first]
            size = len(first)
            while message.get("more_body"):
                if size > limit:
                    raise _too_large(limit)
                message = await receive()
                part = _content(message)
                size += len(part)
                parts.append(part)
            if size > limit:
                raise _too_large(limit)
            return b"".join(parts)
    except TimeoutError:
        raise TooSlow(f"the body did not arrive within {timeout:g} seconds") from None


def read_headers(scope: Scope) -> dict[str, str]:
    """The headers by lower-case name; the values of one that is repeated are joined by commas."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1").lower()
        value = raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def read_query(scope: Scope) -> dict[str, str]:
    """The query parameters; of one that is repeated the last counts."""
    query = scope["query_string"]
    if not query:
        return {}
    try:
        return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=100))
    except ValueError:
        raise BadRequest("the query has more than 100 parameters") from None


def tail_of(scope: Scope, prefix: str) -> list[str]:
    """The segments of the path after `prefix`, each decoded by itself.

    The path is taken as it was sent: an id is the user's own data, and may hold an encoded slash,
    two slashes in a row, or one at its end, none of which survives a router's normalisation.
    Raises `BadRequest` for what is not percent-encoded UTF-8.
    """
    raw = scope.get("raw_path")
    path = raw if isinstance(raw, bytes) else scope["path"].encode()
    path = path.partition(b"?")[0]
    _, found, tail = path.partition(prefix.encode())
    if not found:
        tail = scope["path"].partition(prefix)[2].encode()
    try:
        return [unquote_to_bytes(segment).decode() for segment in tail.split(b"/")]
    except UnicodeDecodeError:
        raise BadRequest("the path is not percent-encoded UTF-8") from None


def _content(message: Mapping[str, object]) -> bytes:
    if message["type"] == "http.disconnect":
        raise BadRequest("the sender went away before the end of the body")
    body = message.get("body", b"")
    return body if isinstance(body, bytes) else b""


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is over the limit of {limit} bytes")
