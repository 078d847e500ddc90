"""Approvals of a run: who was asked, who has decided, and what came of it.

An approval is a document in its node's state: its memory while it is open, so that it goes on in a
new part of the run, and a view of it as the node's result, which stays.
"""

from hub.run.approvals.approval import (
    MAX_LISTED,
    MAX_PEOPLE,
    ApprovalState,
    OpenApproval,
    approval_at,
    approval_id,
    approval_path,
)
from hub.run.approvals.decision import (
    MAX_COMMENT,
    Answer,
    Decision,
    Delegation,
    HandedOver,
    person,
)
from hub.run.approvals.desk import Desk
from hub.run.approvals.notices import LinkMark

__all__ = [
    "MAX_COMMENT",
    "MAX_LISTED",
    "MAX_PEOPLE",
    "Answer",
    "ApprovalState",
    "Decision",
    "Delegation",
    "Desk",
    "HandedOver",
    "LinkMark",
    "OpenApproval",
    "approval_at",
    "approval_id",
    "approval_path",
    "person",
]
