"""One approval as it stands: who may decide, who has, what is due next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from hub.run.decided import ApprovalOutcome, Decided, DecidedApproval, PassedOn, shortened
from hub.run.state import NodeState
from hub.tree.nodes.approval import Approval, FormField, Notify

__all__ = [
    "MAX_DELEGATIONS",
    "MAX_LISTED",
    "MAX_PEOPLE",
    "ApprovalState",
    "Kind",
    "Notice",
    "OpenApproval",
    "Step",
    "approval_at",
    "approval_id",
    "approval_path",
]

MAX_PEOPLE = 100
"""How many people one approval may ask in all."""
MAX_DELEGATIONS = 100
"""How often one approval may be passed on."""
MAX_LISTED = 50
"""How many open approvals of one run are to be found by those who list them."""

Kind = Literal["asked", "reminder", "escalation", "delegated"]


class Notice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message that is still to be sent: a mail to one person, or a post to all of them."""

    number: int
    kind: Kind
    to: str
    by: Literal["mail", "slack"] = "mail"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A step of the escalation: when it is due, who may decide from then on, and the quorum."""

    at: datetime
    to: list[str]
    quorum: int | None


class ApprovalState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One approval, whole. People are their addresses in lower case, in the order of asking.

    `due_at` never changes: the first reminder or step of the escalation, None where there is neither.
    """

    id: str
    title: str
    details: str | None = None
    form: dict[str, FormField] = {}
    approvers: list[str]
    excluded: list[str] = []
    quorum: int
    veto: bool
    opened_at: datetime
    deadline: datetime | None = None
    due_at: datetime | None = None
    on_timeout: Literal["fail", "approve", "reject"] = "fail"
    remind: timedelta | None = None
    remind_at: datetime | None = None
    notify: Notify | bool | None = None
    steps: list[Step] = []
    escalated: list[Step] = []
    outcome: ApprovalOutcome = "pending"
    timed_out: bool = False
    ended_at: datetime | None = None
    by: list[Decided] = []
    delegations: list[PassedOn] = []
    outbox: list[Notice] = []
    notices: int = 0
    mails: int = 0
    posts: int = 0
    reminders: int = 0
    unsent: list[str] = []

    def approvals(self) -> int:
        """How many have approved."""
        return sum(one.decision == "approve" for one in self.by)

    def undecided(self) -> list[str]:
        """Who may still decide."""
        decided = [one.who for one in self.by]
        return [who for who in self.approvers if who not in decided]

    def passed_on(self, who: str) -> PassedOn | None:
        """To whom this person has passed their decision on, if they have and it has not come back."""
        if who in self.approvers:
            return None
        return next((one for one in reversed(self.delegations) if one.who == who), None)

    def hand_over(self, delegation: PassedOn) -> None:
        """Put somebody into the place of another. One voice stays one voice."""
        self.delegations.append(delegation)
        self.approvers[self.approvers.index(delegation.who)] = delegation.to
        self.outbox = [notice for notice in self.outbox if notice.to != delegation.who]
        self.tell("delegated", [delegation.to])

    def next_moment(self) -> datetime | None:
        """When something happens next unless somebody decides."""
        moments = [self.deadline, self.remind_at, *(step.at for step in self.steps[:1])]
        return min((moment for moment in moments if moment is not None), default=None)

    def settle(self, now: datetime) -> None:
        """Note the outcome, where there is one."""
        if self.outcome != "pending":
            return
        if self.approvals() >= self.quorum:
            self._end("approved", now)
        elif self._is_vetoed() or not self._is_in_reach():
            self._end("rejected", now)
        elif self.deadline is not None and now >= self.deadline:
            self.timed_out = True
            outcomes: Mapping[str, ApprovalOutcome] = {"approve": "approved", "reject": "rejected"}
            self._end(outcomes.get(self.on_timeout, "timed_out"), now)

    def _end(self, outcome: ApprovalOutcome, now: datetime) -> None:
        self.outcome, self.ended_at, self.outbox = outcome, now, []

    def _is_vetoed(self) -> bool:
        return self.veto and any(one.decision == "reject" for one in self.by)

    def _is_in_reach(self) -> bool:
        """Can the quorum still be reached, now or after a later step of the escalation?"""
        open_, quorum, approvals = self.undecided(), self.quorum, self.approvals()
        if approvals + len(open_) >= quorum:
            return True
        for step in self.steps:
            open_ += [who for who in self._new(step) if who not in open_]
            quorum = quorum if step.quorum is None else step.quorum
            if approvals + len(open_) >= quorum:
                return True
        return False

    def _new(self, step: Step) -> list[str]:
        """Whom a step asks who was not asked before; whoever passed the decision on was."""
        return [
            who
            for who in step.to
            if who not in self.approvers and not any(one.who == who for one in self.delegations)
        ]

    def advance(self, now: datetime) -> None:
        """Do what is due: end it, escalate, remind."""
        self.settle(now)
        while self.outcome == "pending" and self.steps and self.steps[0].at <= now:
            step = self.steps.pop(0)
            new = self._new(step)
            self.approvers += new
            self.quorum = self.quorum if step.quorum is None else step.quorum
            self.escalated.append(Step(at=now, to=new, quorum=step.quorum))
            self.tell("escalation", new)
            self.settle(now)
        if self.outcome != "pending" or self.remind is None or self.remind_at is None:
            return
        if self.remind_at <= now:
            self.reminders += 1
            waiting = [notice.to for notice in self.outbox]
            self.tell("reminder", [who for who in self.undecided() if who not in waiting])
            # After a time when no worker was there one reminder is enough.
            missed = (now - self.remind_at) // self.remind
            self.remind_at += self.remind * (missed + 1)

    def tell(self, kind: Kind, people: Sequence[str]) -> None:
        """Have a mail sent to each who has an address, and one post for all where posts are made."""
        if self.notify is False:
            return
        how = self.notify if isinstance(self.notify, Notify) else Notify()
        for who in people if how.mail else ():
            if "@" in who:
                self._send(kind, who, "mail")
        # A reminder adds nothing to a post that could not be made yet.
        posts = kind == "reminder" and any(notice.by == "slack" for notice in self.outbox)
        if how.slack is not None and people and not posts:
            self._send(kind, "", "slack")

    def _send(self, kind: Kind, to: str, by: Literal["mail", "slack"]) -> None:
        self.notices += 1
        self.outbox.append(Notice(number=self.notices, kind=kind, to=to, by=by))

    def view(self) -> dict[str, Any]:
        """The node's result: what people and expressions see of it."""
        seen: dict[str, Any] = msgspec.to_builtins(
            {
                "id": self.id,
                "title": self.title,
                "decision": self.outcome,
                "timed_out": self.timed_out,
                "quorum": self.quorum,
                "veto": self.veto,
                "approvals": self.approvals(),
                "approvers": self.approvers,
                "excluded": self.excluded,
                "by": self.by,
                "delegations": self.delegations,
                "opened_at": self.opened_at,
                "deadline": self.deadline,
                "ended_at": self.ended_at,
                "reminders": self.reminders,
                "escalations": self.escalated,
                "mails": self.mails,
                "posts": self.posts,
                "unsent": self.unsent,
            }
        )
        return seen

    def listed(self, path: str) -> OpenApproval:
        """As lists of open ones show it."""
        return OpenApproval(
            id=self.id,
            path=path,
            title=self.title,
            opened_at=self.opened_at,
            deadline=self.deadline,
            quorum=self.quorum,
            approvals=self.approvals(),
            waiting_on=self.undecided(),
            due_at=self.due_at,
        )

    def closed(self, path: str) -> DecidedApproval:
        """As lists of those that are over show it."""
        assert self.ended_at is not None
        return DecidedApproval(
            id=self.id,
            path=path,
            title=self.title,
            outcome=self.outcome,
            timed_out=self.timed_out,
            opened_at=self.opened_at,
            ended_at=self.ended_at,
            quorum=self.quorum,
            by=[shortened(one) for one in self.by],
            delegations=[msgspec.structs.replace(one, comment=None) for one in self.delegations],
        )


