"""What a run shows of itself to those who look from outside: search attributes, memo and details."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from temporalio import workflow

from hub.run import TreeRun
from hub.run.approvals import OpenApproval
from hub.run.decided import DecidedApproval
from hub.temporal.approvers import HUB_APPROVERS
from hub.temporal.attributes import HUB_STATUS, HUB_WAITING_FOR
from hub.temporal.details import describe
from hub.temporal.surroundings import Surroundings

__all__ = ["Publication"]


class Publication:
    """What of one `run` has been shown; a write is made only where it differs."""

    run: TreeRun

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._is_due = False
        # What an earlier part has published still stands.
        attributes = workflow.info().typed_search_attributes
        self._waiting = list(attributes.get(HUB_WAITING_FOR) or ())
        self._approvals: tuple[Sequence[OpenApproval], Sequence[DecidedApproval]] | None = (
            None if attributes.get(HUB_APPROVERS) else ([], [])
        )
        self._status = attributes.get(HUB_STATUS) or "running"

    def changed(self) -> None:
        # Several nodes may change in one turn; what others see is written once, at its end.
        if not self._is_due and not self.run.leaving:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self.publish)

    def publish(self) -> None:
        """Show the run as it is now."""
        self._is_due = False
        if self.run.leaving:
            return
        state = self.run.state
        workflow.set_current_details(describe(state))
        if self._status == "dormant" != state.status:
            self._status = state.status
            workflow.upsert_search_attributes([HUB_STATUS.value_set(state.status)])
        waiting = list(dict.fromkeys(state.waiting_for))
        # Only what it waits for is worth a write: that it waits no more shows soon enough.
        if waiting and sorted(waiting) != sorted(self._waiting):
            self._waiting = waiting
            self._around.publish_waiting(waiting)
        self.publish_people()

    def publish_people(self) -> None:
        """What is open matters while the run lives; what was decided also after its end."""
        desk, before = self.run.desk, self._approvals
        open_, decided = desk.open(), list(desk.decided())
        if (
            before is None
            or decided != before[1]
            or (open_ != before[0] and self.run.state.status == "running")
        ):
            self._approvals = open_, decided
            self._around.publish_approvals(open_, decided)
