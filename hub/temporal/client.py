"""Runs as the rest of the hub reaches them: over a Temporal client."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowIdConflictPolicy, WorkflowIdReusePolicy
from temporalio.api.workflowservice.v1 import (
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
)
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.client import (
    WorkflowExecution as Execution,
)
from temporalio.converter import encode_search_attributes
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import TimeSkipper

from hub.durations import format_duration
from hub.errors import BadRequest, Conflict, NotFound, Unreachable
from hub.event import Event
from hub.run import (
    Delivery,
    Failure,
    Fate,
    Offer,
    Offered,
    RunPage,
    RunState,
    RunSummary,
    Start,
    Started,
)
from hub.run.correlation import CorrelatorState, Word
from hub.run.state import Address, Outcome, RunStatus
from hub.temporal.attributes import HUB_KEY, HUB_STATUS, HUB_TREE, HUB_WAITING_FOR, attributes_of
from hub.temporal.correlators import Correlators
from hub.temporal.gate import GATE
from hub.temporal.gates import TemporalGates
from hub.temporal.reaching import AlreadyThere, quoted, reaching
from hub.temporal.run_input import Limits, RunInput
from hub.temporal.watch import Watch

__all__ = ["TemporalRuns"]

_RPC_TIMEOUT = timedelta(seconds=10)
_FORWARD_TIMEOUT = timedelta(seconds=30)
_STATUSES: dict[WorkflowExecutionStatus, RunStatus] = {
    WorkflowExecutionStatus.RUNNING: "running",
    WorkflowExecutionStatus.COMPLETED: "succeeded",
    WorkflowExecutionStatus.FAILED: "failed",
    WorkflowExecutionStatus.CANCELED: "cancelled",
    WorkflowExecutionStatus.TERMINATED: "terminated",
    WorkflowExecutionStatus.TIMED_OUT: "timed_out",
    WorkflowExecutionStatus.CONTINUED_AS_NEW: "running",
}
_EXECUTION_STATUS = {
    "running": "Running",
    "succeeded": "Completed",
    "failed": "Failed",
    "cancelled": "Canceled",
    "terminated": "Terminated",
    "timed_out": "TimedOut",
}
_QUERIES = {
    **{status: f"ExecutionStatus = '{theirs}'" for status, theirs in _EXECUTION_STATUS.items()},
    "dormant": "ExecutionStatus = 'Running' AND HubStatus = 'dormant'",
    "running": "ExecutionStatus = 'Running' AND HubStatus != 'dormant'",
    "expired": "ExecutionStatus = 'Failed' AND HubStatus = 'expired'",
    "failed": "ExecutionStatus = 'Failed' AND HubStatus != 'expired'",
}
_REUSE = {
    "always": WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
    "after_failure": WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY,
    "never": WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
}
_GOING_ON = (WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.CONTINUED_AS_NEW)
_LONG_POLLS = 200
"""How many runs may be followed by requests that stay open; a server bounds those of all clients."""
_CLOCKS_APART = timedelta(minutes=1)
_MOST_LIVE = 1000
_MOST_ENDED = 20


class TemporalRuns:
    """`hub.run.Runs` on a Temporal namespace.

    `eager` is for a process that is a worker as well, over the same client: it gets the first task of
    a run with the answer to its start, and the server neither writes it down nor looks for a worker.
    Not where workers have versions, since the run would begin in this one's, current or not.
    """

    def __init__(
        self,
        client: Client,
        *,
        task_queue: str = "hub",
        limits: Limits | None = None,
        eager: bool = False,
    ) -> None:
        self._client = client
        self._eager = eager
        self._task_queue = task_queue
        self._limits = limits or Limits()
        self._long_polls = asyncio.Semaphore(_LONG_POLLS)
        self._gates = TemporalGates(client, task_queue=task_queue, limits=self._limits)
        self._correlators = Correlators(client, task_queue=task_queue, limits=self._limits)

    def _input(self, start: Start) -> RunInput:
        return RunInput(
            hash=start.hash,
            document=msgspec.Raw(start.document),
            key=start.key,
            delivery=start.delivery,
            trees={name: msgspec.Raw(document) for name, document in start.trees.items()},
            groups={name: list(people) for name, people in start.groups.items()},
            limits=self._limits,
        )

    async def start(self, start: Start) -> Started:
        client = self._client
        request = StartWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_id=start.run_id,
            identity=client.identity,
            # Temporal recognises the request by this id, also after the run has closed.
            request_id=_request_id(start.tree, start.delivery),
            workflow_id_reuse_policy=_REUSE[start.rerun],
            workflow_id_conflict_policy=WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
            request_eager_execution=self._eager,
        )
        request.workflow_type.name = start.tree
        request.task_queue.name = self._task_queue
        payloads = await client.data_converter.encode([self._input(start)])
        request.input.payloads.extend(payloads)
        attributes = attributes_of(
            start.tree,
            start.key,
            start.hash,
            "dormant" if start.dormant else "running",
            start.waiting_for,
        )
        encode_search_attributes(attributes, request.search_attributes)
        try:
            async with reaching():
                # Only a call that is tried again hands such a task on to the worker.
                response = await client.workflow_service.start_workflow_execution(
                    request, retry=self._eager, timeout=_RPC_TIMEOUT
                )
        except AlreadyThere:
            return "closed"
        return "started" if response.started else "running"

    async def hold(self, gate: str, offer: Offer, start: Start) -> bool:
        return await self._gates.hold(gate, offer, start)

    async def fate(self, gate: str, event: Event, since: datetime | None = None) -> Fate | None:
        return await self._gates.fate(gate, event, since)

    async def restart(self, start: Start) -> bool:
        return await self._signal(start.run_id, "restart", start.delivery, self._input(start))

    async def deliver(self, run_id: str, delivery: Delivery) -> bool:
        return await self._signal(run_id, "event", delivery, delivery)

    async def _signal(self, run_id: str, name: str, delivery: Delivery, payload: Any) -> bool:
        client = self._client
        request = SignalWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=run_id),
            signal_name=name,
            identity=client.identity,
            request_id=_request_id(run_id, delivery),
        )
        request.input.payloads.extend(await client.data_converter.encode([payload]))
        try:
            async with reaching():
                await client.workflow_service.signal_workflow_execution(
                    request, retry=False, timeout=_RPC_TIMEOUT
                )
        except NotFound:
            return False
        return True

    async def offer(self, address: Address, delivery: Delivery) -> Offered:
        return await self._correlators.offer(address, delivery)

    async def correlator(self, correlator_id: str) -> CorrelatorState | None:
        return await self._correlators.show(correlator_id)

    async def word(self, correlator_id: str, delivery: Delivery, since: datetime) -> Word | None:
        return await self._correlators.word(correlator_id, delivery, since)

    async def list(
        self,
        *,
        tree: str | None = None,
        key: str | None = None,
        text: str | None = None,
        status: str | None = None,
        waiting_for: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> RunPage:
        wanted = [f"HubTree = {quoted(tree)}" if tree else "HubTree IS NOT NULL"]
        if key is not None:
            wanted.append(f"HubKey = {quoted(key)}")
        if text:
            begins = f"STARTS_WITH {quoted(text)}"
            wanted.append(f"(HubKey {begins} OR WorkflowId {begins})")
        if status is not None:
            if status not in _QUERIES:
                raise BadRequest(f"there is no status {status!r}; known: {', '.join(_QUERIES)}")
            wanted.append(_QUERIES[status])
        if waiting_for is not None:
            wanted.append(f"HubWaitingFor = {quoted(waiting_for)}")
            wanted.append("ExecutionStatus = 'Running'")
        # The earlier parts of a run that went on are no runs of their own.
        wanted.append("ExecutionStatus != 'ContinuedAsNew'")
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
        items = [_summary(execution) for execution in pages.current_page or ()]
        following = pages.next_page_token
        return RunPage(
            items=items,
            next=base64.urlsafe_b64encode(following).decode() if following else None,
        )

    async def had(self, run_id: str, delivery: Delivery, since: datetime) -> Outcome | None:
        since -= _CLOCKS_APART
        # A run that goes on in a new part takes along what it has had.
        wanted = (
            f"WorkflowId = {quoted(run_id)} AND CloseTime >= '{since.isoformat()}' "
            "AND ExecutionStatus != 'ContinuedAsNew'"
        )
        try:
            latest = await self._describe(run_id)
            if latest.status == WorkflowExecutionStatus.RUNNING and latest.start_time <= since:
                # No earlier one was live when the event came.
                return None
            async with reaching(run_id):
                ended = {
                    run.run_id: None
                    async for run in self._client.list_workflows(
                        wanted, limit=_MOST_ENDED, rpc_timeout=_RPC_TIMEOUT
                    )
                }
        except NotFound:
            return None
        # The index lags behind, but of the latest run the server itself tells.
        if latest.close_time is not None and latest.close_time >= since:
            ended[latest.run_id] = None
        for execution in ended:
            state = await self._document(run_id, execution)
            handled = () if state is None else state.mailbox.handled
            words = [one.outcome for one in handled if one.id == delivery.event.id]
            if words:
                return words[0]
        return None

    async def live(self, tree: str, key: str) -> Sequence[str]:
        wanted = f"HubTree = {quoted(tree)} AND HubKey = {quoted(key)}"
        async with reaching():
            return [
                run.id
                async for run in self._client.list_workflows(
                    f"{wanted} AND ExecutionStatus = 'Running'",
                    limit=_MOST_LIVE,
                    rpc_timeout=_RPC_TIMEOUT,
                )
            ]

    async def is_live(self, run_id: str) -> bool:
        try:
            return (await self._describe(run_id)).status in _GOING_ON
        except NotFound:
            return False

    async def uses(self, tree: str, hash: str) -> bool:  # noqa: A002
        live = "ExecutionStatus = 'Running'"
        # Runs of before say nothing of their definition, so it may be any. A gate starts runs by it.
        runs = f"HubTree = {quoted(tree)} AND (HubHash = {quoted(hash)} OR HubHash IS NULL)"
        gates = f"WorkflowType = '{GATE}' AND HubHash = {quoted(hash)}"
        async with reaching():
            counted = await self._client.count_workflows(
                f"{live} AND (({runs}) OR ({gates}))", rpc_timeout=_RPC_TIMEOUT
            )
        return counted.count > 0

    async def counts(self) -> dict[str, int]:
        """How many runs there are of each status. Raises `Unreachable`."""
        async with reaching():
            counted = await self._client.count_workflows(
                "HubTree IS NOT NULL GROUP BY ExecutionStatus", rpc_timeout=_RPC_TIMEOUT
            )
        ours = {theirs: status for status, theirs in _EXECUTION_STATUS.items()}
        return {ours[str(group.group_values[0])]: group.count for group in counted.groups}

    async def show(self, run_id: str) -> RunState:
        return await self._shown(await self._describe(run_id))

    async def follow(self, run_id: str) -> AsyncIterator[RunState]:
        watch = Watch(self._client, self._describe, self._long_polls)
        while True:
            described = await self._describe(run_id)
            yield await self._shown(described)
            if described.status not in _GOING_ON:
                return
            async with reaching(run_id):
                await watch.moved(described)

    async def _describe(self, run_id: str) -> WorkflowExecutionDescription:
        async with reaching(run_id):
            return await self._client.get_workflow_handle(run_id).describe(rpc_timeout=_RPC_TIMEOUT)

    async def _shown(self, described: WorkflowExecutionDescription) -> RunState:
        state = await self._document(described.id)
        if state is None:
            state = RunState(id=described.id, tree=described.workflow_type, key=None, hash="")
        _add_outside_view(state, described)
        return state

    async def _document(self, run_id: str, execution: str | None = None) -> RunState | None:
        """A run's own document; None of one that could not begin. Raises `Unreachable`."""
        handle: WorkflowHandle[Any, Any] = self._client.get_workflow_handle(
            run_id, run_id=execution
        )
        async with reaching(run_id):
            try:
                document = await handle.query("state", rpc_timeout=_RPC_TIMEOUT)
            except (WorkflowQueryFailedError, WorkflowQueryRejectedError) as error:
                raise Unreachable(f"the run cannot be asked for its state: {error}") from None
        return None if document is None else msgspec.convert(document, RunState)

    async def cancel(self, run_id: str) -> None:
        async with reaching(run_id):
            await self._client.get_workflow_handle(run_id).cancel(rpc_timeout=_RPC_TIMEOUT)

    async def terminate(self, run_id: str, reason: str) -> None:
        async with reaching(run_id):
            await self._client.get_workflow_handle(run_id).terminate(
                reason=reason, rpc_timeout=_RPC_TIMEOUT
            )

    async def forward(self, run_id: str, by: timedelta) -> None:
        handle: WorkflowHandle[Any, Any] = self._client.get_workflow_handle(run_id)
        async with reaching(run_id):
            described = await handle.describe(rpc_timeout=_RPC_TIMEOUT)
        if described.status != WorkflowExecutionStatus.RUNNING:
            raise Conflict(f"the run {run_id} has ended; there is nothing to forward")
        try:
            await asyncio.wait_for(
                TimeSkipper(self._client).fast_forward(handle, by),
                _FORWARD_TIMEOUT.total_seconds(),
            )
        except TimeoutError:
            raise Conflict(
                f"the run {run_id} could not be forwarded by {format_duration(by)}: one of its "
                "actions is still at work"
            ) from None
        except RPCError as error:
            if error.status in (RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.UNIMPLEMENTED):
                raise Conflict("only a development server can forward a run's clock") from None
            raise Unreachable(f"Temporal did not forward the run: {error.message}") from None


