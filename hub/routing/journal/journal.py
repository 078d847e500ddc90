"""The journal: the inbox and log of every event that came in, with what became of it."""

from __future__ import annotations

import asyncio
import base64
import binascii
import heapq
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import BadRequest, HubError, NotFound
from hub.event import Event
from hub.routing.journal import statements
from hub.routing.journal.database import Database
from hub.routing.journal.entry import (
    Definition,
    DeliveryRecord,
    Entry,
    Page,
    Status,
    Stored,
    digest,
    load,
    store,
)
from hub.routing.journal.handoff import Handoff
from hub.routing.journal.tables import definitions, deliveries, entries, owners
from hub.routing.journal.writer import Kind, Limits, Writer
from hub.trigger import Receipt

__all__ = ["Journal"]

_POLL_SECONDS = 1.0
_PRUNE_ROWS = 500
_PRUNE_PAGES = 256
_log = structlog.get_logger(__name__)


class _Append(msgspec.Struct, frozen=True):
    trigger: str
    events: list[Stored]


class _Appended(msgspec.Struct, frozen=True):
    receipts: list[Receipt]
    new: int
    handed: list[tuple[Entry, int]]


class _Claim(msgspec.Struct, frozen=True):
    owner: str
    lease: timedelta
    after_seq: int
    limit: int
    anew: bool
    handoff: bool


class _Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A change of one entry's status. `only_accepted`: it never undoes what another settled."""

    seq: int
    status: Status
    attempts: int | None = None
    error: str | None = None
    next_attempt_at: datetime | None = None
    deliveries: Sequence[DeliveryRecord] = ()
    only_accepted: bool = False


