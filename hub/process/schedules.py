"""The schedules of a running `hub dev`: on the embedded server as they are in the files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hub.errors import HubError, Unreachable
from hub.routing.schedules import ProjectSchedules

__all__ = ["LiveSchedules"]

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 10.0
_MANY = 3


class LiveSchedules:
    """Applies the project's schedules: at `run`'s begin, and after each `changed`."""

    def __init__(self, schedules: ProjectSchedules, say: Callable[[str, str], None]) -> None:
        self._schedules = schedules
        self._say = say
        self._change = asyncio.Event()
        self._change.set()

    def changed(self) -> None:
        """The project is another; its schedules follow soon."""
        self._change.set()

    async def run(self) -> None:
        """Apply until cancelled; what the server does not take is said, what it missed is tried."""
        while True:
            await self._change.wait()
            self._change.clear()
            await self._apply()

    async def _apply(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                plan = await self._schedules.apply()
            except Unreachable as error:
                if pause == _FIRST_PAUSE:
                    self._say(f"schedules are applied later: {error.message}", "yellow")
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            except HubError as error:
                self._say(f"schedules: {error.message}", "red")
                return
            else:
                break
        done = [f"{change.id} {change.action}d" for change in plan.changes]
        if done:
            more = f" and {len(done) - _MANY} more" if len(done) > _MANY else ""
            self._say(f"schedules: {', '.join(done[:_MANY])}{more}", "green")
