"""Values on their way into a database and out of it, within what JSON can hold."""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from hub.errors import ActionRefused

__all__ = ["IDEMPOTENCY_KEY", "bound", "json_value", "read_rows"]

IDEMPOTENCY_KEY: Final = "idempotency_key"
_INT64: Final = range(-(2**63), 2**63)
_NAME = re.compile(r"(?<![:\w\\]):(\w+)(?!:)")


def bound(
    sql: str, given: Mapping[str, Any], idempotency_key: str, place: str
) -> tuple[sa.TextClause, dict[str, Any]]:
    """The statement and the values of its `:names`.

    A list stands for `in :names`, an object is given as its JSON text. A statement that names
    `:idempotency_key` gets the step's own.

    Raises `ActionRefused` (`invalid_input`) for a name without a value and a value without a name.
    """
    names = set(_NAME.findall(sql))
    values: dict[str, Any] = {}
    if IDEMPOTENCY_KEY in names:
        values[IDEMPOTENCY_KEY] = idempotency_key
    values |= {name: _inward(value, f"{place}.{name}") for name, value in given.items()}
    statement = sa.text(sql)
    if missing := sorted(names - set(values)):
        raise ActionRefused(
            "invalid_input",
            f"{place}.{missing[0]} is needed: the statement names `:{missing[0]}`"
            " (write `\\:` for a colon that begins no name)",
        )
    if unused := sorted(set(values) - names):
        raise ActionRefused(
            "invalid_input",
            f"{place}.{unused[0]}: the statement names no `:{unused[0]}`"
            + (
                f"; write `cast(:{unused[0]} as ...)` for `:{unused[0]}::...`"
                if f":{unused[0]}::" in sql
                else ""
            ),
        )
    for name, value in values.items():
        if isinstance(value, list):
            statement = statement.bindparams(sa.bindparam(name, expanding=True))
    return statement, values


def _inward(value: Any, place: str) -> Any:
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    if isinstance(value, list):
        if any(isinstance(item, (list, dict)) for item in value):
            raise ActionRefused(
                "invalid_input", f"{place}: a list is for `in :name`, and holds plain values"
            )
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value not in _INT64:
        raise ActionRefused(
            "invalid_input", f"{place}: the number has more than 64 bits; give it as a text"
        )
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ActionRefused("invalid_input", f"{place} is no text in UTF-8") from None
    return value


async def read_rows(
    columns: Sequence[str],
    fetch: Callable[[int], Awaitable[Sequence[Sequence[Any]]]],
    limit: int | None,
    max_rows: int,
    max_bytes: int,
) -> tuple[list[dict[str, Any]], bool]:
    """Rows by their columns, and whether there are more of them than `limit`.

    `fetch` gives the next rows, at most that many, and none at the end. Without a limit, more than `max_rows` are refused, as are more than `max_bytes` of JSON: half a
    result that looks like a whole one would be worse. No more than that is ever held.
    """
    if repeated := next((c for c in columns if list(columns).count(c) > 1), None):
        raise ActionRefused(
            "sql_columns", f"two columns are called {repeated!r}; tell them apart with `as`"
        )
    most = max_rows if limit is None else min(limit, max_rows)
    rows: list[dict[str, Any]] = []
    size = 0
    while len(rows) <= most:
        batch = await fetch(min(100, most + 1 - len(rows)))
        if not batch:
            return rows, False
        for values in batch:
            row = dict(zip(columns, _outward(values), strict=True))
            size += len(msgspec.json.encode(row))
            if size > max_bytes:
                raise ActionRefused(
                    "sql_too_large",
                    f"the result has more than {max_bytes:,} bytes, the connection's `max_bytes`; "
                    "ask for fewer rows or columns, or raise it",
                )
            rows.append(row)
    if limit is None or limit > max_rows:
        raise ActionRefused(
            "sql_too_many_rows",
            f"there are more than {max_rows:,} rows, the connection's `max_rows`; ask for fewer "
            "with `limit:`, or raise it",
        )
    return rows[:most], True


def _outward(values: Iterable[Any]) -> list[Any]:
    return [json_value(value) for value in values]


def json_value(value: Any) -> Any:
    """A database's value as JSON: dates and times as RFC 3339, decimals and UUIDs as text, bytes as
    base64, intervals as ISO 8601, and numbers that JSON does not have as text."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, int):
        return value if value in _INT64 else str(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [json_value(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, memoryview):
        value = bytes(value)
    return msgspec.to_builtins(value, enc_hook=str)
