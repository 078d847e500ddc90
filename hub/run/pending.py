"""What the rest of the hub may ask of approvals in the place where runs live."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from hub.run.approvals import Answer, ApprovalState, Decision, Delegation, HandedOver
from hub.run.decided import DecidedApproval

__all__ = [
    "ApprovalPage",
    "DecidedPage",
    "FinishedApproval",
    "PendingApproval",
    "PendingApprovals",
]


class PendingApproval(msgspec.Struct, frozen=True, kw_only=True):
    """An approval that somebody is still to decide. `approval` is its own id within the run.

    `waiting_on` are those who may still decide; `due_at` is when its first reminder or escalation
    is due, None where it has neither.
    """

    run_id: str
    tree: str
    key: str | None
    path: str
    approval: str
    title: str
    opened_at: datetime
    deadline: datetime | None
    quorum: int
    approvals: int
    waiting_on: list[str]
    due_at: datetime | None = None


class ApprovalPage(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a list; `next` is the cursor of the part that follows, or None."""

    items: Sequence[PendingApproval]
    next: str | None = None


class FinishedApproval(msgspec.Struct, frozen=True, kw_only=True):
    """An approval that is over, and the run that asked for it."""

    run_id: str
    tree: str
    key: str | None
    approval: DecidedApproval


class DecidedPage(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a list; `next` is the cursor of the part that follows, or None."""

    items: Sequence[FinishedApproval]
    next: str | None = None


class PendingApprovals(Protocol):
    """Approvals of all runs. Every method raises `Unreachable` when that place does not answer."""

    async def list(
        self,
        *,
        person: str | None = None,
        tree: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> ApprovalPage:
        """Open approvals, those of the newest runs first; of one person, those they may decide.

        `limit` counts runs: one that asks for several things at once gives several items.
        """

    async def decided(
        self,
        *,
        person: str | None = None,
        tree: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> DecidedPage:
        """Approvals that are over, those of the newest runs first; of one person, those they decided.

        They are there as long as their runs are known. `limit` counts runs, as in `list`.
        """

    async def show(
        self, run_id: str, path: str, approval: str
    ) -> ApprovalState | dict[str, object]:
        """The approval while it is open, or else what came of it. Raises `NotFound`."""

    async def decide(self, run_id: str, decision: Decision) -> Answer:
        """Record a decision, once for each `decision.id`.

        Raises `NotFound` when the run does not wait for it, `AlreadyDecided`, `DecidedBefore`,
        `NotYours`, `ApprovalOver`, `InvalidForm` or `BadRequest`.
        """

    async def delegate(self, run_id: str, delegation: Delegation) -> HandedOver:
        """Pass a person's decision on to another, once for each `delegation.id`.

        Raises as `decide` does, and `InvalidDelegate` where the other cannot have it.
        """
