"""What one evaluation may cost: sizes of results, and a budget for all of its work together.

An expression has no loops, so its time is bounded by its length and by the size of what it makes
and reads. Each single result is bounded here, and so is their sum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import msgspec

from hub.durations import format_duration
from hub.errors import ExpressionError

__all__ = [
    "ITEM",
    "MAX_DEPTH",
    "MAX_INTEGER",
    "MAX_ITEMS",
    "MAX_SOURCE",
    "MAX_TEXT",
    "MAX_WORK",
    "Work",
    "items_of",
    "json_of",
    "kind_of",
    "number_of",
    "shown",
    "size_of",
    "text_of",
    "utc",
]

MAX_SOURCE = 8 * 1024
"""Characters of one expression's text."""
MAX_DEPTH = 100
"""How deep an expression's operations, and the containers of a template, may be nested."""
MAX_TEXT = 1024 * 1024
"""Characters of a text that an expression makes."""
MAX_ITEMS = 10_000
"""Items of a list that an expression makes out of something else, such as a range or a split."""
MAX_INTEGER = 2**64
"""The largest magnitude of an integer that an expression makes."""
MAX_WORK = 8 * 1024 * 1024
"""Units of work of one evaluation: a unit a character read or made, ITEM units an item."""
ITEM = 16

_SHOWN = 60


class Work:
    """One evaluation under way: the names in scope, and what it may still spend."""

    __slots__ = ("left", "scope")

    def __init__(self, scope: Mapping[str, Any]) -> None:
        self.scope = scope
        self.left = MAX_WORK

    def spend(self, units: int) -> None:
        """Pay for work before it is done. Raises `ExpressionError` when the budget is used up."""
        self.left -= max(0, units)
        if self.left < 0:
            raise ExpressionError("the evaluation handles too much data; take less at a time")

    def text(self, length: int) -> None:
        """Pay for a text of this many characters before it is made."""
        if length > MAX_TEXT:
            raise ExpressionError(f"the text would be longer than {MAX_TEXT:,} characters")
        self.spend(length)

    def items(self, count: int) -> None:
        """Pay for a new list of this many items before it is made."""
        if count > MAX_ITEMS:
            raise ExpressionError(f"the list would have more than {MAX_ITEMS:,} items")
        self.spend(count * ITEM)

    def reading(self, value: Any) -> None:
        """Pay for going once through a text or a list that exists."""
        if isinstance(value, str):
            self.spend(len(value))
        elif isinstance(value, (list, tuple, Mapping, set, frozenset)):
            self.spend(len(value) * ITEM)


def size_of(value: Any, most: int) -> int:
    """The units that a whole value stands for, shared parts counted each time; stops at `most`."""
    total = 0
    rest = [value]
    while rest and total <= most:
        item = rest.pop()
        if isinstance(item, str):
            total += len(item) + 2
        elif isinstance(item, Mapping):
            total += ITEM + ITEM * len(item)
            rest.extend(item.values())
            rest.extend(key for key in item if isinstance(key, str))
        elif isinstance(item, (list, tuple, set, frozenset)):
            total += ITEM + ITEM * len(item)
            rest.extend(item)
        elif isinstance(item, msgspec.Struct):
            total += ITEM
            rest.extend(getattr(item, name) for name in item.__struct_fields__)
        else:
            total += ITEM
    return total


def items_of(value: Any, work: Work) -> list[Any]:
    """The items that a value holds, in an order that is the same in every process."""
    work.reading(value)
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, str):
        work.items(len(value))
        return list(value)
    if isinstance(value, Mapping):
        return list(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=lambda item: (type(item).__name__, repr(item)))
    raise ExpressionError(f"{kind_of(value)} has no items to go through")


def number_of(value: Any) -> Any:
    """Check a number that was just computed. Raises `ExpressionError` out of bounds."""
    if isinstance(value, int):
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise ExpressionError("the number is out of bounds: more than 2**64 in magnitude")
    elif isinstance(value, complex):
        raise ExpressionError("the result is not a real number")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ExpressionError("the result is not a finite number")
    return value


def text_of(value: Any, work: Work) -> str:
    """A value as text: nothing for none, `true` and `false`, containers as compact JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(number_of(value))
    if isinstance(value, float):
        return repr(number_of(value))
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return json_of(value, work)


def json_of(value: Any, work: Work, *, sort: bool = False) -> str:
    """A value as compact JSON, its keys in the order they stand in or sorted."""
    work.text(size_of(value, MAX_TEXT))
    order: Literal["deterministic"] | None = "deterministic" if sort or _has_set(value) else None
    try:
        text = msgspec.json.encode(value, order=order).decode()
    except (TypeError, ValueError, RecursionError):
        raise ExpressionError(f"{kind_of(value)} cannot be written as JSON") from None
    work.text(len(text))
    return text


def _has_set(value: Any) -> bool:
    rest = [value]
    while rest:
        item = rest.pop()
        if isinstance(item, (set, frozenset)):
            return True
        if isinstance(item, Mapping):
            rest.extend(item.values())
        elif isinstance(item, (list, tuple)):
            rest.extend(item)
        elif isinstance(item, msgspec.Struct):
            rest.extend(getattr(item, name) for name in item.__struct_fields__)
    return False


def kind_of(value: Any) -> str:
    """What a value is, in the words of JSON and with its article."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, (list, tuple, set, frozenset)):
        return "a list"
    if isinstance(value, (Mapping, msgspec.Struct)):
        return "an object"
    if isinstance(value, (datetime, date)):
        return "a time"
    if isinstance(value, timedelta):
        return "a duration"
    if callable(value):
        return "a function"
    return "a value"


def shown(text: str) -> str:
    """A text that is short enough to stand in a message."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."


def utc(value: datetime) -> datetime:
    """The same moment in UTC. Raises `ExpressionError` for a time without a zone."""
    if value.tzinfo is None:
        raise ExpressionError("the time has no zone")
    return value.astimezone(UTC)
