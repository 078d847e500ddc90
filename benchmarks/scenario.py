"""The scenario that the hub and others are measured by: start, wait, resume by key, one step."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.frame import Side, quantiles
from benchmarks.http import Connections
from benchmarks.processes import Child
from benchmarks.told import Told

__all__ = ["Orders", "order_project", "until_ready"]

_HUB = """
triggers:
  app: {webhook: {provider: none}}
connections:
  code:
    python: {functions: [benchmarks.told.tell]}
"""
_TREE = """
tree: order
events:
  placed: {webhook: app, where: event.type == "placed", key: event.data.key}
  paid: {webhook: app, where: event.type == "paid", key: event.data.key}
start: placed
do:
  - wait_for: paid
    timeout: 24h
  - python.call:
      function: benchmarks.told.tell
      arguments: {key: "${{ event.data.key }}", port: "${{ event.data.port }}"}
"""


def order_project(folder: Path) -> Path:
    """A project with the tree `order`."""
    (folder / "trees").mkdir(parents=True)
    (folder / "hub.yaml").write_text(_HUB)
    (folder / "trees" / "order.yaml").write_text(_TREE)
    return folder


class Orders:
    """Orders that are placed and paid at one address, and the steps that they come to."""

    _numbers = itertools.count()

    def __init__(self, url: str, pool: Connections, told: Told) -> None:
        self._url = url
        self._pool = pool
        self._told = told

    def path(self, kind: str, key: str) -> str:
        """Where the event `placed` or `paid` of an order is posted."""
        return "/hooks/app"

    def keys(self, count: int) -> Sequence[str]:
        """That many keys that were never used."""
        prefix = uuid.uuid4().hex[:8]
        return [f"{prefix}-{next(self._numbers)}" for _ in range(count)]

    async def place(self, key: str) -> None:
        await self._send("placed", key)

    async def pay(self, key: str) -> float:
        """Send the event that resumes the order; when it was sent."""
        began = time.perf_counter()
        await self._send("paid", key)
        return began

    async def done(self, key: str) -> None:
        """Return once the order's step has begun."""
        await self._told.of(key)

    async def pay_all(self, keys: Sequence[str], together: int) -> None:
        """Send the events that resume all of these orders, so many at the same time."""
        waiting = list(keys)

        async def some() -> None:
            while waiting:
                await self.pay(waiting.pop())

        await asyncio.gather(*(some() for _ in range(together)))

    async def resumed(self, key: str) -> float:
        """Milliseconds from the event's request until the next step has begun."""
        return (-(await self.pay(key)) + await self._told.of(key)) * 1000

    async def whole(self, key: str) -> float:
        """Milliseconds from placing the order to its step, paid as soon as it was accepted."""
        began = time.perf_counter()
        await self.place(key)
        await self.pay(key)
        return (await self._told.of(key) - began) * 1000

    async def at_once(self, count: int, together: int) -> float:
        """Whole orders per second, that many at the same time."""
        waiting = list(self.keys(count))
        began = time.perf_counter()

        async def some() -> None:
            while waiting:
                await self.whole(waiting.pop())

        await asyncio.gather(*(some() for _ in range(together)))
        return count / (time.perf_counter() - began)

    async def measure(self, side: Side, *, count: int, many: int, together: int) -> None:
        """Take note of whole orders: one after the other, then many at the same time."""
        took = [await self.whole(key) for key in self.keys(count)]
        for name, value in quantiles(took).items():
            side.note(name, value)
        side.note("done", await self.at_once(many, together))

    async def _send(self, kind: str, key: str) -> None:
        event = {"id": f"{kind}-{key}", "type": kind, "data": self._data(key)}
        await self._pool.post(self._url + self.path(kind, key), json.dumps(event).encode())

    def _data(self, key: str) -> dict[str, Any]:
        return {"key": key, "port": self._told.port}


async def until_ready(orders: Orders, process: Child) -> None:
    """Return once the program takes orders and does them."""
    async with asyncio.timeout(60):
        while True:
            try:
                for key in orders.keys(3):
                    await orders.whole(key)
                return
            except OSError:
                if process.process.returncode is not None:
                    raise RuntimeError(f"it has ended:\n{process.last_words()}") from None
                await asyncio.sleep(0.1)
