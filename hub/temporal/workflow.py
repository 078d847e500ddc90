"""The one workflow that lives every tree: its type is the tree's name, its id `tree/key`.

The definition comes with the input, so any worker can run any tree, and a running tree is never
changed under its feet. Code here and below must do the same on every replay: no clock, random,
I/O, set order or thread of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy, SearchAttributeKey
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    is_cancelled_exception,
)
from temporalio.exceptions import TimeoutError as ActionTimeout

from hub.connector import installed_actions
from hub.errors import HubError, NodeFailed
from hub.run import ActionCall, Delivery, RunState, TreeRun
from hub.temporal.details import describe
from hub.tree import Retry, tree_from_document

__all__ = ["HUB_KEY", "HUB_STATUS", "HUB_TREE", "HUB_WAITING_FOR", "RunInput", "TreeWorkflow"]

HUB_TREE = SearchAttributeKey.for_keyword("HubTree")
HUB_KEY = SearchAttributeKey.for_keyword("HubKey")
HUB_STATUS = SearchAttributeKey.for_keyword("HubStatus")
HUB_WAITING_FOR = SearchAttributeKey.for_keyword_list("HubWaitingFor")

_DEFAULT_TIMEOUT = timedelta(seconds=30)
_HEARTBEAT_TIMEOUT = timedelta(seconds=20)
_DEFAULT_RETRY = Retry(attempts=0, backoff=timedelta(seconds=1), max=timedelta(minutes=5))


class RunInput(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a run is started with.

    `document` is the pinned definition and `hash` its name. `delivery` is the start event where
    it does not come as a signal. `state` is there when the run continues an earlier part of itself.
    """

    hash: str
    document: msgspec.Raw
    key: str | None = None
    delivery: Delivery | None = None
    state: RunState | None = None


@workflow.defn(dynamic=True)
class TreeWorkflow:
    """A run of a tree, natively on Temporal."""

    @workflow.init
    def __init__(self, args: Sequence[RawValue]) -> None:
        self._broken: str | None = None
        self._published: list[str] = []
        self._publishing = False
        try:
            given = workflow.payload_converter().from_payload(args[0].payload, RunInput)
            tree = tree_from_document(bytes(given.document))
        except (HubError, RuntimeError, IndexError) as error:
            # An input that no worker can read must end the run, not block it for ever.
            self._broken = str(error)
            return
        info = workflow.info()
        state = given.state or RunState(
            id=info.workflow_id, tree=tree.name, key=given.key, hash=given.hash
        )
        self._run = TreeRun(tree, state, self)
        if given.delivery is not None and given.state is None:
            self._run.deliver(given.delivery)

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> Any:
        """Live the tree. Returns its result; fails with the code of the node that failed it."""
        if self._broken is not None:
            raise ApplicationError(self._broken, type="invalid_input", non_retryable=True)
        try:
            return await self._run.main()
        except NodeFailed as error:
            raise ApplicationError(
                error.message, {"path": error.path}, type=error.failure, non_retryable=True
            ) from None

    @workflow.signal(name="event")
    def event(self, payload: RawValue) -> None:
        """An event for this run."""
        if self._broken is not None:
            return
        try:
            delivery = workflow.payload_converter().from_payload(payload.payload, Delivery)
        except RuntimeError as error:
            workflow.logger.error("a signal does not decode: %s", error)
            return
        self._run.deliver(delivery)

    @workflow.query(name="state")
    def state(self) -> Any:
        """The run's state document."""
        return None if self._broken is not None else self._run.state

    # -- the run's home: see hub.run.home.Home --------------------------------------------

    def now(self) -> datetime:
        return workflow.now()

    def new_id(self) -> str:
        return workflow.uuid4().hex

    async def sleep(self, duration: timedelta, summary: str) -> None:
        await workflow.sleep(duration, summary=summary)

    def wants_scope(self, action: str) -> bool:
        known = installed_actions().get(action)
        return known is not None and known.needs_scope

    async def call(self, call: ActionCall, retry: Retry | None) -> Any:
        retry = retry or _DEFAULT_RETRY
        known = installed_actions().get(call.action)
        try:
            return await workflow.execute_activity(
                call.action,
                call,
                activity_id=call.path,
                summary=call.label,
                start_to_close_timeout=_DEFAULT_TIMEOUT if known is None else known.timeout,
                heartbeat_timeout=_HEARTBEAT_TIMEOUT,
                cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                retry_policy=RetryPolicy(
                    initial_interval=max(retry.backoff, timedelta(milliseconds=1)),
                    backoff_coefficient=retry.factor,
                    maximum_interval=max(retry.max, retry.backoff, timedelta(milliseconds=1)),
                    maximum_attempts=retry.attempts,
                    non_retryable_error_types=list(retry.unless) or None,
                ),
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise asyncio.CancelledError from None
            raise _node_failure(error, call) from None

    def log(self, level: str, message: str, fields: dict[str, Any]) -> None:
        info = workflow.info()
        getattr(workflow.logger, level)(
            message, extra={"run": info.workflow_id, "tree": info.workflow_type, **fields}
        )

    def changed(self) -> None:
        # Several nodes may change in one turn; what others see is written once, at its end.
        if not self._publishing:
            self._publishing = True
            asyncio.get_running_loop().call_soon(self._publish)

    def _publish(self) -> None:
        self._publishing = False
        state = self._run.state
        workflow.set_current_details(describe(state))
        waiting = list(dict.fromkeys(state.waiting_for))
        # Only what it waits for is worth a write: that it waits no more shows soon enough.
        if waiting and waiting != self._published:
            self._published = waiting
            workflow.upsert_search_attributes([HUB_WAITING_FOR.value_set(waiting)])


def _node_failure(error: ActivityError, call: ActionCall) -> NodeFailed:
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return NodeFailed(cause.type or "failed", cause.message, call.path)
    if isinstance(cause, ActionTimeout):
        return NodeFailed("action_timeout", f"{call.action} gave no answer in time", call.path)
    if isinstance(cause, CancelledError):
        return NodeFailed("cancelled", f"{call.action} was cancelled", call.path)
    return NodeFailed("failed", str(cause or error), call.path)
