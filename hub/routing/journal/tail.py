"""Reading the journal forwards: what came after a number, and what of it has changed since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from hub.routing.journal import lookup, statements
from hub.routing.journal.database import Database
from hub.routing.journal.entry import Entry
from hub.routing.journal.tables import entries

__all__ = ["Mark", "TailReader", "mark_of"]

Mark = tuple[str, int, int]
"""What of an entry changes: its status, its attempts, its further copies."""


def mark_of(entry: Entry) -> Mark:
    """The mark of an entry as it was read."""
    return entry.status, entry.attempts, entry.duplicates


class TailReader:
    """Reads a journal forwards. Every method raises `Unreachable` when the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self) -> int:
        """The highest number that was given to an entry, or 0."""
        async with self._database.read() as connection:
            return (await connection.execute(sa.select(sa.func.max(entries.c.seq)))).scalar() or 0

    async def unsettled(self, up_to: int, limit: int) -> Mapping[int, Mark]:
        """The marks of the accepted entries up to that number, the newest `limit` of them."""
        e = entries.c
        query = (
            sa.select(e.seq, e.status, e.attempts, e.duplicates)
            .where(e.status == "accepted", e.seq <= up_to)
            .order_by(e.seq.desc())
            .limit(limit)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return {row.seq: (row.status, row.attempts, row.duplicates) for row in reversed(rows)}

    async def after(self, seq: int, limit: int) -> Sequence[Entry]:
        """The next entries after that number, oldest first."""
        e = entries.c
        query = sa.select(*statements.ENTRY).where(e.seq > seq).order_by(e.seq).limit(limit)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
            return await lookup.entries_of(connection, rows)

    async def changed(self, known: Mapping[int, Mark]) -> Sequence[Entry | int]:
        """Of entries with these marks, those that have others now; of one that is gone its number."""
        e = entries.c
        marks = sa.select(e.seq, e.status, e.attempts, e.duplicates).where(e.seq.in_(known))
        async with self._database.read() as connection:
            now = {row[0]: tuple(row[1:]) for row in (await connection.execute(marks)).all()}
            moved = [seq for seq, mark in now.items() if mark != known[seq]]
            gone = [seq for seq in known if seq not in now]
            if not moved:
                return gone
            query = sa.select(*statements.ENTRY).where(e.seq.in_(moved)).order_by(e.seq)
            rows = (await connection.execute(query)).all()
            return [*gone, *await lookup.entries_of(connection, rows)]
