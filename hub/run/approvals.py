"""Approvals of a run: who was asked, who has decided, and what came of it.

An approval is a document in its node's state: its memory while it is open, so that it goes on in a
new part of the run, and a view of it as the node's result, which stays.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from hub.durations import format_duration
from hub.errors import (
    AlreadyDecided,
    ApprovalOver,
    BadRequest,
    DecidedBefore,
    InvalidForm,
    NodeFailed,
    NotFound,
    NotYours,
)
from hub.run.home import ActionCall
from hub.run.outside import make_call
from hub.run.state import NodeState
from hub.tree.concurrency import first_done, halt, spawn
from hub.tree.node import Node, Retry
from hub.tree.nodes.approval import Approval, FormField, Notify, Question

if TYPE_CHECKING:
    from hub.run.run import TreeRun
    from hub.run.view import View

__all__ = [
    "MAX_COMMENT",
    "MAX_LISTED",
    "MAX_PEOPLE",
    "Answer",
    "Decision",
    "Desk",
    "LinkMark",
    "OpenApproval",
    "approval_at",
    "approval_id",
    "person",
]

MAX_PEOPLE = 100
"""How many people one approval may ask in all."""
MAX_COMMENT = 4000
MAX_LISTED = 50
"""How many open approvals of one run are to be found by those who list them."""

_MAX_ID = 100
_MAX_TEXT = 4000
_MAX_FAILED = 20
_LINK_LASTS = timedelta(days=30)
# After an hour it is noted as not sent; a later reminder is another try.
_MAIL_RETRY = Retry(attempts=14, backoff=timedelta(seconds=2), max=timedelta(minutes=10))
_NO_MAIL = ("unknown_connection", "unknown_connector", "unknown_action")
_SUBJECTS = {
    "asked": "Your approval is asked for",
    "reminder": "Reminder: your approval is asked for",
    "escalation": "Escalated to you: your approval is asked for",
}

Kind = Literal["asked", "reminder", "escalation"]
Outcome = Literal["pending", "approved", "rejected", "timed_out"]


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one person decides: the payload of the update `decide`.

    `approval` is the id of the very approval at `path`, since a later one may stand there. `id`
    makes it one decision however often it comes. `how` is the way it came: `link`, `api`, `cli`, ...
    """

    id: str
    path: str
    approval: str
    decision: Literal["approve", "reject"]
    who: str
    how: str
    comment: str | None = None
    form: dict[str, Any] = {}


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """A decision as it was recorded."""

    id: str
    who: str
    decision: Literal["approve", "reject"]
    how: str
    at: datetime
    comment: str | None = None
    form: dict[str, Any] = {}


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a person is told whose decision is recorded, and how the approval stands with it."""

    status: Literal["recorded"] = "recorded"
    decision: Literal["approve", "reject"]
    who: str
    at: datetime
    outcome: Outcome
    approvals: int
    quorum: int


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A mail to one person that is still to be sent."""

    number: int
    kind: Kind
    to: str


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A step of the escalation: when it is due, who may decide from then on, and the quorum."""

    at: datetime
    to: list[str]
    quorum: int | None


class ApprovalState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One approval, whole. People are their addresses in lower case, in the order of asking."""

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
    on_timeout: Literal["fail", "approve", "reject"] = "fail"
    remind: timedelta | None = None
    remind_at: datetime | None = None
    notify: Notify | bool | None = None
    steps: list[Step] = []
    escalated: list[Step] = []
    outcome: Outcome = "pending"
    timed_out: bool = False
    ended_at: datetime | None = None
    by: list[Decided] = []
    outbox: list[Notice] = []
    notices: int = 0
    mails: int = 0
    reminders: int = 0
    unsent: list[str] = []

    def approvals(self) -> int:
        """How many have approved."""
        return sum(one.decision == "approve" for one in self.by)

    def undecided(self) -> list[str]:
        """Who may still decide."""
        decided = [one.who for one in self.by]
        return [who for who in self.approvers if who not in decided]

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
            outcomes: Mapping[str, Outcome] = {"approve": "approved", "reject": "rejected"}
            self._end(outcomes.get(self.on_timeout, "timed_out"), now)

    def _end(self, outcome: Outcome, now: datetime) -> None:
        self.outcome, self.ended_at, self.outbox = outcome, now, []

    def _is_vetoed(self) -> bool:
        return self.veto and any(one.decision == "reject" for one in self.by)

    def _is_in_reach(self) -> bool:
        """Can the quorum still be reached, now or after a later step of the escalation?"""
        open_, quorum, approvals = self.undecided(), self.quorum, self.approvals()
        if approvals + len(open_) >= quorum:
            return True
        for step in self.steps:
            open_ += [who for who in step.to if who not in self.approvers and who not in open_]
            quorum = quorum if step.quorum is None else step.quorum
            if approvals + len(open_) >= quorum:
                return True
        return False

    def advance(self, now: datetime) -> None:
        """Do what is due: end it, escalate, remind."""
        self.settle(now)
        while self.outcome == "pending" and self.steps and self.steps[0].at <= now:
            step = self.steps.pop(0)
            new = [who for who in step.to if who not in self.approvers]
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
        """Have a mail sent to each who has an address."""
        if self.notify is False:
            return
        for who in people:
            if "@" in who:
                self.notices += 1
                self.outbox.append(Notice(number=self.notices, kind=kind, to=who))

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
                "opened_at": self.opened_at,
                "deadline": self.deadline,
                "ended_at": self.ended_at,
                "reminders": self.reminders,
                "escalations": self.escalated,
                "mails": self.mails,
                "unsent": self.unsent,
            }
        )
        return seen


