"""The database under the journal: opening, migrating, and what its errors mean."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from hub.errors import Busy, HubError, Unreachable
from hub.routing.journal.file import Execution, FileConnection
from hub.routing.journal.tables import REVISION, from_microseconds
from hub.structs import learn_structs

__all__ = ["Connection", "Database"]

Connection = AsyncConnection | FileConnection

_MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATING = threading.Lock()
_MIGRATION_LOCK = 0x6875_625F_6A6D
_APPEND_LOCK = 0x6875_625F_6A61
_CLOCK = sa.select(
    sa.cast(sa.extract("epoch", sa.func.clock_timestamp()) * 1_000_000, sa.BigInteger)
)
_AWAY = frozenset({"08", "25", "28", "3D", "40", "53", "55", "57", "58", "XX"})
"""Classes of PostgreSQL's error codes that speak of the server or the moment."""
_VACUUM_PAGES = 500
_CONNECT_SECONDS = 5
_MIGRATION_SECONDS = 60
_COMMAND_SECONDS = 15


class Database:
    """One SQLite file or PostgreSQL database: a writing engine and a reading one."""

    def __init__(self, url: str, *, busy_timeout: timedelta = timedelta(seconds=5)) -> None:
        self.url = _parse(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._busy_timeout = busy_timeout
        if self.is_sqlite:
            self._file = self._file_engine(busy_timeout)
            self.reader = self._sqlite(writes=False, timeout=busy_timeout)
        else:
            self.reader = create_async_engine(
                self.url,
                pool_size=5,
                max_overflow=5,
                pool_timeout=_CONNECT_SECONDS,
                connect_args={"timeout": _CONNECT_SECONDS, "command_timeout": _COMMAND_SECONDS},
            )

    @property
    def name(self) -> str:
        """The database in words that may be shown: without its password."""
        return self.url.render_as_string(hide_password=True)

    async def open(self) -> None:
        """Create and migrate what is not there yet. Raises `Unreachable`."""
        learn_structs()
        try:
            if self.is_sqlite and self.url.database:
                Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
            if not (self._exists() and await self._is_current()):
                await asyncio.to_thread(self._migrate)
        except Exception as error:
            await self.close()
            if isinstance(error, HubError) or not is_trouble(error):
                raise
            raise Unreachable(
                f"the journal {self.name} cannot be opened: {_reason(error)}"
            ) from error

    async def close(self) -> None:
        await self.reader.dispose()

    async def connect(self) -> Connection:
        """A connection to write with. What it executes is a transaction until it is committed."""
        if self.is_sqlite:
            return await FileConnection.open(self._file)
        return await self.reader.connect()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection to read with. Raises `Unreachable` when the database is away."""
        try:
            async with self.reader.connect() as connection:
                yield connection
        except Exception as error:
            if isinstance(error, HubError) or not is_trouble(error):
                raise
            raise Unreachable(f"the journal cannot be read: {_reason(error)}") from error

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """A connection that reads all as it is at one moment. Raises `Unreachable`."""
        async with self._long(writes=False) as connection:
            if self.is_sqlite:
                await connection.exec_driver_sql("BEGIN")
            else:
                await connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[AsyncConnection]:
        """A connection that writes in one transaction, however long. Raises `Unreachable`."""
        async with self._long(writes=True) as connection, connection.begin():
            yield connection

    @asynccontextmanager
    async def _long(self, *, writes: bool) -> AsyncIterator[AsyncConnection]:
        if self.is_sqlite:
            engine = self._sqlite(writes=writes, timeout=timedelta(seconds=_MIGRATION_SECONDS))
        else:
            engine = create_async_engine(
                self.url, pool_size=1, connect_args={"timeout": _CONNECT_SECONDS}
            )
        try:
            async with engine.connect() as connection:
                yield connection
        except Exception as error:
            if isinstance(error, HubError) or not is_trouble(error):
                raise
            raise Unreachable(f"the journal {self.name} fails: {_reason(error)}") from error
        finally:
            await engine.dispose()

    async def begin_append(self, connection: Execution) -> datetime:
        """The time at which a transaction's events are received; it never runs before another's.

        PostgreSQL gives numbers out before it commits. Without the lock, a process could see a
        number while a lower one of another process is still to come.
        """
        if self.is_sqlite:
            return datetime.now(UTC)
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_APPEND_LOCK)))
        return await self.now(connection)

    async def now(self, connection: Execution) -> datetime:
        """The time by the one clock that all processes on this database share."""
        if self.is_sqlite:
            return datetime.now(UTC)
        return from_microseconds((await connection.execute(_CLOCK)).scalar_one())

    async def shrink(self) -> None:
        """Give a SQLite file's free pages back, but for a quarter that new events will fill."""
        if not self.is_sqlite:
            return
        path, timeout = self.url.database or "", self._busy_timeout.total_seconds()
        while await asyncio.to_thread(_vacuum_a_little, path, timeout):
            pass

    def _sqlite(
        self, *, writes: bool, timeout: timedelta, begin: str = "BEGIN IMMEDIATE"
    ) -> AsyncEngine:
        engine = create_async_engine(
            self.url,
            pool_size=1 if writes else 4,
            max_overflow=0,
            # The driver opens no transactions of its own: each is one that is written here.
            connect_args={"isolation_level": None, "timeout": timeout.total_seconds()},
        )
        _prepare(engine.sync_engine, begin if writes else None)
        return engine

    def _file_engine(self, timeout: timedelta) -> sa.Engine:
        engine = sa.create_engine(
            self.url.set(drivername="sqlite"),
            poolclass=sa.NullPool,
            connect_args={
                "isolation_level": None,
                "timeout": timeout.total_seconds(),
                "check_same_thread": False,
            },
        )
        _prepare(engine, "BEGIN IMMEDIATE")
        return engine

    def _exists(self) -> bool:
        return not self.is_sqlite or Path(self.url.database or "").exists()

    async def version(self) -> str | None:
        """The migration that the database is at; None before the first. Raises `Unreachable`."""
        if not self._exists():
            return None
        async with self.read() as connection:
            return await _version_of(connection)

    async def _is_current(self) -> bool:
        async with self.reader.connect() as connection:
            # Migrations only add, so the processes of before go on while newer ones take over.
            return (await _version_of(connection) or "") >= REVISION

    def _migrate(self) -> None:
        """Run in a thread: Alembic keeps its state in module globals and does not know asyncio."""
        with _MIGRATING:
            if self.is_sqlite:
                _prepare_file(self.url.database or "")
            asyncio.run(self._upgrade())

    async def _upgrade(self) -> None:
        if self.is_sqlite:
            engine = self._sqlite(
                writes=True,
                timeout=timedelta(seconds=_MIGRATION_SECONDS),
                begin="BEGIN EXCLUSIVE",
            )
        else:
            engine = create_async_engine(
                self.url, pool_size=1, connect_args={"timeout": _CONNECT_SECONDS}
            )
        try:
            async with engine.begin() as connection:
                if not self.is_sqlite:
                    await connection.execute(
                        sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK))
                    )
                await connection.run_sync(_upgrade_to_head)
        finally:
            await engine.dispose()