def _add_outside_view(state: RunState, described: WorkflowExecutionDescription) -> None:
    """Add to the document what the run cannot see of itself: how it ended, tries under way."""
    state.nonce = ""
    status = _STATUSES.get(described.status) if described.status else None
    ended_dormant = status == "failed" and state.status == "expired"
    if status in ("terminated", "timed_out", "cancelled", "failed") and not ended_dormant:
        state.status = status
        state.waiting_for = []
    if state.started_at is None:
        state.started_at = described.start_time
    if state.ended_at is None:
        state.ended_at = described.close_time
    for pending in described.raw_description.pending_activities:
        node = state.nodes.get(pending.activity_id)
        if node is None:
            continue
        node.attempt = pending.attempt
        if pending.HasField("last_failure"):
            failure = pending.last_failure
            code = failure.application_failure_info.type or "action_timeout"
            node.error = Failure(code=code, message=failure.message, path=pending.activity_id)
        if pending.HasField("next_attempt_schedule_time"):
            node.deadline = pending.next_attempt_schedule_time.ToDatetime(tzinfo=UTC)


def _summary(execution: Execution) -> RunSummary:
    attributes = execution.typed_search_attributes
    status: RunStatus = _STATUSES.get(
        execution.status or WorkflowExecutionStatus.RUNNING, "running"
    )
    own = attributes.get(HUB_STATUS)
    if (status, own) == ("running", "dormant"):
        status = "dormant"
    elif (status, own) == ("failed", "expired"):
        status = "expired"
    waiting = attributes.get(HUB_WAITING_FOR) if status == "running" else None
    return RunSummary(
        id=execution.id,
        tree=attributes.get(HUB_TREE) or execution.workflow_type,
        key=attributes.get(HUB_KEY),
        status=status,
        started_at=_utc(execution.start_time),
        ended_at=_utc(execution.close_time),
        waiting_for=[] if waiting is None else [*waiting],
    )


def _utc(time: datetime | None) -> datetime | None:
    return None if time is None else time.astimezone(UTC)


def _request_id(target: str, delivery: Delivery) -> str:
    text = f"{target}\0{delivery.trigger}\0{delivery.event.id}"
    return hashlib.sha256(text.encode()).hexdigest()[:36]
