from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from hub.errors import Unreachable
from hub.process.backup import export_state, import_state
from hub.routing.journal import Journal, statements
from tests.contracts.journal import JournalContract, event, ids, take
from tests.postgresql import PostgresqlServer, postgresql_server, postgresql_url
from tests.unit.test_backup import contents, fill

__all__ = ["postgresql_server", "postgresql_url"]


class TestPostgresql(JournalContract):
    @pytest.fixture
    def url(self, postgresql_url: str) -> str:
        return postgresql_url

    @pytest.fixture
    def away(
        self, postgresql_server: PostgresqlServer, url: str
    ) -> Callable[[], AbstractAsyncContextManager[None]]:
        return lambda: postgresql_server.away(url)

    async def test_reading_while_it_is_away(
        self, journal: Journal, away: Callable[[], AbstractAsyncContextManager[None]]
    ) -> None:
        await journal.append("app", [event("a")])
        async with away():
            with pytest.raises(Unreachable):
                await journal.get("a")
        assert (await journal.get("a")).id == "a"

    async def test_a_dropped_connection_is_not_a_refusal(
        self, journal: Journal, away: Callable[[], AbstractAsyncContextManager[None]]
    ) -> None:
        await journal.append("app", [event("a")])
        async with away():
            pass
        receipts = await journal.append("app", [event("b")])
        assert [r.duplicate for r in receipts] == [False]

    async def test_numbers_appear_in_their_order(self, journals: Callable[..., Any]) -> None:
        """What one process sees is never followed by a lower number of another process."""
        opened = [await journals() for _ in range(3)]
        watching = await journals()
        highest: list[int] = []
        seen: set[int] = set()

        async def watch() -> None:
            while len(seen) < 150:
                page = await watching.list(limit=1000)
                fresh = {e.seq for e in page.items} - seen
                if fresh and highest:
                    assert min(fresh) > highest[-1]
                seen.update(fresh)
                highest.append(max(seen, default=0))

        async def fill(number: int, journal: Journal) -> None:
            for n in range(50):
                await journal.append("app", [event(f"{number}-{n}")])

        await asyncio.gather(watch(), *(fill(n, j) for n, j in enumerate(opened)))

    async def test_what_another_owner_leased_in_that_very_moment_is_not_taken(
        self, journals: Callable[..., Any], url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The one has looked which owners live, and comes to the entries after a new owner has."""
        slow, quick = await journals(), await journals()
        await quick.append("app", [event(str(n)) for n in range(6)])
        engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
        waiting = sa.text(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        )
        holds = sa.text("(SELECT pg_advisory_xact_lock_shared(1)) IS NOT NULL")
        async with engine.connect() as connection:
            await connection.execute(sa.text("SELECT pg_advisory_lock(1)"))
            with monkeypatch.context() as patch:
                patch.setattr(statements, "FREE", statements.FREE.where(holds))
                task = asyncio.create_task(take(slow, "slow", limit=3))
                while not (await connection.execute(waiting)).scalar_one():
                    await asyncio.sleep(0.01)
            assert ids(await take(quick, "quick", limit=3)) == ["0", "1", "2"]
            await connection.execute(sa.text("SELECT pg_advisory_unlock(1)"))
            assert ids(await task) == ["3", "4", "5"]
        await engine.dispose()


async def test_a_journal_moves_to_postgresql_and_back(postgresql_url: str, tmp_path: Path) -> None:
    one, two = str(tmp_path / "one.db"), str(tmp_path / "two.db")
    await fill(one)
    there = await export_state(tmp_path / "there.zip", one, tmp_path / "blobs")
    assert await import_state(tmp_path / "there.zip", postgresql_url, tmp_path / "blobs") == there
    assert await contents(postgresql_url) == await contents(one)
    journal = await Journal.open(postgresql_url)
    # Its numbers go on after those that were written.
    await journal.append("app", [event("after the move")])
    assert (await journal.get("after the move")).seq > (await journal.get("d")).seq
    await journal.close()
    back = await export_state(tmp_path / "back.zip", postgresql_url, tmp_path / "blobs")
    assert back["journal_entries"] == there["journal_entries"] + 1
    await import_state(tmp_path / "back.zip", two, tmp_path / "blobs")
    assert await contents(two) == await contents(postgresql_url)
