"""The journal's tables, the same in SQLite and PostgreSQL."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

__all__ = [
    "REVISION",
    "audit",
    "blobs",
    "definitions",
    "deliveries",
    "entries",
    "metadata",
    "owners",
    "people",
    "prefix",
    "sessions",
    "sign_ins",
    "tokens",
]

REVISION = "0004"
"""The newest migration; a database that says so needs none."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LEAD = "\ufdd0"
_UNSTORABLE = re.compile("[\0\ud800-\udfff\ufdd0]")
_ESCAPED = re.compile("\ufdd0([0-9a-f]{4})")


def to_microseconds(time: datetime) -> int:
    """Microseconds since 1970. Raises `TypeError` for a time without a zone."""
    return (time - _EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    return _EPOCH + timedelta(microseconds=value)


class Instant(sa.types.TypeDecorator[datetime]):
    """A moment, as microseconds since 1970: it compares and sorts alike in every database."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_microseconds(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_microseconds(value)


class AnyText(sa.types.TypeDecorator[str]):
    """Text with any characters in it: NUL and lone surrogates, which PostgreSQL does not take, are
    escaped behind the noncharacter U+FDD0 and come back as they were."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or (value.isascii() and "\0" not in value):
            return value
        return _UNSTORABLE.sub(lambda match: f"{_LEAD}{ord(match[0]):04x}", value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:
        if value is None or _LEAD not in value:
            return value
        return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), value)


def prefix(column: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """The part of a text that is indexed: PostgreSQL bounds the size of an index row."""
    return sa.func.substr(column, sa.literal_column("1"), sa.literal_column("256"))


_Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

metadata = sa.MetaData()

entries = sa.Table(
    "journal_entries",
    metadata,
    sa.Column("seq", _Serial, primary_key=True, autoincrement=True),
    sa.Column("trigger", AnyText, nullable=False),
    sa.Column("id_digest", sa.LargeBinary, nullable=False),
    sa.Column("type", AnyText, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("received_at", Instant, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("error", AnyText),
    sa.Column("next_attempt_at", Instant),
    sa.Column("owner", AnyText),
    sa.Column("duplicates", sa.Integer, nullable=False),
    sa.Column("last_duplicate_at", Instant),
    # A number that was given out is never given out again, also after the last row was pruned.
    sqlite_autoincrement=True,
)
sa.Index("journal_entries_identity", entries.c.id_digest, entries.c.trigger, unique=True)
sa.Index("journal_entries_by_trigger", entries.c.trigger, entries.c.seq)
sa.Index("journal_entries_by_type", prefix(entries.c.type), entries.c.seq)
sa.Index("journal_entries_by_status", entries.c.status, entries.c.seq)
sa.Index("journal_entries_by_time", entries.c.received_at, entries.c.seq)
sa.Index(
    "journal_entries_with_duplicates",
    entries.c.seq,
    entries.c.duplicates,
    sqlite_where=entries.c.duplicates > 0,
    postgresql_where=entries.c.duplicates > 0,
)

deliveries = sa.Table(
    "journal_deliveries",
    metadata,
    sa.Column(
        "seq",
        sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
        sa.ForeignKey("journal_entries.seq", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("at", Instant, primary_key=True),
    sa.Column("n", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("tree", AnyText, nullable=False),
    sa.Column("subscription", AnyText, nullable=False),
    sa.Column("key", AnyText),
    sa.Column("run_id", AnyText),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("reason", AnyText),
    sqlite_with_rowid=False,
)
sa.Index("journal_deliveries_by_key", prefix(deliveries.c.key), deliveries.c.seq)

owners = sa.Table(
    "journal_owners",
    metadata,
    sa.Column("name", AnyText, primary_key=True),
    sa.Column("until", Instant, nullable=False),
)

definitions = sa.Table(
    "journal_definitions",
    metadata,
    sa.Column("hash", AnyText, primary_key=True),
    sa.Column("tree", AnyText, nullable=False, index=True),
    sa.Column("document", sa.LargeBinary, nullable=False),
    sa.Column("kept_at", Instant, nullable=False),
)

audit = sa.Table(
    "audit_log",
    metadata,
    sa.Column("seq", _Serial, primary_key=True, autoincrement=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("who", AnyText, nullable=False),
    sa.Column("how", sa.Text, nullable=False),
    sa.Column("credential", AnyText),
    sa.Column("address", AnyText),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("object", AnyText, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("reason", AnyText),
    sa.Column("before", sa.LargeBinary),
    sa.Column("after", sa.LargeBinary),
    sqlite_autoincrement=True,
)
sa.Index("audit_log_by_who", prefix(audit.c.who), audit.c.seq)
sa.Index("audit_log_by_object", prefix(audit.c.object), audit.c.seq)
sa.Index("audit_log_by_action", audit.c.action, audit.c.seq)
sa.Index("audit_log_by_time", audit.c.at, audit.c.seq)

people = sa.Table(
    "access_people",
    metadata,
    sa.Column("name", AnyText, primary_key=True),
    sa.Column("source", AnyText, nullable=False),
    sa.Column("subject", AnyText),
    sa.Column("password", sa.Text),
    sa.Column("roles", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("signed_in_at", Instant),
)

tokens = sa.Table(
    "access_tokens",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("name", AnyText, nullable=False),
    sa.Column("owner", AnyText, index=True),
    sa.Column("roles", sa.Text, nullable=False),
    sa.Column("on_behalf", sa.Boolean, nullable=False),
    sa.Column("created_by", AnyText, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant),
    sa.Column("revoked_at", Instant),
    sa.Column("used_at", Instant),
)

sessions = sa.Table(
    "access_sessions",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("person", AnyText, nullable=False, index=True),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False, index=True),
    sa.Column("address", AnyText),
)

sign_ins = sa.Table(
    "access_sign_ins",
    metadata,
    sa.Column("state", sa.LargeBinary, primary_key=True),
    sa.Column("browser", sa.LargeBinary, nullable=False),
    sa.Column("nonce", sa.Text, nullable=False),
    sa.Column("verifier", sa.Text, nullable=False),
    sa.Column("next", AnyText, nullable=False),
    sa.Column("expires_at", Instant, nullable=False, index=True),
)

blobs = sa.Table(
    "journal_blobs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Column("used_at", Instant, nullable=False),
)
sa.Index("journal_blobs_by_use", blobs.c.used_at)
