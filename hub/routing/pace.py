"""How many deliveries are under way at once: as many as are answered soon."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hub.errors import Unreachable

__all__ = ["Pace"]

_FIRST = 32
_FEWEST = 4
_SLOW = 0.5
"""Seconds. What takes longer than this has waited in line at the other side, and may as well here."""
_LESS = 0.7
_MORE = 4.0


class Pace:
    """Additive increase, multiplicative decrease, as of TCP, over the answers of one other side.

    More at once than it can do makes a server no faster: each only waits longer, until requests are
    given up of which the server knows nothing and which it does in vain. Turns are given in order.
    """

    def __init__(self, most: int) -> None:
        self._most = float(most)
        self._limit = min(float(_FIRST), self._most)
        self._busy = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._shrunk_at = float("-inf")

    @property
    def limit(self) -> int:
        """How many may be under way now."""
        return int(self._limit)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and take it. How long the block takes is what the pace is set by."""
        await self._enter()
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            yield
        except Unreachable:
            self._shrink(began, loop.time())
            raise
        else:
            now = loop.time()
            if now - began > _SLOW:
                self._shrink(began, now)
            elif self._waiting:
                self._limit = min(self._limit + _MORE / self._limit, self._most)
        finally:
            self._busy -= 1
            self._let_in()

    def _shrink(self, began: float, now: float) -> None:
        # What was under way with it tells of the same jam: once is enough for all of them.
        if began >= self._shrunk_at:
            self._limit = max(self._limit * _LESS, min(float(_FEWEST), self._most))
            self._shrunk_at = now

    async def _enter(self) -> None:
        if self._busy < self.limit and not self._waiting:
            self._busy += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._busy -= 1
                self._let_in()
            raise

    def _let_in(self) -> None:
        while self._waiting and self._busy < self.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self._busy += 1
                turn.set_result(None)
