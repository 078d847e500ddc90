"""The circuit: one asks for all while the place is away, and nothing that fails alone stops others."""

from __future__ import annotations

import asyncio

import pytest

from hub.errors import Undeliverable, Unreachable
from hub.routing import circuit as module
from hub.routing.circuit import Circuit, pause
from hub.routing.pace import Pace


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "pause", lambda failures: 0.001)


class Place:
    """A place that is away until it is told to be back."""

    def __init__(self) -> None:
        self.back = False
        self.asked = 0
        self.at_once = 0
        self.most_at_once = 0

    async def ask(self) -> str:
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(0.001)
        finally:
            self.at_once -= 1
        if not self.back:
            raise Unreachable("away")
        return "here"


async def test_while_it_is_away_one_asks_for_all() -> None:
    circuit, place = Circuit(Pace(256)), Place()
    callers = [asyncio.create_task(circuit.call(place.ask)) for _ in range(50)]
    while place.asked < 55:
        await asyncio.sleep(0.001)
    assert circuit.is_open
    place.most_at_once = 0
    while place.asked < 60:
        await asyncio.sleep(0.001)
    assert place.most_at_once == 1
    place.back = True
    assert await asyncio.gather(*callers) == ["here"] * 50
    assert not circuit.is_open


async def test_what_fails_alone_keeps_nobody_waiting() -> None:
    circuit, away, there = Circuit(Pace(256)), Place(), Place()
    there.back = True
    stuck = asyncio.create_task(circuit.call(away.ask))
    for _ in range(20):
        assert await asyncio.wait_for(circuit.call(there.ask), 5) == "here"
    assert not stuck.done()
    away.back = True
    assert await stuck == "here"


async def test_a_refusal_is_an_answer() -> None:
    circuit, place = Circuit(Pace(256)), Place()

    async def refused() -> str:
        raise Undeliverable("no")

    waiting = [asyncio.create_task(circuit.call(place.ask)) for _ in range(3)]
    while not circuit.is_open:
        await asyncio.sleep(0.001)
    with pytest.raises(Undeliverable):
        await circuit.call(refused)
    place.back = True
    assert await asyncio.gather(*waiting) == ["here"] * 3


async def test_who_is_cancelled_while_asking_lets_others_ask() -> None:
    circuit, place = Circuit(Pace(256)), Place()
    callers = [asyncio.create_task(circuit.call(place.ask)) for _ in range(5)]
    while not circuit.is_open:
        await asyncio.sleep(0.001)
    for caller in callers[:4]:
        caller.cancel()
    await asyncio.gather(*callers[:4], return_exceptions=True)
    place.back = True
    assert await callers[4] == "here"


def test_pauses_grow_within_bounds_and_differ() -> None:
    for failures in range(100):
        assert 0.025 <= pause(failures) <= 5.0
    assert len({pause(3) for _ in range(20)}) > 1
