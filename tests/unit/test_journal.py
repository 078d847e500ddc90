from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from hub.errors import Busy, Unreachable
from hub.routing.journal import Journal
from tests.contracts.journal import JournalContract, delivery, event, ids, take


class TestSqlite(JournalContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite+aiosqlite:///{tmp_path}/state/journal.db"

    @pytest.fixture
    def away(self, tmp_path: Path) -> Callable[[], AbstractAsyncContextManager[None]]:
        @asynccontextmanager
        async def locked() -> AsyncIterator[None]:
            connection = sqlite3.connect(tmp_path / "state" / "journal.db", isolation_level=None)
            try:
                connection.execute("BEGIN EXCLUSIVE")
                yield
            finally:
                connection.close()

        return locked

    async def test_the_disk_is_full_and_then_is_not(self, journal: Journal) -> None:
        await journal.append("app", [event("before")])
        await _limit_pages(journal, 1)
        for n in range(40):
            with pytest.raises(Busy, match="disk") as caught:
                await journal.append("app", [event(f"{n}-{i}", data="x" * 9000) for i in range(3)])
            assert caught.value.retry_after > 1
        assert ids((await journal.list()).items) == ["before"]
        await _limit_pages(journal, 100_000)
        assert len(await journal.append("app", [event("after", data="x" * 9000)])) == 1
        assert ids(await take(journal)) == ["before", "after"]

    async def test_every_commit_reaches_the_disk(self, journal: Journal, tmp_path: Path) -> None:
        connection = await journal._writer._connect()
        for pragma, value in (("synchronous", 2), ("journal_mode", "wal"), ("foreign_keys", 1)):
            result = await connection.exec_driver_sql(f"PRAGMA {pragma}")
            assert result.scalar() == value
        await connection.rollback()

    async def test_readers_cannot_write(self, journal: Journal) -> None:
        with pytest.raises(Unreachable, match="readonly"):
            async with journal._database.read() as connection:
                await connection.execute(sa.text("DELETE FROM journal_entries"))

    async def test_pruning_gives_room_back(self, tmp_path: Path) -> None:
        file = tmp_path / "journal.db"
        journal = await Journal.open(str(file))
        await journal.append("app", [event(str(n), data="x" * 10_000) for n in range(400)])
        found = await take(journal, limit=1000)
        await journal.settle_many((e.seq, "delivered", [delivery()]) for e in found)
        await journal.close()
        before = file.stat().st_size
        journal = await Journal.open(str(file))
        await journal.prune(datetime.now(UTC) + timedelta(days=31))
        await journal.append("app", [event("after")])
        await journal.close()
        assert file.stat().st_size < before / 2

    @pytest.mark.parametrize("form", ["{}", "sqlite:///{}", "sqlite+aiosqlite:///{}"])
    async def test_a_path_is_a_url(self, tmp_path: Path, form: str) -> None:
        file = tmp_path / "a folder" / "50%" / "journal.db"
        journal = await Journal.open(form.format(str(file)))
        await journal.close()
        assert file.exists()


@pytest.mark.parametrize(
    "url", ["mysql://hub:hunter2@db/hub", "sqlite:///:memory:", "sqlite://", "what://", "://"]
)
async def test_a_database_that_it_cannot_live_in(url: str) -> None:
    with pytest.raises(Unreachable) as caught:
        await Journal.open(url)
    assert "hunter2" not in caught.value.message


async def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unreachable, match="cannot be opened"):
        await Journal.open(str(tmp_path / "file" / "journal.db"))


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_text("This is a letter, and by no means a database. " * 100)
    with pytest.raises(Unreachable, match="not a database"):
        await Journal.open(str(tmp_path / "journal.db"))


async def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    pytest.importorskip("asyncpg")
    with pytest.raises(Unreachable) as caught:
        await Journal.open(f"postgresql://hub:hunter2@/hub?host={tmp_path}")
    assert "hunter2" not in caught.value.message


async def _limit_pages(journal: Journal, pages: int) -> None:
    """SQLite's own way of a full disk; it holds for the connection that it is set on."""
    connection = await journal._writer._connect()
    await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    await connection.rollback()
