"""Headers that go with every answer, whatever part of the hub gives it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from hub.api.services import Services

if TYPE_CHECKING:
    from litestar.types import Message, Scope

__all__ = ["harden"]

# What is not a page of the hub's own is shown nowhere and loads nothing.
_ALWAYS = {
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; "
    b"form-action 'none'",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_API = (b"cache-control", b"no-store")
_HSTS = (b"strict-transport-security", b"max-age=31536000")
_BREAKS = (b"\r", b"\n", b"\0")


def harden(services: Services) -> Callable[[Message, Scope], Awaitable[None]]:
    """A hook that completes each answer's headers; those that a part has set itself stay.

    A value with a line break in it would be two headers to the next reader. It comes from data
    (a webhook's own `respond:`), so it goes with a space instead.
    """
    always = dict(_ALWAYS)
    if services.base_url.startswith("https://"):
        always[_HSTS[0]] = _HSTS[1]

    async def complete(message: Message, scope: Scope) -> None:
        if message["type"] != "http.response.start":
            return
        headers = [(name.lower(), _one_line(value)) for name, value in message["headers"]]
        known = {name for name, _ in headers}
        headers += [pair for pair in always.items() if pair[0] not in known]
        if _API[0] not in known and scope["path"].startswith("/api/"):
            headers.append(_API)
        message["headers"] = headers

    return complete


def _one_line(value: bytes) -> bytes:
    for character in _BREAKS:
        if character in value:
            value = value.replace(character, b" ")
    return value
