from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlalchemy.engine import make_url

from connectors.sql import Sql
from hub.connections import Connections
from hub.connector import Connector
from hub.errors import ActionFailed
from tests.contracts.connector import PLANTED, ConnectorContract, FailingCall, GivenCall
from tests.postgresql import PostgresqlServer, postgresql_server, postgresql_url

__all__ = ["postgresql_server", "postgresql_url"]


class Database:
    """A connection to a database, and its actions."""

    def __init__(self, project: Path, url: str, **settings: Any) -> None:
        self.connections = Connections(
            project, {"it": {"sql": {"url": url, **settings}}}, {"PLANTED": PLANTED}
        )
        self.call = GivenCall(project)

    async def query(self, sql: str, limit: int | None = None, **params: Any) -> Any:
        arguments = {"sql": sql, "params": params, "limit": limit}
        return await self.connections.run("sql.query", arguments, self.call)

    async def execute(self, sql: str, **params: Any) -> Any:
        return await self.connections.run("sql.execute", {"sql": sql, "params": params}, self.call)

    async def transaction(self, *statements: tuple[str, dict[str, Any]]) -> Any:
        given = [{"sql": sql, "params": params} for sql, params in statements]
        return await self.connections.run("sql.transaction", {"statements": given}, self.call)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return "sqlite:///data.db"
    found: str = request.getfixturevalue("postgresql_url")
    return found


@pytest.fixture
async def database(url: str, tmp_path: Path) -> AsyncIterator[Database]:
    made = Database(tmp_path, url)
    yield made
    await made.connections.close()


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Database]:
    made = Database(tmp_path, "sqlite:///data.db")
    yield made
    await made.connections.close()


@pytest.fixture
async def postgresql(postgresql_url: str, tmp_path: Path) -> AsyncIterator[Database]:
    made = Database(tmp_path, postgresql_url)
    yield made
    await made.connections.close()


async def refused(awaited: Any) -> ActionFailed:
    with pytest.raises(ActionFailed) as caught:
        await awaited
    return caught.value


# -- what both databases do alike ---------------------------------------------------------


async def test_rows_go_in_and_come_out(database: Database) -> None:
    await database.execute("create table users (id integer primary key, name text)")
    made = await database.execute(
        "insert into users (id, name) values (:id, :name)", id=1, name="Ada'); drop table users; --"
    )
    assert made == {"count": 1, "rows": []}
    got = await database.query("select id, name from users where id in :ids", ids=[1, 2])
    assert got["rows"] == [{"id": 1, "name": "Ada'); drop table users; --"}]
    assert (got["columns"], got["count"], got["more"]) == (["id", "name"], 1, False)
    assert (await database.query("select id from users where id in :ids", ids=[]))["rows"] == []


async def test_returning_gives_rows(database: Database) -> None:
    await database.execute("create table t (id integer primary key, name text)")
    made = await database.execute("insert into t values (1, :n) returning id, name", n="a")
    assert made == {"count": 1, "rows": [{"id": 1, "name": "a"}]}
    assert (await database.query("select count(*) as n from t"))["rows"] == [{"n": 1}]


async def test_a_query_changes_nothing(database: Database) -> None:
    await database.execute("create table t (a integer)")
    error = await refused(database.query("insert into t values (1) returning a"))
    assert error.failure == "sql_read_only"
    assert (await database.query("select * from t"))["rows"] == []
    await database.execute("insert into t values (1)")
    assert (await database.query("select * from t"))["rows"] == [{"a": 1}]


async def test_a_transaction_is_all_or_nothing(database: Database) -> None:
    error = await refused(
        database.transaction(
            ("create table t (a integer unique)", {}),
            ("insert into t values (:a)", {"a": 1}),
            ("insert into t values (:a)", {"a": 1}),
        )
    )
    assert (error.failure, error.retryable) == ("sql_constraint", False)
    await database.execute("create table t (a integer unique)")
    done = await database.transaction(
        ("insert into t values (1)", {}),
        ("insert into t values (2)", {}),
        ("update t set a = a + :n", {"n": 10}),
    )
    assert [one["count"] for one in done["results"]] == [1, 1, 2]


