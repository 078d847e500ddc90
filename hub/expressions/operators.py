"""The operators of expressions over two values: arithmetic and comparison, bounded."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from hub.errors import ExpressionError
from hub.expressions.bounds import ITEM, MAX_INTEGER, Work, kind_of, number_of, size_of

__all__ = ["ARITHMETIC", "compare", "compute", "hold"]


def hold(work: Work, value: Any) -> Any:
    """Pay for keeping a value inside a new container, however often it is in there already."""
    if value is None or isinstance(value, (bool, int, float)):
        work.spend(ITEM)
    else:
        work.spend(size_of(value, work.left))
    return value


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
}


def compare(work: Work, name: str, left: Any, right: Any) -> bool:
    try:
        if name in ("in", "notin"):
            work.reading(right)
            return (left in right) is (name == "in")
        return _COMPARISONS[name](left, right)
    except TypeError:
        if name in ("in", "notin"):
            raise ExpressionError(f"{kind_of(left)} cannot be in {kind_of(right)}") from None
        hint = (
            ", one with a zone and one without"
            if kind_of(left) == kind_of(right) == "a time"
            else ""
        )
        raise ExpressionError(
            f"{kind_of(left)} cannot be compared with {kind_of(right)}{hint}"
        ) from None


def _add(work: Work, left: Any, right: Any) -> Any:
    if isinstance(left, str) and isinstance(right, str):
        work.text(len(left) + len(right))
    elif isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        hold(work, left)
        hold(work, right)
        return [*left, *right]
    return left + right


def _multiply(work: Work, left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, (str, list, tuple)):
        left, right = right, left
    if isinstance(left, (str, list, tuple)) and isinstance(right, int):
        times = max(0, right)
        if isinstance(left, str):
            work.text(len(left) * times)
            return left * times
        work.items(len(left) * times)
        work.spend(size_of(left, work.left) * times)
        return list(left) * times
    return left * right


def _modulo(work: Work, left: Any, right: Any) -> Any:
    if isinstance(left, str):
        raise ExpressionError("a text cannot be filled with %", suggestion="write | format(...)")
    return left % right


def _power(work: Work, left: Any, right: Any) -> Any:
    whole = isinstance(left, int) and isinstance(right, int)
    if whole and right > 0 and abs(left) > 1:
        bits = MAX_INTEGER.bit_length()
        if right > bits or (abs(left).bit_length() - 1) * right > bits:
            raise ExpressionError("the number is out of bounds: more than 2**64 in magnitude")
    return left**right


ARITHMETIC: dict[str, Callable[[Work, Any, Any], Any]] = {
    "+": _add,
    "-": lambda work, left, right: left - right,
    "*": _multiply,
    "/": lambda work, left, right: left / right,
    "//": lambda work, left, right: left // right,
    "%": _modulo,
    "**": _power,
}


def compute(work: Work, sign: str, left: Any, right: Any) -> Any:
    """`left sign right`. Raises `ExpressionError` for kinds that do not fit, and out of bounds."""
    try:
        return number_of(ARITHMETIC[sign](work, left, right))
    except TypeError:
        hint = "write ~ to join texts" if sign == "+" else None
        raise ExpressionError(
            f"{kind_of(left)} {sign} {kind_of(right)} cannot be computed", suggestion=hint
        ) from None
