"""Runs as they change: one look per run, however many look on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from hashlib import blake2b

import msgspec
import structlog

from hub.api.problems import problem_of
from hub.api.streams import Ended, frame
from hub.errors import HubError, NotFound
from hub.run.runs import Runs
from hub.run.state import RunState

__all__ = ["LiveRuns", "RunStream"]

_END = frame("end", b"{}")
_PAUSES = (0.5, 1.0, 2.0, 5.0)
_log = structlog.get_logger("hub.api")


class LiveRuns:
    """The runs that somebody looks at. `encode` makes the document that they are shown."""

    def __init__(self, runs: Runs, encode: Callable[[RunState], bytes]) -> None:
        self._runs = runs
        self._encode = encode
        self._watched: dict[str, _Watched] = {}

    async def open(self, run_id: str, last_id: str | None) -> RunStream:
        """A stream of the run's documents, each with its digest as id.

        The first comes at once, unless it is the one whose id the client had last. Raises
        `NotFound` and `Unreachable`.
        """
        watched = self._watched.get(run_id)
        if watched is None or watched.over:
            watched = self._watched[run_id] = _Watched(self._runs, run_id, self._encode)
        watched.lookers += 1
        try:
            await watched.first()
        except BaseException:
            self._leave(run_id, watched)
            raise
        return RunStream(watched, last_id, lambda: self._leave(run_id, watched))

    def _leave(self, run_id: str, watched: _Watched) -> None:
        watched.lookers -= 1
        if watched.lookers:
            return
        watched.stop()
        if self._watched.get(run_id) is watched:
            del self._watched[run_id]


class RunStream:
    """What one client is sent of a run: always the newest document, so a slow one skips some."""

    def __init__(self, watched: _Watched, last_id: str | None, leave: Callable[[], None]) -> None:
        self._watched = watched
        self._leave: Callable[[], None] | None = leave
        self._last = last_id
        self._trouble: bytes | None = None
        self._ended = False

    @property
    def is_known_end(self) -> bool:
        """Has the run ended, with the very document that the client had last?"""
        return self._watched.over and self._watched.id == self._last

    async def next(self) -> bytes:
        watched = self._watched
        while True:
            if watched.id != self._last:
                self._last = watched.id
                return watched.document
            if watched.trouble != self._trouble:
                self._trouble = watched.trouble
                if watched.trouble is not None:
                    return watched.trouble
            if watched.over:
                if self._ended:
                    raise Ended
                self._ended = True
                return _END
            await watched.moved.wait()

    def close(self) -> None:
        if self._leave is not None:
            self._leave()
            self._leave = None


class _Watched:
    """One run that is looked at: its newest document, and the task that follows the run."""

    def __init__(self, runs: Runs, run_id: str, encode: Callable[[RunState], bytes]) -> None:
        self.lookers = 0
        self.id: str | None = None
        self.document = b""
        self.trouble: bytes | None = None
        self.over = False
        self.moved = asyncio.Event()
        self._runs = runs
        self._run_id = run_id
        self._encode = encode
        self._refusal: HubError | None = None
        self._following = asyncio.create_task(self._follow(), name=f"follow {run_id}")

    async def first(self) -> None:
        """Return once there is a document. Raises what keeps it from being had."""
        while self.id is None:
            if self._refusal is not None:
                raise self._refusal
            await self.moved.wait()

    def stop(self) -> None:
        self._following.cancel()

    async def _follow(self) -> None:
        failures = 0
        while not self.over:
            try:
                async for state in self._runs.follow(self._run_id):
                    failures = 0
                    self._show(self._encode(state))
                self.over = True
            except HubError as error:
                self._refuse(error)
            except Exception as error:
                self._refuse(HubError(problem_of(error)[0].detail))
            self._move()
            if not self.over:
                await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
                failures += 1

    def _show(self, body: bytes) -> None:
        self._refusal = self.trouble = None
        digest = blake2b(body, digest_size=9).hexdigest()
        if digest != self.id:
            self.id = digest
            self.document = frame("run", body, id=digest)
        self._move()

    def _refuse(self, error: HubError) -> None:
        if self._refusal is None or self._refusal.code != error.code:
            self.trouble = frame("problem", msgspec.json.encode(problem_of(error)[0]))
        self._refusal = error
        # A run that was there and is not any more has been forgotten by Temporal.
        self.over = isinstance(error, NotFound)

    def _move(self) -> None:
        self.moved.set()
        self.moved = asyncio.Event()
