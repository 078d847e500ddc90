"""An event loop whose time is virtual: when nothing is left to do now, it jumps to the next timer.

It has no threads, sockets or signals and never reads a real clock, so what runs on it is the same
each time, and years pass in milliseconds.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import sys
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hub.errors import EndlessRun

__all__ = ["VirtualLoop"]

_MICROSECOND = 1_000_000
_MAX_SECONDS = 1000 * 365 * 86_400
_EVENT, _TIMER = 0, 1


class VirtualLoop(asyncio.AbstractEventLoop):
    """`time()` counts virtual seconds from 0. Times are kept in whole microseconds, so that
    durations add up exactly.

    `max_steps` bounds how much may happen before `EndlessRun` is raised.
    """

    def __init__(self, max_steps: int) -> None:
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[int, int, int, asyncio.TimerHandle]] = []
        self._micros = 0
        self._count = 0
        self._steps = 0
        self._max_steps = max_steps
        self._running = False
        self._closed = False
        self._failure: BaseException | None = None

    # -- running --------------------------------------------------------------------------

    def run_until_idle(self, until: float | None = None) -> None:
        """Run until nothing is ready and no timer is left: whoever waits still, waits for ever.

        With `until`, a virtual time in seconds, run to the end of that moment instead.
        """
        if self._closed or self._running:
            raise RuntimeError("the virtual loop is closed, or running already")
        limit = None if until is None else _micros(until)
        if asyncio._get_running_loop() is None:
            self._run(limit)
            return
        # A thread has one running loop; who calls from within another gets a thread for it.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(self._run, limit).result()

    def _run(self, limit: int | None) -> None:
        self._running = True
        asyncio._set_running_loop(self)
        try:
            while True:
                self._drain()
                if not self._jump(limit):
                    break
            if limit is not None:
                self._micros = max(self._micros, limit)
        finally:
            asyncio._set_running_loop(None)
            self._running = False

    def step(self) -> None:
        """Count one step. Raises `EndlessRun` when there were too many."""
        self._steps += 1
        if self._steps > self._max_steps:
            raise EndlessRun(
                f"the simulation has not come to an end after {self._max_steps:,} steps: a loop of "
                "the tree has no end; give it `max`, or the scenario an event that ends it"
            )

    def unbind(self) -> None:
        """From now on count no steps: what is left is to put everything away."""
        self._max_steps = sys.maxsize

    def _drain(self) -> None:
        ready = self._ready
        while ready:
            handle = ready.popleft()
            if not handle.cancelled():
                self.step()
                handle._run()
                if self._failure is not None:
                    failure, self._failure = self._failure, None
                    raise failure

    def _jump(self, limit: int | None) -> bool:
        """Go on to the next moment at which something is due. False when there is none."""
        timers = self._timers
        while timers and timers[0][3].cancelled():
            heapq.heappop(timers)
        if not timers or (limit is not None and timers[0][0] > limit):
            return False
        when, rank, _, _ = timers[0]
        if when > _MAX_SECONDS * _MICROSECOND:
            raise EndlessRun("the simulation has not come to an end after a thousand years")
        self._micros = max(self._micros, when)
        # Events that come at a moment are taken in before the timers of that moment, as a
        # workflow takes its signals.
        while timers and timers[0][:2] == (when, rank):
            self._ready.append(heapq.heappop(timers)[3])
        return True

    # -- what asyncio asks of a loop ------------------------------------------------------

    def time(self) -> float:
        return self._micros / _MICROSECOND

    def call_soon(  # type: ignore[override]
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self._at(self._micros + _micros(max(delay, 0.0)), _TIMER, callback, args, context)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self._at(_micros(when), _TIMER, callback, args, context)

    def call_on_event(self, when: float, callback: Callable[[], object]) -> None:
        """Call at a virtual time, before the timers of that moment."""
        self._at(_micros(when), _EVENT, callback, (), None)

    def _at(
        self,
        micros: int,
        rank: int,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: contextvars.Context | None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(micros / _MICROSECOND, callback, args, self, context)
        self._count += 1
        heapq.heappush(self._timers, (micros, rank, self._count, handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are passed over when their moment comes."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, **options: Any
    ) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=self, name=name, **options)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        self._ready.clear()
        self._timers.clear()
        self._closed = True

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What nobody catches ends the simulation: it is a fault of the program, not of a tree."""
        error = context.get("exception")
        if not self._closed and isinstance(error, BaseException):
            self._failure = error


def _micros(seconds: float) -> int:
    return round(seconds * _MICROSECOND)
