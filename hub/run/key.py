"""Correlation keys."""

from __future__ import annotations

from typing import Any

__all__ = ["key_text"]


def key_text(value: Any) -> str | None:
    """A correlation key as text, or None where the value cannot be one.

    Numbers and texts that are written alike are one key: `42` and `"42"`.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if isinstance(value, (str, int, float)):
        return str(value) or None
    return None
