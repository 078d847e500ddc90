"""sql: ask and change a database.

    connections:
      shop:
        sql: {url: "${{ env.SHOP_DATABASE }}"}     # postgresql://..., mysql://..., sqlite:///shop.db

Values never become part of a statement: they are bound to its `:names`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, TypeVar

import msgspec
import sqlalchemy as sa
from msgspec import Meta
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    InvalidRequestError,
    NoSuchModuleError,
    ResourceClosedError,
    SQLAlchemyError,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from connectors.sql.failures import failure_of
from connectors.sql.postgresql import speak_text
from connectors.sql.values import bound, read_rows
from hub.connector import Call, Connector, action
from hub.errors import ActionFailed, ActionRefused

__all__ = ["Done", "Execute", "Query", "Result", "Settings", "Sql", "Statement", "Transaction"]

_DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
    "mysql": "mysql+asyncmy",
    "mariadb": "mariadb+asyncmy",
}
_INTERRUPT_EVERY: Final = 0.05
_T = TypeVar("_T")
_READ_ONLY: Final = ("postgresql", "mysql", "mariadb")

_SqlText = Annotated[
    Annotated[
        str,
        Meta(min_length=1),
        Meta(extra={"literal": "write `:name` in it, and `params: {name: ...}` beside it"}),
    ],
    Meta(description="The statement, with `:name` for each value; no `${{ }}`"),
]
_Values = Annotated[
    dict[str, Any],
    Meta(
        description="The values of its names. A list is for `in :name`; an object becomes JSON text; "
        "`:idempotency_key` is given by itself"
    ),
]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """A database."""

    url: Annotated[
        str,
        Meta(
            min_length=1,
            description="`postgresql://user:password@host/db`, `mysql://...` or `sqlite:///file` "
            "(relative to the project)",
        ),
    ]
    timeout: Annotated[
        float, Meta(gt=0, le=3600, description="Longest time for one action, in seconds")
    ] = 30.0
    pool_size: Annotated[int, Meta(ge=1, le=100, description="Most connections of one worker")] = 5
    max_rows: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Most rows that an action gives")
    ] = 1000
    max_bytes: Annotated[
        int,
        Meta(ge=1024, le=64 * 1024 * 1024, description="Most bytes that its rows have as JSON"),
    ] = 1024 * 1024


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A question."""

    sql: _SqlText
    params: _Values = {}
    limit: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="Give that many rows at most, and say in `more` if there are others"),
    ] = None


class Execute(msgspec.Struct, frozen=True, kw_only=True):
    """A change."""

    sql: _SqlText
    params: _Values = {}


