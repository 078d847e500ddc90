"""The gate: a small entity workflow that holds start events back and starts their runs.

There is one for each value by which a tree's starts are held back, and only while it has something
to remember. It starts runs as its children, so that the server tells it of their end, however they
end; they live on when it ends. What it decides is `hub.run.flow`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import RawValue, WorkflowIDReusePolicy
from temporalio.exceptions import (
    ApplicationError,
    ChildWorkflowError,
    FailureError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)
from temporalio.service import RPCError, RPCStatusCode

from hub.errors import HubError
from hub.run import (
    Delivery,
    Fate,
    Flow,
    GateState,
    Held,
    Offer,
    ended_reason,
    meets,
)
from hub.temporal.attributes import HUB_HASH, HUB_STATUS, attributes_of
from hub.temporal.run_input import Limits, RunInput
from hub.tree import Tree, tree_from_document
from hub.tree.concurrency import first_done, spawn

__all__ = ["GATE", "Definition", "GateInput", "GateWorkflow", "Look", "Room"]

GATE = "hub.gate"
"""The workflow's type; no tree can be called so."""
_LOOK = "hub.look"
_MOST_CHILDREN = 500
"""After so many runs the gate goes on in a new part: Temporal bounds how many may be live."""
_SHORTEST, _LONGEST, _IDLE = timedelta(seconds=1), timedelta(seconds=15), timedelta(hours=1)

Standing = Literal["live", "dormant", "gone"]
_REUSE = {
    "always": WorkflowIDReusePolicy.ALLOW_DUPLICATE,
    "after_failure": WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
    "never": WorkflowIDReusePolicy.REJECT_DUPLICATE,
}
_Outcome = Literal["started", "delivered", "ignored", "rejected", "live", "gone"]


class Definition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """By what a gate starts runs: the tree's definition, those that it may run, and the people."""

    hash: str
    document: msgspec.Raw
    trees: dict[str, msgspec.Raw] = {}
    groups: dict[str, list[str]] = {}


