"""An answer as it came, and the reading of its body within a limit."""

from __future__ import annotations

import base64
import zlib
from collections.abc import AsyncIterable, Mapping
from typing import Any, Literal

import msgspec

from hub.errors import ActionFailed, ActionRefused

__all__ = ["Answer", "Shape", "read_body", "shape_of"]

_JSON_MARK = "json"
_TEXTS = ("text/", "application/xml", "application/x-www-form-urlencoded", "application/javascript")

Shape = Literal["json", "text", "base64", "none"]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer. Names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    url: str
    retry_after: float | None = None

    def value(self, place: str) -> tuple[Any, Shape]:
        """The body as a JSON value, and how it came to be one.

        Raises `ActionFailed` (`http_garbage`) where the answer calls itself JSON and is none.
        """
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        shape = shape_of(kind, self.body)
        if shape == "none":
            return None, shape
        if shape == "json":
            try:
                return msgspec.json.decode(self.body), shape
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                raise ActionFailed(
                    "http_garbage", f"{place} answers with a body that is no JSON"
                ) from None
        if shape == "text":
            return self.body.decode(_charset(self.headers), "replace"), shape
        return base64.b64encode(self.body).decode(), shape


def shape_of(kind: str, body: bytes) -> Shape:
    """How a body of this media type is given to a tree."""
    if not body:
        return "none"
    if kind in ("application/json", "text/json") or kind.endswith("+json"):
        return "json"
    if kind.startswith(_TEXTS) or kind.endswith("+xml"):
        return "text"
    if not kind:
        try:
            body.decode()
        except UnicodeDecodeError:
            return "base64"
        return "text"
    return "base64"


async def read_body(
    chunks: AsyncIterable[bytes], headers: Mapping[str, str], limit: int, place: str
) -> bytes:
    """The decompressed body. No more than the limit is ever held.

    Raises `ActionRefused` (`http_too_large`) for a body over the limit, in bytes, and
    `ActionFailed` (`http_protocol`) for one that does not decompress.
    """
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "", "gzip", "x-gzip", "deflate"):
        raise ActionRefused("http_protocol", f"{place} answers in an encoding nobody asked for")
    announced = headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > limit:
        raise _too_large(place, limit)
    inflating = None if coding in ("identity", "") else zlib.decompressobj(wbits=47)
    body = bytearray()
    async for chunk in chunks:
        if inflating is None:
            body += chunk
        else:
            try:
                body += inflating.decompress(chunk, limit + 1 - len(body))
            except zlib.error:
                raise ActionFailed(
                    "http_protocol", f"{place} answers with a body that does not decompress"
                ) from None
        if len(body) > limit:
            raise _too_large(place, limit)
    if inflating is not None and body and not inflating.eof:
        raise ActionFailed("http_protocol", f"{place} answers with half a body")
    return bytes(body)


def _too_large(place: str, limit: int) -> ActionRefused:
    return ActionRefused(
        "http_too_large",
        f"{place} answers with more than {limit:,} bytes, the connection's `max_response`; ask for "
        "less, or raise it",
    )


def _charset(headers: Mapping[str, str]) -> str:
    for parameter in headers.get("content-type", "").split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "charset":
            try:
                return value.strip("\"' ") if "".encode(value.strip("\"' ")) == b"" else "utf-8"
            except (LookupError, UnicodeError):
                return "utf-8"
    return "utf-8"
