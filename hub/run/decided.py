"""What was decided in a run: the records of people's decisions, and of approvals that are over."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

__all__ = ["ApprovalOutcome", "Decided", "DecidedApproval", "PassedOn", "Said", "keep", "shortened"]

ApprovalOutcome = Literal["pending", "approved", "rejected", "timed_out"]
Said = Literal["approve", "reject"]

MAX_KEPT = 20
"""How many approvals that are over a run tells of; the oldest are forgotten first."""
MAX_KEPT_BYTES = 48 * 1024

_MAX_COMMENT = 300


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """A decision as it was recorded."""

    id: str
    who: str
    decision: Said
    how: str
    at: datetime
    comment: str | None = None
    form: dict[str, Any] = {}


class PassedOn(msgspec.Struct, frozen=True, kw_only=True):
    """That somebody who was asked has passed the decision on to another, as it was recorded."""

    id: str
    who: str
    to: str
    how: str
    at: datetime
    comment: str | None = None


class DecidedApproval(msgspec.Struct, frozen=True, kw_only=True):
    """An approval that is over, as lists show it. Comments are shortened, forms are left out."""

    id: str
    path: str
    title: str
    outcome: ApprovalOutcome
    timed_out: bool
    opened_at: datetime
    ended_at: datetime
    quorum: int
    by: list[Decided]
    delegations: list[PassedOn] = []


def shortened(one: Decided) -> Decided:
    """A decision as lists show it."""
    comment = one.comment
    if comment is not None and len(comment) > _MAX_COMMENT:
        comment = comment[: _MAX_COMMENT - 1] + "…"
    return msgspec.structs.replace(one, comment=comment, form={})


def keep(kept: list[DecidedApproval], one: DecidedApproval) -> None:
    """Add an approval that is over, unless it is there; let go of the oldest where it gets much."""
    if any(other.id == one.id for other in kept):
        return
    kept.append(one)
    while len(kept) > MAX_KEPT or (
        len(kept) > 1 and len(msgspec.json.encode(kept)) > MAX_KEPT_BYTES
    ):
        del kept[0]
