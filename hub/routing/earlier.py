"""Which earlier events of a journal may start a run, and have not had their turn."""

from __future__ import annotations

import asyncio

from hub.routing.journal import Entry, Journal
from hub.routing.replay import original, wanted
from hub.routing.router import Match, Router

__all__ = ["Earlier", "may_start"]


class Earlier:
    """Looks into the journal for all that wait, and reads and routes each event once."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")
        self._last = 0
        """The last of the events that were asked for."""
        self._router: Router | None = None
        self._starts: dict[int, frozenset[str]] = {}
        """Of the events that are open, by their numbers: the runs that each may start."""
        self._starting: dict[str, set[int]] = {}
        """The same by the runs."""

    async def starts(self, seq: int, run_id: str, router: Router) -> set[int]:
        """The events before `seq` that are not settled and may start the run, as they are now.

        Raises `HubError` when the journal does not answer.
        """
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        self._last = max(self._last, seq)
        async with self._looking:
            # One look tells all who asked before it began.
            if self._looked_at < asked_at or self._router is not router:
                began = loop.time()
                await self._look(router)
                self._looked_at = began
            return {number for number in self._starting.get(run_id, ()) if number < seq}

    async def _look(self, router: Router) -> None:
        if self._router is not router:
            self._starts.clear()
            self._starting.clear()
            self._router = router
        still_open = set(await self._journal.open_before(self._last))
        for settled in self._starts.keys() - still_open:
            for run_id in self._starts.pop(settled):
                numbers = self._starting[run_id]
                numbers.discard(settled)
                if not numbers:
                    del self._starting[run_id]
        for entry in await self._journal.entries(still_open - self._starts.keys()):
            runs = self._starts[entry.seq] = _runs_of(entry, router)
            for run_id in runs:
                self._starting.setdefault(run_id, set()).add(entry.seq)


def may_start(match: Match) -> bool:
    """Is the run there once the match is delivered?"""
    return match.outcome == "start" or match.early is not None


def _runs_of(entry: Entry, router: Router) -> frozenset[str]:
    matches = wanted(entry.event, router.route(entry.trigger, original(entry.event)))
    return frozenset(m.run_id for m in matches if m.run_id is not None and may_start(m))
