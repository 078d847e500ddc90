"""The dispatcher over a real journal: order per run, bounds, drain, and taking over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.errors import Busy, Unreachable
from hub.event import Event
from hub.routing import dispatcher as dispatching
from hub.routing.dispatcher import Dispatcher
from hub.routing.journal import Journal
from hub.routing.router import Router
from hub.run import Delivery, Start, Started
from hub.run.state import Outcome
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


def event_of(kind: str, user: str = "u", n: int = 0) -> Event:
    return Event(id=f"{kind}-{user}-{n}", source="/t", type=kind, data={"user": user})


@dataclass
class Elsewhere:
    """Another process on the same journal, which has taken up what was in it and does nothing."""

    journal: Journal

    @classmethod
    async def holding(cls, path: Path, count: int) -> Elsewhere:
        journal = await Journal.open(str(path / "journal.db"))
        held = await journal.pending(0, count, owner="other", lease=timedelta(seconds=60))
        assert len(held) == count
        return cls(journal)

    async def end(self) -> None:
        await self.journal.release("other")
        await self.journal.close()


async def test_what_waits_for_its_start_goes_back_when_the_hub_stops(
    journal: Journal, tmp_path: Path
) -> None:
    """Two processes that stop would else wait for each other, and nobody deliver meanwhile."""
    place, router = Waiting(), Router([WAITING])
    await journal.append("app", [event_of("go")])
    other = await Elsewhere.holding(tmp_path, 1)
    await journal.append("app", [event_of("paid", n=n) for n in range(3)])
    stopping = Dispatcher(journal, place, lambda: router, owner="b", catch_up=_nothing_new)
    task = asyncio.create_task(stopping.run())
    await until(lambda: place.asked)
    await asyncio.wait_for(stopping.drain(), 5)
    # Before its process has ended.
    back = await other.journal.pending(0, 9, owner="third", lease=timedelta(seconds=60))
    assert [entry.id for entry in back] == [f"paid-u-{n}" for n in range(3)]
    assert place.asked == 1
    await other.journal.release("third")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await other.end()

    following = Dispatcher(journal, place, lambda: router, owner="c", catch_up=_nothing_new)
    task = asyncio.create_task(following.run())
    await until(lambda: len(place.told) == 4)
    await following.drain()
    task.cancel()
    assert place.told == ["go-u-0", "paid-u-0", "paid-u-1", "paid-u-2"]


async def test_events_that_wait_for_their_starts_leave_room_for_these(
    journal: Journal, tmp_path: Path
) -> None:
    users = [f"u{n}" for n in range(12)]
    place, router = Waiting(), Router([WAITING])
    await journal.append("app", [event_of("go", user) for user in users])
    other = await Elsewhere.holding(tmp_path, len(users))
    await journal.append("app", [event_of("paid", user, n) for user in users for n in range(3)])
    working = Dispatcher(
        journal, place, lambda: router, owner="b", catch_up=_nothing_new, in_flight=4
    )
    task = asyncio.create_task(working.run())
    await until(lambda: place.asked == len(users))
    await other.end()
    await until(lambda: len(place.told) == 4 * len(users))
    await working.drain()
    task.cancel()
    for user in users:
        told = [one for one in place.told if f"-{user}-" in one]
        assert told == [f"go-{user}-0", *(f"paid-{user}-{n}" for n in range(3))]


async def test_what_are_too_many_to_wait_for_their_starts_wait_in_the_journal(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatching, "_MOST_PARKED", 8)
    monkeypatch.setattr(dispatching, "_REST", timedelta(seconds=1))
    users = [f"u{n}" for n in range(20)]
    place, router = Waiting(), Router([WAITING])
    await journal.append("app", [event_of("go", user) for user in users])
    other = await Elsewhere.holding(tmp_path, len(users))
    await journal.append("app", [event_of("paid", user) for user in users])
    working = Dispatcher(
        journal, place, lambda: router, owner="b", catch_up=_nothing_new, in_flight=2
    )
    task = asyncio.create_task(working.run())
    await until(lambda: place.asked > 15)
    await journal.append("app", [event_of("go", "late")])
    await until(lambda: place.told == ["go-late-0"])
    await other.end()
    await until(lambda: len(place.told) == 2 * len(users) + 1)
    await working.drain()
    task.cancel()
    for user in users:
        entry = await journal.get(f"paid-{user}-0")
        assert [d.outcome for d in entry.deliveries] == ["delivered"]


class Unanswering(Waiting):
    """Runs that end with the event; the answer to it is lost."""

    async def deliver(self, run_id: str, delivery: Delivery) -> bool:
        if await super().deliver(run_id, delivery):
            self.live.discard(run_id)
            raise Unreachable("the connection was lost")
        return False

    async def had(self, run_id: str, delivery: Delivery, since: datetime) -> Outcome | None:
        return "delivered" if delivery.event.id in self.told else None


async def test_an_event_whose_answer_was_lost_is_not_said_to_have_found_no_run(
    journal: Journal,
) -> None:
    place, router = Unanswering(), Router([WAITING])
    dispatcher = Dispatcher(journal, place, lambda: router, owner="a")
    task = asyncio.create_task(dispatcher.run())
    await journal.append("app", [event_of("go"), event_of("paid"), event_of("paid", n=1)])
    await until(lambda: place.asked == 2)
    await dispatcher.drain()
    task.cancel()
    assert place.told == ["go-u-0", "paid-u-0"]
    told = {n: (await journal.get(f"paid-u-{n}")).deliveries[0].outcome for n in range(2)}
    assert told == {0: "duplicate", 1: "no_run"}


class Mistaken(Waiting):
    """Runs that are said not to be there while they are."""

    def __init__(self) -> None:
        super().__init__()
        self.mistakes = 3

    async def deliver(self, run_id: str, delivery: Delivery) -> bool:
        if self.mistakes:
            self.mistakes -= 1
            return False
        return await super().deliver(run_id, delivery)

    async def is_live(self, run_id: str) -> bool:
        return run_id in self.live


async def test_an_event_is_not_said_to_have_found_no_run_while_there_is_one(
    journal: Journal,
) -> None:
    place, router = Mistaken(), Router([WAITING])
    dispatcher = Dispatcher(journal, place, lambda: router, owner="a", catch_up=_nothing_new)
    task = asyncio.create_task(dispatcher.run())
    await journal.append("app", [event_of("go"), event_of("paid"), event_of("paid", "nobody")])
    await until(lambda: place.told == ["go-u-0", "paid-u-0"])
    await dispatcher.drain()
    task.cancel()
    entry = await journal.get("paid-nobody-0")
    assert [d.outcome for d in entry.deliveries] == ["no_run"]


class Faulty(Waiting):
    """Runs whose first start meets an error that nobody has thought of."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[Exception] = [KeyError("secret"), TypeError("secret")]

    async def start(self, start: Start) -> Started:
        if self.faults:
            raise self.faults.pop()
        return await super().start(start)