def _prepare(engine: sa.Engine, begin: str | None) -> None:
    """Set what belongs to a connection to a SQLite file; one that begins no transactions only reads."""

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute(f"PRAGMA query_only = {'ON' if begin is None else 'OFF'}")
        cursor.close()

    if begin is not None:

        @sa.event.listens_for(engine, "begin")
        def start(connection: sa.Connection) -> None:
            connection.exec_driver_sql(begin)


async def _version_of(connection: AsyncConnection) -> str | None:
    if not await connection.run_sync(lambda c: sa.inspect(c).has_table("journal_version")):
        return None
    version = sa.text("SELECT version_num FROM journal_version")
    return (await connection.execute(version)).scalar()


def is_trouble(error: BaseException) -> bool:
    """Whether the database is away, full or broken, rather than the statement wrong."""
    orig = getattr(error, "orig", None) or error
    if isinstance(error, (OperationalError, InterfaceError, PoolTimeout)):
        return True
    if isinstance(orig, (OSError, TimeoutError, sqlite3.OperationalError)):
        return True
    if getattr(orig, "sqlite_errorcode", None) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return True
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or _sqlstate(error)[:2] in _AWAY
    return type(error).__module__.startswith("asyncpg")


def may_pass_at_once(error: BaseException) -> bool:
    """Whether the same transaction has a chance right away: a stale connection, a deadlock."""
    if not isinstance(error, DBAPIError):
        return False
    return error.connection_invalidated or _sqlstate(error)[:2] == "40"


def is_full(error: BaseException) -> bool:
    """Whether there is no room on the disk; the connection itself is sound then."""
    code = getattr(getattr(error, "orig", error), "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_FULL or _sqlstate(error) == "53100"


def refusal(error: BaseException) -> Busy:
    """What a caller is told when nothing could be written."""
    orig = getattr(error, "orig", error)
    code = getattr(orig, "sqlite_errorcode", None)
    if is_full(error):
        return Busy(
            "the disk that holds the journal is full; free some space on it", retry_after=30
        )
    if code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Busy("another program holds the journal's file", retry_after=1)
    return Busy(f"the journal's database is away: {_reason(error)}", retry_after=5)


def _sqlstate(error: BaseException) -> str:
    orig = getattr(error, "orig", error)
    return getattr(orig, "sqlstate", None) or getattr(orig, "pgcode", None) or ""


def _reason(error: BaseException) -> str:
    """The first line of the driver's own words: no statement, no parameters."""
    words = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
    return words.splitlines()[0].rsplit(">: ", 1)[-1]


def _parse(text: str) -> URL:
    if "://" not in text:
        return URL.create("sqlite+aiosqlite", database=str(Path(text).absolute()))
    try:
        url = make_url(text)
    except ArgumentError:
        raise Unreachable(
            "the journal's URL cannot be read; use a path, or postgresql://..."
        ) from None
    backend = {"postgres": "postgresql"}.get(url.drivername, url.get_backend_name())
    if backend == "postgresql":
        return url.set(drivername="postgresql+asyncpg")
    if backend == "sqlite" and url.database and url.database != ":memory:":
        return url.set(drivername="sqlite+aiosqlite")
    raise Unreachable(
        f"the journal lives in a SQLite file or in PostgreSQL, not in {url.render_as_string()!r}"
    )


def _prepare_file(path: str) -> None:
    """Set what belongs to the file. Changing the mode to WAL does not wait for a lock by itself."""
    deadline = time.monotonic() + _MIGRATION_SECONDS
    while True:
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        finally:
            connection.close()


def _vacuum_a_little(path: str, timeout: float) -> bool:
    """Whether there is more to do. The writer may come in between."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=timeout)
    try:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        if free * 4 <= pages:
            return False
        # A script runs to its end; by `execute`, the pragma would free a single page.
        connection.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")
        return bool(connection.execute("PRAGMA freelist_count").fetchone() < (free,))
    except sqlite3.OperationalError:
        # Another program writes, or the disk is full: the next time, then.
        return False
    finally:
        connection.close()


def _upgrade_to_head(connection: sa.Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
