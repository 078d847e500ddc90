"""Approvals as the rest of the hub reaches them: decisions are updates of runs."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec
from temporalio.client import (
    Client,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.client import WorkflowExecution as Execution
from temporalio.exceptions import ApplicationError

from hub.errors import (
    AlreadyDecided,
    ApprovalOver,
    BadRequest,
    DecidedBefore,
    HubError,
    InvalidDelegate,
    InvalidForm,
    NotFound,
    NotYours,
    Unreachable,
)
from hub.run.approvals import (
    Answer,
    ApprovalState,
    Decision,
    Delegation,
    HandedOver,
    OpenApproval,
    approval_at,
    approval_path,
    person,
)
from hub.run.decided import DecidedApproval
from hub.run.pending import ApprovalPage, DecidedPage, FinishedApproval, PendingApproval
from hub.run.state import NodeState
from hub.temporal.approvers import ANYBODY, DECIDED, DECIDED_MEMO, MEMO, hashed
from hub.temporal.reaching import quoted, reaching

__all__ = ["TemporalApprovals"]

_RPC_TIMEOUT = timedelta(seconds=10)
_REFUSALS: Mapping[str, type[HubError]] = {
    kind.code: kind
    for kind in (
        AlreadyDecided,
        ApprovalOver,
        BadRequest,
        DecidedBefore,
        InvalidDelegate,
        InvalidForm,
        NotFound,
        NotYours,
    )
}


class TemporalApprovals:
    """`hub.run.pending.PendingApprovals` on a Temporal namespace."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def list(
        self,
        *,
        person: str | None = None,
        tree: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> ApprovalPage:
        who = None if person is None else _person(person)
        words = [ANYBODY] if who is None else [who, hashed(who)]
        found, following = await self._found(
            words, "ExecutionStatus = 'Running'", tree, limit, cursor
        )
        items: list[PendingApproval] = []
        for execution in found:
            items += await _pending(execution, who)
        return ApprovalPage(items=items, next=following)

    async def decided(
        self,
        *,
        person: str | None = None,
        tree: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> DecidedPage:
        who = None if person is None else _person(person)
        words = [DECIDED + word for word in ([ANYBODY] if who is None else [who, hashed(who)])]
        # An earlier part of a run says no more than the last one.
        found, following = await self._found(
            words, "ExecutionStatus != 'ContinuedAsNew'", tree, limit, cursor
        )
        items: list[FinishedApproval] = []
        for execution in found:
            items += await _finished(execution, who)
        return DecidedPage(items=items, next=following)

    async def _found(
        self, words: Sequence[str], status: str, tree: str | None, limit: int, cursor: str | None
    ) -> tuple[Sequence[Execution], str | None]:
        """The runs that are found by one of the words, newest first, and the cursor of the rest."""
        wanted = ["HubApprovers IN (" + ", ".join(map(quoted, words)) + ")", status]
        if tree is not None:
            wanted.append(f"HubTree = {quoted(tree)}")
        try:
            token = base64.urlsafe_b64decode(cursor) if cursor else None
        except (binascii.Error, ValueError):
            raise BadRequest("the cursor is not one that this hub gave") from None
        pages = self._client.list_workflows(
            " AND ".join(wanted),
            limit=limit,
            page_size=limit,
            next_page_token=token,
            rpc_timeout=_RPC_TIMEOUT,
        )
        async with reaching():
            await pages.fetch_next_page()
        following = pages.next_page_token
        return (
            pages.current_page or (),
            base64.urlsafe_b64encode(following).decode() if following else None,
        )

    async def show(self, run_id: str, path: str, approval: str) -> ApprovalState | dict[str, Any]:
        handle: WorkflowHandle[Any, Any] = self._client.get_workflow_handle(run_id)
        async with reaching(run_id):
            try:
                document = await handle.query("state", rpc_timeout=_RPC_TIMEOUT)
            except (WorkflowQueryFailedError, WorkflowQueryRejectedError) as error:
                raise Unreachable(f"the run cannot be asked for its state: {error}") from None
        found = {} if document is None else document["nodes"]
        nodes = msgspec.convert(found, dict[str, NodeState])
        node = nodes.get(approval_path(nodes, path, approval))
        opened = approval_at(node)
        if opened is not None and opened.id == approval:
            return opened
        result = None if node is None else node.result
        if isinstance(result, dict) and result.get("id") == approval:
            return result
        raise NotFound("The run does not wait for this decision any more.")

    async def decide(self, run_id: str, decision: Decision) -> Answer:
        return msgspec.convert(await self._say("decide", run_id, decision), Answer)

    async def delegate(self, run_id: str, delegation: Delegation) -> HandedOver:
        return msgspec.convert(await self._say("delegate", run_id, delegation), HandedOver)

    async def _say(self, update: str, run_id: str, said: Decision | Delegation) -> Any:
        handle: WorkflowHandle[Any, Any] = self._client.get_workflow_handle(run_id)
        try:
            async with reaching(run_id):
                return await asyncio.wait_for(
                    handle.execute_update(update, said, id=_update_id(update, said)),
                    _RPC_TIMEOUT.total_seconds(),
                )
        except NotFound:
            raise NotFound(
                "The run does not wait for this decision any more: it has ended."
            ) from None
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
            raise Unreachable(
                "the run did not answer in time, so it is not known whether the decision was "
                "recorded; send it again: it counts once"
            ) from None
        except WorkflowUpdateFailedError as error:
            cause = error.cause
            if isinstance(cause, ApplicationError):
                raise _REFUSALS.get(cause.type or "", NotFound)(cause.message) from None
            raise NotFound("The run ended before this decision reached it.") from None


def _update_id(update: str, said: Decision | Delegation) -> str:
    """Temporal answers an id that it knows with what became of it, so it is of one approval."""
    return hashlib.sha256(f"{update}\0{said.approval}\0{said.id}".encode()).hexdigest()[:36]


def _person(name: str) -> str:
    return person(name)


async def _pending(execution: Execution, who: str | None) -> list[PendingApproval]:
    """What the run said of its open approvals when it last changed; of one person, theirs."""
    tree, key = _tree_and_key(execution)
    found = []
    for item in (await execution.memo()).get(MEMO) or []:
        one = msgspec.convert(item, OpenApproval)
        if who is not None and who not in one.waiting_on:
            continue
        found.append(
            PendingApproval(
                run_id=execution.id,
                tree=tree,
                key=key,
                path=one.path,
                approval=one.id,
                title=one.title,
                opened_at=one.opened_at,
                deadline=one.deadline,
                quorum=one.quorum,
                approvals=one.approvals,
                waiting_on=one.waiting_on,
                due_at=one.due_at,
            )
        )
    return found


async def _finished(execution: Execution, who: str | None) -> list[FinishedApproval]:
    """What the run says of its approvals that are over, the latest first; of one person, theirs."""
    tree, key = _tree_and_key(execution)
    over = [
        msgspec.convert(item, DecidedApproval)
        for item in (await execution.memo()).get(DECIDED_MEMO) or []
    ]
    return [
        FinishedApproval(run_id=execution.id, tree=tree, key=key, approval=one)
        for one in reversed(over)
        if who is None or any(said.who == who for said in one.by)
    ]


def _tree_and_key(execution: Execution) -> tuple[str, str | None]:
    tree, _, key = execution.id.partition("/")
    return tree, None if key.startswith("~") else key
