"""Correlators as the dispatcher and the runs reach them: over a Temporal client."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from temporalio import activity
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowIdConflictPolicy, WorkflowIdReusePolicy
from temporalio.api.workflowservice.v1 import (
    SignalWithStartWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest,
)
from temporalio.client import (
    Client,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.exceptions import ApplicationError

from hub.errors import NotFound, Undeliverable, Unreachable
from hub.run import Delivery, Offered
from hub.run.correlation import CorrelatorState, Waiter, Word
from hub.run.state import Address, Errand
from hub.temporal.correlator import CORRELATOR, CorrelatorInput, GivenBack
from hub.temporal.home import CORRELATE
from hub.temporal.reaching import quoted, reaching
from hub.temporal.run_input import Limits

__all__ = ["Correlators"]

_RPC_TIMEOUT = timedelta(seconds=10)
_CLOCKS_APART = timedelta(minutes=1)
_MOST_ENDED = 20


class Correlators:
    """All correlators of a Temporal namespace."""

    def __init__(self, client: Client, *, task_queue: str, limits: Limits | None = None) -> None:
        self._client = client
        self._task_queue = task_queue
        self._limits = limits or Limits()

    # -- events ---------------------------------------------------------------------------

    async def offer(self, address: Address, delivery: Delivery) -> Offered:
        """See `hub.run.Runs.offer`."""
        request = _request_id(address.id, "event", delivery.trigger, delivery.event.id)
        if _lives(delivery):
            started = await self._signal_with_start(address, "event", request, delivery)
            return "started" if started else "delivered"
        return (
            "delivered" if await self._signal(address.id, "event", request, delivery) else "no_run"
        )

    async def show(self, correlator_id: str) -> CorrelatorState | None:
        """Who waits, what is kept, and the latest events, of the latest correlator of that id."""
        try:
            return await self._document(correlator_id)
        except NotFound:
            return None

    async def word(self, correlator_id: str, delivery: Delivery, since: datetime) -> Word | None:
        """See `hub.run.Runs.word`."""
        since -= _CLOCKS_APART
        wanted = f"WorkflowId = {quoted(correlator_id)} AND CloseTime >= '{since.isoformat()}'"
        try:
            async with reaching(correlator_id):
                handle = self._client.get_workflow_handle(correlator_id)
                latest = await handle.describe(rpc_timeout=_RPC_TIMEOUT)
                ended = {
                    run.run_id: None
                    async for run in self._client.list_workflows(
                        wanted, limit=_MOST_ENDED, rpc_timeout=_RPC_TIMEOUT
                    )
                }
        except NotFound:
            return None
        # The index lags behind, but of the latest the server itself tells.
        if latest.close_time is not None and latest.close_time >= since:
            ended[latest.run_id] = None
        for execution in ended:
            state = await self._document(correlator_id, execution)
            for word in reversed(state.words):
                if word.id == delivery.event.id:
                    return word
        return None

    # -- waits ----------------------------------------------------------------------------

    @activity.defn(name=CORRELATE)
    async def correlate(self, errand: Errand) -> None:
        """Tell a correlator what a run has to tell it. Once it has returned, the server has it."""
        try:
            await self._tell(errand)
        except Undeliverable as error:
            raise ApplicationError(error.message, type=error.code, non_retryable=True) from None
        except Unreachable as error:
            raise ApplicationError(error.message, type=error.code) from None

    async def _tell(self, errand: Errand) -> None:
        address, ticket = errand.address, errand.ticket
        request = _request_id(address.id, errand.what, ticket)
        if errand.what == "unsubscribe":
            await self._signal(address.id, "unsubscribe", request, ticket)
        elif errand.what == "subscribe":
            waiter = Waiter(
                ticket=ticket,
                run_id=errand.run_id,
                run=errand.run,
                fresh=errand.fresh,
                without=errand.without,
            )
            await self._signal_with_start(address, "subscribe", request, waiter)
        elif errand.event is not None and errand.trigger is not None:
            delivery = Delivery(
                event=errand.event, trigger=errand.trigger, expires_at=errand.expires_at
            )
            given = GivenBack(ticket=ticket, delivery=delivery)
            if _lives(delivery):
                await self._signal_with_start(address, "return", request, given)
            else:
                await self._signal(address.id, "return", request, given)

    # -- requests -------------------------------------------------------------------------

    async def _signal(self, correlator_id: str, name: str, request_id: str, payload: Any) -> bool:
        """Signal the correlator. False when there is none."""
        client = self._client
        request = SignalWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=correlator_id),
            signal_name=name,
            identity=client.identity,
            request_id=request_id,
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

    async def _signal_with_start(
        self, address: Address, name: str, request_id: str, payload: Any
    ) -> bool:
        """Signal the correlator, which begins if there is none. True when it has begun."""
        client = self._client
        request = SignalWithStartWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_id=address.id,
            identity=client.identity,
            request_id=request_id,
            signal_name=name,
            workflow_id_reuse_policy=WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
            workflow_id_conflict_policy=WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
        )
        request.workflow_type.name = CORRELATOR
        request.task_queue.name = self._task_queue
        given = CorrelatorInput(address=address, limits=self._limits)
        request.input.payloads.extend(await client.data_converter.encode([given]))
        request.signal_input.payloads.extend(await client.data_converter.encode([payload]))
        async with reaching():
            response = await client.workflow_service.signal_with_start_workflow_execution(
                request, retry=False, timeout=_RPC_TIMEOUT
            )
        return bool(response.started)

    async def _document(self, correlator_id: str, execution: str | None = None) -> CorrelatorState:
        handle: WorkflowHandle[Any, Any] = self._client.get_workflow_handle(
            correlator_id, run_id=execution
        )
        async with reaching(correlator_id):
            try:
                document = await handle.query("state", rpc_timeout=_RPC_TIMEOUT)
            except (WorkflowQueryFailedError, WorkflowQueryRejectedError) as error:
                raise Unreachable(f"the correlator does not tell its state: {error}") from None
        return msgspec.convert(document, CorrelatorState)


def _lives(delivery: Delivery) -> bool:
    return delivery.expires_at is not None and datetime.now(UTC) < delivery.expires_at


def _request_id(target: str, *parts: str) -> str:
    return hashlib.sha256("\0".join((target, *parts)).encode()).hexdigest()[:36]
