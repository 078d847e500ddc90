"""`/api/approvals`: what people are asked to decide, and their decisions.

An approval's id stands for the run, the place in it, and the very question: the run's id, the
node's path and the approval's own id, as base64url of a JSON list.
"""

from __future__ import annotations

import base64
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, QueryParameter

from hub.access import Caller
from hub.api.actors import audited
from hub.api.approval_counts import ApprovalCounter, ApprovalCounts, is_overdue
from hub.api.body import read_body, read_headers
from hub.api.callers import caller_of
from hub.api.guards import APPROVER, VIEWER_OR_APPROVER, lets
from hub.api.services import Services
from hub.errors import BadRequest, Forbidden, NotFound
from hub.payload import read_json
from hub.run.approvals import Answer, ApprovalState, Decision, Delegation, HandedOver, person
from hub.run.decided import ApprovalOutcome, Decided, PassedOn
from hub.run.pending import FinishedApproval, PendingApproval, PendingApprovals

__all__ = ["ApprovalItem", "ApprovalList", "approvals", "pending_approvals", "view_of"]

_MAX_BODY = 64 * 1024
_DECISIONS = ("approve", "reject")


class ApprovalItem(msgspec.Struct, frozen=True, kw_only=True):
    """An approval. `waiting_on` are those who may still decide; once it is over, it says how.

    `by` and `delegations` say who decided, when and how; None while it is open, where the approval
    itself tells. `due_at` is when its first reminder or escalation is due, None where it has neither;
    one that is `overdue` is past that, or was asked more than a day ago where it has neither.
    """

    id: str
    run_id: str
    tree: str
    key: str | None
    path: str
    title: str
    opened_at: datetime
    deadline: datetime | None
    quorum: int
    approvals: int
    waiting_on: list[str]
    decision: ApprovalOutcome = "pending"
    timed_out: bool = False
    ended_at: datetime | None = None
    by: list[Decided] | None = None
    delegations: list[PassedOn] | None = None
    due_at: datetime | None = None
    overdue: bool = False


class ApprovalList(msgspec.Struct, frozen=True, kw_only=True):
    """Approvals; `next` is the cursor of the rest."""

    items: list[ApprovalItem]
    next: str | None


class DecisionBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a decision. `id` makes it one decision however often it is sent."""

    decision: Literal["approve", "reject"]
    who: str | None = None
    as_: str | None = msgspec.field(default=None, name="as")
    comment: str | None = None
    form: dict[str, Any] = {}
    id: str | None = None
    how: Literal["api", "cli", "page"] = "api"


class DelegationBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a delegation. `id` makes it one however often it is sent."""

    to: str
    who: str | None = None
    as_: str | None = msgspec.field(default=None, name="as")
    comment: str | None = None
    id: str | None = None
    how: Literal["api", "cli", "page"] = "api"


_Body = TypeVar("_Body", DecisionBody, DelegationBody)


def approvals(services: Services) -> list[HTTPRouteHandler]:
    """The routes under `/api/approvals`."""

    @get(
        "/api/approvals",
        opt=lets(VIEWER_OR_APPROVER, "approval.see"),
        summary="Approvals, open or decided, of all or of one person",
        tags=["approvals"],
    )
    async def list_approvals(
        status: Annotated[
            Literal["pending", "decided"], QueryParameter(description="which of them")
        ] = "pending",
        whose: Annotated[str | None, QueryParameter(name="person")] = None,
        tree: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
        cursor: FromQuery[str | None] = None,
    ) -> ApprovalList:
        places = pending_approvals(services)
        if status == "decided":
            over = await places.decided(person=whose, tree=tree, limit=limit, cursor=cursor)
            return ApprovalList(items=[_finished(one) for one in over.items], next=over.next)
        page = await places.list(person=whose, tree=tree, limit=limit, cursor=cursor)
        now = datetime.now(UTC)
        return ApprovalList(items=[_item(one, now) for one in page.items], next=page.next)

    counter = ApprovalCounter(lambda: pending_approvals(services))

    @get(
        "/api/approvals/counts",
        opt=VIEWER_OR_APPROVER,
        summary="How many approvals are open, and how many of them overdue",
        tags=["approvals"],
    )
    async def count_approvals() -> ApprovalCounts:
        return await counter.counts()

    @get(
        "/api/approvals/{approval_id:str}",
        opt=VIEWER_OR_APPROVER,
        summary="One approval",
        tags=["approvals"],
    )
    async def show_approval(approval_id: FromPath[str]) -> dict[str, Any]:
        run_id, path, approval = _read_id(approval_id)
        shown = await pending_approvals(services).show(run_id, path, approval)
        return {**view_of(shown), "id": approval_id, "run_id": run_id, "path": path}

    @post(
        "/api/approvals/{approval_id:str}/decision",
        opt=lets(APPROVER, "approval.approve", "approval.reject"),
        status_code=200,
        summary="Approve or reject",
        tags=["approvals"],
    )
    async def decide(request: Request[Any, Any, Any], approval_id: FromPath[str]) -> Answer:
        run_id, path, approval = _read_id(approval_id)
        given = await _body(request, services.body_timeout, DecisionBody)
        decision = Decision(
            id=given.id or uuid.uuid4().hex,
            path=path,
            approval=approval,
            decision=given.decision,
            who=_who(given, caller_of(request)),
            how=given.how,
            comment=given.comment,
            form=given.form,
        )
        async with audited(
            services,
            request,
            f"approval.{decision.decision}",
            f"{run_id} {path}",
            after={"for": decision.who, "comment": decision.comment, "form": decision.form},
        ) as change:
            answer = await pending_approvals(services).decide(run_id, decision)
            change.after |= {"outcome": answer.outcome}
        return answer

    @post(
        "/api/approvals/{approval_id:str}/delegation",
        opt=lets(APPROVER, "approval.delegate"),
        status_code=200,
        summary="Pass a decision on to somebody else",
        tags=["approvals"],
    )
    async def delegate(request: Request[Any, Any, Any], approval_id: FromPath[str]) -> HandedOver:
        run_id, path, approval = _read_id(approval_id)
        given = await _body(request, services.body_timeout, DelegationBody)
        delegation = Delegation(
            id=given.id or uuid.uuid4().hex,
            path=path,
            approval=approval,
            who=_who(given, caller_of(request)),
            to=given.to,
            how=given.how,
            comment=given.comment,
        )
        async with audited(
            services,
            request,
            "approval.delegate",
            f"{run_id} {path}",
            after={"for": delegation.who, "to": delegation.to, "comment": delegation.comment},
        ):
            return await pending_approvals(services).delegate(run_id, delegation)

    return [list_approvals, count_approvals, show_approval, decide, delegate]