class GateInput(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a gate begins with; `state` is there when it continues an earlier part of itself."""

    definition: Definition
    limits: Limits = Limits()
    state: GateState | None = None


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """How much more a gate can hold."""

    events: int
    bytes: int


@workflow.defn(name=GATE)
class GateWorkflow:
    """Holds start events back; ends when there is nothing more to remember."""

    @workflow.init
    def __init__(self, payload: RawValue) -> None:
        self._broken: str | None = None
        self._signals = 0
        self._started = 0
        self._children: dict[str, asyncio.Task[None]] = {}
        self._watching: asyncio.Task[None] | None = None
        self._timer: asyncio.Task[None] | None = None
        self._timer_at: datetime | None = None
        self._wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._kick: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            given = workflow.payload_converter().from_payload(payload.payload, GateInput)
            tree = tree_from_document(bytes(given.definition.document))
        except (RuntimeError, HubError) as error:
            # An input that no worker can read must end the gate, not block it for ever.
            self._broken = str(error)
            return
        self._given = given
        self._definition = given.definition
        self._flow = Flow(tree, given.state or GateState())

    # -- what comes in ----------------------------------------------------------------------

    @workflow.signal(name="offer")
    def offer(self, payload: RawValue) -> None:
        """A start event to hold back."""
        self._signals += 1
        if self._broken is not None:
            return
        try:
            offer = workflow.payload_converter().from_payload(payload.payload, Offer)
        except RuntimeError as error:
            workflow.logger.error("a signal does not decode: %s", error)
            return
        if self._flow.offer(offer, workflow.now()) == "rejected":
            workflow.logger.error("a gate is full", extra={"gate": workflow.info().workflow_id})
        _set(self._kick)
        _set(self._wake)

    @workflow.signal(name="define")
    def define(self, payload: RawValue) -> None:
        """The definition by which runs start from now on."""
        self._signals += 1
        if self._broken is not None:
            return
        try:
            definition = workflow.payload_converter().from_payload(payload.payload, Definition)
            tree = tree_from_document(bytes(definition.document))
        except (RuntimeError, HubError) as error:
            workflow.logger.error("a definition does not decode: %s", error)
            return
        if definition.hash != self._definition.hash:
            workflow.upsert_search_attributes([HUB_HASH.value_set(definition.hash)])
        self._definition = definition
        self._flow.tree = tree
        _set(self._wake)

    @workflow.query(name="fate")
    def fate(self, payload: RawValue) -> Fate | None:
        """What has become of an event here."""
        if self._broken is not None:
            return None
        delivery = workflow.payload_converter().from_payload(payload.payload, Delivery)
        return self._flow.fate(delivery.event, workflow.now())

    @workflow.query(name="room")
    def room(self) -> Room | None:
        """How much more the gate can hold."""
        if self._broken is not None:
            return None
        events, size = self._flow.room
        return Room(events=events, bytes=size)

    @workflow.query(name="state")
    def state(self) -> Any:
        """What the gate holds."""
        return None if self._broken is not None else self._flow.state

    # -- its life ---------------------------------------------------------------------------

    @workflow.run
    async def run(self, payload: RawValue) -> None:
        """Start runs when their turn comes, until there is nothing more to remember."""
        if self._broken is not None:
            raise ApplicationError(self._broken, type="invalid_input", non_retryable=True)
        while True:
            now = workflow.now()
            self._wake = asyncio.get_running_loop().create_future()
            if not self._is_long():
                for held in self._flow.take(now):
                    self._begin(held)
            elif not self._flow.state.going:
                self._go_on()
            if self._flow.is_idle(now):
                return
            workflow.set_current_details(self._details())
            self._watch()
            await self._until_changed(now)

    def _is_long(self) -> bool:
        info, limits = workflow.info(), self._given.limits
        return (
            info.get_current_history_length() >= limits.events
            or info.get_current_history_size() >= limits.size
            or self._signals >= limits.signals
            or self._started >= _MOST_CHILDREN
        )

    def _go_on(self) -> None:
        given = GateInput(
            definition=self._definition,
            limits=self._given.limits,
            state=self._flow.left_behind(),
        )
        workflow.continue_as_new(given)

    async def _until_changed(self, now: datetime) -> None:
        at = self._flow.wake_at(now)
        fired = self._timer is not None and self._timer.done()
        # A timer that is too early costs one turn; to move it costs two events each time.
        if at is not None and (fired or self._timer_at is None or at < self._timer_at):
            if self._timer is not None and not fired:
                self._timer.cancel()
            self._timer_at = at
            span = max(at - now, timedelta(milliseconds=1))
            self._timer = spawn(workflow.sleep(span, summary="until the next start is due"))
        elif fired:
            self._timer = self._timer_at = None
        await first_done([self._wake, *([] if self._timer is None else [self._timer])])

    def _details(self) -> str:
        state = self._flow.state
        gathered = sum(len(one.deliveries) for one in state.gathering)
        queued = len(state.queue) + len(state.going)
        return (
            f"gathers {gathered} events; {queued} starts wait; {len(state.live)} runs take a place"
        )

    # -- starting runs ----------------------------------------------------------------------

    def _begin(self, held: Held) -> None:
        self._started += 1
        spawn(self._started_by(held))

    async def _started_by(self, held: Held) -> None:
        outcome, reason = await self._start(held)
        self._flow.settle(held, outcome, workflow.now(), reason)
        _set(self._wake)

    async def _start(self, held: Held) -> tuple[_Outcome, str | None]:
        gone = False
        while True:
            tree = self._flow.tree
            if not held.met and await self._begin_run(held, tree):
                return "started", _gathered(held)
            standing = (await self._look([held.run_id]))[held.run_id]
            if standing == "gone":
                if held.met:
                    return "gone", None
                if gone and tree.start.rerun != "always":
                    return "rejected", ended_reason(tree, held.run_id)
                # It may have ended between the two questions, so it is tried once more.
                gone = True
                continue
            what = meets(tree)
            if standing == "dormant":
                if await self._signal(held.run_id, "event", held.delivery()):
                    return "started", _gathered(held)
            elif what == "wait":
                if tree.start.when_running == "parallel":
                    return "started", "it had started this run before"
                return "live", None
            elif what == "ignore":
                return "ignored", f"the run {held.run_id} is live, and `when_running` is ignore"
            elif what == "restart":
                if await self._signal(held.run_id, "restart", self._input(held, tree)):
                    return "started", "the run before it cleans up first"
            elif await self._signal(held.run_id, "event", held.delivery()):
                return "delivered", f"the run {held.run_id} was live"

    def _input(self, held: Held, tree: Tree) -> RunInput:
        definition = self._definition
        return RunInput(
            hash=definition.hash,
            document=definition.document,
            key=held.key,
            # It was taken for the tree's start when it came; a newer `where` does not ask again.
            delivery=held.delivery(tree.start.event),
            trees=definition.trees,
            groups=definition.groups,
            limits=self._given.limits,
        )

    async def _begin_run(self, held: Held, tree: Tree) -> bool:
        """Start the run; False where one of that id is in the way."""
        try:
            child = await workflow.start_child_workflow(
                tree.name,
                self._input(held, tree),
                id=held.run_id,
                search_attributes=attributes_of(tree.name, held.key, self._definition.hash),
                id_reuse_policy=_REUSE[tree.start.rerun],
                cancellation_type=workflow.ChildWorkflowCancellationType.ABANDON,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            )
        except WorkflowAlreadyStartedError:
            return False
        self._children[held.run_id] = spawn(self._until_ended(held.run_id, child))
        return True

    async def _until_ended(
        self, run_id: str, child: workflow.ChildWorkflowHandle[Any, Any]
    ) -> None:
        await first_done([child])
        try:
            child.result()
        except ChildWorkflowError:
            # However it has ended: its place is free.
            pass
        self._children.pop(run_id, None)
        self._flow.ended(run_id)
        _set(self._wake)

    async def _signal(self, run_id: str, name: str, payload: Any) -> bool:
        """Hand something to a live run; False when there is none."""
        try:
            await workflow.get_external_workflow_handle(run_id).signal(name, payload)
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            return False
        return True

    # -- runs that are not its children -----------------------------------------------------

    def _watch(self) -> None:
        """Have somebody look after the live runs of which the server does not tell this part."""
        if self._watching is None and self._unseen():
            self._watching = spawn(self._look_after())

    def _unseen(self) -> list[str]:
        watched = self._flow.watched()
        if not watched and not self._flow.is_holding:
            # Nothing waits for their end but the gate's own.
            watched = list(self._flow.state.live)
        beginning = [held.run_id for held in self._flow.state.going]
        return [one for one in watched if one not in self._children and one not in beginning]

    async def _look_after(self) -> None:
        pause = _SHORTEST
        while unseen := self._unseen():
            standing = await self._look(unseen)
            # Meanwhile it may have been begun as a child.
            ended = [one for one in self._unseen() if standing.get(one) == "gone"]
            for run_id in ended:
                self._flow.ended(run_id)
            if ended:
                pause = _SHORTEST
                _set(self._wake)
                continue
            longest = _LONGEST if self._flow.is_holding else _IDLE
            self._kick = asyncio.get_running_loop().create_future()
            timer = spawn(workflow.sleep(min(pause, longest), summary="until it looks after runs"))
            await first_done([self._kick, timer])
            if self._kick.done():
                timer.cancel()
            pause = _SHORTEST if self._kick.done() else min(pause * 2, longest)
        self._watching = None

    async def _look(self, run_ids: Sequence[str]) -> dict[str, Standing]:
        found: dict[str, Standing] = await workflow.execute_activity(
            _LOOK,
            list(run_ids),
            result_type=dict[str, Standing],
            start_to_close_timeout=timedelta(seconds=30),
            summary="which of these runs live",
        )
        return found


class Look:
    """The activity by which a gate learns how runs stand of which the server does not tell it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @activity.defn(name=_LOOK)
    async def look(self, run_ids: list[str]) -> dict[str, Standing]:
        """Which of these runs are live, dormant or gone."""
        standing: dict[str, Standing] = {}
        for run_id in run_ids:
            try:
                found = await self._client.get_workflow_handle(run_id).describe(
                    rpc_timeout=timedelta(seconds=5)
                )
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND:
                    raise
                standing[run_id] = "gone"
                continue
            if found.status != WorkflowExecutionStatus.RUNNING:
                standing[run_id] = "gone"
            elif found.typed_search_attributes.get(HUB_STATUS) == "dormant":
                standing[run_id] = "dormant"
            else:
                standing[run_id] = "live"
        return standing


def _gathered(held: Held) -> str | None:
    others = len(held.deliveries) - 1
    return f"with {others} other{'s' * (others != 1)}" if others else None


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
