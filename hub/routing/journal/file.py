"""The connection that writes to a SQLite file. It lives in a thread, and each statement is one visit there.

A visit may have to wait for the interpreter's lock at each of its steps, for as long as the event loop is
busy. So there are few visits, and few steps in each: rows are written by statements of many rows, and
what was written is read back as one row.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa

from hub.routing.journal.tables import deliveries, entries

__all__ = ["Execution", "FileConnection", "write_deliveries", "write_entries"]

Got = TypeVar("Got")
Row = Mapping[str, Any]
_CHUNKS = (128, 32, 8, 1)
"""How many rows a statement may have: few texts, which SQLite keeps prepared."""


class Execution(Protocol):
    """What writes need of a connection, whatever the database."""

    async def execute(self, statement: Any, parameters: Any = None, /) -> sa.Result[Any]: ...


class FileConnection:
    """As much of SQLAlchemy's `AsyncConnection` as the journal needs, over a connection in a thread."""

    def __init__(self, thread: ThreadPoolExecutor, connection: sa.Connection) -> None:
        self._thread = thread
        self._connection = connection

    @classmethod
    async def open(cls, engine: sa.Engine) -> FileConnection:
        """Connect, in a thread of its own."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        try:
            connection = await asyncio.get_running_loop().run_in_executor(thread, engine.connect)
        except BaseException:
            thread.shutdown(wait=False)
            raise
        return cls(thread, connection)

    async def visit(self, work: Callable[[sa.Connection], Got]) -> Got:
        """Do the work in the connection's thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, work, self._connection)

    async def execute(self, statement: Any, parameters: Any = None, /) -> sa.Result[Any]:
        """Execute a statement, and fetch what it gives."""
        return await self.visit(partial(_executed, statement=statement, parameters=parameters))

    async def exec_driver_sql(self, text: str) -> sa.Result[Any]:
        """Execute a text as it is, and fetch what it gives."""
        return await self.execute(sa.text(text))

    async def commit(self) -> None:
        await self.visit(sa.Connection.commit)

    async def rollback(self) -> None:
        await self.visit(sa.Connection.rollback)

    async def invalidate(self) -> None:
        await self.visit(sa.Connection.invalidate)

    async def close(self) -> None:
        """Close it, and end its thread."""
        try:
            await self.visit(sa.Connection.close)
        finally:
            self._thread.shutdown(wait=False)


def _executed(connection: sa.Connection, *, statement: Any, parameters: Any) -> sa.Result[Any]:
    result = connection.execute(statement, parameters)
    return result.freeze()() if result.returns_rows else result


class _ManyRows:
    """Inserts into a table of a SQLite file, of many rows each. Rows that are there already stay."""

    def __init__(self, table: sa.Table, columns: Sequence[str]) -> None:
        self._columns = columns
        self._bind = [getattr(table.c[name].type, "process_bind_param", None) for name in columns]
        names = ", ".join(f'"{name}"' for name in columns)
        self._head = f'INSERT INTO "{table.name}" ({names}) VALUES '  # noqa: S608
        self._one = f"({', '.join('?' * len(columns))})"

    def write(self, connection: sa.Connection, rows: Sequence[Row]) -> None:
        """Write the rows, in their order."""
        for chunk in _chunks(rows):
            values = [
                row[name] if bind is None else bind(row[name], connection.dialect)
                for row in chunk
                for name, bind in zip(self._columns, self._bind, strict=True)
            ]
            connection.exec_driver_sql(_text(self._head, self._one, len(chunk)), tuple(values))


_ENTRIES = _ManyRows(
    entries,
    (
        *("trigger", "id_digest", "type", "body", "received_at"),
        *("status", "error", "attempts", "duplicates", "owner"),
    ),
)
_DELIVERIES = _ManyRows(deliveries, [column.name for column in deliveries.columns])
_LAST = "SELECT coalesce(max(seq), 0) FROM journal_entries"
_NEW = (
    'SELECT json_group_array(json_array(seq, hex(id_digest), "trigger")) '
    "FROM journal_entries WHERE seq > ?"
)


def write_entries(connection: sa.Connection, rows: Sequence[Row]) -> list[tuple[int, bytes, str]]:
    """Write new entries; the number, digest and trigger of each that was not there."""
    (last,) = connection.exec_driver_sql(_LAST).one()
    _ENTRIES.write(connection, rows)
    (new,) = connection.exec_driver_sql(_NEW, (last,)).one()
    read = entries.c.trigger.type.process_result_value  # type: ignore[attr-defined]
    dialect = connection.dialect
    return [
        (seq, bytes.fromhex(digest), read(name, dialect)) for seq, digest, name in json.loads(new)
    ]


def write_deliveries(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Write what became of events."""
    _DELIVERIES.write(connection, rows)


def _chunks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    at = 0
    for size in _CHUNKS:
        while len(rows) - at >= size:
            yield rows[at : at + size]
            at += size


@cache
def _text(head: str, one: str, count: int) -> str:
    return head + ", ".join([one] * count) + " ON CONFLICT DO NOTHING"
