"""How events are written: many callers' in one statement, duplicates recognised."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from hub.routing.journal import statements
from hub.routing.journal.backlog import Backlog
from hub.routing.journal.database import Database
from hub.routing.journal.entry import Entry, Stored
from hub.routing.journal.file import Execution, FileConnection, write_entries
from hub.routing.journal.handoff import Handoff
from hub.routing.journal.writer import Kind
from hub.trigger import Receipt

__all__ = ["Append", "Appended", "Appends"]


class Append(msgspec.Struct, frozen=True):
    """One caller's events of one trigger. `dead` is why they go to the dead letters, if they do."""

    trigger: str
    events: list[Stored]
    dead: str | None = None


class Appended(msgspec.Struct, frozen=True):
    """What became of one `Append`; `handed` are its new entries for this process's dispatcher."""

    receipts: list[Receipt]
    new: int
    handed: list[tuple[Entry, int]]


class Appends(Kind[Append, Appended]):
    """Writes new events as accepted, and counts the further copies of those that are there."""

    order = 0
    bounded = True

    def __init__(
        self, database: Database, upserts: statements.Upserts, handoff: Handoff, backlog: Backlog
    ) -> None:
        self._database = database
        self._handoff = handoff
        self._backlog = backlog
        self._owner: str | None = None
        self._insert = upserts.entries

    async def run(self, connection: Execution, items: Sequence[Append]) -> Sequence[Appended]:
        now = await self._database.begin_append(connection)
        rows: dict[tuple[bytes, str], dict[str, Any]] = {}
        copies: dict[tuple[bytes, str], int] = {}
        size = 0
        for item in items:
            for one in item.events:
                identity = (one.digest, item.trigger)
                if identity in rows:
                    copies[identity] = copies.get(identity, 0) + 1
                    continue
                size += len(one.body)
                rows[identity] = {
                    "trigger": item.trigger,
                    "id_digest": one.digest,
                    "type": one.event.type,
                    "body": one.body,
                    "received_at": now,
                    "status": "accepted" if item.dead is None else "dead",
                    "error": item.dead,
                    "attempts": 0,
                    "duplicates": 0,
                }
        owner = self._owner = self._handoff.claim(len(rows), size)
        for row in rows.values():
            row["owner"] = owner if row["status"] == "accepted" else None
        new = await self._write(connection, list(rows.values()))
        for identity in rows.keys() - new.keys():
            copies[identity] = copies.get(identity, 0) + 1
        if copies:
            await connection.execute(
                statements.COUNT_DUPLICATE,
                [
                    {"of_digest": key[0], "of_trigger": key[1], "copies": n, "came_at": now}
                    for key, n in sorted(copies.items())
                ],
            )
        return [self._receive(item, new, now, owner) for item in items]

    async def _write(
        self, connection: Execution, rows: list[dict[str, Any]]
    ) -> dict[tuple[bytes, str], int]:
        """Write the rows; the numbers of those that were not there, by their identity."""
        if isinstance(connection, FileConnection):
            written = await connection.visit(partial(write_entries, rows=rows))
            return {(digest, trigger): seq for seq, digest, trigger in written}
        result = await connection.execute(self._insert, rows)
        return {(bytes(row.id_digest), row.trigger): row.seq for row in result}

    @staticmethod
    def _receive(
        item: Append, new: dict[tuple[bytes, str], int], now: datetime, owner: str | None
    ) -> Appended:
        receipts: list[Receipt] = []
        handed: list[tuple[Entry, int]] = []
        count = 0
        for one in item.events:
            # The first copy in a transaction is the new one, and all further ones are duplicates.
            seq = new.pop((one.digest, item.trigger), None)
            receipts.append(Receipt(id=one.event.id, duplicate=seq is None))
            if seq is None or item.dead is not None:
                continue
            count += 1
            if owner is not None:
                entry = Entry(
                    seq=seq,
                    id=one.event.id,
                    trigger=item.trigger,
                    event=one.event,
                    received_at=now,
                    status="accepted",
                )
                handed.append((entry, len(one.body)))
        return Appended(receipts, count, handed)

    def committed(self, results: Sequence[Appended]) -> None:
        new = sum(result.new for result in results)
        if not new:
            return
        self._backlog.grow(new)
        if self._owner is None or self._owner != self._handoff.owner:
            self._backlog.ring()
            return
        handed = [pair for result in results for pair in result.handed]
        handed.sort(key=lambda pair: pair[0].seq)
        self._handoff.put(handed)
        self._backlog.event.set()
