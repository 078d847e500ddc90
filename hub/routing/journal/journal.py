"""The journal: the inbox and log of every event that came in, with what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import HubError, NotFound
from hub.event import Event
from hub.routing.journal import lookup, statements
from hub.routing.journal.appends import Append, Appends
from hub.routing.journal.audit import AuditLog
from hub.routing.journal.backlog import Backlog
from hub.routing.journal.blobs import JournalBlobs
from hub.routing.journal.database import Database
from hub.routing.journal.entry import (
    Definition,
    DeliveryRecord,
    Entry,
    Page,
    Status,
    digest,
    store,
)
from hub.routing.journal.handoff import Handoff
from hub.routing.journal.leases import Claim, Leases
from hub.routing.journal.marks import DeliveryUpdates, Mark, Marks
from hub.routing.journal.tables import definitions, entries
from hub.routing.journal.tail import TailReader
from hub.routing.journal.upkeep import DefinitionChange, Definitions, Pruning
from hub.routing.journal.writer import Limits, Writer
from hub.trigger import Receipt

__all__ = ["Journal"]

_Result = TypeVar("_Result")
_POLL_SECONDS = 1.0
_AT_ONCE = 500
_AUDIT_RETENTION = timedelta(days=400)
_log = structlog.get_logger(__name__)


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

    def __init__(
        self,
        database: Database,
        retention: timedelta,
        limits: Limits,
        audit_retention: timedelta = _AUDIT_RETENTION,
    ) -> None:
        self.appended = asyncio.Event()
        self.retention = retention
        self._database = database
        self._handoff = Handoff()
        self._backlog = Backlog(self.appended, self._handoff)
        upserts = statements.Upserts(database.is_sqlite)
        self._appends = Appends(database, upserts, self._handoff, self._backlog)
        self._marks = Marks(upserts, self._backlog)
        self._delivery_updates = DeliveryUpdates()
        self._leases = Leases(database, upserts, self._handoff)
        self._definitions = Definitions(database, upserts)
        self._pruning = Pruning(retention)
        self._writer = Writer(database, limits)
        self.audit = AuditLog(database, self._writer, audit_retention)
        self.blobs = None if database.is_sqlite else JournalBlobs(database)
        """Where large results are that all processes share; a file of one machine keeps none."""
        self._closing = asyncio.Event()
        self._watcher = asyncio.create_task(self._watch(), name="journal watcher")

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        retention: timedelta = timedelta(days=30),
        limits: Limits | None = None,
        busy_timeout: timedelta = timedelta(seconds=5),
        audit_retention: timedelta = _AUDIT_RETENTION,
    ) -> Journal:
        """Open a path, `sqlite+aiosqlite:///path` or `postgresql://...`, and migrate it if needed.

        `retention` is how long a settled entry is kept, and so how long a duplicate of it is
        recognised. `busy_timeout` is how long to wait while another program writes to the file.
        `audit_retention` is how long the audit log keeps an entry. Raises `Unreachable`.
        """
        database = Database(url, busy_timeout=busy_timeout)
        await database.open()
        journal = cls(database, retention, limits or Limits(), audit_retention)
        try:
            await journal._look()
        except BaseException:
            await journal.close()
            raise
        return journal

    async def close(self) -> None:
        """Write what waits and let go of the database."""
        # Not cancelled: a connection that is being made just then would never be closed.
        self._closing.set()
        await self._watcher
        self._backlog.close()
        try:
            await self._writer.close()
        finally:
            await self._database.close()

    @property
    def transactions(self) -> int:
        """How many transactions this process has committed."""
        return self._writer.transactions

    @property
    def backlog(self) -> int:
        """How many entries wait to be settled; what other processes do counts within a second."""
        return self._backlog.count

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
            self._appends, Append(trigger, stored), rows=len(stored), size=size
        )
        return appended.receipts

    async def append_dead(self, trigger: str, event: Event, error: str) -> Receipt:
        """Write an event to the dead letters at once; no dispatcher sees it. Raises `Busy`."""
        stored = store(event)
        append = Append(trigger, [stored], dead=error)
        appended = await self._writer.submit(self._appends, append, size=len(stored.body))
        return appended.receipts[0]

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
        if handoff.owner == owner and handoff.expired:
            handoff.leave()
        if handoff.owner not in (None, owner):
            claim = Claim.now(owner, lease, after_seq, limit)
            return [entry for entry, _ in await self._submit_claim(claim)]
        if not len(handoff) and handoff.behind:
            await self._submit_claim(Claim.now(owner, lease, after_seq, limit))
        return handoff.take(after_seq, limit)

    async def renew(self, owner: str, lease: timedelta) -> None:
        """Hold all that the owner holds for that long from now on."""
        await self._submit_claim(Claim.now(owner, lease))

    async def release(self, owner: str) -> None:
        """Let others have what the owner holds and has not settled."""
        await self._submit_claim(Claim(owner=owner, asked_at=0, release=True))
        self._backlog.ring()

    async def _submit_claim(self, claim: Claim) -> Sequence[tuple[Entry, int]]:
        return await self._writer.submit(self._leases, claim, rows=max(1, claim.limit))

    async def open_before(self, seq: int) -> list[int]:
        """The numbers of earlier entries that are not settled, whoever holds them."""
        async with self._database.read() as connection:
            found = await connection.execute(statements.OPEN_BEFORE, {"before": seq})
            return list(found.scalars())

    async def entries(self, seqs: Iterable[int]) -> list[Entry]:
        """These entries, without what became of them. Those that are gone are left out."""
        numbers = sorted(seqs)
        found: list[Entry] = []
        if not numbers:
            return found
        async with self._database.read() as connection:
            for first in range(0, len(numbers), _AT_ONCE):
                some = {"seqs": numbers[first : first + _AT_ONCE]}
                rows = await connection.execute(statements.NUMBERED, some)
                found += (lookup.entry(row, []) for row in rows)
        return found

    # --- what became of it ---

    async def settle(self, seq: int, status: Status, deliveries: Sequence[DeliveryRecord]) -> None:
        """Mark an entry with what became of it. Raises `NotFound`."""
        await self.settle_many([(seq, status, deliveries)])

    async def settle_many(
        self, settled: Iterable[tuple[int, Status, Sequence[DeliveryRecord]]]
    ) -> None:
        """Mark several entries in one transaction. Saying the same again changes nothing."""
        marks = [
            Mark(seq=seq, status=status, deliveries=records) for seq, status, records in settled
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
        mark = Mark(
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
        mark = Mark(
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
        await self._submit_marks([Mark(seq=seq, status="accepted", attempts=0)])

    async def _submit_marks(self, marks: list[Mark]) -> None:
        if not marks:
            return
        rows = sum(1 + len(mark.deliveries) for mark in marks)
        try:
            await self._writer.submit(self._marks, marks, rows=rows)
        except IntegrityError:
            raise NotFound("the journal has no such entry") from None

    async def update_delivery(self, seq: int, delivery: DeliveryRecord) -> None:
        """Replace the outcome `delivered` of the same tree, subscription and run by the run's word.

        Does nothing where there is no such record, or where its outcome is known already.
        """
        await self._writer.submit(self._delivery_updates, (seq, delivery))

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
            found = await lookup.entries_of(connection, rows)
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
        query = lookup.page_query(
            trigger=trigger,
            type=type,
            key=key,
            status=status,
            since=since,
            until=until,
            cursor=cursor,
        ).limit(limit + 1)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
            found = await lookup.entries_of(connection, rows[:limit])
        return Page(items=found, next=lookup.cursor(found[-1].seq) if len(rows) > limit else None)

    def tail(self) -> TailReader:
        """A reader of what comes in from now on."""
        return TailReader(self._database)

    async def check(self) -> None:
        """A health check. Raises `Unreachable` when the database does not answer."""
        async with self._database.read() as connection:
            await connection.execute(sa.select(sa.literal_column("1")))

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

    async def per_minute(self, since: datetime) -> dict[datetime, int]:
        """How many entries came in by minute, from that minute on; minutes without any are left out."""
        e = entries.c
        minute = sa.type_coerce(e.received_at, sa.BigInteger).op("/")(60_000_000)
        query = (
            sa.select(minute, sa.func.count())
            .where(e.received_at >= since, e.seq >= statements.first_since(since))
            .group_by(minute)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return {datetime.fromtimestamp(row[0] * 60, UTC): row[1] for row in rows}

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
        """Keep a definition for as long as runs of it live. Keeping it again renews `kept_at`."""
        change = DefinitionChange(hash=content_hash, tree=tree, document=document)
        await self._writer.submit(self._definitions, change, size=len(document))

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

    async def known_definitions(self) -> set[str]:
        """The hashes of the definitions that are kept."""
        async with self._database.read() as connection:
            return set(await connection.scalars(sa.select(definitions.c.hash)))

    async def drop_definition(self, content_hash: str) -> None:
        """Forget a definition that no run uses any more."""
        await self._writer.submit(self._definitions, DefinitionChange(hash=content_hash))

    # --- tables beside the journal's own ---

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection to read with. Raises `Unreachable` when the database is away."""
        return self._database.read()

    async def write(self, call: Callable[[Any], Awaitable[_Result]]) -> _Result:
        """Have the statements of the call in the next transaction; on disk when it returns.

        The call is given an `Execution`, whose `execute` is that of SQLAlchemy's `AsyncConnection`.
        The call may be made again for a transaction that failed. Raises `Busy` with nothing
        written, and what the call itself raises.
        """
        result: _Result = await self._writer.submit(statements.CALLS, call)
        return result

    # --- housekeeping ---

    async def prune(self, now: datetime) -> int:
        """Delete what was settled and is older than the retention; returns how many entries.

        The audit log is pruned along, by its own retention.

        It goes in small transactions, between which events come in. What is not settled stays,
        however old it is.
        """
        pruned = 0
        while True:
            count = await self._writer.submit(self._pruning, now, rows=Pruning.rows)
            pruned += count
            if count < Pruning.rows:
                break
        await self.audit.prune(now)
        if pruned:
            await self._database.shrink()
        return pruned

    async def _watch(self) -> None:
        away = False
        while not await _is_set_within(self._closing, _POLL_SECONDS):
            try:
                await self._look()
            except HubError as error:
                if not away:
                    _log.warning("the journal does not answer", error=error.message)
                away = True
            except Exception:
                _log.exception("the journal's backlog cannot be counted")
            else:
                if away:
                    _log.info("the journal answers again")
                away = False

    async def _look(self) -> None:
        """Count the backlog, and wake the dispatcher for what nobody holds."""
        async with self._database.read() as connection:
            self._backlog.count = (await connection.execute(statements.BACKLOG)).scalar_one()
            if self._backlog.count:
                now = await self._database.now(connection)
                if (await connection.execute(statements.IS_ANY_FREE, {"now": now})).scalar_one():
                    self._backlog.ring()


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
