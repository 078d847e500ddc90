"""How many approvals are open and overdue: all of them, counted seldom."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.api import approval_counts
from hub.api.approval_counts import ApprovalCounter
from hub.errors import Unreachable
from hub.run.pending import ApprovalPage, PendingApproval
from tests.unit.api_home import open_home

HOUR = timedelta(hours=1)


def asked(hours: float, *, due: float | None = None, ends: float | None = None) -> PendingApproval:
    """One that was asked so many hours ago; `due` and `ends` are in hours from then."""
    at = datetime.now(UTC) - hours * HOUR
    return PendingApproval(
        run_id="t/1",
        tree="t",
        key="1",
        path="do[0]",
        approval="a",
        title="Ship it?",
        opened_at=at,
        deadline=None if ends is None else at + ends * HOUR,
        quorum=1,
        approvals=0,
        waiting_on=["ada@example.com"],
        due_at=None if due is None else at + due * HOUR,
    )


@dataclass
class Pages:
    """Approvals of some runs; each listing is counted."""

    items: list[PendingApproval]
    asked: int = 0
    away: bool = False

    async def list(self, *, limit: int = 50, cursor: str | None = None, **_: Any) -> ApprovalPage:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise Unreachable("Temporal does not answer")
        begin = int(cursor or 0)
        end = begin + limit
        following = str(end) if end < len(self.items) else None
        return ApprovalPage(items=self.items[begin:end], next=following)


async def test_all_are_counted_by_what_makes_them_late() -> None:
    pages: Any = Pages(
        [
            *[asked(1)] * 900,
            *[asked(25)] * 250,
            *[asked(5, due=4)] * 130,
            *[asked(30, due=48)] * 7,
            *[asked(1, ends=2)] * 3,
            *[asked(50, due=4, ends=60)] * 2,
        ]
    )
    counts = await ApprovalCounter(lambda: pages).counts()
    assert (counts.open, counts.reminded, counts.old, counts.ending) == (1292, 132, 250, 5)


async def test_many_who_ask_at_once_are_answered_by_one_counting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(approval_counts, "_FRESH", 3600.0)
    pages: Any = Pages([asked(1)] * 1200)
    counter = ApprovalCounter(lambda: pages)
    answers = await asyncio.gather(*(counter.counts() for _ in range(20)))
    assert {one.open for one in answers} == {1200}
    assert pages.asked == 3
    await counter.counts()
    assert pages.asked == 3


async def test_what_could_not_be_counted_is_counted_at_the_next_question() -> None:
    pages: Any = Pages([asked(1)], away=True)
    counter = ApprovalCounter(lambda: pages)
    with pytest.raises(Unreachable):
        await counter.counts()
    pages.away = False
    assert (await counter.counts()).open == 1


async def test_over_http(tmp_path: Path) -> None:
    pages: Any = Pages([asked(5, due=4), asked(25), asked(2)])
    async with open_home(tmp_path, approvals=pages) as home:
        counts = (await home.client.get("/api/approvals/counts")).json()
        items = (await home.client.get("/api/approvals")).json()["items"]
    assert (counts["open"], counts["reminded"], counts["old"]) == (3, 1, 1)
    assert [one["overdue"] for one in items] == [True, True, False]


async def test_a_hub_without_approvals_says_so(tmp_path: Path) -> None:
    async with open_home(tmp_path) as home:
        assert (await home.client.get("/api/approvals/counts")).status_code == 404
