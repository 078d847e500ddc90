"""The filters of expressions: Jinja2's where they are pure and bounded, and a few of ours.

Left out are those that are not the same each time (`random`) and that make markup (`xmlattr`,
`urlize`, `safe`). Regular expressions are those of `patterns`, whose time is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

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
from hub.expressions.methods import MISSING, attribute, did_you_mean, keys_of
from hub.expressions.patterns import PATTERN_FILTERS
from hub.expressions.predicates import TESTS
from hub.expressions.scalars import SCALAR_FILTERS

__all__ = ["FILTERS"]

Function = Callable[..., Any]


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


def _sum(work: Work, value: Any, attribute: Any = None, start: Any = 0) -> Any:
    total = start
    for item in _each(work, value, attribute):
        if not isinstance(item, (int, float, timedelta)):
            raise ExpressionError(f"sum adds numbers, and {kind_of(item)} is among them")
        total = number_of(total + item)
    return total


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


def _list(work: Work, value: Any) -> list[Any]:
    return items_of(value, work)


FILTERS: dict[str, Function] = {
    **SCALAR_FILTERS,
    **PATTERN_FILTERS,
    "batch": _batch,
    "count": _length,
    "dictsort": _dictsort,
    "first": _first,
    "groupby": _groupby,
    "items": _items,
    "join": _join,
    "last": _last,
    "length": _length,
    "list": _list,
    "map": _map,
    "max": _extreme(max),
    "min": _extreme(min),
    "reject": _choosing(False, by_attribute=False),
    "rejectattr": _choosing(False, by_attribute=True),
    "reverse": _reverse,
    "select": _choosing(True, by_attribute=False),
    "selectattr": _choosing(True, by_attribute=True),
    "slice": _slice,
    "sort": _sort,
    "sum": _sum,
    "unique": _unique,
}
"""Every filter by its name; each is called as `filter(work, value, *arguments, **options)`."""
