"""Under which words a run is found by those who may decide something in it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from temporalio.common import SearchAttributeKey

from hub.run.approvals import OpenApproval

__all__ = ["ANYBODY", "HUB_APPROVERS", "MEMO", "hashed", "tokens_of"]

HUB_APPROVERS = SearchAttributeKey.for_keyword_list("HubApprovers")
MEMO = "HubApprovals"
"""What a run says of its open approvals, so that a list of them is one query."""

ANYBODY = "*"
_MAX_BYTES = 1900
_MAX_TOKENS = 130


def tokens_of(approvals: Sequence[OpenApproval]) -> list[str]:
    """Under which words a run is to be found by those who list open approvals.

    Temporal takes 2 KiB for one attribute. Where the addresses do not fit, each is shortened to a
    hash; a list that is found by one is looked through for the person once more.
    """
    people = list(dict.fromkeys(who for one in approvals for who in one.waiting_on))
    if sum(len(who.encode()) + 4 for who in people) > _MAX_BYTES:
        people = list(dict.fromkeys(hashed(who) for who in people))[:_MAX_TOKENS]
    return [ANYBODY, *people] if approvals else []


def hashed(who: str) -> str:
    """A person's address, shortened."""
    return "#" + hashlib.sha256(who.encode()).hexdigest()[:8]
