"""Noticing that a run has moved, without asking its worker.

Temporal's server answers a request for what follows in a history when there is something. A run that
waits so costs the server an open request, and its worker nothing; the worker is asked for the
document when it has told something new. What leaves no trace in the history, a failed try of an
action, shows in the server's own description of the run, which is looked at while actions are due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest
from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.service import RPCError, RPCStatusCode

__all__ = ["Watch"]

Describe = Callable[[str], Awaitable[WorkflowExecutionDescription]]

_POLL_TIMEOUT = timedelta(seconds=65)
_BREATH = 0.1
"""Seconds between two documents at least: many changes at once are one."""
_PAUSES = (1.0, 2.0, 4.0)
_TELLING = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
    }
)


class Watch:
    """Watches one run. `describe` asks the server for it; at most as many requests stay open as
    `long_polls` has places, and where they are taken the run is described now and then instead."""

    def __init__(self, client: Client, describe: Describe, long_polls: asyncio.Semaphore) -> None:
        self._client = client
        self._describe = describe
        self._long_polls = long_polls
        self._execution = ""
        self._token = b""

    async def moved(self, described: WorkflowExecutionDescription) -> None:
        """Return when the document may differ from the one that was read after `described`.

        Raises `RPCError`.
        """
        if described.run_id != self._execution:
            self._execution, self._token = described.run_id or "", b""
        await asyncio.sleep(_BREATH)
        before = _state_of(described)
        length = described.raw_description.workflow_execution_info.history_length
        quiet = 0
        while _state_of(described) == before:
            pause = _PAUSES[min(quiet, len(_PAUSES) - 1)]
            quiet += 1
            if self._long_polls.locked():
                await asyncio.sleep(pause)
            elif await self._has_more(described, length, pause):
                return
            described = await self._describe(described.id)

    async def _has_more(
        self, described: WorkflowExecutionDescription, length: int, pause: float
    ) -> bool:
        """Wait for an event; no longer than the pause (seconds) while actions are due."""
        due = described.raw_description.pending_activities
        async with self._long_polls:
            try:
                async with asyncio.timeout(pause if due else None):
                    await self._next_event(described.id, length)
            except TimeoutError:
                return False
        return True

    async def _next_event(self, run_id: str, length: int) -> None:
        """Return when a telling event follows the first `length` ones, or the history has ended."""
        while True:
            request = GetWorkflowExecutionHistoryRequest(
                namespace=self._client.namespace,
                maximum_page_size=1000,
                next_page_token=self._token,
                wait_new_event=True,
                skip_archival=True,
            )
            request.execution.workflow_id = run_id
            request.execution.run_id = self._execution
            try:
                response = await self._client.workflow_service.get_workflow_execution_history(
                    request, timeout=_POLL_TIMEOUT
                )
            except RPCError as error:
                if error.status == RPCStatusCode.DEADLINE_EXCEEDED:
                    continue
                raise
            self._token = response.next_page_token
            if not self._token or any(
                event.event_id > length and event.event_type in _TELLING
                for event in response.history.events
            ):
                return


def _state_of(described: WorkflowExecutionDescription) -> tuple[object, ...]:
    info = described.raw_description.workflow_execution_info
    return described.run_id, described.status, info.state_transition_count
