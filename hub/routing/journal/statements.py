"""What the journal says to its database, built once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from hub.routing.journal.file import Execution
from hub.routing.journal.tables import definitions, deliveries, entries, owners, prefix
from hub.routing.journal.writer import Kind

__all__: list[str] = []

_e = entries.c
_d = deliveries.c

ENTRY = (
    _e.seq,
    _e.trigger,
    _e.body,
    _e.received_at,
    _e.status,
    _e.attempts,
    _e.error,
    _e.next_attempt_at,
    _e.duplicates,
    _e.last_duplicate_at,
)


class Upserts:
    """The inserts that meet rows which are there already; the two dialects import them apart."""

    def __init__(self, is_sqlite: bool) -> None:
        insert: Any = sqlite.insert if is_sqlite else postgresql.insert
        self.entries = (
            insert(entries)
            .on_conflict_do_nothing(index_elements=[_e.id_digest, _e.trigger])
            .returning(_e.seq, _e.id_digest, _e.trigger)
        )
        self.deliveries = insert(deliveries).on_conflict_do_nothing()
        owner = insert(owners)
        self.owner = owner.on_conflict_do_update(
            index_elements=[owners.c.name], set_={"until": owner.excluded.until}
        )
        kept = insert(definitions)
        # Keeping it again shows that it is still in use.
        self.definition = kept.on_conflict_do_update(
            index_elements=[definitions.c.hash], set_={"kept_at": kept.excluded.kept_at}
        )


class Calls(Kind[Callable[[Execution], Awaitable[Any]], Any]):
    """Writes that are rare: each is a function that says its statements itself."""

    order = 6

    async def run(
        self,
        connection: Execution,
        items: Sequence[Callable[[Execution], Awaitable[Any]]],
    ) -> Sequence[Any]:
        return [await item(connection) for item in items]


CALLS = Calls()

COUNT_DUPLICATE = (
    sa.update(entries)
    .where(_e.id_digest == sa.bindparam("of_digest"), _e.trigger == sa.bindparam("of_trigger"))
    .values(
        duplicates=_e.duplicates + sa.bindparam("copies"),
        last_duplicate_at=sa.bindparam("came_at", type_=_e.last_duplicate_at.type),
    )
)

_mark = sa.update(entries).values(
    status=sa.bindparam("to_status"),
    attempts=sa.func.coalesce(sa.bindparam("to_attempts", type_=sa.Integer), _e.attempts),
    error=sa.bindparam("to_error", type_=_e.error.type),
    next_attempt_at=sa.bindparam("to_next", type_=_e.next_attempt_at.type),
    owner=None,
)
MARK = _mark.where(_e.seq.in_(sa.bindparam("of_seqs", expanding=True)))
MARK_ACCEPTED = MARK.where(_e.status == "accepted")

UPDATE_DELIVERY = (
    sa.update(deliveries)
    .where(
        _d.seq == sa.bindparam("of_seq"),
        _d.tree == sa.bindparam("of_tree"),
        _d.subscription == sa.bindparam("of_subscription"),
        _d.run_id.is_not_distinct_from(sa.bindparam("of_run", type_=_d.run_id.type)),
        _d.outcome == "delivered",
    )
    .values(
        outcome=sa.bindparam("to_outcome"), reason=sa.bindparam("to_reason", type_=_d.reason.type)
    )
)

_now: sa.BindParameter[Any] = sa.bindparam("now", type_=owners.c.until.type)
_free = (
    (_e.status == "accepted")
    & (_e.next_attempt_at.is_(None) | (_e.next_attempt_at <= _now))
    & (_e.owner.is_(None) | _e.owner.not_in(sa.select(owners.c.name).where(owners.c.until > _now)))
)
FREE = (
    sa.select(*ENTRY, _e.owner)
    .where(_free, _e.seq > sa.bindparam("after_seq"))
    .order_by(_e.seq)
    .limit(sa.bindparam("most"))
    .with_for_update(skip_locked=True, of=entries)
)
IS_ANY_FREE = sa.select(sa.exists(sa.select(_e.seq).where(_free)))
# FREE may have looked at the owners before another's lease was committed, and then locked the row
# after it. This is a statement of its own, so that it sees what was committed by then.
LEASE = (
    sa.update(entries)
    .where(_e.seq.in_(sa.bindparam("seqs", expanding=True)), _free)
    .values(
        # Whoever had it has died, perhaps after it was delivered.
        attempts=sa.case((_e.owner.is_(None), _e.attempts), else_=_e.attempts + 1),
        owner=sa.bindparam("to_owner", type_=_e.owner.type),
    )
    .returning(_e.seq)
)
RELEASE = (
    sa.update(entries)
    .where(_e.status == "accepted", _e.owner == sa.bindparam("of_owner", type_=_e.owner.type))
    .values(attempts=_e.attempts + 1, owner=None)
)
OPEN_BEFORE = sa.select(_e.seq).where(_e.status == "accepted", _e.seq < sa.bindparam("before"))
NUMBERED = (
    sa.select(*ENTRY).where(_e.seq.in_(sa.bindparam("seqs", expanding=True))).order_by(_e.seq)
)
BACKLOG = sa.select(sa.func.count()).select_from(entries).where(_e.status == "accepted")

DELIVERIES = (
    sa.select(deliveries)
    .where(_d.seq.in_(sa.bindparam("seqs", expanding=True)))
    .order_by(_d.seq, _d.at, _d.n)
)

SETTLED_BEFORE = (
    sa.select(_e.seq)
    .where(
        _e.status != "accepted", _e.received_at < sa.bindparam("before", type_=_e.received_at.type)
    )
    .order_by(_e.received_at, _e.seq)
    .limit(sa.bindparam("most"))
)


def first_since(time: Any) -> Any:
    """The lowest number that was received at the time or after it."""
    return (
        sa.select(_e.seq)
        .where(_e.received_at >= time)
        .order_by(_e.received_at, _e.seq)
        .limit(1)
        .scalar_subquery()
    )


def last_before(time: Any) -> Any:
    """The highest number that was received before the time."""
    return (
        sa.select(_e.seq)
        .where(_e.received_at < time)
        .order_by(_e.received_at.desc(), _e.seq.desc())
        .limit(1)
        .scalar_subquery()
    )


def same(column: sa.ColumnElement[Any], value: str) -> sa.ColumnElement[bool]:
    """Equality of a text of any length, by the index over its prefix."""
    bound = sa.bindparam(None, value, type_=column.type)
    return (prefix(column) == prefix(bound)) & (column == bound)