class OpenApproval(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An open approval as lists show it. `waiting_on` are those who have not decided.

    `due_at` is when it should have been decided by: the first reminder or step of its escalation.
    """

    id: str
    path: str
    title: str
    opened_at: datetime
    deadline: datetime | None
    quorum: int
    approvals: int
    waiting_on: list[str]
    due_at: datetime | None = None


def approval_path(nodes: Mapping[str, NodeState], path: str, approval: str) -> str:
    """Where the approval of that id is: at the path, unless a migration has moved it."""
    places = [path] if path in nodes else []
    for place in (*places, *nodes):
        node = nodes[place]
        if node.type != Approval.verb:
            continue
        found = approval_at(node)
        if found is not None and found.id == approval:
            return place
        if isinstance(node.result, dict) and node.result.get("id") == approval:
            return place
    return path


def approval_at(state: NodeState | None) -> ApprovalState | None:
    """The approval that is open at a node, if one is."""
    if state is None or state.type != Approval.verb or state.memory is None:
        return None
    if not isinstance(state.memory, ApprovalState):
        # From an earlier part of the run it comes as plain JSON.
        state.memory = msgspec.convert(state.memory, ApprovalState)
    return state.memory


def approval_id(state: NodeState) -> str | None:
    """The id of the approval that a node asks or has asked for."""
    approval = approval_at(state)
    if approval is not None:
        return approval.id
    return state.result["id"] if isinstance(state.result, dict) else None
