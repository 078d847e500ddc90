"""The way into the hub: events go to the journal, as long as it is not too far behind."""

from __future__ import annotations

from collections.abc import Sequence

from hub.errors import Busy
from hub.event import Event
from hub.routing.journal import Journal
from hub.telemetry.metrics import ACCEPTED
from hub.telemetry.tracing import traced
from hub.trigger import Receipt

__all__ = ["JournalIntake"]


class JournalIntake:
    """An `Intake` and `ConsumerIntake` over the journal.

    It refuses with `Busy` while `max_backlog` events or more wait to be delivered, so that
    senders slow down instead of the journal growing without bound.
    """

    def __init__(
        self, journal: Journal, *, max_backlog: int = 100_000, retry_after: int = 5
    ) -> None:
        self._journal = journal
        self._max_backlog = max_backlog
        self._retry_after = retry_after

    async def accept(self, trigger: str, events: Sequence[Event]) -> Sequence[Receipt]:
        """Make the events durable and hand them on to be routed.

        Raises `Busy` when the hub is full or its journal away, with nothing of the batch kept.
        """
        if self._journal.backlog >= self._max_backlog:
            raise Busy(
                f"{self._journal.backlog} events wait to be delivered; "
                "the hub takes new ones when there are fewer",
                retry_after=self._retry_after,
            )
        receipts = await self._journal.append(trigger, traced(events))
        for receipt in receipts:
            ACCEPTED.labels(trigger, "yes" if receipt.duplicate else "no").inc()
        return receipts

    async def bury(self, trigger: str, event: Event, error: str) -> Receipt:
        """Keep something that is no event among the dead letters, where nothing routes it.

        It is durable when this returns. Raises `Busy`.
        """
        return await self._journal.append_dead(trigger, event, error)
