"""How a process is told to stop, and to read its project again."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from hub.process.tuning import switch_quickly

__all__ = ["Stop", "loop_factory", "run_until_stopped"]

_ONE_PRESS = 0.3


class Stop:
    """Whether the process has been told to stop. Called, it tells it so."""

    def __init__(self) -> None:
        self.is_stopping = False


def run_until_stopped(
    work: Callable[[Stop], Coroutine[Any, Any, None]],
    *,
    say: Callable[[str], None],
    last_resort: float,
    delay: float = 0.0,
    hang_up: Callable[[], None] | None = None,
) -> None:
    """Do the work until Ctrl-C or SIGTERM, which end it in order and without an error.

    The work is cancelled `delay` seconds after it was told to stop, and has `last_resort` seconds
    from then to end. A second Ctrl-C ends it at once. `hang_up` is what SIGHUP does; without it,
    that stops as well. Raises what the work raises.
    """
    switch_quickly()
    if sys.__stderr__ is not None:
        # A crash of the interpreter itself ends the process without a word otherwise.
        faulthandler.enable(sys.__stderr__)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_until_stopped(work, say, last_resort, delay, hang_up))


async def _until_stopped(
    work: Callable[[Stop], Coroutine[Any, Any, None]],
    say: Callable[[str], None],
    last_resort: float,
    delay: float,
    hang_up: Callable[[], None] | None,
) -> None:
    loop = asyncio.get_running_loop()
    stop = Stop()
    working = asyncio.ensure_future(work(stop))
    pressed: float | None = None

    def end() -> None:
        nonlocal pressed
        if pressed is not None:
            # A terminal and a wrapper may both pass on what was one Ctrl-C.
            if loop.time() - pressed > _ONE_PRESS:
                _exit_now()
            return
        pressed = loop.time()
        stop.is_stopping = True
        say("stopping; Ctrl-C again stops at once")
        loop.call_later(delay, working.cancel)
        loop.call_later(delay + last_resort, _exit_now)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    loop.add_signal_handler(signal.SIGHUP, hang_up or end)
    try:
        await working
    except asyncio.CancelledError:
        if pressed is None:
            raise
        say("stopped")


def _exit_now() -> None:
    """End without ceremony. Embedded servers are tethered to this process and follow it."""
    sys.stdout.flush()
    os._exit(130)


def loop_factory() -> Any:
    """The event loop of uvloop where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