async def test_a_change_can_note_its_key_and_so_happen_once(database: Database) -> None:
    await database.execute("create table paid (key text primary key, amount integer)")
    sql = "insert into paid values (:idempotency_key, :amount) on conflict do nothing"
    assert (await database.execute(sql, amount=5))["count"] == 1
    assert (await database.execute(sql, amount=5))["count"] == 0
    assert (await database.query("select key from paid"))["rows"] == [{"key": "tree/key:do[0]"}]


@pytest.mark.parametrize(
    ("params", "said"),
    [({}, "params.a is needed"), ({"a": 1, "b": 2}, "params.b"), ({"a": [[1]]}, "params.a")],
)
async def test_values_and_names_must_agree(
    sqlite: Database, params: dict[str, Any], said: str
) -> None:
    error = await refused(sqlite.query("select :a, '10\\:30', 'a::b'", **params))
    assert error.failure == "invalid_input"
    assert said in error.message


async def test_one_statement_at_a_time(database: Database) -> None:
    error = await refused(
        database.execute("create table a (b integer); create table c (d integer)")
    )
    assert (error.failure, error.retryable) == ("sql_rejected", False)


async def test_the_databases_own_words_are_told(database: Database) -> None:
    error = await refused(database.query("select * from no_such_table where a = :a", a=PLANTED))
    assert (error.failure, error.retryable) == ("sql_rejected", False)
    assert "no_such_table" in error.message
    assert PLANTED not in error.message


MANY = (
    "with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000) select i from n"
)


async def test_too_many_rows_are_a_failure_and_a_limit_is_a_choice(database: Database) -> None:
    error = await refused(database.query(MANY))
    assert (error.failure, error.retryable) == ("sql_too_many_rows", False)
    got = await database.query(MANY, limit=3)
    assert (got["rows"], got["more"]) == ([{"i": 1}, {"i": 2}, {"i": 3}], True)
    got = await database.query("select 1 as a", limit=1)
    assert (got["count"], got["more"]) == (1, False)
    assert (await refused(database.query(MANY, limit=2000))).failure == "sql_too_many_rows"


async def test_too_many_bytes_are_a_failure(url: str, tmp_path: Path) -> None:
    database = Database(tmp_path, url, max_bytes=2000)
    error = await refused(database.query("select :a as a", a="x" * 2000))
    await database.connections.close()
    assert (error.failure, error.retryable) == ("sql_too_large", False)


async def test_columns_of_one_name_are_not_lost_in_silence(database: Database) -> None:
    assert (await refused(database.query("select 1 as a, 2 as a"))).failure == "sql_columns"


ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"


async def test_an_endless_query_ends_at_the_time_limit_and_the_next_one_works(
    url: str, tmp_path: Path
) -> None:
    database = Database(tmp_path, url, timeout=0.3, pool_size=1)
    await database.query("select 1 as a")
    error = await refused(database.query(ENDLESS))
    assert (error.failure, error.retryable) == ("sql_timeout", True)
    assert (await database.query("select 1 as a"))["rows"] == [{"a": 1}]
    await database.connections.close()


async def test_a_cancelled_change_leaves_nothing_behind(url: str, tmp_path: Path) -> None:
    database = Database(tmp_path, url, pool_size=1)
    await database.execute("create table t (a integer)")
    running = asyncio.create_task(
        database.transaction(("insert into t values (1)", {}), (f"insert into t {ENDLESS}", {}))
    )
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await database.query("select * from t"))["rows"] == []
    assert (await database.execute("insert into t values (2)"))["count"] == 1
    await database.connections.close()


