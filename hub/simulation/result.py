"""What a simulation tells when it is over."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from hub.errors import NotFound
from hub.event import Event
from hub.run import RunState
from hub.run.state import Failure

__all__ = [
    "SimulatedCall",
    "SimulatedDecision",
    "SimulatedDelivery",
    "SimulatedEvent",
    "SimulatedRun",
    "SimulationResult",
]


class SimulatedCall(msgspec.Struct, kw_only=True):
    """One attempt of one action, the `number`th of the simulation.

    `result` and `code` are there once it has ended.
    """

    number: int
    run_id: str
    path: str
    action: str
    arguments: dict[str, Any]
    at: datetime
    attempt: int
    outcome: Literal["running", "succeeded", "failed", "cancelled"] = "running"
    result: Any = None
    code: str | None = None
    message: str | None = None


class SimulatedDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an event at one run, in the words of the journal and of the mailbox."""

    tree: str
    subscription: str
    outcome: str
    run_id: str | None = None
    reason: str | None = None


class SimulatedDecision(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody decided, and what became of it: `recorded`, or the code of why it was not."""

    number: int
    run_id: str
    who: str
    decision: Literal["approve", "reject", "delegate"]
    at: datetime
    outcome: str
    message: str | None = None


class SimulatedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event and its fate: `status` is "delivered", "unmatched" or "duplicate"."""

    event: Event
    trigger: str
    at: datetime
    status: Literal["delivered", "unmatched", "duplicate"]
    deliveries: list[SimulatedDelivery]


class SimulatedRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run: its state document and the calls that it made, in order."""

    state: RunState
    calls: list[SimulatedCall]
    parent: str | None = None
    """The id of the run that it is a child of."""

    @property
    def id(self) -> str:
        """`tree/key`."""
        return self.state.id

    @property
    def status(self) -> str:
        """The run's status; "running" when it still waits for something."""
        return self.state.status

    @property
    def result(self) -> Any:
        """The tree's result."""
        return self.state.result

    @property
    def error(self) -> Failure | None:
        """Why it failed."""
        return self.state.error

    @property
    def lasts(self) -> timedelta | None:
        """How long it lasted, in virtual time; None while it has not ended."""
        if self.state.started_at is None or self.state.ended_at is None:
            return None
        return self.state.ended_at - self.state.started_at

    def called(self, action: str) -> list[dict[str, Any]]:
        """The arguments of the action's calls, in order; further attempts are not counted."""
        return [c.arguments for c in self.calls if c.action == action and c.attempt == 1]


class SimulationResult(msgspec.Struct, frozen=True, kw_only=True):
    """All runs in the order of their start, and all events in the order in which they came."""

    runs: list[SimulatedRun]
    events: list[SimulatedEvent]
    calls: list[SimulatedCall]
    logs: list[str]
    now: datetime
    decisions: list[SimulatedDecision] = []

    def calls_of(self, run: SimulatedRun) -> list[SimulatedCall]:
        """The calls of a run and of its children, in order."""
        family = [run]
        ids = {run.id}
        for other in self.runs:
            if other.parent in ids:
                family.append(other)
                ids.add(other.id)
        return sorted((call for one in family for call in one.calls), key=lambda c: c.number)

    def first(self, run_id: str) -> SimulatedRun | None:
        """The first run of that id."""
        return next((run for run in self.runs if run.id == run_id), None)

    def run(self, run_id: str) -> SimulatedRun:
        """The latest run of that id. Raises `NotFound`."""
        found = [run for run in self.runs if run.id == run_id]
        if not found:
            known = ", ".join(dict.fromkeys(run.id for run in self.runs)) or "none"
            raise NotFound(f"the simulation has no run {run_id!r}; its runs: {known}")
        return found[-1]