class Journal:
    """Every event that came in, durable before its sender gets an answer.

    One instance serves one process. Several processes may share one PostgreSQL; one SQLite file
    is best kept to one writing process, though several are safe.

    `appended` is how a dispatcher waits for work without asking again and again:

        while True:
            journal.appended.clear()
            if entries := await journal.pending(0, 100, owner=me, lease=lease):
                ...
            else:
                await journal.appended.wait()

    It is set at once for events that this process appended and retries that come due, and within
    a second for what other processes appended or left behind when they died.
    """

    def __init__(self, database: Database, retention: timedelta, limits: Limits) -> None:
        self.appended = asyncio.Event()
        self.backlog = 0
        """How many entries wait to be settled; exact to the last second."""
        self.retention = retention
        self._database = database
        self._upserts = statements.Upserts(database.is_sqlite)
        self._handoff = Handoff()
        self._due: list[float] = []
        self._timer: asyncio.TimerHandle | None = None
        self._append_kind = Kind(0, self._append, self._have_appended, bounded=True)
        self._mark_kind = Kind(1, self._mark, self._have_marked)
        self._update_kind = Kind(2, self._update_deliveries)
        self._claim_kind = Kind(3, self._claim, self._have_claimed)
        self._other_kind = Kind(4, _run_statements)
        self._prune_kind = Kind(5, self._prune)
        self._writer = Writer(database, limits)
        self._watcher = asyncio.create_task(self._watch(), name="journal watcher")

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        retention: timedelta = timedelta(days=30),
        limits: Limits | None = None,
        busy_timeout: timedelta = timedelta(seconds=5),
    ) -> Journal:
        """Open a path, `sqlite+aiosqlite:///path` or `postgresql://...`, and migrate it if needed.

        `retention` is how long a settled entry is kept, and so how long a duplicate of it is
        recognised. `busy_timeout` is how long to wait while another program writes to the file.
        Raises `Unreachable`.
        """
        database = Database(url, busy_timeout=busy_timeout)
        await database.open()
        journal = cls(database, retention, limits or Limits())
        try:
            await journal._look()
        except BaseException:
            await journal.close()
            raise
        return journal

    async def close(self) -> None:
        """Write what waits and let go of the database."""
        self._watcher.cancel()
        await asyncio.gather(self._watcher, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
        try:
            await self._writer.close()
        finally:
            await self._database.close()

    @property
    def transactions(self) -> int:
        """How many transactions this process has committed."""
        return self._writer.transactions

    # --- in ---

    async def append(self, trigger: str, events: Sequence[Event]) -> Sequence[Receipt]:
        """Write the events, all or none; durable when it returns.

        The receipts are in the order of the events. Raises `Busy` when the queue or the disk is
        full or the database is away, and `InvalidEvent` for data that is no JSON.
        """
        if not events:
            return []
        stored = [store(event) for event in events]
        size = sum(len(one.body) for one in stored)
        appended = await self._writer.submit(
            self._append_kind, _Append(trigger, stored), rows=len(stored), size=size
        )
        return appended.receipts

    async def _append(
        self, connection: AsyncConnection, items: Sequence[_Append]
    ) -> Sequence[_Appended]:
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
                    "status": "accepted",
                    "attempts": 0,
                    "duplicates": 0,
                }
        owner = self._handoff.claim(len(rows), size)
        for row in rows.values():
            row["owner"] = owner
        result = await connection.execute(self._upserts.entries, list(rows.values()))
        new = {(bytes(row.id_digest), row.trigger): row.seq for row in result}
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

    @staticmethod
    def _receive(
        item: _Append, new: dict[tuple[bytes, str], int], now: datetime, owner: str | None
    ) -> _Appended:
        receipts: list[Receipt] = []
        handed: list[tuple[Entry, int]] = []
        count = 0
        for one in item.events:
            # The first copy in a transaction is the new one, and all further ones are duplicates.
            seq = new.pop((one.digest, item.trigger), None)
            receipts.append(Receipt(id=one.event.id, duplicate=seq is None))
            if seq is None:
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
        return _Appended(receipts, count, handed)

    def _have_appended(self, results: Sequence[_Appended]) -> None:
        new = sum(result.new for result in results)
        if not new:
            return
        handed = [pair for result in results for pair in result.handed]
        handed.sort(key=lambda pair: pair[0].seq)
        if handed:
            self._handoff.put(handed)
        else:
            self._handoff.fall_behind()
        self.backlog += new
        self.appended.set()

    # --- on to the dispatcher ---

    async def pending(
        self, after_seq: int, limit: int, *, owner: str, lease: timedelta
    ) -> list[Entry]:
        """Lease the next accepted entries that no living owner holds, in the order of `seq`.

        An entry is handed out once to an owner; it comes again after `retry_later`, or to another
        owner when this one neither renewed nor released its lease in time. The owner's name is
        the process's alone: what it held in an earlier life is free again at its first call.
        """
        handoff = self._handoff
        if handoff.owner is not None and handoff.owner == owner and handoff.expired:
            handoff.leave()
        if handoff.owner not in (None, owner):
            claim = _Claim(owner, lease, after_seq, limit, anew=False, handoff=False)
            claimed = await self._writer.submit(self._claim_kind, claim, rows=limit)
            return [entry for entry, _ in claimed[1]]
        if not len(handoff) and handoff.behind:
            anew = handoff.owner is None
            claim = _Claim(owner, lease, after_seq, limit, anew=anew, handoff=True)
            await self._writer.submit(self._claim_kind, claim, rows=limit)
        return handoff.take(after_seq, limit)

    async def _claim(
        self, connection: AsyncConnection, items: Sequence[_Claim]
    ) -> Sequence[tuple[_Claim, list[tuple[Entry, int]]]]:
        results = []
        for item in items:
            now = await self._database.now(connection)
            until = now + item.lease
            await connection.execute(self._upserts.owner, {"name": item.owner, "until": until})
            if item.anew:
                await connection.execute(statements.RELEASE, {"of_owner": item.owner})
            parameters = {"now": now, "after_seq": item.after_seq, "most": item.limit}
            rows = (await connection.execute(statements.FREE, parameters)).all()
            if rows:
                seqs = [row.seq for row in rows]
                await connection.execute(statements.LEASE, {"seqs": seqs, "to_owner": item.owner})
            found = await _entries(connection, rows, with_deliveries=False)
            tried = [entry.seq for entry in found if entry.attempts]
            records = await _deliveries(connection, tried)
            pairs = [
                (_with_deliveries(entry, records.get(entry.seq, [])), len(row.body))
                for entry, row in zip(found, rows, strict=True)
            ]
            results.append((item, pairs))
        return results

    def _have_claimed(self, results: Sequence[tuple[_Claim, list[tuple[Entry, int]]]]) -> None:
        for claim, pairs in results:
            if not claim.handoff:
                continue
            # Kept here rather than given to the caller, who may have been cancelled meanwhile.
            self._handoff.renewed(claim.owner, claim.lease)
            self._handoff.put(pairs)
            if len(pairs) < claim.limit and claim.after_seq == 0:
                self._handoff.caught_up()

    async def renew(self, owner: str, lease: timedelta) -> None:
        """Hold all that the owner holds for that long from now on."""
        await self._writer.submit(self._other_kind, _Renew(self, owner, lease))
        if owner == self._handoff.owner and not self._handoff.expired:
            self._handoff.renewed(owner, lease)

    async def release(self, owner: str) -> None:
        """Let others have what the owner holds and has not settled."""
        if owner == self._handoff.owner:
            self._handoff.leave()
        await self._writer.submit(self._other_kind, _Release(owner))
        self.appended.set()

    # --- what became of it ---

    async def settle(self, seq: int, status: Status, deliveries: Sequence[DeliveryRecord]) -> None:
        """Mark an entry with what became of it. Raises `NotFound`."""
        await self.settle_many([(seq, status, deliveries)])

    async def settle_many(
        self, settled: Iterable[tuple[int, Status, Sequence[DeliveryRecord]]]
    ) -> None:
        """Mark several entries in one transaction. Saying the same again changes nothing."""
        marks = [
            _Mark(seq=seq, status=status, deliveries=records) for seq, status, records in settled
        ]
        await self._submit_marks(marks)

    async def retry_later(
        self,
        seq: int,
        attempts: int,
        error: str,
        next_attempt_at: datetime,
        deliveries: Sequence[DeliveryRecord] = (),
    ) -> None:
        """Give the entry back, to be pending again at that time; keep what was delivered of it."""
        mark = _Mark(
            seq=seq,
            status="accepted",
            attempts=attempts,
            error=error,
            next_attempt_at=next_attempt_at,
            deliveries=deliveries,
            only_accepted=True,
        )
        await self._submit_marks([mark])

    async def bury(
        self,
        seq: int,
        error: str,
        *,
        attempts: int | None = None,
        deliveries: Sequence[DeliveryRecord] = (),
    ) -> None:
        """Put the entry to the dead letters."""
        mark = _Mark(
            seq=seq,
            status="dead",
            attempts=attempts,
            error=error,
            deliveries=deliveries,
            only_accepted=True,
        )
        await self._submit_marks([mark])

    async def reopen(self, seq: int) -> None:
        """Make a settled or dead entry pending again, with its attempts counted from 0."""
        await self._submit_marks([_Mark(seq=seq, status="accepted", attempts=0)])

    async def _submit_marks(self, marks: list[_Mark]) -> None:
        if not marks:
            return
        rows = sum(1 + len(mark.deliveries) for mark in marks)
        try:
            await self._writer.submit(self._mark_kind, marks, rows=rows)
        except IntegrityError:
            raise NotFound("the journal has no such entry") from None

    async def _mark(
        self, connection: AsyncConnection, items: Sequence[list[_Mark]]
    ) -> Sequence[list[_Mark]]:
        marks = sorted((mark for item in items for mark in item), key=lambda mark: mark.seq)
        for statement, only_accepted in (
            (statements.MARK, False),
            (statements.MARK_ACCEPTED, True),
        ):
            rows = [
                {
                    "of_seq": mark.seq,
                    "to_status": mark.status,
                    "to_attempts": mark.attempts,
                    "to_error": mark.error,
                    "to_next": mark.next_attempt_at,
                }
                for mark in marks
                if mark.only_accepted is only_accepted
            ]
            if rows:
                await connection.execute(statement, rows)
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
        if records:
            await connection.execute(self._upserts.deliveries, records)
        return items

    def _have_marked(self, results: Sequence[list[_Mark]]) -> None:
        for mark in (mark for marks in results for mark in marks):
            if mark.status != "accepted":
                self.backlog = max(0, self.backlog - 1)
            elif mark.next_attempt_at is None:
                self.backlog += 1
                self._wake_up()
            else:
                self._wake_at(mark.next_attempt_at)

    async def update_delivery(self, seq: int, delivery: DeliveryRecord) -> None:
        """Replace the outcome `delivered` of the same tree, subscription and run by the run's word.

        Does nothing where there is no such record, or where its outcome is known already.
        """
        await self._writer.submit(self._update_kind, (seq, delivery))

    async def _update_deliveries(
        self, connection: AsyncConnection, items: Sequence[tuple[int, DeliveryRecord]]
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

    # --- looking things up ---

    async def get(self, event_id: str, trigger: str | None = None) -> Entry:
        """The entry of an event; the newest of them when several triggers had one of that id.

        Raises `NotFound`.
        """
        query = sa.select(*statements.ENTRY).where(entries.c.id_digest == digest(event_id))
        if trigger is not None:
            query = query.where(entries.c.trigger == trigger)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(entries.c.seq.desc()).limit(1))).all()
            found = await _entries(connection, rows)
        if not found:
            where = f" of the trigger {trigger!r}" if trigger is not None else ""
            raise NotFound(f"the journal has no event {event_id!r}{where}")
        return found[0]

    async def list(
        self,
        *,
        trigger: str | None = None,
        type: str | None = None,  # noqa: A002
        key: str | None = None,
        status: Status | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """Entries, newest first, `limit` (1 to 1,000) at a time.

        `key` is a correlation key that a delivery of the event had. `since` is included, `until`
        is not. `status="duplicate"` also finds entries of any status that had further copies.
        A cursor goes on where its page ended, whatever came in meanwhile. Raises `BadRequest` for
        a text that is no cursor.
        """
        limit = min(max(limit, 1), 1000)
        e = entries.c
        query = sa.select(*statements.ENTRY).order_by(e.seq.desc()).limit(limit + 1)
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
            query = query.where(e.seq < _read_cursor(cursor))
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
            found = await _entries(connection, rows[:limit])
        return Page(items=found, next=_cursor(found[-1].seq) if len(rows) > limit else None)

    async def counts(self) -> dict[str, int]:
        """How many entries there are of each status; `duplicate` also counts further copies."""
        e = entries.c
        by_status = sa.select(e.status, sa.func.count()).group_by(e.status)
        copies = sa.select(sa.func.sum(e.duplicates)).where(e.duplicates > 0)
        counts = dict.fromkeys(("accepted", "delivered", "unmatched", "duplicate", "dead"), 0)
        async with self._database.read() as connection:
            for status, count in await connection.execute(by_status):
                counts[status] = count
            counts["duplicate"] += int((await connection.execute(copies)).scalar() or 0)
        return counts

    async def seen(self, trigger: str, ids: Collection[str]) -> set[str]:
        """Which of the event ids the journal already has from the trigger."""
        by_digest = {digest(one): one for one in ids}
        e = entries.c
        query = sa.select(e.id_digest).where(
            e.id_digest.in_(sa.bindparam("digests", expanding=True)), e.trigger == trigger
        )
        async with self._database.read() as connection:
            rows = await connection.execute(query, {"digests": list(by_digest)})
            return {by_digest[bytes(row[0])] for row in rows}

    # --- definitions ---

    async def keep_definition(self, content_hash: str, tree: str, document: bytes) -> None:
        """Keep a definition for as long as runs of it live. Keeping it again changes nothing."""
        await self._writer.submit(
            self._other_kind, _Keep(self, content_hash, tree, document), size=len(document)
        )

    async def definitions(self, tree: str | None = None) -> Sequence[Definition]:
        """The definitions that are kept, oldest first."""
        query = sa.select(definitions).order_by(definitions.c.kept_at, definitions.c.hash)
        if tree is not None:
            query = query.where(definitions.c.tree == tree)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [
            Definition(
                hash=row.hash, tree=row.tree, document=bytes(row.document), kept_at=row.kept_at
            )
            for row in rows
        ]

    async def drop_definition(self, content_hash: str) -> None:
        """Forget a definition that no run uses any more."""
        await self._writer.submit(self._other_kind, _Drop(content_hash))

    # --- housekeeping ---

    async def prune(self, now: datetime) -> int:
        """Delete what was settled and is older than the retention; returns how many entries.

        It goes in small transactions, between which events come in. What is not settled stays,
        however old it is.
        """
        pruned = 0
        while True:
            count = await self._writer.submit(self._prune_kind, now, rows=_PRUNE_ROWS)
            pruned += count
            if count < _PRUNE_ROWS:
                return pruned

    async def _prune(self, connection: AsyncConnection, items: Sequence[datetime]) -> Sequence[int]:
        counts = []
        for now in items:
            before = {"before": now - self.retention, "most": _PRUNE_ROWS}
            seqs = list((await connection.execute(statements.SETTLED_BEFORE, before)).scalars())
            for table in (deliveries, entries):
                await connection.execute(sa.delete(table).where(table.c.seq.in_(seqs)))
            await connection.execute(sa.delete(owners).where(owners.c.until < now - self.retention))
            if self._database.is_sqlite:
                # Gives pages back to the file system, a few at a time.
                await connection.exec_driver_sql(f"PRAGMA incremental_vacuum({_PRUNE_PAGES})")
            counts.append(len(seqs))
        return counts

    async def _watch(self) -> None:
        away = False
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            try:
                await self._look()
            except HubError as error:
                if not away:
                    _log.warning("the journal does not answer", error=error.message)
                away = True
            else:
                if away:
                    _log.info("the journal answers again")
                away = False

    async def _look(self) -> None:
        """Count the backlog, and wake the dispatcher for what nobody holds."""
        async with self._database.read() as connection:
            self.backlog = (await connection.execute(statements.BACKLOG)).scalar_one()
            if self.backlog:
                now = await self._database.now(connection)
                if (await connection.execute(statements.IS_ANY_FREE, {"now": now})).scalar_one():
                    self._wake_up()

    def _wake_up(self) -> None:
        self._handoff.fall_behind()
        self.appended.set()

    def _wake_at(self, time: datetime) -> None:
        loop = asyncio.get_running_loop()
        delay = (time - datetime.now(time.tzinfo)).total_seconds()
        if delay <= 0:
            self._wake_up()
            return
        heapq.heappush(self._due, loop.time() + delay)
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if self._due:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._due[0], self._come_due)

    def _come_due(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._due and self._due[0] <= now:
            heapq.heappop(self._due)
        self._wake_up()
        self._set_timer()


class _Renew(msgspec.Struct, frozen=True):
    journal: Any
    owner: str
    lease: timedelta

    async def run(self, connection: AsyncConnection) -> None:
        now = await self.journal._database.now(connection)
        row = {"name": self.owner, "until": now + self.lease}
        await connection.execute(self.journal._upserts.owner, row)


class _Release(msgspec.Struct, frozen=True):
    owner: str

    async def run(self, connection: AsyncConnection) -> None:
        await connection.execute(statements.RELEASE, {"of_owner": self.owner})
        await connection.execute(sa.delete(owners).where(owners.c.name == self.owner))


class _Keep(msgspec.Struct, frozen=True):
    journal: Any
    hash: str
    tree: str
    document: bytes

    async def run(self, connection: AsyncConnection) -> None:
        now = await self.journal._database.now(connection)
        row = {"hash": self.hash, "tree": self.tree, "document": self.document, "kept_at": now}
        await connection.execute(self.journal._upserts.definition, row)


class _Drop(msgspec.Struct, frozen=True):
    hash: str

    async def run(self, connection: AsyncConnection) -> None:
        await connection.execute(sa.delete(definitions).where(definitions.c.hash == self.hash))


async def _run_statements(connection: AsyncConnection, items: Sequence[Any]) -> Sequence[None]:
    for item in items:
        await item.run(connection)
    return [None] * len(items)


async def _entries(
    connection: AsyncConnection, rows: Sequence[Any], *, with_deliveries: bool = True
) -> list[Entry]:
    records = await _deliveries(connection, [row.seq for row in rows]) if with_deliveries else {}
    found = []
    for row in rows:
        event = load(row.body)
        found.append(
            Entry(
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
                deliveries=records.get(row.seq, []),
            )
        )
    return found


async def _deliveries(
    connection: AsyncConnection, seqs: Sequence[int]
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


def _with_deliveries(entry: Entry, records: list[DeliveryRecord]) -> Entry:
    return msgspec.structs.replace(entry, deliveries=records) if records else entry


def _cursor(seq: int) -> str:
    return base64.urlsafe_b64encode(b"s%d" % seq).decode().rstrip("=")


def _read_cursor(text: str) -> int:
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if not plain.startswith(b"s"):
            raise ValueError(text)
        return int(plain[1:])
    except (ValueError, binascii.Error):
        raise BadRequest("this is no cursor of this list; start again without one") from None