def pending_approvals(services: Services) -> PendingApprovals:
    """The approvals of all runs. Raises `NotFound` where this hub keeps none."""
    if services.approvals is None:
        raise NotFound("this hub has no approvals")
    return services.approvals


def view_of(shown: ApprovalState | dict[str, Any]) -> dict[str, Any]:
    """An approval as it is shown, whether it is open or has ended."""
    if isinstance(shown, ApprovalState):
        asked = msgspec.to_builtins({"details": shown.details, "form": shown.form})
        return {**shown.view(), **asked, "waiting_on": shown.undecided()}
    return {"details": None, "form": {}, **shown, "waiting_on": []}


def _item(one: PendingApproval, now: datetime) -> ApprovalItem:
    return ApprovalItem(
        id=_make_id(one.run_id, one.path, one.approval),
        run_id=one.run_id,
        tree=one.tree,
        key=one.key,
        path=one.path,
        title=one.title,
        opened_at=one.opened_at,
        deadline=one.deadline,
        quorum=one.quorum,
        approvals=one.approvals,
        waiting_on=one.waiting_on,
        due_at=one.due_at,
        overdue=is_overdue(one, now),
    )


def _finished(one: FinishedApproval) -> ApprovalItem:
    over = one.approval
    return ApprovalItem(
        id=_make_id(one.run_id, over.path, over.id),
        run_id=one.run_id,
        tree=one.tree,
        key=one.key,
        path=over.path,
        title=over.title,
        opened_at=over.opened_at,
        deadline=None,
        quorum=over.quorum,
        approvals=sum(said.decision == "approve" for said in over.by),
        waiting_on=[],
        decision=over.outcome,
        timed_out=over.timed_out,
        ended_at=over.ended_at,
        by=over.by,
        delegations=over.delegations,
    )


def _make_id(run_id: str, path: str, approval: str) -> str:
    packed = msgspec.json.encode([run_id, path, approval])
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _read_id(text: str) -> tuple[str, str, str]:
    try:
        packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return msgspec.json.decode(packed, type=tuple[str, str, str])
    except ValueError:
        raise NotFound(f"there is no approval {text[:100]!r}") from None


def _who(given: DecisionBody | DelegationBody, caller: Caller) -> str:
    """Who decides: the caller. Only who may act on behalf of others can say another name."""
    named = (given.who or given.as_ or "").strip()
    if caller.on_behalf:
        if not named:
            raise BadRequest('say who decides: {"decision": "approve", "as": "ada@example.com"}')
        return named
    if named and person(named) != person(caller.name):
        raise Forbidden(
            f"you are {caller.name}, and decide for nobody else; a token of a service may, "
            "where it was made to decide on behalf of others"
        )
    return caller.name


async def _body(request: Request[Any, Any, Any], timeout: float, kind: type[_Body]) -> _Body:
    headers = read_headers(request.scope)
    body = await read_body(request.receive, headers, limit=_MAX_BODY, timeout=timeout)
    value = read_json(body) if body.strip() else {}
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        example = (
            '{"decision": "approve" or "reject", "as": who, "comment", "form"}'
            if kind is DecisionBody
            else '{"to": person, "as": who, "comment"}'
        )
        raise BadRequest(f"{error}; write {example}") from None
