from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from hub.errors import Unreachable
from hub.routing.journal import Journal
from tests.contracts.journal import JournalContract, event
from tests.postgresql import PostgresqlServer, postgresql_server, postgresql_url

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