class OpenApproval(msgspec.Struct, frozen=True, kw_only=True):
    """An open approval as lists show it. `waiting_on` are those who have not decided."""

    id: str
    path: str
    title: str
    opened_at: datetime
    deadline: datetime | None
    quorum: int
    approvals: int
    waiting_on: list[str]


class LinkMark(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is told of a decision link that it is to make: who decides what by it."""

    path: str
    approval: str
    who: str
    expires_at: datetime

    def mark(self, nonce: str) -> str:
        """The text that stands for the link until the worker puts it there."""
        packed = base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")
        return f"[decision:{nonce}:{packed}]"

    @classmethod
    def read(cls, packed: str) -> LinkMark:
        """The same from the mark's last part. Raises `ValueError`."""
        text = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
        return msgspec.json.decode(text, type=cls)


def person(name: str) -> str:
    """A person's address as approvals compare it."""
    return name.strip().casefold()


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


class Desk:
    """Where the decisions of one run come in."""

    def __init__(self, run: TreeRun) -> None:
        self._run = run
        self._wakes: dict[str, asyncio.Future[None]] = {}
        self.used = any(
            node.type == Approval.verb and node.memory is not None
            for node in run.state.nodes.values()
        )
        """Has an approval been open in this part of the run?"""

    # -- decisions ------------------------------------------------------------------------

    def check(self, decision: Decision) -> Answer | None:
        """Raise what a person is told whose decision cannot be recorded; changes nothing.

        Returns the answer of before where this very decision is recorded already.
        """
        state = self._run.state.nodes.get(decision.path)
        approval = approval_at(state)
        if approval is None or approval.id != decision.approval:
            return self._ended(state, decision)
        for one in approval.by:
            if one.id == decision.id:
                return _answer(one, approval.outcome, approval.approvals(), approval.quorum)
        if approval.outcome != "pending":
            raise _too_late(approval.view())
        assert state is not None
        if self._run.state.cancelling or state.halted or state.given_up is not None:
            raise ApprovalOver("The run has been stopped; nothing is to be decided any more.")
        if approval.deadline is not None and self._run.home.now() >= approval.deadline:
            raise ApprovalOver(f"The time for this decision ended on {_when(approval.deadline)}.")
        who = person(decision.who)
        if who in approval.excluded:
            raise NotYours(f"{who} is excluded from this decision.")
        if who not in approval.approvers:
            raise NotYours(f"{who} is not among those who are asked for this decision.")
        for one in approval.by:
            if one.who == who:
                raise DecidedBefore(
                    f"You have already decided: {_PAST[one.decision]} on {_when(one.at)}."
                )
        _check_texts(decision)
        _check_form(approval.form, decision)
        return None

    def decide(self, decision: Decision) -> Answer:
        """Record a decision. Raises as `check` does."""
        before = self.check(decision)
        if before is not None:
            return before
        state = self._run.state.nodes[decision.path]
        approval = approval_at(state)
        assert approval is not None
        now = self._run.home.now()
        decided = Decided(
            id=decision.id,
            who=person(decision.who),
            decision=decision.decision,
            how=decision.how,
            at=now,
            comment=decision.comment or None,
            form={name: value for name, value in decision.form.items() if value is not None},
        )
        approval.by.append(decided)
        approval.outbox = [notice for notice in approval.outbox if notice.to != decided.who]
        approval.settle(now)
        state.result = approval.view()
        self._wake(decision.path)
        self._run.home.changed()
        return _answer(decided, approval.outcome, approval.approvals(), approval.quorum)

    def _ended(self, state: NodeState | None, decision: Decision) -> Answer:
        result = None if state is None or state.type != Approval.verb else state.result
        if not isinstance(result, dict) or result.get("id") != decision.approval:
            raise NotFound("The run does not wait for this decision any more.")
        for item in result["by"]:
            if item["id"] == decision.id:
                one = msgspec.convert(item, Decided)
                return _answer(one, result["decision"], result["approvals"], result["quorum"])
        raise _too_late(result)

    # -- those that are open --------------------------------------------------------------

    def open(self) -> list[OpenApproval]:
        """The run's open approvals, oldest first; at most `MAX_LISTED`."""
        if not self.used or self._run.state.status != "running":
            return []
        found: list[OpenApproval] = []
        for path, state in self._run.state.nodes.items():
            approval = approval_at(state)
            if approval is None or approval.outcome != "pending" or len(found) == MAX_LISTED:
                continue
            found.append(
                OpenApproval(
                    id=approval.id,
                    path=path,
                    title=approval.title,
                    opened_at=approval.opened_at,
                    deadline=approval.deadline,
                    quorum=approval.quorum,
                    approvals=approval.approvals(),
                    waiting_on=approval.undecided(),
                )
            )
        return found

    # -- one approval's life --------------------------------------------------------------

    async def ask(self, view: View, node: Node, question: Callable[[], Question]) -> dict[str, Any]:
        """Open the approval, or go on with it, until it has an outcome."""
        self.used = True
        path = view.path(node)
        state = self._run.state.nodes[path]
        approval = approval_at(state)
        if approval is None:
            approval = state.memory = self._opened(question(), path)
        state.result = approval.view()
        home = self._run.home
        mails: dict[int, asyncio.Task[None]] = {}
        timer: tuple[datetime, asyncio.Task[None]] | None = None
        try:
            with view.waiting(node, approval.deadline):
                while True:
                    approval.advance(home.now())
                    state.result = approval.view()
                    if approval.outcome != "pending":
                        break
                    home.changed()
                    self._run.consider()
                    for notice in approval.outbox:
                        if notice.number not in mails:
                            mails[notice.number] = spawn(self._tell(view, node, approval, notice))
                    woken = self._wakes[path] = asyncio.get_running_loop().create_future()
                    moment = approval.next_moment()
                    if timer is not None and timer[0] != moment:
                        await halt([timer[1]])
                        timer = None
                    if moment is not None and (timer is None or timer[1].done()):
                        left = max(moment - home.now(), timedelta(milliseconds=1))
                        timer = moment, spawn(home.sleep(left, f"approval {node.label}"))
                    if approval.outcome != "pending" or woken.done():
                        continue
                    await first_done([woken, *([] if timer is None else [timer[1]])])
        except asyncio.CancelledError:
            await self._leave(path, timer, mails)
            raise
        await self._leave(path, timer, mails)
        return approval.view()

    async def _leave(
        self,
        path: str,
        timer: tuple[datetime, asyncio.Task[None]] | None,
        mails: Mapping[int, asyncio.Task[None]],
    ) -> None:
        self._wakes.pop(path, None)
        await halt([*([] if timer is None else [timer[1]]), *mails.values()])

    def _wake(self, path: str) -> None:
        woken = self._wakes.get(path)
        if woken is not None and not woken.done():
            woken.set_result(None)

    def _opened(self, asked: Question, path: str) -> ApprovalState:
        now = self._run.home.now()
        people = self._people(asked.people, asked.groups, asked.excluded, path)
        steps = [
            Step(
                at=now + rung.after,
                to=self._people(rung.people, rung.groups, asked.excluded, path),
                quorum=rung.quorum,
            )
            for rung in asked.rungs
        ]
        everybody = list(dict.fromkeys([*people, *(who for step in steps for who in step.to)]))
        if len(everybody) > MAX_PEOPLE:
            raise NodeFailed(
                "too_many_people",
                f"the approval asks {len(everybody)} people; at most {MAX_PEOPLE} may be asked",
                path,
                harmless=True,
            )
        approval = ApprovalState(
            id=self._run.home.new_id(),
            title=asked.title,
            details=asked.details,
            form=asked.form,
            approvers=people,
            excluded=asked.excluded,
            quorum=asked.quorum,
            veto=asked.veto,
            opened_at=now,
            deadline=None if asked.timeout is None else now + asked.timeout,
            on_timeout=asked.on_timeout,
            remind=asked.remind,
            remind_at=None if asked.remind is None else now + asked.remind,
            notify=asked.notify,
            steps=steps,
        )
        approval.settle(now)
        if approval.outcome == "rejected":
            raise NodeFailed(
                "no_quorum",
                f"{asked.quorum} must approve, and only {len(everybody)} may: "
                f"{', '.join(everybody) or 'nobody'}",
                path,
                harmless=True,
            )
        approval.tell("asked", people)
        return approval

    def _people(
        self, people: Sequence[str], groups: Sequence[str], excluded: Sequence[str], path: str
    ) -> list[str]:
        """Everybody who is meant, each once, without those who are excluded."""
        named = [person(who) for who in people]
        for group in groups:
            members = self._run.groups.get(group)
            if members is None:
                raise NodeFailed(
                    "unknown_group",
                    f"the project had no group {group!r} when the run began",
                    path,
                    harmless=True,
                )
            named += [person(who) for who in members]
        return [who for who in dict.fromkeys(named) if who not in excluded]

    # -- mails ----------------------------------------------------------------------------

    async def _tell(self, view: View, node: Node, approval: ApprovalState, notice: Notice) -> None:
        """Send one mail. That it cannot be sent is noted, and stops nothing."""
        place = f"{view.path(node)}.mail[{notice.number}]"
        await self._run.admit(place)
        try:
            await self._run.home.call(self._mail(view, node, place, approval, notice), _MAIL_RETRY)
        except NodeFailed as error:
            if error.failure not in _NO_MAIL or isinstance(approval.notify, Notify):
                said = f"{notice.to}: {error.failure}: {error.message}"[:300]
                approval.unsent = [*approval.unsent, said][-_MAX_FAILED:]
        else:
            approval.mails += 1
        finally:
            self._run.landed(place)
        approval.outbox = [one for one in approval.outbox if one.number != notice.number]
        view.show(node, approval.view())
        self._run.home.changed()
        self._run.consider()

    def _mail(
        self, view: View, node: Node, place: str, approval: ApprovalState, notice: Notice
    ) -> ActionCall:
        run = self._run
        lasts = run.home.now() + _LINK_LASTS
        link = LinkMark(
            path=view.path(node),
            approval=approval.id,
            who=notice.to,
            expires_at=lasts if approval.deadline is None else min(lasts, approval.deadline),
        ).mark(run.state.nonce)
        how = approval.notify if isinstance(approval.notify, Notify) else Notify()
        arguments: dict[str, Any] = {
            "to": notice.to,
            "subject": f"{_SUBJECTS[notice.kind]}: {approval.title}",
        }
        if how.template is None:
            arguments["text"] = "\n\n".join(_letter(run.state.id, approval, notice, link))
        else:
            arguments["template"] = how.template
            seen = {"details": approval.details, "kind": notice.kind, "to": notice.to}
            arguments["data"] = {"approval": approval.view() | seen, "decision_url": link}
        action = "email.send"
        scope = view.action_scope() if run.home.wants_scope(action) else None
        return make_call(
            run.state, node, place, action, arguments, connection=how.connection, scope=scope
        )


_PAST = {"approve": "approved", "reject": "rejected"}


def _letter(run_id: str, approval: ApprovalState, notice: Notice, link: str) -> Iterator[str]:
    yield approval.title
    if approval.details:
        yield approval.details
    if approval.quorum > 1:
        yield f"{approval.approvals()} of {approval.quorum} approvals are there."
    if approval.deadline is not None:
        left = approval.deadline - approval.opened_at
        yield (
            f"It can be decided until {_when(approval.deadline)} "
            f"({format_duration(left)} after it was asked for)."
        )
    yield f"See it, and approve or reject it:\n{link}"
    yield (
        f"You decide as {notice.to}. Whoever has this link can decide in your name, so do not pass "
        "it on."
    )
    yield f"Run: {run_id}"


def _answer(one: Decided, outcome: Outcome, approvals: int, quorum: int) -> Answer:
    return Answer(
        decision=one.decision,
        who=one.who,
        at=one.at,
        outcome=outcome,
        approvals=approvals,
        quorum=quorum,
    )


def _too_late(result: Mapping[str, Any]) -> AlreadyDecided | ApprovalOver:
    """What somebody is told who decides after the end."""
    outcome = result["decision"]
    if outcome == "pending":
        return ApprovalOver("The run was stopped before this was decided.")
    ended = _when(result["ended_at"])
    if result["timed_out"]:
        meaning = "" if outcome == "timed_out" else f"; it counts as {outcome}"
        return ApprovalOver(f"The time for this decision ended on {ended}{meaning}.")
    wanted = "approve" if outcome == "approved" else "reject"
    names = [one["who"] for one in result["by"] if one["decision"] == wanted]
    return AlreadyDecided(f"Already decided: {outcome} by {', '.join(names)} on {ended}.")


def _when(time: datetime | str) -> str:
    moment = datetime.fromisoformat(time) if isinstance(time, str) else time
    return f"{moment:%Y-%m-%d at %H:%M} UTC"


def _check_texts(decision: Decision) -> None:
    if decision.comment is not None and len(decision.comment) > MAX_COMMENT:
        raise BadRequest(f"A comment has at most {MAX_COMMENT} characters.")
    if not 0 < len(decision.id) <= _MAX_ID or len(decision.how) > _MAX_ID:
        raise BadRequest(f"A decision's id has at most {_MAX_ID} characters.")


def _check_form(form: Mapping[str, FormField], decision: Decision) -> None:
    """Raise `InvalidForm` with all that is wrong. Whoever rejects need not answer everything."""
    wrong = [f"there is no field {name!r}" for name in decision.form if name not in form]
    for name, asked in form.items():
        value = decision.form.get(name)
        label = asked.label or name
        if value is None or value == "":
            if asked.required and decision.decision == "approve":
                wrong.append(f"{label!r} must be answered")
        elif asked.type == "boolean":
            if not isinstance(value, bool):
                wrong.append(f"{label!r} is yes or no")
        elif asked.type == "number":
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                wrong.append(f"{label!r} is a number")
        elif not isinstance(value, str) or len(value) > _MAX_TEXT:
            wrong.append(f"{label!r} is a text of at most {_MAX_TEXT} characters")
        elif asked.type == "choice" and value not in asked.choices:
            wrong.append(f"{label!r} is one of {', '.join(asked.choices)}")
    if wrong:
        raise InvalidForm("; ".join(wrong) + ".")
