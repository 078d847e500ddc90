"""The filters and tests of expressions: Jinja2's where they are pure and bounded, and a few of ours.

Left out are those that are not the same each time (`random`), that make markup (`xmlattr`,
`urlize`, `safe`), and regular expressions, whose time cannot be bounded.
"""

from __future__ import annotations

import hashlib
import re
import textwrap
import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
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
from hub.expressions.methods import MISSING, attribute, did_you_mean, keys_of, replaced

__all__ = ["FILTERS", "TESTS"]

Function = Callable[..., Any]


# --- texts ---------------------------------------------------------------------------------------


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


def _sum(work: Work, value: Any, attribute: Any = None, start: Any = 0) -> Any:
    total = start
    for item in _each(work, value, attribute):
        if not isinstance(item, (int, float, timedelta)):
            raise ExpressionError(f"sum adds numbers, and {kind_of(item)} is among them")
        total = number_of(total + item)
    return total


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


# --- lists ---------------------------------------------------------------------------------------


def _pick(value: Any, path: Any) -> Any:
    """`value` at a path such as `user.name` or `0`, or `MISSING`."""
    for step in [path] if isinstance(path, int) else str(path).split("."):
        if isinstance(value, (list, tuple)):
            index = int(step) if str(step).isdigit() else None
            value = value[index] if index is not None and index < len(value) else MISSING
        else:
            value = attribute(value, str(step))
        if value is MISSING:
            return MISSING
    return value


def _strict(value: Any, path: Any) -> Any:
    found = _pick(value, path)
    if found is MISSING:
        raise ExpressionError(
            f"an item of the list has no {str(path)[:60]!r}",
            suggestion=did_you_mean(str(path), keys_of(value)),
        )
    return found


def _each(work: Work, value: Any, path: Any = None) -> list[Any]:
    items = items_of(value, work)
    return items if path is None else [_strict(item, path) for item in items]


def _folded(value: Any, case_sensitive: bool) -> Any:
    return value.lower() if isinstance(value, str) and not case_sensitive else value


def _sort(
    work: Work,
    value: Any,
    reverse: bool = False,
    case_sensitive: bool = False,
    attribute: Any = None,
) -> list[Any]:
    paths = str(attribute).split(",") if attribute is not None else []

    def key(item: Any) -> Any:
        if not paths:
            return _folded(item, case_sensitive)
        return [_folded(_strict(item, path.strip()), case_sensitive) for path in paths]

    work.reading(value)
    return sorted(items_of(value, work), key=key, reverse=reverse)


def _identity(work: Work, value: Any) -> Any:
    if isinstance(value, (dict, list, tuple, set)):
        return (list, json_of(value, work, sort=True))
    return (str if isinstance(value, str) else object, value)


def _unique(
    work: Work, value: Any, case_sensitive: bool = False, attribute: Any = None
) -> list[Any]:
    seen: dict[Any, Any] = {}
    for item in items_of(value, work):
        marked = item if attribute is None else _strict(item, attribute)
        seen.setdefault(_identity(work, _folded(marked, case_sensitive)), item)
    return list(seen.values())


def _groupby(
    work: Work, value: Any, attribute: Any, default: Any = None, case_sensitive: bool = False
) -> list[dict[str, Any]]:
    groups: dict[Any, dict[str, Any]] = {}
    for item in items_of(value, work):
        found = _pick(item, attribute)
        if found is MISSING:
            found = default if default is not None else _strict(item, attribute)
        identity = _identity(work, _folded(found, case_sensitive))
        groups.setdefault(identity, {"grouper": found, "list": []})["list"].append(item)
    return sorted(groups.values(), key=lambda group: _folded(group["grouper"], case_sensitive))


def _extreme(choose: Callable[..., Any]) -> Function:
    def apply(work: Work, value: Any, case_sensitive: bool = False, attribute: Any = None) -> Any:
        items = items_of(value, work)
        if not items:
            return MISSING

        def key(item: Any) -> Any:
            marked = item if attribute is None else _strict(item, attribute)
            return _folded(marked, case_sensitive)

        return choose(items, key=key)

    return apply


def _first(work: Work, value: Any) -> Any:
    return next(iter(items_of(value, work)), MISSING)


def _last(work: Work, value: Any) -> Any:
    items = items_of(value, work)
    return items[-1] if items else MISSING


def _length(work: Work, value: Any) -> int:
    if isinstance(value, (str, list, tuple, Mapping, set, frozenset)):
        return len(value)
    raise ExpressionError(f"{kind_of(value)} has no length")


def _reverse(work: Work, value: Any) -> Any:
    work.reading(value)
    return value[::-1] if isinstance(value, str) else items_of(value, work)[::-1]


def _join(work: Work, value: Any, d: str = "", attribute: Any = None) -> str:
    parts: list[str] = []
    for item in _each(work, value, attribute):
        parts.append(text_of(item, work))
        work.text(len(parts[-1]) + len(d))
    work.text(sum(map(len, parts)) + len(d) * max(0, len(parts) - 1))
    return d.join(parts)


