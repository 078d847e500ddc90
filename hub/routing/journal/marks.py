"""How an entry is marked with what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial

import msgspec

from hub.routing.journal import statements
from hub.routing.journal.backlog import Backlog
from hub.routing.journal.entry import DeliveryRecord, Status
from hub.routing.journal.file import Execution, FileConnection, write_deliveries
from hub.routing.journal.writer import Kind

__all__ = ["DeliveryUpdates", "Mark", "Marks"]


_TOGETHER = 500


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A change of one entry's status. `only_accepted`: it never undoes what another settled."""

    seq: int
    status: Status
    attempts: int | None = None
    error: str | None = None
    next_attempt_at: datetime | None = None
    deliveries: Sequence[DeliveryRecord] = ()
    only_accepted: bool = False


class Marks(Kind[list[Mark], list[Mark]]):
    """Changes the status of entries and adds to their deliveries."""

    order = 1

    def __init__(self, upserts: statements.Upserts, backlog: Backlog) -> None:
        self._insert = upserts.deliveries
        self._backlog = backlog

    async def run(self, connection: Execution, items: Sequence[list[Mark]]) -> Sequence[list[Mark]]:
        marks = sorted((mark for item in items for mark in item), key=lambda mark: mark.seq)
        for alike in _alike(marks):
            mark = alike[0]
            change = {
                "of_seqs": [one.seq for one in alike],
                "to_status": mark.status,
                "to_attempts": mark.attempts,
                "to_error": mark.error,
                "to_next": mark.next_attempt_at,
            }
            statement = statements.MARK_ACCEPTED if mark.only_accepted else statements.MARK
            await connection.execute(statement, change)
        records = [
            {
                "seq": mark.seq,
                "at": record.at,
                "n": n,
                "tree": record.tree,
                "subscription": record.subscription,
                "key": record.key,
                "run_id": record.run_id,
                "outcome": record.outcome,
                "reason": record.reason,
            }
            for mark in marks
            for n, record in enumerate(mark.deliveries)
        ]
        if records and isinstance(connection, FileConnection):
            await connection.visit(partial(write_deliveries, rows=records))
        elif records:
            await connection.execute(self._insert, records)
        return items

    def committed(self, results: Sequence[list[Mark]]) -> None:
        for mark in (mark for marks in results for mark in marks):
            if mark.status != "accepted":
                self._backlog.grow(-1)
            elif mark.next_attempt_at is None:
                self._backlog.grow(1)
                self._backlog.ring()
            else:
                self._backlog.ring_at(mark.next_attempt_at)


def _alike(marks: Sequence[Mark]) -> Iterable[list[Mark]]:
    """The marks that say the same, together and not too many; those of one entry in their order."""
    groups: dict[tuple[bool, int, object], list[Mark]] = {}
    before: dict[tuple[bool, int], int] = {}
    for mark in marks:
        nth = before.get((mark.only_accepted, mark.seq), 0)
        before[mark.only_accepted, mark.seq] = nth + 1
        said = (mark.status, mark.attempts, mark.error, mark.next_attempt_at)
        groups.setdefault((mark.only_accepted, nth, said), []).append(mark)
    for _, group in sorted(groups.items(), key=lambda one: one[0][:2]):
        yield from (group[at : at + _TOGETHER] for at in range(0, len(group), _TOGETHER))


class DeliveryUpdates(Kind[tuple[int, DeliveryRecord], None]):
    """Replaces outcomes that were not known yet."""

    order = 2

    async def run(
        self, connection: Execution, items: Sequence[tuple[int, DeliveryRecord]]
    ) -> Sequence[None]:
        rows = [
            {
                "of_seq": seq,
                "of_tree": delivery.tree,
                "of_subscription": delivery.subscription,
                "of_run": delivery.run_id,
                "to_outcome": delivery.outcome,
                "to_reason": delivery.reason,
            }
            for seq, delivery in sorted(items, key=lambda item: item[0])
        ]
        await connection.execute(statements.UPDATE_DELIVERY, rows)
        return [None] * len(items)
