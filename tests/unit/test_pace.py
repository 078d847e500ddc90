"""The pace: more at once while answers come soon, fewer when they do not, and turns in order."""

from __future__ import annotations

import asyncio

import pytest

from hub.errors import Unreachable
from hub.routing import pace as module
from hub.routing.pace import Pace


class Server:
    """Something that does one thing at a time, each in `seconds`."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.at_once = 0
        self.most_at_once = 0
        self.done: list[int] = []
        self._one = asyncio.Lock()

    async def ask(self, pace: Pace, number: int = 0) -> None:
        async with pace.turn():
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            async with self._one:
                await asyncio.sleep(self.seconds)
            self.done.append(number)
            self.at_once -= 1


async def test_it_grows_while_answers_come_soon_and_others_wait() -> None:
    pace, server = Pace(64), Server()
    await asyncio.gather(*(server.ask(pace) for _ in range(2000)))
    assert pace.limit == 64
    assert server.most_at_once <= 64


async def test_it_does_not_grow_when_nobody_waits() -> None:
    pace, server = Pace(64), Server()
    before = pace.limit
    for _ in range(200):
        await server.ask(pace)
    assert pace.limit == before


async def test_it_shrinks_to_what_is_answered_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SLOW", 0.05)
    pace, server = Pace(256), Server(0.01)
    await asyncio.gather(*(server.ask(pace) for _ in range(100)))
    assert pace.limit < 16


async def test_one_jam_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SLOW", 0.01)
    pace = Pace(30)

    async def slow() -> None:
        async with pace.turn():
            await asyncio.sleep(0.05)

    await asyncio.gather(*(slow() for _ in range(30)))
    assert pace.limit == 21


async def test_no_answer_is_the_slowest_of_all_and_never_stops_it() -> None:
    pace = Pace(256)

    async def away() -> None:
        async with pace.turn():
            await asyncio.sleep(0.001)
            raise Unreachable("away")

    for _ in range(50):
        with pytest.raises(Unreachable):
            await away()
    assert pace.limit == 4


async def test_turns_are_given_in_order() -> None:
    pace, server = Pace(1), Server()
    await asyncio.gather(*(server.ask(pace, number) for number in range(50)))
    assert server.done == list(range(50))
    assert server.most_at_once == 1


async def test_who_is_cancelled_in_line_or_at_work_takes_no_turn_along() -> None:
    pace, server = Pace(1), Server(10)
    working = asyncio.create_task(server.ask(pace, 1))
    waiting = [asyncio.create_task(server.ask(pace, number)) for number in (2, 3)]
    await asyncio.sleep(0.01)
    server.seconds = 0.0
    waiting[0].cancel()
    working.cancel()
    await asyncio.gather(working, waiting[0], return_exceptions=True)
    await asyncio.wait_for(waiting[1], 10)
    await asyncio.wait_for(server.ask(pace, 4), 10)
    assert server.done == [3, 4]


async def test_who_is_cancelled_just_when_its_turn_comes_gives_it_on() -> None:
    pace, server = Pace(1), Server()
    go = asyncio.Event()

    async def hold() -> None:
        async with pace.turn():
            await go.wait()

    holding = asyncio.create_task(hold())
    await asyncio.sleep(0)
    unlucky = asyncio.create_task(server.ask(pace, 1))
    after = asyncio.create_task(server.ask(pace, 2))
    await asyncio.sleep(0)
    go.set()
    await holding
    unlucky.cancel()
    await asyncio.wait_for(after, 10)
    assert unlucky.cancelled()
    assert server.done == [2]
