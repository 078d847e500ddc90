"""Looking into a body that may be anything: nothing here raises, what is not there is None."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Any

__all__ = ["LONGEST", "digest_of", "find", "moment_of", "text_of"]

LONGEST = 1024
"""How long an event's id, type or subject may be."""
# Seconds since 1970 stay below this until the year 5138, milliseconds have passed it in 1973.
_MILLISECONDS = 100_000_000_000
_NUMBER = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,9})?", re.ASCII)


def find(body: Any, *path: str | int) -> Any:
    """The value at this path of names and places."""
    for step in path:
        if isinstance(step, str) and isinstance(body, dict):
            body = body.get(step)
        elif isinstance(step, int) and isinstance(body, list) and step < len(body):
            body = body[step]
        else:
            return None
    return body


def text_of(value: Any) -> str | None:
    """A text or a number as the text that an event's attribute can hold."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and 0 < len(value) <= LONGEST else None


def moment_of(value: Any) -> datetime | None:
    """A time: RFC 3339, or seconds or milliseconds since 1970 as a number or its text."""
    try:
        if isinstance(value, str) and _NUMBER.fullmatch(value):
            value = float(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            seconds = value / 1000 if abs(value) >= _MILLISECONDS else value
            return datetime.fromtimestamp(seconds, UTC)
        time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return time if time.tzinfo is not None else None


def digest_of(signed: bytes) -> str:
    """An id for what carries none: the same bytes have the same one."""
    return "sha256:" + hashlib.sha256(signed).hexdigest()
