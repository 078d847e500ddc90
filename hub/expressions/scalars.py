"""The filters of single values: texts, numbers, times, JSON."""

from __future__ import annotations

import hashlib
import re
import textwrap
import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime
from math import ceil, floor
from typing import Any
from urllib.parse import quote

import msgspec

from hub.durations import parse_duration
from hub.errors import ExpressionError
from hub.expressions.bounds import (
    ITEM,
    MAX_ITEMS,
    Work,
    items_of,
    json_of,
    kind_of,
    number_of,
    text_of,
)
from hub.expressions.methods import MISSING, replaced

__all__ = ["SCALAR_FILTERS"]

Function = Callable[..., Any]


def _text(change: Callable[[str], str]) -> Function:
    def apply(work: Work, value: Any) -> str:
        text = text_of(value, work)
        work.reading(text)
        result = change(text)
        work.text(len(result))
        return result

    return apply


def _title(text: str) -> str:
    words = re.split(r"([-\s({\[<]+)", text)
    return "".join(word[:1].upper() + word[1:].lower() for word in words)


def _escape(text: str) -> str:
    for character, entity in (
        ("&", "&amp;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ('"', "&#34;"),
        ("'", "&#39;"),
    ):
        text = text.replace(character, entity)
    return text


def _trim(work: Work, value: Any, chars: str | None = None) -> str:
    text = text_of(value, work)
    work.reading(text)
    return text.strip(chars)


def _replace(work: Work, value: Any, old: str, new: str, count: int | None = None) -> str:
    return replaced(work, text_of(value, work), old, new, -1 if count is None else count)


def _center(work: Work, value: Any, width: int = 80) -> str:
    text = text_of(value, work)
    work.text(max(len(text), width))
    return text.center(width)


def _indent(
    work: Work, value: Any, width: int | str = 4, first: bool = False, blank: bool = False
) -> str:
    if not isinstance(width, str):
        work.text(width)
        width = " " * width
    text = text_of(value, work)
    work.text(len(text) + (text.count("\n") + 1) * len(width))
    lines = text.split("\n")
    rest = (width + line if line or blank else line for line in lines[1:])
    return "\n".join([width + lines[0] if first else lines[0], *rest])


def _truncate(
    work: Work,
    value: Any,
    length: int = 255,
    killwords: bool = False,
    end: str = "...",
    leeway: int = 5,
) -> str:
    text = text_of(value, work)
    work.reading(text)
    if length < len(end):
        raise ExpressionError("truncate needs a length of at least its end")
    if len(text) <= length + leeway:
        return text
    cut = text[: length - len(end)]
    return (cut if killwords else cut.rsplit(" ", 1)[0]) + end


def _wordwrap(
    work: Work, value: Any, width: int = 79, break_long_words: bool = True, wrapstring: str = "\n"
) -> str:
    text = text_of(value, work)
    # textwrap takes some microseconds a word, and a line may be one word.
    work.spend(len(text) * 64)
    if width < 10:
        raise ExpressionError("wordwrap needs a width of at least 10")
    lines: list[str] = []
    for line in text.splitlines():
        lines += textwrap.wrap(
            line,
            width=width,
            expand_tabs=False,
            replace_whitespace=False,
            break_long_words=break_long_words,
        ) or [""]
    work.text(sum(map(len, lines)) + len(wrapstring) * len(lines))
    return wrapstring.join(lines)


_DIRECTIVE = re.compile(r"%(?:%|[-+ 0]*([0-9]*)(?:\.([0-9]*))?([A-Za-z(*#]))")


def _format(work: Work, value: Any, *arguments: Any) -> str:
    text = text_of(value, work)
    work.reading(text)
    rest = list(arguments)

    def fill(directive: re.Match[str]) -> str:
        width, precision, kind = directive.groups()
        if kind is None:
            return "%"
        if kind not in "sdifgGeExXo" or len(width) > 3 or len(precision or "") > 2:
            raise ExpressionError(
                "format takes %s, %d, %i, %f, %g, %e, %x and %o, of a width below 1000"
            )
        if not rest:
            raise ExpressionError("format has fewer values than directives")
        given = rest.pop(0)
        done: str = directive.group() % (text_of(given, work) if kind == "s" else number_of(given))
        work.text(len(done))
        return done

    result = _DIRECTIVE.sub(fill, text)
    if rest:
        raise ExpressionError("format has more values than directives")
    work.text(len(result))
    return result


def _split(work: Work, value: Any, sep: str | None = None, maxsplit: int = -1) -> list[str]:
    text = text_of(value, work)
    work.reading(text)
    parts = text.split(sep, MAX_ITEMS if maxsplit < 0 else min(maxsplit, MAX_ITEMS))
    work.items(len(parts))
    return parts


def _wordcount(work: Work, value: Any) -> int:
    text = text_of(value, work)
    work.spend(len(text) * 4)
    return sum(1 for _ in re.finditer(r"\S+", text))


def _slug(work: Work, value: Any) -> str:
    text = text_of(value, work)
    work.text(len(text) * 16)
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def _urlencode(work: Work, value: Any) -> str:
    if isinstance(value, str):
        work.text(len(value))
        return quote(value, safe="/")
    pairs = list(value.items()) if isinstance(value, Mapping) else items_of(value, work)
    work.spend(len(pairs) * ITEM)
    quoted = (
        f"{quote(text_of(key, work), safe='')}={quote(text_of(item, work), safe='')}"
        for key, item in pairs
    )
    return "&".join(quoted)


# --- numbers -------------------------------------------------------------------------------------


def _abs(work: Work, value: Any) -> Any:
    return abs(value)


def _int(work: Work, value: Any, default: Any = 0, base: int = 10) -> Any:
    try:
        number = int(value, base) if isinstance(value, str) else int(value)
    except (TypeError, ValueError, OverflowError):
        try:
            number = int(float(value))
        except (TypeError, ValueError, OverflowError):
            return default
    return number_of(number)


def _float(work: Work, value: Any, default: Any = 0.0) -> Any:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return default
    return number if abs(number) != float("inf") and number == number else default


def _round(work: Work, value: Any, precision: int = 0, method: str = "common") -> Any:
    if method not in ("common", "ceil", "floor") or not -30 <= precision <= 30:
        raise ExpressionError("round takes a precision of -30 to 30, and common, ceil or floor")
    if method == "common":
        return number_of(round(value, precision) if precision else float(round(value)))
    factor = 10.0**precision
    return number_of((ceil if method == "ceil" else floor)(value * factor) / factor)


def _duration(work: Work, value: Any) -> int | float:
    seconds = parse_duration(value).total_seconds()
    return int(seconds) if seconds.is_integer() else seconds


def _time(work: Work, value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ExpressionError(
            f"{kind_of(value)} is not read as a time: write for example 2030-01-31T09:00:00Z"
        ) from None


# --- JSON ----------------------------------------------------------------------------------------


def _json(work: Work, value: Any, indent: int = 0) -> str:
    text = json_of(value, work)
    if not indent:
        return text
    if not 1 <= indent <= 8:
        raise ExpressionError("json takes an indent of 1 to 8")
    lines = text.count(",") + 2 * (text.count("[") + text.count("{")) + 1
    work.text(len(text) + lines * (1 + indent * _depth(value)))
    return msgspec.json.format(text, indent=indent)


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        inner: list[Any] = []
        for item in level:
            if isinstance(item, Mapping):
                inner.extend(item.values())
            elif isinstance(item, (list, tuple)):
                inner.extend(item)
            elif isinstance(item, msgspec.Struct):
                inner.extend(getattr(item, name) for name in item.__struct_fields__)
        level = inner
        depth += 1
    return depth


def _from_json(work: Work, value: Any) -> Any:
    if not isinstance(value, str):
        raise ExpressionError(f"from_json reads a text, not {kind_of(value)}")
    work.text(len(value) * 2)
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise ExpressionError("the text is not JSON") from None


def _hash(work: Work, value: Any) -> str:
    text = value if isinstance(value, str) else json_of(value, work, sort=True)
    work.reading(text)
    return hashlib.sha256(text.encode()).hexdigest()


def _default(work: Work, value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    return default_value if value is MISSING or (boolean and not value) else value


SCALAR_FILTERS: dict[str, Function] = {
    "abs": _abs,
    "capitalize": _text(str.capitalize),
    "center": _center,
    "d": _default,
    "default": _default,
    "duration": _duration,
    "e": _text(_escape),
    "escape": _text(_escape),
    "float": _float,
    "format": _format,
    "from_json": _from_json,
    "hash": _hash,
    "indent": _indent,
    "int": _int,
    "json": _json,
    "lower": _text(str.lower),
    "replace": _replace,
    "round": _round,
    "slug": _slug,
    "split": _split,
    "string": lambda work, value: text_of(value, work),
    "time": _time,
    "timedelta": lambda work, value: parse_duration(value),
    "title": _text(_title),
    "tojson": _json,
    "trim": _trim,
    "truncate": _truncate,
    "upper": _text(str.upper),
    "urlencode": _urlencode,
    "wordcount": _wordcount,
    "wordwrap": _wordwrap,
}
