from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from hub.errors import Busy
from hub.event import Event
from hub.routing.intake import JournalIntake
from hub.routing.journal import Journal
from hub.trigger import Intake
from tests.contracts.journal import take


def events(*ids: str) -> list[Event]:
    return [Event(id=one, source="test", type="t") for one in ids]


@pytest_asyncio.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    journal = await Journal.open(str(tmp_path / "journal.db"))
    yield journal
    await journal.close()


async def test_accepted_events_are_in_the_journal(journal: Journal) -> None:
    intake: Intake = JournalIntake(journal)
    receipts = await intake.accept("app", events("a", "b", "a"))
    assert [(r.id, r.duplicate) for r in receipts] == [("a", False), ("b", False), ("a", True)]
    assert [e.trigger for e in (await journal.list()).items] == ["app", "app"]


async def test_no_events_are_no_trouble(journal: Journal) -> None:
    assert list(await JournalIntake(journal).accept("app", [])) == []


async def test_it_is_full_until_something_is_settled(journal: Journal) -> None:
    intake = JournalIntake(journal, max_backlog=3, retry_after=7)
    await intake.accept("app", events("a", "b"))
    await intake.accept("app", events("c", "d"))
    with pytest.raises(Busy) as caught:
        await intake.accept("app", events("e"))
    assert caught.value.retry_after == 7
    assert (await journal.counts())["accepted"] == 4
    for entry in (await take(journal))[:2]:
        await journal.settle(entry.seq, "delivered", [])
    await intake.accept("app", events("e"))


async def test_a_backlog_is_known_after_a_restart(journal: Journal, tmp_path: Path) -> None:
    await journal.append("app", events("a", "b", "c"))
    again = await Journal.open(str(tmp_path / "journal.db"))
    with pytest.raises(Busy):
        await JournalIntake(again, max_backlog=3).accept("app", events("d"))
    await again.close()


async def test_duplicates_do_not_fill_it(journal: Journal) -> None:
    intake = JournalIntake(journal, max_backlog=2)
    for _ in range(5):
        await intake.accept("app", events("a"))
    assert journal.backlog == 1
