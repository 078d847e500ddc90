"""What may be called and looked up on values: data first, and a closed list of methods."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from typing import Any, Final

import msgspec

from hub.errors import ExpressionError
from hub.expressions.bounds import MAX_ITEMS, Work, items_of, number_of, text_of, utc

__all__ = [
    "MISSING",
    "attribute",
    "did_you_mean",
    "keys_of",
    "method",
    "nearest",
    "padded",
    "replaced",
]


class _Missing:
    """Stands for what is not there, where an expression asks whether it is."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()

_FIELDS: dict[type, tuple[str, ...]] = {
    datetime: ("year", "month", "day", "hour", "minute", "second", "microsecond"),
    date: ("year", "month", "day"),
    timedelta: ("days", "seconds", "microseconds"),
}
Method = Callable[..., Any]


def attribute(target: Any, name: str) -> Any:
    """`target.name`: a mapping's item or an object's public field, else `MISSING`."""
    if isinstance(target, msgspec.Struct):
        known = target.__struct_fields__
    elif isinstance(target, Mapping):
        return target.get(name, MISSING)
    else:
        known = keys_of(target)
    if name.startswith("_") or name not in known:
        return MISSING
    value = getattr(target, name, MISSING)
    return MISSING if callable(value) else value


def keys_of(target: Any) -> tuple[str, ...]:
    """The names that `target.name` finds something for."""
    if isinstance(target, Mapping):
        return tuple(key for key in target if isinstance(key, str))
    if isinstance(target, msgspec.Struct):
        return target.__struct_fields__
    if isinstance(target, tuple):
        return tuple(getattr(target, "_fields", ()))
    for kind, names in _FIELDS.items():
        if isinstance(target, kind):
            return names
    return tuple(getattr(target, "__dataclass_fields__", ()))


def did_you_mean(name: str, known: tuple[str, ...]) -> str | None:
    """The nearest known name, as a suggestion."""
    near = nearest(name, known)
    return f"did you mean {near!r}?" if near is not None else None


def nearest(name: str, known: tuple[str, ...]) -> str | None:
    """The known name that is most like this one, if one is."""
    # Sorted, so that the answer does not hang on the order in which names were put in. The bounds
    # are for data whose sender chose the names.
    candidates = sorted(k for k in known[:500] if len(k) <= 60)
    near = get_close_matches(name[:60], candidates, n=1, cutoff=0.6)
    return near[0] if near else None


def method(target: Any, name: str) -> Method | None:
    """The method of that name which expressions may call, as `method(work, target, ...)`."""
    if isinstance(target, str):
        return _TEXT.get(name)
    if isinstance(target, Mapping):
        return _OBJECT.get(name)
    if isinstance(target, (list, tuple)):
        return _LIST.get(name)
    if isinstance(target, datetime):
        return _TIME.get(name) or _DATE.get(name)
    if isinstance(target, date):
        return _DATE.get(name)
    if isinstance(target, timedelta):
        return _DURATION.get(name)
    return None


def replaced(work: Work, text: str, old: str, new: str, count: int = -1) -> str:
    """`text.replace`, its result's length known before it is made."""
    work.reading(text)
    found = text.count(old)
    if count >= 0:
        found = min(found, count)
    work.text(len(text) + found * (len(new) - len(old)))
    return text.replace(old, new, count)


def padded(name: str) -> Method:
    """`ljust`, `rjust`, `center` or `zfill`, of a bounded width."""

    def pad(work: Work, text: str, width: int, *fill: str) -> str:
        work.text(max(len(text), width))
        result: str = getattr(text, name)(width, *fill)
        return result

    return pad


def _plain(name: str) -> Method:
    """A method of texts whose result is about as long as its text."""

    def call(work: Work, text: str, *arguments: Any) -> Any:
        work.reading(text)
        given = [tuple(a) if isinstance(a, list) else a for a in arguments]
        result = getattr(text, name)(*given)
        if isinstance(result, str):
            work.text(len(result))
        return list(result) if isinstance(result, tuple) else result

    return call


