"""Gates as the rest of the hub reaches them: over a Temporal client."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from datetime import datetime, timedelta

import msgspec
from temporalio.api.enums.v1 import WorkflowIdConflictPolicy, WorkflowIdReusePolicy
from temporalio.api.workflowservice.v1 import SignalWithStartWorkflowExecutionRequest
from temporalio.client import (
    Client,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.converter import encode_search_attributes

from hub.errors import NotFound, Unreachable
from hub.event import Event
from hub.run import Delivery, Fate, Offer, Start
from hub.run.flow import MAX_HELD, MAX_HELD_BYTES
from hub.temporal.attributes import HUB_HASH
from hub.temporal.gate import GATE, Definition, GateInput, Room
from hub.temporal.reaching import quoted, reaching
from hub.temporal.run_input import Limits

__all__ = ["TemporalGates"]

_RPC_TIMEOUT = timedelta(seconds=10)
_CLOCKS_APART = timedelta(minutes=1)
_MOST_ENDED = 20
_MOST_KNOWN = 10_000
_STRIDE = 250
"""After so many events the gate is asked for its room; a part of it is kept for what is on its way."""
_STRIDE_BYTES = 50_000
_KEPT, _KEPT_BYTES = MAX_HELD // 5, MAX_HELD_BYTES // 5


class _Known:
    """What this process knows of a gate: in which part it told it which definition, and its load."""

    def __init__(self) -> None:
        self.part = ""
        self.hash = ""
        self.events = 0
        self.bytes = 0


class TemporalGates:
    """Gates on a Temporal namespace."""

    def __init__(self, client: Client, *, task_queue: str, limits: Limits) -> None:
        self._client = client
        self._task_queue = task_queue
        self._limits = limits
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def hold(self, gate: str, offer: Offer, start: Start) -> bool:
        """See `hub.run.Runs.hold`. Raises `Unreachable`."""
        known = self._known.setdefault(gate, _Known())
        self._known.move_to_end(gate)
        while len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        size = len(msgspec.json.encode(offer.delivery.event))
        if known.events + 1 > _STRIDE or known.bytes + size > _STRIDE_BYTES:
            room = await self._room(gate)
            if room is not None and (room.events <= _KEPT or room.bytes - size <= _KEPT_BYTES):
                return False
            known.events = known.bytes = 0
        known.events += 1
        known.bytes += size
        definition = Definition(
            hash=start.hash,
            document=msgspec.Raw(start.document),
            trees={name: msgspec.Raw(document) for name, document in start.trees.items()},
            groups={name: list(people) for name, people in start.groups.items()},
        )
        part, began = await self._offer(gate, offer, definition)
        if not began and (known.part, known.hash) != (part, start.hash):
            # It lives already and may know another definition only.
            async with reaching(gate):
                await self._handle(gate).signal("define", definition, rpc_timeout=_RPC_TIMEOUT)
        known.part, known.hash = part, start.hash
        return True

    async def _offer(self, gate: str, offer: Offer, definition: Definition) -> tuple[str, bool]:
        client = self._client
        text = f"{gate}\0{offer.delivery.trigger}\0{offer.delivery.event.id}"
        request = SignalWithStartWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_id=gate,
            signal_name="offer",
            identity=client.identity,
            request_id=hashlib.sha256(text.encode()).hexdigest()[:36],
            workflow_id_reuse_policy=WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
            workflow_id_conflict_policy=WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
        )
        request.workflow_type.name = GATE
        request.task_queue.name = self._task_queue
        given = GateInput(definition=definition, limits=self._limits)
        request.input.payloads.extend(await client.data_converter.encode([given]))
        request.signal_input.payloads.extend(await client.data_converter.encode([offer]))
        attributes = TypedSearchAttributes([SearchAttributePair(HUB_HASH, definition.hash)])
        encode_search_attributes(attributes, request.search_attributes)
        async with reaching(gate):
            response = await client.workflow_service.signal_with_start_workflow_execution(
                request, retry=False, timeout=_RPC_TIMEOUT
            )
        return response.run_id, response.started

    async def fate(self, gate: str, event: Event, since: datetime | None = None) -> Fate | None:
        """See `hub.run.Runs.fate`. Raises `Unreachable`."""
        found = await self._fate(gate, None, event)
        if found is not None or since is None:
            return found
        wanted = (
            f"WorkflowId = {quoted(gate)} AND CloseTime >= '{(since - _CLOCKS_APART).isoformat()}'"
        )
        async with reaching(gate):
            ended = [
                one.run_id
                async for one in self._client.list_workflows(
                    f"{wanted} AND ExecutionStatus != 'ContinuedAsNew'",
                    limit=_MOST_ENDED,
                    rpc_timeout=_RPC_TIMEOUT,
                )
            ]
        for part in ended:
            found = await self._fate(gate, part, event)
            if found is not None:
                return found
        return None

    async def _fate(self, gate: str, part: str | None, event: Event) -> Fate | None:
        asked = Delivery(event=event, trigger="")
        try:
            async with reaching(gate):
                fate = await self._handle(gate, part).query(
                    "fate", asked, result_type=Fate, rpc_timeout=_RPC_TIMEOUT
                )
        except NotFound:
            return None
        except (WorkflowQueryFailedError, WorkflowQueryRejectedError) as error:
            raise Unreachable(f"the gate cannot be asked: {error}") from None
        return fate if isinstance(fate, Fate) else None

    async def _room(self, gate: str) -> Room | None:
        try:
            async with reaching(gate):
                room = await self._handle(gate).query(
                    "room", result_type=Room, rpc_timeout=_RPC_TIMEOUT
                )
        except NotFound:
            return None
        except (WorkflowQueryFailedError, WorkflowQueryRejectedError) as error:
            raise Unreachable(f"the gate cannot be asked: {error}") from None
        return room if isinstance(room, Room) else None

    def _handle(self, gate: str, part: str | None = None) -> WorkflowHandle[object, object]:
        return self._client.get_workflow_handle(gate, run_id=part)
