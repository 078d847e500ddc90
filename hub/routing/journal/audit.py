"""The audit log in the journal's database."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
import structlog

from hub.audit import Actor, AuditOutcome, AuditPage, AuditRecord, Change
from hub.errors import HubError
from hub.routing.journal import cursors, statements
from hub.routing.journal.database import Database
from hub.routing.journal.file import Execution
from hub.routing.journal.tables import audit
from hub.routing.journal.writer import Writer
from hub.secrets import redact, redact_value

__all__ = ["AuditLog"]

_MAX_VALUE = 64 * 1024
_MAX_TEXT = 2000
_CURSOR = b"a"
_PRUNE_ROWS = 500
_log = structlog.get_logger(__name__)


class AuditLog:
    """`hub.audit.Audit`, by the journal's own writer; entries are kept for `retention`."""

    def __init__(self, database: Database, writer: Writer, retention: timedelta) -> None:
        self._database = database
        self._writer = writer
        self.retention = retention

    @asynccontextmanager
    async def change(
        self,
        actor: Actor,
        action: str,
        object: str,  # noqa: A002
        *,
        before: Any = None,
        after: Any = None,
    ) -> AsyncIterator[Change]:
        change = Change()
        change.before, change.after = before, after
        seq = await self._insert(actor, action, object, "begun", None, change)
        try:
            yield change
        except HubError as error:
            outcome: AuditOutcome = "refused" if error.status < 500 else "failed"
            await self._end(seq, outcome, error.message, change)
            raise
        except Exception as error:
            await self._end(seq, "failed", type(error).__name__, change)
            raise
        await self._end(seq, "done", None, change)

    async def note(
        self,
        actor: Actor,
        action: str,
        object: str,  # noqa: A002
        *,
        outcome: AuditOutcome = "done",
        reason: str | None = None,
        before: Any = None,
        after: Any = None,
    ) -> None:
        change = Change()
        change.before, change.after = before, after
        await self._insert(actor, action, object, outcome, reason, change)

    async def list(
        self,
        *,
        who: str | None = None,
        action: str | None = None,
        object: str | None = None,  # noqa: A002
        outcome: AuditOutcome | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> AuditPage:
        limit = min(max(limit, 1), 1000)
        a = audit.c
        query = sa.select(audit).order_by(a.seq.desc()).limit(limit + 1)
        if who is not None:
            query = query.where(statements.same(a.who, who))
        if object is not None:
            query = query.where(statements.same(a.object, object))
        if action is not None and "." in action:
            query = query.where(a.action == action)
        elif action is not None:
            query = query.where(a.action.startswith(f"{action}.", autoescape=True))
        if outcome is not None:
            query = query.where(a.outcome == outcome)
        if since is not None:
            query = query.where(a.at >= since)
        if until is not None:
            query = query.where(a.at < until)
        if cursor is not None:
            query = query.where(a.seq < cursors.read(_CURSOR, cursor))
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        items = [_record(row) for row in rows[:limit]]
        more = len(rows) > limit
        return AuditPage(items=items, next=cursors.make(_CURSOR, items[-1].id) if more else None)

    async def prune(self, now: datetime) -> int:
        """Delete the entries that are older than the retention; returns how many."""
        before, pruned = now - self.retention, 0
        oldest = (
            sa.select(audit.c.seq).where(audit.c.at < before).order_by(audit.c.at, audit.c.seq)
        ).limit(_PRUNE_ROWS)

        async def delete(connection: Execution) -> int:
            seqs = list((await connection.execute(oldest)).scalars())
            await connection.execute(sa.delete(audit).where(audit.c.seq.in_(seqs)))
            return len(seqs)

        while count := await self._writer.submit(statements.CALLS, delete, rows=_PRUNE_ROWS):
            pruned += count
        return pruned

    async def _insert(
        self,
        actor: Actor,
        action: str,
        object: str,  # noqa: A002
        outcome: AuditOutcome,
        reason: str | None,
        change: Change,
    ) -> int:
        row = {
            "at": datetime.now(UTC),
            "who": actor.who[:_MAX_TEXT],
            "how": actor.how,
            "credential": actor.credential,
            "address": actor.address,
            "action": action,
            "object": redact(object)[:_MAX_TEXT],
            "outcome": outcome,
            "reason": _reason(reason),
            "before": _stored(change.before),
            "after": _stored(change.after),
        }
        insert = sa.insert(audit).values(**row).returning(audit.c.seq)

        async def write(connection: Execution) -> int:
            return int((await connection.execute(insert)).scalar_one())

        return await self._writer.submit(statements.CALLS, write)

    async def _end(
        self, seq: int, outcome: AuditOutcome, reason: str | None, change: Change
    ) -> None:
        update = (
            sa.update(audit)
            .where(audit.c.seq == seq)
            .values(
                outcome=outcome,
                reason=_reason(reason),
                before=_stored(change.before),
                after=_stored(change.after),
            )
        )

        async def write(connection: Execution) -> None:
            await connection.execute(update)

        try:
            await self._writer.submit(statements.CALLS, write)
        except HubError as error:
            # It is done, and stands there as begun: to fail now would say that it was not done.
            _log.warning("the end of a change was not written", seq=seq, error=error.message)


def _record(row: Any) -> AuditRecord:
    return AuditRecord(
        id=row.seq,
        at=row.at,
        who=row.who,
        how=row.how,
        credential=row.credential,
        address=row.address,
        action=row.action,
        object=row.object,
        outcome=row.outcome,
        reason=row.reason,
        before=None if row.before is None else msgspec.json.decode(row.before),
        after=None if row.after is None else msgspec.json.decode(row.after),
    )


def _reason(reason: str | None) -> str | None:
    return None if reason is None else redact(reason)[:_MAX_TEXT]


def _stored(value: Any) -> bytes | None:
    if value is None:
        return None
    written = msgspec.json.encode(redact_value(msgspec.to_builtins(value)))
    if len(written) <= _MAX_VALUE:
        return written
    digest = hashlib.sha256(written).hexdigest()
    return msgspec.json.encode({"bytes": len(written), "sha256": digest})