async def test_calls_at_once_share_the_pool(url: str, tmp_path: Path) -> None:
    database = Database(tmp_path, url, pool_size=2)
    await database.execute("create table t (a integer)")
    await asyncio.gather(*(database.execute("insert into t values (:a)", a=n) for n in range(20)))
    got = await database.query("select sum(a) as s from t")
    assert int(got["rows"][0]["s"]) == sum(range(20))
    await database.connections.close()


# -- types --------------------------------------------------------------------------------


async def test_types_of_postgresql_survive(postgresql: Database) -> None:
    got = await postgresql.query(
        """select date '2026-01-02' as d, time '03:04:05' as t,
           timestamptz '2026-01-02 03:04:05+00' as tz, timestamp '2026-01-02 03:04:05' as ts,
           interval '1 day 2 hours' as i, 1.10::numeric as n, 9223372036854775807::bigint as big,
           'NaN'::float8 as nan, 'infinity'::float8 as inf, '\\x00ff'::bytea as b, true as yes,
           '6f1e2d3c-0000-4000-8000-000000000001'::uuid as u, array[1, 2] as a,
           '{"a": [1, null]}'::jsonb as j, null as nothing, '10.0.0.1'::inet as ip,
           array[1.5::numeric] as ns, timestamp 'infinity' as never,
           timestamptz '2026-01-02 03:04:05.5+05:30' as tz2, timestamp '0044-03-15 00:00 BC' as bc"""
    )
    (row,) = got["rows"]
    assert row == {
        "d": "2026-01-02",
        "t": "03:04:05",
        "tz": "2026-01-02T03:04:05Z",
        "ts": "2026-01-02T03:04:05",
        "i": "P1DT2H",
        "n": "1.10",
        "big": 9223372036854775807,
        "nan": "nan",
        "inf": "inf",
        "b": "AP8=",
        "yes": True,
        "u": "6f1e2d3c-0000-4000-8000-000000000001",
        "a": [1, 2],
        "j": {"a": [1, None]},
        "nothing": None,
        "ip": "10.0.0.1",
        "ns": ["1.5"],
        "never": "infinity",
        "tz2": "2026-01-01T21:34:05.5Z",
        "bc": "0044-03-15 00:00:00 BC",
    }


async def test_texts_are_what_the_columns_want(postgresql: Database) -> None:
    await postgresql.execute(
        "create table t (d date, at timestamptz, n numeric, u uuid, j jsonb, big bigint, small int)"
    )
    made = await postgresql.execute(
        """insert into t values (:d, :at, :n, :u, :j, :big, :small)
           returning at, n, u, at - :at as ago""",
        d="2026-01-02",
        at="2026-01-02T03:04:05Z",
        n="12345678901234567890.10",
        u="6f1e2d3c-0000-4000-8000-000000000001",
        j={"a": "ä"},
        big=2**62,
        small=1,
    )
    assert made["rows"] == [
        {
            "at": "2026-01-02T03:04:05Z",
            "n": "12345678901234567890.10",
            "u": "6f1e2d3c-0000-4000-8000-000000000001",
            "ago": "PT0S",
        }
    ]
    got = await postgresql.query(
        "select j, big from t where d = :d and n > :n", d="2026-01-02", n=1.5
    )
    assert got["rows"] == [{"j": {"a": "ä"}, "big": 2**62}]


async def test_types_of_sqlite_survive(sqlite: Database) -> None:
    got = await sqlite.query("select x'00ff' as b, 1.5 as f, 9e999 as inf, null as n, :big as big",
                             big=2**62)  # fmt: skip
    assert got["rows"] == [{"b": "AP8=", "f": 1.5, "inf": "inf", "n": None, "big": 2**62}]


# -- when it goes wrong -------------------------------------------------------------------