def _splitting(name: str) -> Method:
    def call(work: Work, text: str, sep: str | None = None, maxsplit: int = -1) -> list[str]:
        work.reading(text)
        bound = MAX_ITEMS if maxsplit < 0 else min(maxsplit, MAX_ITEMS)
        result: list[str] = getattr(text, name)(sep, bound)
        work.items(len(result))
        return result

    return call


def _splitlines(work: Work, text: str) -> list[str]:
    work.reading(text)
    work.items(text.count("\n") + text.count("\r"))
    result = text.splitlines()
    work.items(len(result))
    return result


def _join(work: Work, text: str, values: Any) -> str:
    parts = [text_of(item, work) for item in items_of(values, work)]
    work.text(sum(map(len, parts)) + len(text) * max(0, len(parts) - 1))
    return text.join(parts)


def _replace(work: Work, text: str, old: str, new: str, count: int = -1) -> str:
    return replaced(work, text, old, new, count)


def _get(work: Work, target: Mapping[Any, Any], key: Any, default: Any = None) -> Any:
    return target.get(key, default)


def _keys(work: Work, target: Mapping[Any, Any]) -> list[Any]:
    work.reading(target)
    return list(target)


def _values(work: Work, target: Mapping[Any, Any]) -> list[Any]:
    work.reading(target)
    return list(target.values())


def _items(work: Work, target: Mapping[Any, Any]) -> list[list[Any]]:
    work.reading(target)
    work.reading(target)
    return [[key, value] for key, value in target.items()]


def _count(work: Work, target: list[Any], item: Any) -> int:
    work.reading(target)
    return target.count(item)


def _index(work: Work, target: list[Any], item: Any) -> int:
    work.reading(target)
    if item not in target:
        raise ExpressionError("the list does not have that item")
    return target.index(item)


def _isoformat(work: Work, target: Any) -> str:
    return text_of(target, work)


# Only directives whose text is the same under every locale and platform, and bounded.
_STRFTIME = re.compile(r"(?:[^%]|%[YmdHMSfzjUWVGuw%])*")


def _strftime(work: Work, target: date, form: str) -> str:
    work.text(len(form) * 4)
    if not _STRFTIME.fullmatch(form):
        raise ExpressionError(
            "strftime takes %Y %m %d %H %M %S %f %z %j %U %W %V %G %u %w and %% here"
        )
    return target.strftime(form)


_TEXT: dict[str, Method] = {
    **{
        name: _plain(name)
        for name in (
            "capitalize",
            "casefold",
            "count",
            "endswith",
            "find",
            "isalnum",
            "isalpha",
            "isdigit",
            "islower",
            "isspace",
            "isupper",
            "lower",
            "lstrip",
            "partition",
            "removeprefix",
            "removesuffix",
            "rfind",
            "rpartition",
            "rstrip",
            "startswith",
            "strip",
            "swapcase",
            "title",
            "upper",
        )
    },
    "split": _splitting("split"),
    "rsplit": _splitting("rsplit"),
    "splitlines": _splitlines,
    "join": _join,
    "replace": _replace,
    **{name: padded(name) for name in ("ljust", "rjust", "center", "zfill")},
}
_OBJECT: dict[str, Method] = {"get": _get, "keys": _keys, "values": _values, "items": _items}
_LIST: dict[str, Method] = {"count": _count, "index": _index}
_DATE: dict[str, Method] = {
    "isoformat": _isoformat,
    "strftime": _strftime,
    "weekday": lambda work, target: target.weekday(),
    "isoweekday": lambda work, target: target.isoweekday(),
}
_TIME: dict[str, Method] = {
    "timestamp": lambda work, target: utc(target).timestamp(),
    "date": lambda work, target: target.date(),
}
_DURATION: dict[str, Method] = {
    "total_seconds": lambda work, target: number_of(target.total_seconds())
}
