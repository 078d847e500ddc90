"""The dispatcher over a real journal: order per run, bounds, drain, and taking over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.errors import Unreachable
from hub.event import Event
from hub.routing.dispatcher import Dispatcher
from hub.routing.journal import Journal
from hub.routing.router import Router
from hub.run import Delivery, Start, Started
from hub.tree import load_tree
from tests.unit.api_home import MemoryRuns

TREE = load_tree("""
tree: story
events:
  go: {webhook: app, where: event.type == "go", key: event.data.user}
start: go
do: [{log: x}]
""")
ROUTER = Router([TREE])


class Place(MemoryRuns):
    """Runs that write down which events come, and hold them up while the gate is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.away = False
        self.events: list[tuple[str, str]] = []
        self.at_once: dict[str, int] = {}
        self.most_at_once = 0
        self.overlapped = False

    async def start(self, start: Start) -> Started:
        held = self.at_once.get(start.run_id, 0) + 1
        self.overlapped |= held > 1
        self.at_once[start.run_id] = held
        self.most_at_once = max(self.most_at_once, sum(self.at_once.values()))
        try:
            await self.gate.wait()
            await asyncio.sleep(0)
            if self.away:
                raise Unreachable("away")
            self.events.append((start.run_id, start.delivery.event.id))
            return "started"
        finally:
            self.at_once[start.run_id] -= 1

    async def deliver(self, run_id: str, delivery: Delivery) -> bool:
        raise AssertionError("every event starts")


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    opened = await Journal.open(str(tmp_path / "journal.db"))
    yield opened
    await opened.close()


async def accept(journal: Journal, count: int, users: int, begin: int = 0) -> None:
    events = [
        Event(id=str(n), source="/t", type="go", data={"user": f"u{n % users}"})
        for n in range(begin, begin + count)
    ]
    await journal.append("app", events)


async def until(look: Callable[[], Any]) -> None:
    for _ in range(5000):
        if look():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("it did not come true")


async def test_events_of_a_run_come_one_by_one_in_their_order(journal: Journal) -> None:
    place = Place()
    dispatcher = Dispatcher(journal, place, lambda: ROUTER, owner="a")
    await accept(journal, 200, users=7)
    task = asyncio.create_task(dispatcher.run())
    await until(lambda: len(place.events) == 200)
    await dispatcher.drain()
    task.cancel()
    assert not place.overlapped
    for user in range(7):
        ids = [int(event) for run, event in place.events if run == f"story/u{user}"]
        assert ids == sorted(ids)


async def test_it_holds_no_more_than_it_may(journal: Journal) -> None:
    place = Place()
    place.gate.clear()
    dispatcher = Dispatcher(journal, place, lambda: ROUTER, owner="a", in_flight=8)
    await accept(journal, 100, users=100)
    task = asyncio.create_task(dispatcher.run())
    await until(lambda: place.most_at_once == 8)
    place.gate.set()
    await until(lambda: len(place.events) == 100)
    assert place.most_at_once == 8
    await dispatcher.drain()
    task.cancel()


async def test_drain_finishes_what_is_under_way_and_takes_nothing_more(journal: Journal) -> None:
    place = Place()
    place.gate.clear()
    dispatcher = Dispatcher(journal, place, lambda: ROUTER, owner="a", in_flight=4)
    await accept(journal, 10, users=10)
    task = asyncio.create_task(dispatcher.run())
    await until(lambda: place.most_at_once == 4)
    draining = asyncio.create_task(dispatcher.drain())
    await asyncio.sleep(0)
    assert not draining.done()
    place.gate.set()
    await draining
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(place.events) == 4
    # The rest is at once there for the next one.
    left = await journal.pending(0, 100, owner="b", lease=timedelta(seconds=30))
    assert [entry.id for entry in left] == [str(n) for n in range(4, 10)]


