"""The tests of expressions: what may stand after `is`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hub.expressions.bounds import Work, text_of
from hub.expressions.methods import MISSING

__all__ = ["TESTS"]


def _contains(work: Work, value: Any, container: Any) -> bool:
    work.reading(container)
    return value in container


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


TESTS: dict[str, Callable[..., Any]] = {
    "boolean": lambda work, value: isinstance(value, bool),
    "defined": lambda work, value: value is not MISSING,
    "divisibleby": lambda work, value, num: value % num == 0,
    "even": lambda work, value: value % 2 == 0,
    "false": lambda work, value: value is False,
    "float": lambda work, value: isinstance(value, float),
    "in": _contains,
    "integer": lambda work, value: _is_integer(value),
    "iterable": lambda work, value: isinstance(value, (str, list, tuple, Mapping, set, frozenset)),
    "lower": lambda work, value: text_of(value, work).islower(),
    "mapping": lambda work, value: isinstance(value, Mapping),
    "none": lambda work, value: value is None,
    "number": lambda work, value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "odd": lambda work, value: value % 2 == 1,
    "sequence": lambda work, value: isinstance(value, (str, list, tuple)),
    "string": lambda work, value: isinstance(value, str),
    "true": lambda work, value: value is True,
    "undefined": lambda work, value: value is MISSING,
    "upper": lambda work, value: text_of(value, work).isupper(),
    **dict.fromkeys(("eq", "equalto"), lambda work, value, other: value == other),
    "ne": lambda work, value, other: value != other,
    **dict.fromkeys(("lt", "lessthan"), lambda work, value, other: value < other),
    "le": lambda work, value, other: value <= other,
    **dict.fromkeys(("gt", "greaterthan"), lambda work, value, other: value > other),
    "ge": lambda work, value, other: value >= other,
}
"""Every test by its name; each is called as `test(work, value, *arguments)`."""
