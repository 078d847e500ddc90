"""One event's delivery to one run or key, and what is written down of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from hub.event import Event
from hub.routing.earlier import may_start
from hub.routing.journal import DeliveryRecord, Entry, Outcome
from hub.routing.router import Match, Router

__all__ = ["Turn", "lane_of", "record_of"]


@dataclass(eq=False, kw_only=True)
class Turn:
    """A delivery in its lane. An event that starts and resumes runs of one key has one for both."""

    entry: Entry
    event: Event
    matches: Sequence[Match]
    router: Router
    lane: str = ""
    records: list[DeliveryRecord] | None = None
    """What came of it, where a later event had to see to it first."""
    has_waited: bool = False
    """Whether all earlier events that may start its run have had their turn."""
    is_unsure: bool = False
    """Whether a try of it got no answer, and so may have been made all the same."""
    goes_back: bool = False
    """Whether it is to wait in the journal, and no longer here."""

    @property
    def run_id(self) -> str:
        return self.matches[0].run_id or ""

    def may_start(self, run_id: str) -> bool:
        return any(match.run_id == run_id and may_start(match) for match in self.matches)


def lane_of(match: Match) -> str:
    """What is delivered one after the other: that to one run, or to the runs of one key."""
    assert match.run_id is not None
    if match.key is None or match.at is not None:
        return match.run_id
    return f"{match.tree}/{match.key}"


def record_of(match: Match, outcome: Outcome, reason: str | None = None) -> DeliveryRecord:
    return DeliveryRecord(
        tree=match.tree,
        subscription=match.subscription,
        key=match.key,
        run_id=match.run_id,
        outcome=outcome,
        reason=reason,
        at=datetime.now(UTC),
    )