async def test_what_a_dead_process_held_is_taken_over_in_order(journal: Journal) -> None:
    await accept(journal, 20, users=1)
    lease = timedelta(milliseconds=40)
    assert len(await journal.pending(0, 10, owner="dead", lease=lease)) == 10
    await asyncio.sleep(0.05)
    place = Place()
    dispatcher = Dispatcher(journal, place, lambda: ROUTER, owner="living")
    task = asyncio.create_task(dispatcher.run())
    await until(lambda: len(place.events) == 20)
    await dispatcher.drain()
    task.cancel()
    assert [int(event) for _, event in place.events] == list(range(20))


async def test_away_and_back(journal: Journal) -> None:
    place = Place()
    place.away = True
    dispatcher = Dispatcher(journal, place, lambda: ROUTER, owner="a")
    await accept(journal, 50, users=50)
    task = asyncio.create_task(dispatcher.run())
    await until(lambda: dispatcher.is_cut_off)
    await accept(journal, 10, users=50, begin=50)
    place.away = False
    await until(lambda: len(place.events) == 60)
    assert not dispatcher.is_cut_off
    await dispatcher.drain()
    task.cancel()


WAITING = load_tree("""
tree: waiting
events:
  go: {webhook: app, where: event.type == "go", key: event.data.user}
  paid: {webhook: app, where: event.type == "paid", key: event.data.user}
start: go
do: [{wait_for: paid}]
""")


class Waiting(MemoryRuns):
    """Runs that take an event only once they are started."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self.live: set[str] = set()
        self.asked = 0

    async def start(self, start: Start) -> Started:
        self.told.append(start.delivery.event.id)
        self.live.add(start.run_id)
        return "started"

    async def deliver(self, run_id: str, delivery: Delivery) -> bool:
        self.asked += 1
        if run_id not in self.live:
            return False
        self.told.append(delivery.event.id)
        return True


async def _nothing_new() -> None:
    return


async def test_events_that_wait_for_their_start_take_no_turn_from_the_others(
    journal: Journal, tmp_path: Path
) -> None:
    def event(kind: str, user: int) -> Event:
        return Event(id=f"{kind}-{user}", source="/t", type=kind, data={"user": f"u{user}"})

    many = 100
    place, router = Waiting(), Router([WAITING])
    await journal.append("app", [event("go", n) for n in range(many)])
    other = await Journal.open(str(tmp_path / "journal.db"))
    assert len(await other.pending(0, many, owner="other", lease=timedelta(seconds=60))) == many
    await journal.append("app", [event("paid", n) for n in range(many)])
    dispatcher = Dispatcher(journal, place, lambda: router, owner="b", catch_up=_nothing_new)
    task = asyncio.create_task(dispatcher.run())
    await until(lambda: place.asked == many)
    await journal.append("app", [event("go", many), event("paid", many)])
    await until(lambda: place.told == [f"go-{many}", f"paid-{many}"])
    await other.release("other")
    await other.close()
    await until(lambda: len(place.told) == 2 * many + 2)
    await dispatcher.drain()
    task.cancel()
    for number in range(many):
        entry = await journal.get(f"paid-{number}")
        assert [d.outcome for d in entry.deliveries] == ["delivered"]


async def test_a_start_that_another_process_gave_back_goes_before_what_waits_for_it(
    journal: Journal, tmp_path: Path
) -> None:
    """It comes to the process in which the later event stands already, and so behind that one."""

    def event(kind: str) -> Event:
        return Event(id=kind, source="/t", type=kind, data={"user": "u"})

    place, router = Waiting(), Router([WAITING])
    await journal.append("app", [event("go")])
    dying = await Journal.open(str(tmp_path / "journal.db"))
    (held,) = await dying.pending(0, 1, owner="dying", lease=timedelta(seconds=60))
    assert held.id == "go"
    await journal.append("app", [event("paid")])
    dispatcher = Dispatcher(journal, place, lambda: router, owner="b", catch_up=_nothing_new)
    task = asyncio.create_task(dispatcher.run())
    await until(lambda: place.asked)
    await dying.release("dying")
    await dying.close()
    await until(lambda: len(place.told) >= 2)
    await dispatcher.drain()
    task.cancel()
    assert place.told == ["go", "paid"]
    for kind in ("go", "paid"):
        entry = await journal.get(kind)
        assert [d.outcome for d in entry.deliveries] == ["started" if kind == "go" else "delivered"]