class Statement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One statement of a transaction."""

    sql: _SqlText
    params: _Values = {}


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """Several statements, all of which take effect or none."""

    statements: Annotated[
        Annotated[list[Statement], Meta(min_length=1, max_length=1000)],
        Meta(description="The statements, in order"),
    ]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Rows."""

    rows: Annotated[
        list[dict[str, Any]],
        Meta(
            description="The rows, each by its columns. Dates and times are RFC 3339, decimals and "
            "UUIDs text, bytes base64"
        ),
    ]
    columns: Annotated[list[str], Meta(description="The columns, in order")]
    count: Annotated[int, Meta(description="How many rows are given")]
    more: Annotated[bool, Meta(description="There are more rows than `limit`")] = False


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What a change has done."""

    count: Annotated[
        int | None,
        Meta(description="How many rows it changed; null where the database does not say"),
    ]
    rows: Annotated[
        list[dict[str, Any]], Meta(description="What it gives back with `returning`")
    ] = []


class AllDone(msgspec.Struct, frozen=True, kw_only=True):
    """What a transaction has done."""

    results: Annotated[list[Done], Meta(description="What each statement has done, in order")]


class Sql(Connector):
    """Asks and changes a database."""

    name: ClassVar[str] = "sql"
    settings_type: ClassVar[type[msgspec.Struct]] = Settings
    settings: Settings

    def __init__(self, settings: Settings, project: Path) -> None:
        super().__init__(settings, project)
        self._url = _url(settings.url, project)
        self._engine: AsyncEngine | None = None

    async def close(self) -> None:
        """Close the pool."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.dispose()

    def address(self) -> str:
        """The database, without its user and password."""
        if self._is_sqlite:
            return self.settings.url.partition("?")[0]
        return self._url.set(username=None, password=None, query={}).render_as_string()

    async def check(self) -> str:
        """Ask the database for nothing."""

        async def ask(connection: AsyncConnection) -> None:
            await connection.execute(sa.text("select 1"))

        await self._run(ask, read_only=True)
        return "the database answers"

    @action(timeout=timedelta(hours=1, minutes=1))
    async def query(self, given: Query, call: Call) -> Result:
        """Ask for rows. It changes nothing: whatever the statement does is taken back."""
        statement, values = bound(given.sql, given.params, call.idempotency_key, "params")
        settings = self.settings

        async def ask(connection: AsyncConnection) -> Result:
            result = await connection.stream(statement, values)
            try:
                columns = list(result.keys())
            except ResourceClosedError:
                raise ActionRefused(
                    "sql_no_rows", "the statement gives no rows; changes are for `sql.execute`"
                ) from None
            try:
                rows, more = await read_rows(
                    columns, result.fetchmany, given.limit, settings.max_rows, settings.max_bytes
                )
            finally:
                await result.close()
            return Result(rows=rows, columns=columns, count=len(rows), more=more)

        return await self._run(ask, read_only=True)

    @action(timeout=timedelta(hours=1, minutes=1))
    async def execute(self, given: Execute, call: Call) -> Done:
        """Make one change, in a transaction of its own.

        If a worker dies between the change and its report, the change is made again: let it be one
        that may be (`on conflict do nothing`), or have it note `:idempotency_key`.
        """
        prepared = [bound(given.sql, given.params, call.idempotency_key, "params")]
        return (await self._change(prepared))[0]

    @action(timeout=timedelta(hours=1, minutes=1))
    async def transaction(self, given: Transaction, call: Call) -> AllDone:
        """Make several changes, all or none."""
        prepared = [
            bound(s.sql, s.params, call.idempotency_key, f"statements[{index}].params")
            for index, s in enumerate(given.statements)
        ]
        return AllDone(results=await self._change(prepared))

    async def _change(self, prepared: list[tuple[sa.TextClause, dict[str, Any]]]) -> list[Done]:
        async def change(connection: AsyncConnection) -> list[Done]:
            done = [await self._execute(connection, *one) for one in prepared]
            await connection.commit()
            return done

        return await self._run(change)

    async def _execute(
        self, connection: AsyncConnection, statement: sa.TextClause, values: dict[str, Any]
    ) -> Done:
        result = await connection.execute(statement, values)
        if not result.returns_rows:
            return Done(count=result.rowcount if result.rowcount >= 0 else None)

        async def fetch(most: int) -> Sequence[Any]:
            return result.fetchmany(most)

        settings = self.settings
        columns = list(result.keys())
        rows, _ = await read_rows(columns, fetch, None, settings.max_rows, settings.max_bytes)
        return Done(count=len(rows), rows=rows)

    async def _run(
        self, work: Callable[[AsyncConnection], Awaitable[_T]], *, read_only: bool = False
    ) -> _T:
        """Work on a connection, in a transaction that is rolled back unless it is committed."""
        place = f"the database {self._url.database}" if self._is_sqlite else _host(self._url)
        try:
            async with asyncio.timeout(self.settings.timeout):
                if self._is_sqlite:
                    return await self._run_sqlite(work, read_only=read_only)
                async with self._opened().connect() as connection:
                    if read_only and connection.dialect.name in _READ_ONLY:
                        await connection.exec_driver_sql("SET TRANSACTION READ ONLY")
                    return await work(connection)
        except ActionFailed:
            raise
        except (SQLAlchemyError, OSError) as error:
            raise failure_of(error, place) from None
        except Exception as error:
            # asyncpg raises errors of its own while it connects.
            if not hasattr(error, "sqlstate"):
                raise
            raise failure_of(error, place) from None

    async def _run_sqlite(
        self, work: Callable[[AsyncConnection], Awaitable[_T]], *, read_only: bool
    ) -> _T:
        driver: Any = None

        async def run() -> _T:
            nonlocal driver
            async with self._opened().connect() as connection:
                driver = (await connection.get_raw_connection()).driver_connection
                await connection.exec_driver_sql(f"PRAGMA query_only = {int(read_only)}")
                if not read_only:
                    # The driver would begin only at the first change of a row, after `create`.
                    await connection.exec_driver_sql("BEGIN IMMEDIATE")
                return await work(connection)

        running = asyncio.create_task(run())
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            # Its thread cannot be cancelled, only interrupted within a statement.
            while not running.done():
                if driver is not None:
                    await driver.interrupt()
                await asyncio.wait([running], timeout=_INTERRUPT_EVERY)
            if not running.cancelled():
                running.exception()
            raise

    @property
    def _is_sqlite(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    def _opened(self) -> AsyncEngine:
        if self._engine is None:
            settings = self.settings
            options: dict[str, Any] = {"hide_parameters": True}
            if not (self._is_sqlite and self._url.database in (None, "", ":memory:")):
                options |= {"pool_size": settings.pool_size, "max_overflow": 0}
                options |= {"pool_timeout": settings.timeout, "pool_pre_ping": True}
            if self._is_sqlite:
                options["connect_args"] = {"timeout": min(settings.timeout, 5.0)}
            elif self._url.drivername == "postgresql+asyncpg":
                options["connect_args"] = {
                    "timeout": min(settings.timeout, 10.0),
                    "server_settings": {"datestyle": "ISO", "intervalstyle": "iso_8601"},
                }
            try:
                self._engine = create_async_engine(self._url, **options)
            except ModuleNotFoundError as error:
                raise ActionRefused(
                    "invalid_settings",
                    f"{self._url.get_backend_name()} needs a driver that is not installed: "
                    f"pip install {error.name}",
                ) from None
            except (ArgumentError, InvalidRequestError, NoSuchModuleError):
                raise ActionRefused(
                    "invalid_settings",
                    f"{self._url.drivername!r} is no database and asynchronous driver of SQLAlchemy",
                ) from None
            if self._url.drivername == "postgresql+asyncpg":
                sa.event.listen(self._engine.sync_engine, "connect", speak_text)
        return self._engine


def _url(text: str, project: Path) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ActionRefused(
            "invalid_settings", "url is no database URL, such as postgresql://user:password@host/db"
        ) from None
    url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    file = url.database
    if url.get_backend_name() == "sqlite" and file and file != ":memory:" and "file:" not in file:
        url = url.set(database=str(project / file))
    return url


def _host(url: URL) -> str:
    return f"the database {url.database} at {url.host or 'this machine'}"
