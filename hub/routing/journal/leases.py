"""How entries are leased to the process that is to dispatch them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import sqlalchemy as sa

from hub.routing.journal import lookup, statements
from hub.routing.journal.database import Database
from hub.routing.journal.entry import DeliveryRecord, Entry
from hub.routing.journal.file import Execution
from hub.routing.journal.handoff import Handoff
from hub.routing.journal.tables import owners
from hub.routing.journal.writer import Kind

__all__ = ["Claim", "Leases"]

Pairs = list[tuple[Entry, int]]


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """An owner asks for entries (`limit` may be 0: it only renews), or gives all back.

    `asked_at` is by the loop's clock: an owner's own idea of its lease must end first.
    """

    owner: str
    asked_at: float
    lease: timedelta = timedelta()
    after_seq: int = 0
    limit: int = 0
    release: bool = False

    @classmethod
    def now(cls, owner: str, lease: timedelta, after_seq: int = 0, limit: int = 0) -> Claim:
        asked_at = asyncio.get_running_loop().time()
        return cls(owner=owner, asked_at=asked_at, lease=lease, after_seq=after_seq, limit=limit)


class Leases(Kind[Claim, Pairs]):
    """Leases entries to owners. A row per owner says until when it lives, so renewing is cheap."""

    order = 3

    def __init__(self, database: Database, upserts: statements.Upserts, handoff: Handoff) -> None:
        self._database = database
        self._upsert = upserts.owner
        self._handoff = handoff
        self._batch: list[tuple[Claim, Pairs, bool]] = []

    async def run(self, connection: Execution, items: Sequence[Claim]) -> Sequence[Pairs]:
        self._batch = []
        known = self._handoff.owner
        for claim in items:
            if claim.release:
                await self._release(connection, claim.owner)
                pairs: Pairs = []
                is_all = False
            else:
                if known is None and claim.limit:
                    # What a process of this name held in an earlier life.
                    await connection.execute(statements.RELEASE, {"of_owner": claim.owner})
                    known = claim.owner
                pairs, is_all = await self._lease(connection, claim)
            self._batch.append((claim, pairs, is_all))
        return [pairs for _, pairs, _ in self._batch]

    def committed(self, results: Sequence[Pairs]) -> None:
        handoff = self._handoff
        for claim, pairs, is_all in self._batch:
            if claim.release:
                if handoff.owner == claim.owner:
                    handoff.leave()
                continue
            if handoff.owner is None and not claim.limit:
                continue
            if handoff.owner not in (None, claim.owner):
                continue
            handoff.renewed(claim.owner, claim.asked_at + claim.lease.total_seconds())
            # Kept there rather than given to the caller, who may have been cancelled meanwhile.
            handoff.put(pairs)
            if is_all:
                handoff.caught_up()

    async def _release(self, connection: Execution, owner: str) -> None:
        await connection.execute(statements.RELEASE, {"of_owner": owner})
        await connection.execute(sa.delete(owners).where(owners.c.name == owner))

    async def _lease(self, connection: Execution, claim: Claim) -> tuple[Pairs, bool]:
        """The entries that are the owner's now, and whether nothing else is free."""
        now = await self._database.now(connection)
        until = now + claim.lease
        await connection.execute(self._upsert, {"name": claim.owner, "until": until})
        if not claim.limit:
            return [], False
        question = {"now": now, "after_seq": claim.after_seq, "most": claim.limit}
        while rows := (await connection.execute(statements.FREE, question)).all():
            lease = {"seqs": [row.seq for row in rows], "now": now, "to_owner": claim.owner}
            leased = set((await connection.execute(statements.LEASE, lease)).scalars())
            if leased:
                break
        else:
            return [], True
        is_all = len(rows) < claim.limit
        rows = [row for row in rows if row.seq in leased]
        tried = await lookup.deliveries_of(connection, [row.seq for row in rows if row.attempts])
        pairs = [(_leased(row, tried.get(row.seq, [])), len(row.body)) for row in rows]
        return pairs, is_all


def _leased(row: Any, tried: list[DeliveryRecord]) -> Entry:
    entry = lookup.entry(row, tried)
    return (
        entry if row.owner is None else msgspec.structs.replace(entry, attempts=entry.attempts + 1)
    )
