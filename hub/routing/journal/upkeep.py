"""What keeps the journal in order: definitions that runs still need, and old entries going."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa

from hub.routing.journal import statements
from hub.routing.journal.database import Database
from hub.routing.journal.file import Execution
from hub.routing.journal.tables import definitions, deliveries, entries, owners
from hub.routing.journal.writer import Kind

__all__ = ["DefinitionChange", "Definitions", "Pruning"]


class DefinitionChange(msgspec.Struct, frozen=True, kw_only=True):
    """A definition to keep, or one to drop when it has no document."""

    hash: str
    tree: str = ""
    document: bytes | None = None


class Definitions(Kind[DefinitionChange, None]):
    """Keeps and drops definitions."""

    order = 4

    def __init__(self, database: Database, upserts: statements.Upserts) -> None:
        self._database = database
        self._insert = upserts.definition

    async def run(self, connection: Execution, items: Sequence[DefinitionChange]) -> Sequence[None]:
        for change in items:
            if change.document is None:
                drop = sa.delete(definitions).where(definitions.c.hash == change.hash)
                await connection.execute(drop)
            else:
                row = msgspec.structs.asdict(change)
                row["kept_at"] = await self._database.now(connection)
                await connection.execute(self._insert, row)
        return [None] * len(items)


class Pruning(Kind[datetime, int]):
    """Deletes up to `rows` settled entries that are older than the retention."""

    order = 5
    rows = 500

    def __init__(self, retention: timedelta) -> None:
        self._retention = retention

    async def run(self, connection: Execution, items: Sequence[datetime]) -> Sequence[int]:
        counts = []
        for now in items:
            before = now - self._retention
            parameters = {"before": before, "most": self.rows}
            found = await connection.execute(statements.SETTLED_BEFORE, parameters)
            seqs = list(found.scalars())
            for table in (deliveries, entries):
                await connection.execute(sa.delete(table).where(table.c.seq.in_(seqs)))
            await connection.execute(sa.delete(owners).where(owners.c.until < before))
            counts.append(len(seqs))
        return counts
