"""Where the decisions of one run come in, and where its approvals live."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from hub.errors import ApprovalOver, DecidedBefore, InvalidDelegate, NodeFailed, NotFound, NotYours
from hub.run.approvals.approval import (
    MAX_DELEGATIONS,
    MAX_LISTED,
    MAX_PEOPLE,
    ApprovalState,
    Notice,
    OpenApproval,
    Step,
    approval_at,
    approval_path,
)
from hub.run.approvals.decision import (
    PAST,
    Answer,
    Decision,
    Delegation,
    HandedOver,
    answer_to,
    check_form,
    check_texts,
    person,
    too_late,
    when,
)
from hub.run.approvals.notices import is_expected_to_arrive, make_notice
from hub.run.decided import Decided, DecidedApproval, PassedOn, keep
from hub.run.state import NodeState
from hub.tree.concurrency import first_done, halt, spawn
from hub.tree.node import Node, Retry
from hub.tree.nodes.approval import Approval, Question, names_in

if TYPE_CHECKING:
    from hub.run.run import TreeRun
    from hub.run.view import View

__all__ = ["Desk"]

_MAX_FAILED = 20
# After an hour it is noted as not sent; a later reminder is another try.
_NOTICE_RETRY = Retry(attempts=14, backoff=timedelta(seconds=2), max=timedelta(minutes=10))


_Said = TypeVar("_Said", Decision, Delegation)


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
        decision = self._placed(decision)
        state = self._run.state.nodes.get(decision.path)
        approval = approval_at(state)
        if approval is None or approval.id != decision.approval:
            return self._ended(state, decision)
        for one in approval.by:
            if one.id == decision.id:
                return answer_to(one, approval.outcome, approval.approvals(), approval.quorum)
        assert state is not None
        self._check_open(state, approval)
        _check_asked(approval, person(decision.who))
        check_texts(decision)
        check_form(approval.form, decision)
        return None

    def _placed(self, said: _Said) -> _Said:
        """With the path that the approval has now: a link may be older than a migration."""
        path = approval_path(self._run.state.nodes, said.path, said.approval)
        return said if path == said.path else msgspec.structs.replace(said, path=path)

    def _check_open(self, state: NodeState, approval: ApprovalState) -> None:
        if approval.outcome != "pending":
            raise too_late(approval.view())
        if self._run.state.cancelling or state.halted or state.given_up is not None:
            raise ApprovalOver("The run has been stopped; nothing is to be decided any more.")
        if approval.deadline is not None and self._run.home.now() >= approval.deadline:
            raise ApprovalOver(f"The time for this decision ended on {when(approval.deadline)}.")

    def decide(self, decision: Decision) -> Answer:
        """Record a decision. Raises as `check` does."""
        before = self.check(decision)
        if before is not None:
            return before
        decision = self._placed(decision)
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
        self._show(decision.path, state, approval)
        return answer_to(decided, approval.outcome, approval.approvals(), approval.quorum)

    def check_delegation(self, delegation: Delegation) -> HandedOver | None:
        """Raise what a person is told who cannot pass their decision on; changes nothing.

        Whoever may decide may pass that on, once, to somebody who is neither excluded nor asked
        already, now or by a later step: one voice stays one voice. Returns the answer of before
        where this very delegation is recorded already.
        """
        delegation = self._placed(delegation)
        state = self._run.state.nodes.get(delegation.path)
        approval = approval_at(state)
        if approval is None or approval.id != delegation.approval:
            return self._delegated_before(state, delegation)
        for one in approval.delegations:
            if one.id == delegation.id:
                return HandedOver(who=one.who, to=one.to, at=one.at)
        assert state is not None
        self._check_open(state, approval)
        _check_asked(approval, person(delegation.who))
        check_texts(delegation)
        _check_delegate(approval, delegation.to)
        return None

    def delegate(self, delegation: Delegation) -> HandedOver:
        """Put somebody in the place of another. Raises as `check_delegation` does."""
        before = self.check_delegation(delegation)
        if before is not None:
            return before
        delegation = self._placed(delegation)
        state = self._run.state.nodes[delegation.path]
        approval = approval_at(state)
        assert approval is not None
        passed = PassedOn(
            id=delegation.id,
            who=person(delegation.who),
            to=person(delegation.to),
            how=delegation.how,
            at=self._run.home.now(),
            comment=delegation.comment or None,
        )
        approval.hand_over(passed)
        self._show(delegation.path, state, approval)
        return HandedOver(who=passed.who, to=passed.to, at=passed.at)

    def _show(self, path: str, state: NodeState, approval: ApprovalState) -> None:
        """Let everybody see what has changed, the node itself included."""
        state.result = approval.view()
        self._note(path, approval)
        self._wake(path)
        self._run.home.changed()

    def _note(self, path: str, approval: ApprovalState) -> None:
        """Remember what came of an approval, also when its node is forgotten."""
        if approval.outcome != "pending":
            keep(self._run.state.decided, approval.closed(path))

    def _ended(self, state: NodeState | None, decision: Decision) -> Answer:
        result = _result_of(state, decision.approval)
        for item in result["by"]:
            if item["id"] == decision.id:
                one = msgspec.convert(item, Decided)
                return answer_to(one, result["decision"], result["approvals"], result["quorum"])
        raise too_late(result)

    def _delegated_before(self, state: NodeState | None, delegation: Delegation) -> HandedOver:
        result = _result_of(state, delegation.approval)
        for item in result.get("delegations", ()):
            if item["id"] == delegation.id:
                one = msgspec.convert(item, PassedOn)
                return HandedOver(who=one.who, to=one.to, at=one.at)
        raise too_late(result)

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
            found.append(approval.listed(path))
        return found

    def decided(self) -> list[DecidedApproval]:
        """The run's approvals that are over, oldest first, as far as they are remembered."""
        return self._run.state.decided

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
                    self._note(path, approval)
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
        remind_at = None if asked.remind is None else now + asked.remind
        moments = [moment for moment in (remind_at, *(step.at for step in steps)) if moment]
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
            due_at=min(moments, default=None),
            on_timeout=asked.on_timeout,
            remind=asked.remind,
            remind_at=remind_at,
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

    # -- notices --------------------------------------------------------------------------

    async def _tell(self, view: View, node: Node, approval: ApprovalState, notice: Notice) -> None:
        """Send one notice. That it cannot be sent is noted, and stops nothing."""
        place = f"{view.path(node)}.{notice.by}[{notice.number}]"
        await self._run.admit(place)
        try:
            call = make_notice(self._run, view, node, place, approval, notice)
            await self._run.home.call(call, _NOTICE_RETRY)
        except NodeFailed as error:
            if is_expected_to_arrive(approval, notice, error.failure):
                said = f"{notice.to or notice.by}: {error.failure}: {error.message}"[:300]
                approval.unsent = [*approval.unsent, said][-_MAX_FAILED:]
        else:
            if notice.by == "slack":
                approval.posts += 1
            else:
                approval.mails += 1
        finally:
            self._run.landed(place)
        approval.outbox = [one for one in approval.outbox if one.number != notice.number]
        view.show(node, approval.view())
        self._run.home.changed()
        self._run.consider()