async def test_an_error_of_the_hub_itself_keeps_an_event_for_later(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatching, "_REST", timedelta(milliseconds=200))
    place, router = Faulty(), Router([WAITING])
    dispatcher = Dispatcher(journal, place, lambda: router, owner="a")
    task = asyncio.create_task(dispatcher.run())
    await journal.append("app", [event_of("go")])
    await until(lambda: len(place.faults) == 1)
    entry = await journal.get("go-u-0")
    assert (entry.status, entry.error) in (
        ("accepted", None),
        ("accepted", "the hub fails at it: TypeError"),
    )
    await until(lambda: place.told == ["go-u-0"])
    await dispatcher.drain()
    task.cancel()
    entry = await journal.get("go-u-0")
    assert (entry.status, entry.attempts, entry.error) == ("delivered", 2, None)


async def test_a_journal_that_cannot_keep_a_definition_just_now_is_asked_again(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, refusals = journal.keep_definition, [Busy("the disk is full"), Busy("the disk is full")]

    async def busy(*what: Any) -> None:
        if refusals:
            raise refusals.pop()
        await keep(*what)

    monkeypatch.setattr(journal, "keep_definition", busy)
    place, router = Waiting(), Router([WAITING])
    dispatcher = Dispatcher(journal, place, lambda: router, owner="a")
    task = asyncio.create_task(dispatcher.run())
    await journal.append("app", [event_of("go")])
    await until(lambda: place.told == ["go-u-0"])
    await dispatcher.drain()
    task.cancel()
    assert [d.outcome for d in (await journal.get("go-u-0")).deliveries] == ["started"]
