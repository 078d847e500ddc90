"""How much waits to be dispatched, and what wakes the dispatcher for it."""

from __future__ import annotations

import asyncio
import heapq
from datetime import datetime

from hub.routing.journal.handoff import Handoff

__all__ = ["Backlog"]


class Backlog:
    """The accepted entries that are not settled.

    `count` follows what this process does at once, and what others do within a second. `event` is
    set when there is something to dispatch.
    """

    def __init__(self, event: asyncio.Event, handoff: Handoff) -> None:
        self.count = 0
        self.event = event
        self._handoff = handoff
        self._due: list[float] = []
        self._timer: asyncio.TimerHandle | None = None

    def grow(self, count: int) -> None:
        """So many entries are new, or fewer where the number is negative."""
        self.count = max(0, self.count + count)

    def ring(self) -> None:
        """There is something that the dispatcher has to ask the database for."""
        self._handoff.fall_behind()
        self.event.set()

    def ring_at(self, time: datetime) -> None:
        """There will be something at that time."""
        delay = (time - datetime.now(time.tzinfo)).total_seconds()
        if delay <= 0:
            self.ring()
            return
        heapq.heappush(self._due, asyncio.get_running_loop().time() + delay)
        self._set_timer()

    def close(self) -> None:
        self._due.clear()
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if self._due:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._due[0], self._come_due)

    def _come_due(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._due and self._due[0] <= now:
            heapq.heappop(self._due)
        self.ring()
        self._set_timer()
