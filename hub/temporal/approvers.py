"""Under which words a run is found by those who may decide something in it, or have."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from temporalio.common import SearchAttributeKey

from hub.run.approvals import OpenApproval
from hub.run.decided import DecidedApproval

__all__ = [
    "ANYBODY",
    "DECIDED",
    "DECIDED_MEMO",
    "HUB_APPROVERS",
    "MEMO",
    "hashed",
    "tokens_of",
]

HUB_APPROVERS = SearchAttributeKey.for_keyword_list("HubApprovers")
MEMO = "HubApprovals"
"""What a run says of its open approvals, so that a list of them is one query."""
DECIDED_MEMO = "HubDecided"
"""What a run says of its approvals that are over."""

ANYBODY = "*"
DECIDED = "="
"""Begins the words for what is over: `=*` any approval, `=ada@example.com` one that she decided."""
_MAX_BYTES = 1900
_MAX_TOKENS = 130


def tokens_of(
    approvals: Sequence[OpenApproval], decided: Sequence[DecidedApproval] = ()
) -> list[str]:
    """Under which words a run is to be found by those who list approvals.

    Temporal takes 2 KiB for one attribute. Where the addresses do not fit, each is shortened to a
    hash; a list that is found by one is looked through for the person once more.
    """
    asked = list(dict.fromkeys(who for one in approvals for who in one.waiting_on))
    said = list(dict.fromkeys(one.who for over in reversed(decided) for one in over.by))
    if sum(len(who.encode()) + 5 for who in (*asked, *said)) > _MAX_BYTES:
        asked, said = [hashed(who) for who in asked], [hashed(who) for who in said]
    open_ = [ANYBODY, *asked] if approvals else []
    over = [DECIDED + word for word in (ANYBODY, *said)] if decided else []
    # Where even that does not fit, those who still have something to decide come first.
    kept = over[:1] + open_[:_MAX_TOKENS] + over[1:]
    return list(dict.fromkeys(kept))[:_MAX_TOKENS]


def hashed(who: str) -> str:
    """A person's address, shortened."""
    return "#" + hashlib.sha256(who.encode()).hexdigest()[:8]