def _check_asked(approval: ApprovalState, who: str) -> None:
    """Raise where this person may not, or not any more, say anything to the approval."""
    if who in approval.excluded:
        raise NotYours(f"{who} is excluded from this decision.")
    passed = approval.passed_on(who)
    if passed is not None:
        raise NotYours(f"{who} has passed this decision on to {passed.to} on {when(passed.at)}.")
    if who not in approval.approvers:
        raise NotYours(f"{who} is not among those who are asked for this decision.")
    for one in approval.by:
        if one.who == who:
            raise DecidedBefore(
                f"You have already decided: {PAST[one.decision]} on {when(one.at)}."
            )


def _check_delegate(approval: ApprovalState, name: str) -> None:
    """Raise where a decision cannot be passed on to this person."""
    try:
        (to,) = names_in(name)
    except NodeFailed as error:
        raise InvalidDelegate(f"{error.message}.") from None
    if to in approval.excluded:
        raise InvalidDelegate(f"{to} is excluded from this decision.")
    if to in approval.approvers:
        raise InvalidDelegate(f"{to} is asked for this decision already.")
    if any(to in step.to for step in approval.steps):
        raise InvalidDelegate(f"{to} is to be asked for this decision later in any case.")
    if len(approval.delegations) >= MAX_DELEGATIONS:
        raise InvalidDelegate(f"This has been passed on {MAX_DELEGATIONS} times already.")


def _result_of(state: NodeState | None, approval: str) -> Mapping[str, Any]:
    """What came of an approval that is over. Raises `NotFound`."""
    result = None if state is None or state.type != Approval.verb else state.result
    if not isinstance(result, dict) or result.get("id") != approval:
        raise NotFound("The run does not wait for this decision any more.")
    return result
