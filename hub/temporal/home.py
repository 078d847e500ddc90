"""The home of a run on Temporal: see `hub.run.home.Home`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    TerminatedError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)
from temporalio.exceptions import TimeoutError as ActionTimeout

from hub.connector import installed_actions
from hub.errors import NodeFailed
from hub.run import ActionCall, ChildCall
from hub.run.state import Errand
from hub.temporal.run_input import RunInput
from hub.temporal.surroundings import Surroundings
from hub.tree import Retry
from hub.tree.concurrency import first_done, halt

__all__ = ["CORRELATE", "TemporalHome"]

CORRELATE = "hub.correlate"
"""The activity that tells a correlator what a run has to tell it."""

_ERRAND_TIMEOUT = timedelta(seconds=10)
_DEFAULT_TIMEOUT = timedelta(seconds=30)
_HEARTBEAT_TIMEOUT = timedelta(seconds=20)
_DEFAULT_RETRY = Retry(attempts=0, backoff=timedelta(seconds=1), max=timedelta(minutes=5))


class TemporalHome:
    """Timers, activities and child workflows of the workflow that a run is."""

    def __init__(self, given: RunInput, around: Surroundings, changed: Callable[[], None]) -> None:
        self._limits = given.limits
        self._groups = given.groups
        self._around = around
        self._changed = changed
        self.signals = 0
        """How many signals have come in this part of the run."""

    def leaving(self) -> bool:
        # Temporal cancels every task of a run that it drops from its cache. Only what may not be
        # done any more then tells that from a cancellation of the run.
        try:
            workflow.random()
        except BaseException:
            return True
        return False

    def is_long(self, *, very: bool = False) -> bool:
        info, limits = workflow.info(), self._limits
        if not very and info.is_target_worker_deployment_version_changed():
            # Workers of the version that it began with will be gone one day.
            return True
        factor = limits.factor if very else 1
        return (
            info.get_current_history_length() >= limits.events * factor
            or info.get_current_history_size() >= limits.size * factor
            or self.signals >= limits.signals * factor
        )

    async def settle(self) -> None:
        # Signals of a moment are handled before its cancellation is seen. When a timer fires, both
        # of that moment have been.
        await workflow.sleep(
            timedelta(milliseconds=1), summary="before the run goes on in a new part"
        )

    def now(self) -> datetime:
        return workflow.now()

    def new_id(self) -> str:
        return workflow.uuid4().hex

    async def sleep(self, duration: timedelta, summary: str) -> None:
        await workflow.sleep(duration, summary=summary)

    def wants_scope(self, action: str) -> bool:
        known = installed_actions().get(action)
        return known is not None and known.needs_scope

    async def child(self, call: ChildCall) -> Any:
        given = RunInput(
            hash=call.hash,
            document=msgspec.Raw(call.document),
            key=call.key,
            delivery=call.delivery,
            trees={name: msgspec.Raw(document) for name, document in call.trees.items()},
            groups=self._groups,
            limits=self._limits,
        )
        try:
            child = await workflow.start_child_workflow(
                call.tree,
                self._around.sent(given),
                id=call.run_id,
                search_attributes=self._around.attributes(call.tree, call.key, call.hash),
                cancellation_type=workflow.ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON
                if call.detach
                else workflow.ParentClosePolicy.REQUEST_CANCEL,
            )
        except WorkflowAlreadyStartedError:
            raise NodeFailed(
                "already_running",
                f"the run {call.run_id} is live already",
                call.path,
                harmless=True,
            ) from None
        except ChildWorkflowError as error:
            if is_cancelled_exception(error):
                raise asyncio.CancelledError from None
            raise _child_failure(error, call) from None
        if call.detach:
            return call.run_id
        try:
            await first_done([child])
        except asyncio.CancelledError:
            await halt([child])
            raise
        try:
            return child.result()
        except ChildWorkflowError as error:
            raise _child_failure(error, call) from None

    async def call(self, call: ActionCall, retry: Retry | None) -> Any:
        retry = retry or _DEFAULT_RETRY
        known = installed_actions().get(call.action)
        try:
            return await workflow.execute_activity(
                call.action,
                self._around.sent(call),
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

    @property
    def correlates(self) -> bool:
        return self._around.correlates

    async def correlate(self, errand: Errand) -> None:
        try:
            await workflow.execute_local_activity(
                CORRELATE,
                self._around.sent(errand),
                start_to_close_timeout=_ERRAND_TIMEOUT,
                retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=30)),
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise asyncio.CancelledError from None
            cause = error.cause
            code = cause.type if isinstance(cause, ApplicationError) else None
            raise NodeFailed(code or "undeliverable", str(cause or error)) from None

    def log(self, level: str, message: str, fields: dict[str, Any]) -> None:
        info = workflow.info()
        getattr(workflow.logger, level)(
            message, extra={"run": info.workflow_id, "tree": info.workflow_type, **fields}
        )

    def changed(self) -> None:
        self._changed()


def _node_failure(error: ActivityError, call: ActionCall) -> NodeFailed:
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return NodeFailed(
            cause.type or "failed",
            cause.message,
            call.path,
            # Refused at the first attempt: nothing was done. An earlier one may have done it.
            harmless=cause.non_retryable and tuple(cause.details) == ({"attempt": 1},),
        )
    if isinstance(cause, ActionTimeout):
        return NodeFailed("action_timeout", f"{call.action} gave no answer in time", call.path)
    if isinstance(cause, CancelledError):
        return NodeFailed("cancelled", f"{call.action} was cancelled", call.path)
    return NodeFailed("failed", str(cause or error), call.path)


def _child_failure(error: ChildWorkflowError, call: ChildCall) -> NodeFailed:
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return NodeFailed(cause.type or "failed", cause.message, call.path)
    if isinstance(cause, CancelledError):
        return NodeFailed("cancelled", f"the run {call.run_id} was cancelled", call.path)
    if isinstance(cause, TerminatedError):
        return NodeFailed("terminated", f"the run {call.run_id} was terminated", call.path)
    return NodeFailed("failed", str(cause or error), call.path)
