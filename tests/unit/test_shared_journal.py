"""Processes that share a journal: starts that another holds, definitions that another brought."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from hub.event import Event
from hub.process.live import LiveProject
from hub.routing.dispatcher import Dispatcher
from hub.routing.journal import Journal
from hub.run import Delivery, Start, Started
from tests.unit.api_home import MemoryRuns

HUB = "name: shop\ntriggers:\n  app: {webhook: {provider: none}}\n"
OLD = """
tree: story
events:
  go: {webhook: app, where: event.type == "go", key: event.data.user}
  on: {webhook: app, where: event.type == "on", key: event.data.user}
start: go
do: [{wait_for: on}]
"""
NEW = OLD.replace('event.type == "on"', 'event.type == "onward"')


class Place(MemoryRuns):
    """Runs by their id, with what they were given; a start waits at the gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.starting = asyncio.Event()
        self.given: dict[str, list[str]] = {}
        self.asked = asyncio.Event()

    async def start(self, start: Start) -> Started:
        self.starting.set()
        await self.gate.wait()
        self.given[start.run_id] = [start.delivery.event.id]
        return "started"

    async def deliver(self, run_id: str, delivery: Delivery) -> bool:
        self.asked.set()
        if run_id not in self.given:
            return False
        self.given[run_id].append(delivery.event.id)
        return True


def project(folder: Path, tree: str) -> LiveProject:
    (folder / "trees").mkdir(parents=True)
    (folder / "hub.yaml").write_text(HUB)
    (folder / "trees" / "story.yaml").write_text(tree)
    live = LiveProject(folder)
    assert live.project.is_valid
    return live


def event(kind: str, user: str = "u") -> Event:
    return Event(id=f"{kind}-{user}", source="/t", type=kind, data={"user": user})


async def settled(journal: Journal, event_id: str) -> str:
    for _ in range(3000):
        entry = await journal.get(event_id)
        if entry.status != "accepted":
            return entry.deliveries[0].outcome
        await asyncio.sleep(0.01)
    raise AssertionError("it was not settled")


class Two:
    """Two processes with the same journal."""

    def __init__(self, journals: list[Journal], lives: list[LiveProject], place: Place) -> None:
        self.journals = journals
        self.dispatchers = [
            Dispatcher(
                journal,
                place,
                partial(getattr, live, "router"),
                owner=f"process-{number}",
                catch_up=partial(live.catch_up, journal),
            )
            for number, (journal, live) in enumerate(zip(journals, lives, strict=True))
        ]


@pytest.fixture
async def journals(tmp_path: Path) -> AsyncIterator[list[Journal]]:
    opened = [await Journal.open(str(tmp_path / "journal.db")) for _ in range(2)]
    yield opened
    for journal in opened:
        await journal.close()


async def test_an_event_waits_for_its_start_that_another_process_holds(
    tmp_path: Path, journals: list[Journal]
) -> None:
    live, place = project(tmp_path / "p", OLD), Place()
    two = Two(journals, [live, live], place)
    first, second = two.dispatchers
    place.gate.clear()
    await journals[0].append("app", [event("go")])
    holding = asyncio.create_task(first.run())
    await place.starting.wait()
    await journals[1].append("app", [event("on"), event("on", "nobody")])
    working = asyncio.create_task(second.run())
    # What follows no start is settled meanwhile, though it came later.
    assert await settled(journals[1], "on-nobody") == "no_run"
    assert (await journals[1].get("on-u")).status == "accepted"
    place.gate.set()
    assert await settled(journals[1], "on-u") == "delivered"
    assert place.given == {"story/u": ["go-u", "on-u"]}
    for task in (holding, working):
        task.cancel()
    await asyncio.gather(holding, working, return_exceptions=True)
    await live.close()


async def test_an_old_process_routes_for_what_a_newer_one_has_started(
    tmp_path: Path, journals: list[Journal]
) -> None:
    old, new, place = project(tmp_path / "old", OLD), project(tmp_path / "new", NEW), Place()
    older, newer = Two(journals, [old, new], place).dispatchers
    await old.remember(journals[0])
    working = asyncio.create_task(newer.run())
    await journals[1].append("app", [event("go")])
    assert await settled(journals[1], "go-u") == "started"
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)

    await journals[0].append("app", [event("onward")])
    working = asyncio.create_task(older.run())
    assert await settled(journals[0], "onward-u") == "delivered"
    assert place.given == {"story/u": ["go-u", "onward-u"]}
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    await old.close()
    await new.close()
