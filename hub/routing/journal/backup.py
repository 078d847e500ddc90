"""The journal's tables as rows of JSON, alike in every database: for backups and for moves."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import BadRequest, Conflict
from hub.routing.journal.database import Database
from hub.routing.journal.tables import (
    Instant,
    from_microseconds,
    metadata,
    owners,
    sessions,
    sign_ins,
    to_microseconds,
)

__all__ = ["KEPT", "Reading", "Writing"]

KEPT = tuple(t for t in metadata.sorted_tables if t not in (owners, sessions, sign_ins))
"""What is kept: entries, deliveries, definitions, the audit log, people and tokens. Leases, sessions
and half-done sign-ins are of processes and browsers, which do not come back."""

_PAGE = 500
_LEFT_OUT = frozenset({"owner"})
"""Which process holds an entry."""


class Reading:
    """All tables as they are at one moment, while others go on to write. Raises `Unreachable`."""

    def __init__(self, url: str) -> None:
        self._database = Database(url)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._database.open()
        self._stack.push_async_callback(self._database.close)
        self._connection = await self._stack.enter_async_context(self._database.snapshot())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def rows(self, table: sa.Table) -> AsyncIterator[dict[str, Any]]:
        """The rows of a table in the order of its key, as JSON values."""
        key = list(table.primary_key.columns)
        last: tuple[Any, ...] | None = None
        while True:
            query = sa.select(table).order_by(*key).limit(_PAGE)
            if last is not None:
                bound = [sa.literal(v, type_=c.type) for c, v in zip(key, last, strict=True)]
                query = query.where(sa.tuple_(*key) > sa.tuple_(*bound))
            rows = (await self._connection.execute(query)).mappings().all()
            for row in rows:
                yield {
                    column.name: _plain(column, row[column])
                    for column in table.columns
                    if not (table.name == "journal_entries" and column.name in _LEFT_OUT)
                }
            if len(rows) < _PAGE:
                return
            last = tuple(rows[-1][column] for column in key)


class Writing:
    """An empty journal that is filled, all of it or nothing.

    Raises `Conflict` where it is not empty, and `Unreachable`.
    """

    def __init__(self, url: str) -> None:
        self._database = Database(url)
        self._stack = AsyncExitStack()
        self._connection: AsyncConnection

    async def __aenter__(self) -> Self:
        await self._database.open()
        self._stack.push_async_callback(self._database.close)
        try:
            self._connection = await self._stack.enter_async_context(self._database.alone())
            for table in KEPT:
                query = sa.select(sa.func.count()).select_from(table)
                if (await self._connection.execute(query)).scalar_one():
                    raise Conflict(
                        f"the journal {self._database.name} is not empty: {table.name} has rows; "
                        "import into a new one"
                    )
        except BaseException as error:
            await self._stack.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if error is None:
            await self._count_on()
        await self._stack.__aexit__(kind, error, traceback)

    async def fill(self, table: sa.Table, rows: Iterable[Mapping[str, Any]]) -> int:
        """Write the rows; gives how many. Raises `BadRequest` for what are none of this table."""
        count = 0
        batch: list[dict[str, Any]] = []
        for row in rows:
            batch.append(_row(table, row))
            count += 1
            if len(batch) == _PAGE:
                await self._connection.execute(sa.insert(table), batch)
                batch.clear()
        if batch:
            await self._connection.execute(sa.insert(table), batch)
        return count

    async def _count_on(self) -> None:
        """Let PostgreSQL give out numbers after those that were written."""
        if self._database.is_sqlite:
            return
        for table in KEPT:
            if "seq" in table.columns and table.columns["seq"].autoincrement is True:
                highest = sa.select(sa.func.max(table.c.seq)).scalar_subquery()
                sequence = sa.func.pg_get_serial_sequence(table.name, "seq")
                await self._connection.execute(
                    sa.select(sa.func.setval(sequence, sa.func.coalesce(highest, 1)))
                )


def _plain(column: sa.Column[Any], value: Any) -> Any:
    if value is None:
        return None
    if isinstance(column.type, sa.LargeBinary):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(column.type, Instant):
        return to_microseconds(value)
    return value


def _row(table: sa.Table, row: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for column in table.columns:
        value = row.get(column.name)
        try:
            if value is not None and isinstance(column.type, sa.LargeBinary):
                value = base64.b64decode(value, validate=True)
            elif value is not None and isinstance(column.type, Instant):
                value = from_microseconds(value)
        except (ValueError, TypeError, OverflowError):
            raise BadRequest(f"a row of {table.name} has no good {column.name}") from None
        if value is None and not column.nullable:
            raise BadRequest(f"a row of {table.name} has no {column.name}")
        found[column.name] = value
    return found
