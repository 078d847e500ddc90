"""How entries are found and read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from hub.routing.journal import cursors, statements
from hub.routing.journal.entry import DeliveryRecord, Entry, Status, load
from hub.routing.journal.file import Execution
from hub.routing.journal.tables import deliveries, entries

__all__ = ["cursor", "deliveries_of", "entries_of", "entry", "page_query"]

_CURSOR = b"s"


def page_query(
    *,
    trigger: str | None,
    type: str | None,  # noqa: A002
    key: str | None,
    status: Status | None,
    since: datetime | None,
    until: datetime | None,
    cursor: str | None,
) -> sa.Select[Any]:
    """Entries, newest first. Raises `BadRequest` for a text that is no cursor."""
    e = entries.c
    query = sa.select(*statements.ENTRY).order_by(e.seq.desc())
    if trigger is not None:
        query = query.where(e.trigger == trigger)
    if type is not None:
        query = query.where(statements.same(e.type, type))
    if key is not None:
        of_key = sa.select(deliveries.c.seq).where(statements.same(deliveries.c.key, key))
        query = query.where(e.seq.in_(of_key))
    if status == "duplicate":
        query = query.where((e.status == status) | (e.duplicates > 0))
    elif status is not None:
        query = query.where(e.status == status)
    if since is not None:
        query = query.where(e.received_at >= since, e.seq >= statements.first_since(since))
    if until is not None:
        query = query.where(e.received_at < until, e.seq <= statements.last_before(until))
    if cursor is not None:
        query = query.where(e.seq < cursors.read(_CURSOR, cursor))
    return query


async def entries_of(connection: Execution, rows: Sequence[Any]) -> list[Entry]:
    """The entries that rows of `statements.ENTRY` stand for, with their deliveries."""
    records = await deliveries_of(connection, [row.seq for row in rows])
    return [entry(row, records.get(row.seq, [])) for row in rows]


def entry(row: Any, records: list[DeliveryRecord]) -> Entry:
    event = load(row.body)
    return Entry(
        seq=row.seq,
        id=event.id,
        trigger=row.trigger,
        event=event,
        received_at=row.received_at,
        status=row.status,
        attempts=row.attempts,
        error=row.error,
        next_attempt_at=row.next_attempt_at,
        duplicates=row.duplicates,
        last_duplicate_at=row.last_duplicate_at,
        deliveries=records,
    )


async def deliveries_of(
    connection: Execution, seqs: Sequence[int]
) -> dict[int, list[DeliveryRecord]]:
    records: dict[int, list[DeliveryRecord]] = {}
    if not seqs:
        return records
    for row in await connection.execute(statements.DELIVERIES, {"seqs": list(seqs)}):
        record = DeliveryRecord(
            tree=row.tree,
            subscription=row.subscription,
            key=row.key,
            run_id=row.run_id,
            outcome=row.outcome,
            reason=row.reason,
            at=row.at,
        )
        records.setdefault(row.seq, []).append(record)
    return records


def cursor(seq: int) -> str:
    """The cursor of the part of a list that follows this entry."""
    return cursors.make(_CURSOR, seq)