async def test_a_locked_file_may_be_tried_again(sqlite: Database, tmp_path: Path) -> None:
    quick = Database(tmp_path, "sqlite:///data.db", timeout=0.05)
    await sqlite.execute("create table t (a integer)")
    other = sqlite3.connect(tmp_path / "data.db")
    other.execute("begin immediate")
    error = await refused(quick.execute("insert into t values (1)"))
    assert error.retryable
    assert error.failure in ("sql_busy", "sql_timeout")
    other.rollback()
    other.close()
    assert (await sqlite.execute("insert into t values (1)"))["count"] == 1
    await quick.connections.close()


async def test_a_database_that_goes_away_comes_back(
    postgresql_server: PostgresqlServer, postgresql_url: str, tmp_path: Path
) -> None:
    database = Database(tmp_path, postgresql_url)
    await database.query("select 1 as a")
    async with postgresql_server.away(postgresql_url):
        error = await refused(database.query("select 1 as a"))
        assert (error.failure, error.retryable) == ("sql_unreachable", True)
    assert (await database.query("select 1 as a"))["rows"] == [{"a": 1}]
    await database.connections.close()


class TestSql(ConnectorContract):
    kind: ClassVar[type[Connector]] = Sql
    settings: ClassVar[Mapping[str, Any]] = {"url": "sqlite:///data.db"}
    arguments: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "sql.query": {"sql": "select 1"},
        "sql.execute": {"sql": "select 1"},
        "sql.transaction": {"statements": [{"sql": "select 1"}]},
    }

    @pytest.fixture
    async def failing_calls(
        self, postgresql_server: PostgresqlServer, postgresql_url: str
    ) -> AsyncIterator[Sequence[FailingCall]]:
        secret = "${{ env.PLANTED | urlencode }}"
        own = make_url(postgresql_url)
        folder = own.query.get("host") or f"{own.host}:{own.port}"

        def at(database: str | None, user: str = "hub") -> dict[str, Any]:
            if own.host:
                return {"url": f"postgresql://{user}:{secret}@{own.host}:{own.port}/{database}"}
            return {"url": f"postgresql://{user}:{secret}@/{database}?host={folder}"}

        async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(garbage, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        select = {"sql": "select cast(:a as integer)", "params": {"a": PLANTED}}
        calls = [
            (at("no_such"), {"sql": "select 1"}, "sql_login", False),
            (at(own.database, "nobody_of_that_name"), {"sql": "select 1"}, "sql_login", False),
            (at(own.database), {"sql": "selec 1"}, "sql_rejected", False),
            (at(own.database), select, "sql_rejected", False),
            (at(own.database), {"sql": "select pg_sleep(9)"}, "sql_timeout", True),
            ({"url": f"postgresql://u:{secret}@127.0.0.1:9/d"}, {"sql": "select 1"}, "sql_unreachable", True),
            ({"url": f"postgresql://u:{secret}@no-such.invalid/d"}, {"sql": "select 1"}, "sql_unreachable", True),
            ({"url": f"postgresql://u:{secret}@127.0.0.1:{port}/d"}, {"sql": "select 1"}, "sql_unreachable", True),
            ({"url": "sqlite:///no/such/folder/" + secret}, {"sql": "select 1"}, "sql_unreachable", True),
            ({"url": f"nonsense://u:{secret}@h/d"}, {"sql": "select 1"}, "invalid_settings", False),
            ({"url": secret}, {"sql": "select 1"}, "invalid_settings", False),
            ({"url": f"postgresql+psycopg2://u:{secret}@h/d"}, {"sql": "select 1"}, "invalid_settings", False),
            ({"url": f"mysql://u:{secret}@h/d"}, {"sql": "select 1"}, "invalid_settings", False),
        ]  # fmt: skip
        yield [
            FailingCall(
                action="sql.query",
                settings={**settings, "timeout": 0.2 if failure == "sql_timeout" else 20},
                arguments=arguments,
                failure=failure,
                retryable=retryable,
            )
            for settings, arguments, failure, retryable in calls
        ]
        server.close()
        await server.wait_closed()
