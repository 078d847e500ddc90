"""Cursors: where a list of numbered rows goes on. Whatever a caller makes of one is a bad request."""

from __future__ import annotations

import base64
import binascii

from hub.errors import BadRequest

__all__ = ["make", "read"]

_MAX_DIGITS = 18


def make(kind: bytes, number: int) -> str:
    """The cursor of what follows the row of that number, in lists of that kind."""
    return base64.urlsafe_b64encode(kind + b"%d" % number).decode().rstrip("=")


def read(kind: bytes, text: str) -> int:
    """The number in a cursor. Raises `BadRequest` for a text that is no cursor of that kind."""
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        plain = b""
    digits = plain.removeprefix(kind)
    if digits == plain or not digits.isdigit() or len(digits) > _MAX_DIGITS:
        raise BadRequest("this is no cursor of this list; start again without one")
    return int(digits)
