"""How many approvals are open, and how many of them have waited too long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from hub.run.pending import PendingApproval, PendingApprovals

__all__ = ["LONG", "ApprovalCounter", "ApprovalCounts", "is_overdue"]

LONG: Final = timedelta(days=1)
"""After this an approval that neither reminds nor escalates is overdue."""
_SOON: Final = timedelta(days=1)
_PAGE: Final = 500
_FRESH: Final = 2.0
_SHARE: Final = 20


class ApprovalCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Open approvals by what they are in for; one may be in several.

    `reminded` are past their own due time, which is their first reminder or escalation; `old` have
    neither, and were asked more than a day ago; both are overdue. `ending` time out within a day.
    `at` is when they were counted.
    """

    open: int
    reminded: int
    old: int
    ending: int
    at: datetime


def is_overdue(one: PendingApproval, now: datetime) -> bool:
    """Whether it should have been decided by now."""
    return now > (one.opened_at + LONG if one.due_at is None else one.due_at)


class ApprovalCounter:
    """Counts all of them, however many, and keeps the numbers for a moment.

    What is asked meanwhile is answered by the same counting; and one that took long is good for
    long, so that counting is never more than a small part of the work.
    """

    def __init__(self, places: Callable[[], PendingApprovals]) -> None:
        self._places = places
        self._lock = asyncio.Lock()
        self._counted: ApprovalCounts | None = None
        self._good_until = 0.0

    async def counts(self) -> ApprovalCounts:
        """Raises `NotFound` where the hub keeps none, and `Unreachable`."""
        places = self._places()
        async with self._lock:
            began = time.monotonic()
            if self._counted is None or began >= self._good_until:
                self._counted = await _count(places)
                took = time.monotonic() - began
                self._good_until = began + took + max(_FRESH, took * _SHARE)
            return self._counted


async def _count(places: PendingApprovals) -> ApprovalCounts:
    now = datetime.now(UTC)
    count = reminded = old = ending = 0
    cursor: str | None = None
    while True:
        page = await places.list(limit=_PAGE, cursor=cursor)
        for one in page.items:
            count += 1
            late = is_overdue(one, now)
            reminded += late and one.due_at is not None
            old += late and one.due_at is None
            ending += one.deadline is not None and one.deadline < now + _SOON
        cursor = page.next
        if cursor is None:
            return ApprovalCounts(open=count, reminded=reminded, old=old, ending=ending, at=now)
