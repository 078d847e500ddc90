"""The circuit before the place where runs live: while it does not answer, one asks for all."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from hub.errors import HubError, Unreachable
from hub.routing.pace import Pace

__all__ = ["Circuit"]

_log = structlog.get_logger("hub.dispatcher")
_T = TypeVar("_T")
_TRIPS_AT = 3
_LONGEST_PAUSE = 5.0


class Circuit:
    """Tries a thing again until it is answered, with pauses that grow and are never quite alike.

    After a few failures in a row, with no answer to anybody in between, it is taken that the place
    is away: then one caller at a time asks, in turn, and the others wait. The first answer lets all
    of them go on. What fails alone does not keep the others waiting. Tries are made at the `pace`
    that is given.
    """

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._failures = 0
        self._probing = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """Is the place taken to be away?"""
        return self._failures >= _TRIPS_AT

    async def call(self, attempt: Callable[[], Awaitable[_T]]) -> _T:
        """What the attempt gives in the end. Raises what it raises, but never `Unreachable`."""
        failed = 0
        while True:
            if self.is_open:
                async with self._probing:
                    # While this one stood in line, another may have had an answer.
                    if self.is_open:
                        await asyncio.sleep(pause(self._failures - _TRIPS_AT))
                        answered, result = await self._try(attempt, probes=True)
                        if answered:
                            return result  # type: ignore[return-value]
                        continue
            answered, result = await self._try(attempt)
            if answered:
                return result  # type: ignore[return-value]
            failed += 1
            if not self.is_open:
                await asyncio.sleep(pause(failed))

    async def _try(
        self, attempt: Callable[[], Awaitable[_T]], *, probes: bool = False
    ) -> tuple[bool, _T | None]:
        try:
            async with self._pace.turn():
                if self.is_open and not probes:
                    # It has been found to be away while this one waited for its turn.
                    return False, None
                result = await attempt()
        except Unreachable as error:
            self._failures += 1
            if self._failures == _TRIPS_AT:
                _log.warning("events wait in the journal", error=error.message)
            return False, None
        except HubError:
            self._answered()
            raise
        self._answered()
        return True, result

    def _answered(self) -> None:
        if self.is_open:
            _log.info("events are delivered again")
        self._failures = 0


def pause(failures: int) -> float:
    """The seconds to wait after that many failures: growing, bounded, and spread by chance."""
    return min(0.05 * 2.0 ** min(failures, 10), _LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311
