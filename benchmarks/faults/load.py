"""What senders do: they repeat what was not accepted, and now and then what was."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx

__all__ = ["Load"]


class Load:
    """Webhooks of many orders, each of which is placed and then paid, and of bursts.

    `accepted` are the ids of the events that the hub has answered with 202; each must have exactly
    one effect. `given_up` are those of impatient senders that had no such answer: whether they
    count is open.
    """

    def __init__(self, urls: Sequence[str], rng: random.Random) -> None:
        self._urls = urls
        self._rng = rng
        self._tasks: set[asyncio.Task[None]] = set()
        self.posts = 0
        self.answers: Counter[str] = Counter()
        self.accepted: dict[str, None] = {}
        self.given_up: dict[str, None] = {}
        self.orders = 0

    async def run(self, going: Callable[[], bool], rate: float, signals: int = 0) -> None:
        """Send about so many orders a second for as long as it goes on, and end what was begun.

        Meanwhile so many `signals` go to one single run.
        """
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
        async with httpx.AsyncClient(trust_env=False, timeout=20, limits=limits) as client:
            if signals:
                self._spawn(self._post(client, _event("begun", "begun", run="hot")))
                numbers = iter(range(signals))
                for _ in range(16):
                    self._spawn(self._tick(client, numbers))
            while going():
                self._spawn(self._order(client, self.orders))
                self.orders += 1
                await asyncio.sleep(self._rng.expovariate(rate))
            while self._tasks:
                await asyncio.gather(*list(self._tasks))

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _order(self, client: httpx.AsyncClient, number: int) -> None:
        rng = self._rng
        placed = _event(f"placed-{number}", "placed", order=f"o{number}")
        paid = _event(f"paid-{number}", "paid", order=f"o{number}")
        noted = _event(f"noted-{number}", "noted", shop=f"s{number % 7}")
        if rng.random() < 0.1:
            # The payment overtakes the order.
            await self._post(client, paid)
            await self._post(client, placed)
        else:
            await self._post(client, placed)
            await asyncio.sleep(rng.random() * 1.5)
            await self._post(client, paid)
        await self._post(client, noted, patient=rng.random() < 0.9)

    async def _tick(self, client: httpx.AsyncClient, numbers: Iterator[int]) -> None:
        for number in numbers:
            ticked = _event(f"ticked-{number}", "ticked", run="hot")
            while not await self._try(client, ticked, counts=False):
                await asyncio.sleep(0.1 + self._rng.random() * 0.4)

    async def _post(
        self, client: httpx.AsyncClient, event: dict[str, Any], *, patient: bool = True
    ) -> None:
        rng = self._rng
        if rng.random() < 0.15:
            self._spawn(self._again(client, event))
        while True:
            if await self._try(client, event):
                return
            if not patient:
                if event["id"] not in self.accepted:
                    self.given_up[event["id"]] = None
                return
            await asyncio.sleep(0.1 + rng.random() * 0.4)

    async def _again(self, client: httpx.AsyncClient, event: dict[str, Any]) -> None:
        """The same once more, at the same time or a little later."""
        await asyncio.sleep(self._rng.choice((0.0, 0.05, 2.0)))
        await self._try(client, event)

    async def _try(
        self, client: httpx.AsyncClient, event: dict[str, Any], *, counts: bool = True
    ) -> bool:
        """Send it once; was it accepted? One that `counts` has an effect of its own."""
        self.posts += 1
        url = self._rng.choice(self._urls)
        try:
            answer = await client.post(f"{url}/hooks/app", json=event)
        except httpx.HTTPError as error:
            self.answers[type(error).__name__] += 1
            return False
        self.answers[str(answer.status_code)] += 1
        if answer.status_code != 202:
            return False
        if counts:
            self.accepted[event["id"]] = None
        self.given_up.pop(event["id"], None)
        return True


def _event(name: str, kind: str, **data: Any) -> dict[str, Any]:
    return {"id": name, "type": kind, "data": data}