def _batch(work: Work, value: Any, linecount: int, fill_with: Any = None) -> list[list[Any]]:
    if not 1 <= linecount <= MAX_ITEMS:
        raise ExpressionError(f"batch takes 1 to {MAX_ITEMS:,} items a line")
    items = items_of(value, work)
    work.items(len(items) // linecount)
    lines = [items[at : at + linecount] for at in range(0, len(items), linecount)]
    if fill_with is not None and lines:
        lines[-1] += [fill_with] * (linecount - len(lines[-1]))
    return lines


def _slice(work: Work, value: Any, slices: int, fill_with: Any = None) -> list[list[Any]]:
    if not 1 <= slices <= MAX_ITEMS:
        raise ExpressionError(f"slice takes 1 to {MAX_ITEMS:,} slices")
    items = items_of(value, work)
    work.items(slices)
    each, longer = divmod(len(items), slices)
    result: list[list[Any]] = []
    start = 0
    for number in range(slices):
        end = start + each + (number < longer)
        filled = fill_with is not None and longer > 0 and number >= longer
        result.append(items[start:end] + ([fill_with] if filled else []))
        start = end
    return result


def _dictsort(
    work: Work,
    value: Mapping[Any, Any],
    case_sensitive: bool = False,
    by: str = "key",
    reverse: bool = False,
) -> list[list[Any]]:
    if by not in ("key", "value"):
        raise ExpressionError("dictsort sorts by 'key' or 'value'")
    pairs = _items(work, value)
    at = 0 if by == "key" else 1
    return sorted(pairs, key=lambda pair: _folded(pair[at], case_sensitive), reverse=reverse)


def _items(work: Work, value: Any) -> list[list[Any]]:
    if not isinstance(value, Mapping):
        raise ExpressionError(f"{kind_of(value)} has no items by name")
    work.spend(len(value) * ITEM * 2)
    return [[key, item] for key, item in value.items()]


def _named(kind: str, table: Mapping[str, Function], name: Any) -> Function:
    found = table.get(name) if isinstance(name, str) else None
    if found is None:
        raise ExpressionError(
            f"there is no {kind} {str(name)[:60]!r}",
            suggestion=did_you_mean(str(name), tuple(table)),
        )
    return found


def _map(
    work: Work,
    value: Any,
    filter: str | None = None,  # noqa: A002 - the name that Jinja2 users write
    *arguments: Any,
    attribute: Any = None,
    default: Any = MISSING,
    **options: Any,
) -> list[Any]:
    items = items_of(value, work)
    if attribute is not None:
        if default is MISSING:
            return [_strict(item, attribute) for item in items]
        found = [_pick(item, attribute) for item in items]
        return [default if item is MISSING else item for item in found]
    function = _named("filter", FILTERS, filter)
    results: list[Any] = []
    for item in items:
        work.spend(ITEM * 4)
        result = function(work, item, *arguments, **options)
        if result is MISSING:
            raise ExpressionError(f"the filter {filter!r} finds nothing in an item of the list")
        results.append(result)
    return results


def _choosing(wanted: bool, by_attribute: bool) -> Function:
    def choose(work: Work, value: Any, *arguments: Any) -> list[Any]:
        rest = list(arguments)
        if by_attribute and not rest:
            raise ExpressionError("it needs the attribute to look at")
        path = rest.pop(0) if by_attribute else None
        name = rest.pop(0) if rest else None
        test = _named("test", TESTS, name) if name is not None else None
        chosen: list[Any] = []
        for item in items_of(value, work):
            work.spend(ITEM * 4)
            looked = item if path is None else _pick(item, path)
            if looked is MISSING and test is not None and name not in ("defined", "undefined"):
                looked = _strict(item, path)
            if test is None:
                outcome = looked is not MISSING and bool(looked)
            else:
                outcome = bool(test(work, looked, *rest))
            if outcome is wanted:
                chosen.append(item)
        return chosen

    return choose


def _default(work: Work, value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    return default_value if value is MISSING or (boolean and not value) else value


def _list(work: Work, value: Any) -> list[Any]:
    return items_of(value, work)


FILTERS: dict[str, Function] = {
    "abs": _abs,
    "batch": _batch,
    "capitalize": _text(str.capitalize),
    "center": _center,
    "count": _length,
    "d": _default,
    "default": _default,
    "dictsort": _dictsort,
    "duration": _duration,
    "e": _text(_escape),
    "escape": _text(_escape),
    "first": _first,
    "float": _float,
    "format": _format,
    "from_json": _from_json,
    "groupby": _groupby,
    "hash": _hash,
    "indent": _indent,
    "int": _int,
    "items": _items,
    "join": _join,
    "json": _json,
    "last": _last,
    "length": _length,
    "list": _list,
    "lower": _text(str.lower),
    "map": _map,
    "max": _extreme(max),
    "min": _extreme(min),
    "reject": _choosing(False, by_attribute=False),
    "rejectattr": _choosing(False, by_attribute=True),
    "replace": _replace,
    "reverse": _reverse,
    "round": _round,
    "select": _choosing(True, by_attribute=False),
    "selectattr": _choosing(True, by_attribute=True),
    "slice": _slice,
    "slug": _slug,
    "sort": _sort,
    "split": _split,
    "string": lambda work, value: text_of(value, work),
    "sum": _sum,
    "time": _time,
    "timedelta": lambda work, value: parse_duration(value),
    "title": _text(_title),
    "tojson": _json,
    "trim": _trim,
    "truncate": _truncate,
    "unique": _unique,
    "upper": _text(str.upper),
    "urlencode": _urlencode,
    "wordcount": _wordcount,
    "wordwrap": _wordwrap,
}
"""Every filter by its name; each is called as `filter(work, value, *arguments, **options)`."""


def _contains(work: Work, value: Any, container: Any) -> bool:
    work.reading(container)
    return value in container


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


TESTS: dict[str, Function] = {
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
