"""Trials at arm's length: each in a process of its own, bounded in time, memory and size.

What is tried is somebody's half-written tree. It may loop for ever or grow without end, and it is
lived in plain Python, so it would hold up whatever shares its process.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import multiprocessing.forkserver
import resource
import threading
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from hub.errors import Busy
from hub.simulation.expectation import Difference
from hub.simulation.trial import Trial, TrialRequest, try_out

__all__ = ["Trials"]

_MEBIBYTE = 1024 * 1024
_READY = b"ready"


class Trials:
    """Runs trials, at most `at_once` at a time and as many waiting.

    One trial is given `seconds` and `memory` (bytes, beyond what the program itself takes), and
    may tell `size` bytes.
    """

    def __init__(
        self,
        *,
        seconds: float = 10.0,
        memory: int = 512 * _MEBIBYTE,
        size: int = 8 * _MEBIBYTE,
        at_once: int = 2,
    ) -> None:
        self._seconds = seconds
        self._memory = memory
        self._size = size
        self._at_once = at_once
        self._turn = asyncio.Semaphore(at_once)
        self._asked = 0

    def warm(self) -> None:
        """Begin to load what the first trial needs, beside what else goes on."""
        threading.Thread(target=_context, daemon=True, name="trials").start()

    async def live(self, request: TrialRequest) -> Trial:
        """Live it. What takes too long or too much is told as a difference, not raised.

        Raises `Busy` when too many wait.
        """
        if self._asked >= 2 * self._at_once:
            raise Busy("others are trying things out; try again in a moment")
        self._asked += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(self._live, msgspec.json.encode(request))
        finally:
            self._asked -= 1

    def _live(self, request: bytes) -> Trial:
        context = _context()
        ours, theirs = context.Pipe(duplex=False)
        arguments = (theirs, request, self._seconds, self._memory, self._size)
        process = context.Process(target=_main, args=arguments, daemon=True)
        process.start()
        theirs.close()
        try:
            # The first one waits until the program is loaded; that is none of its own time.
            if not ours.poll(60.0) or ours.recv_bytes() != _READY:
                return _given_up("it could not be begun; the machine may be too busy")
            if not ours.poll(self._seconds + 1.0):
                return _given_up(f"it was not over after {self._seconds:g} seconds")
            return msgspec.json.decode(ours.recv_bytes(), type=Trial)
        except EOFError:
            return _given_up(
                f"it took more than {self._seconds:g} seconds, "
                f"or more than {self._memory // _MEBIBYTE} MiB of memory"
            )
        finally:
            ours.close()
            process.kill()
            process.join()
            process.close()


def _context() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["hub.simulation.ready"])
    multiprocessing.forkserver.ensure_running()
    return context


def _given_up(why: str) -> Trial:
    expected = "a scenario that can be lived"
    return Trial(differences=[Difference(what="simulation", expected=expected, got=why)])


def _main(pipe: Connection, request: bytes, seconds: float, memory: int, size: int) -> None:
    """The trial's own process."""
    pipe.send_bytes(_READY)
    _bound(seconds, memory)
    try:
        answer = msgspec.json.encode(try_out(msgspec.json.decode(request, type=TrialRequest)))
    except MemoryError:
        return
    if len(answer) > size:
        answer = msgspec.json.encode(
            _given_up(f"it tells {len(answer):,} bytes, and {size:,} are shown at most")
        )
    # Who asked may have gone meanwhile.
    with contextlib.suppress(OSError):
        pipe.send_bytes(answer)


def _bound(seconds: float, memory: int) -> None:
    # Where it waits for its turn on a busy machine it is not stopped by this, but by who asked.
    used = int(seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (used, used))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    statm = Path("/proc/self/statm")
    if statm.is_file():
        taken = int(statm.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + memory, taken + memory))
