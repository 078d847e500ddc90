"""What the rest of the hub may ask of the schedules that the place where runs live keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal, Protocol

import msgspec

from hub.event import Event
from hub.run.runs import Delivery
from hub.timetable import Overlap, Timetable

__all__ = [
    "EVENT_TYPE",
    "Change",
    "KeptSchedules",
    "LastRun",
    "Plan",
    "ScheduleStatus",
    "ScheduleView",
    "WantedSchedule",
    "scheduled",
]

EVENT_TYPE = "hub.schedule"
"""The type of the events of all schedules."""


def scheduled(schedule: str, due: datetime, subscription: str) -> Delivery:
    """The event by which a schedule starts a run: the time that was due is its time."""
    due = due.astimezone(UTC)
    at = due.isoformat().replace("+00:00", "Z")
    event = Event(
        id=f"{schedule}@{at}",
        source=f"/schedules/{schedule}",
        type=EVENT_TYPE,
        time=due,
        data={"schedule": schedule, "scheduled_at": at},
    )
    return Delivery(event=event, trigger=schedule, subscription=subscription)


class WantedSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as the project has it: when it is due, and what it starts.

    `trigger` is the name of the schedule, `document` the definition that its runs are pinned to,
    `hash` its name, and `trees` are the definitions of the trees that it may run, `groups` the
    people whom they may ask for approval.
    """

    tree: str
    subscription: str
    trigger: str
    timetable: Timetable
    hash: str
    document: bytes
    trees: Mapping[str, bytes] = {}
    groups: Mapping[str, Sequence[str]] = {}

    @property
    def id(self) -> str:
        """What people call it by: `tree/event`."""
        return f"{self.tree}/{self.subscription}"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the server's schedules lack, or lacked: `reasons` say what is not as wanted."""

    action: Literal["create", "update", "delete"]
    id: str
    reasons: Sequence[str] = ()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done, or was done; `unchanged` are the ids that are as wanted."""

    changes: Sequence[Change] = ()
    unchanged: Sequence[str] = ()


class LastRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that a schedule has started: the time that was due, and when it began."""

    run_id: str
    scheduled_at: datetime
    started_at: datetime


ScheduleStatus = Literal["current", "outdated", "missing", "unwanted"]


class ScheduleView(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as it stands on the server.

    `status` compares it with the project: `current`, `outdated` (the project has changed since),
    `missing` (not applied yet) or `unwanted` (the project does not have it any more). `next` are
    the next times that are due, `last` the latest runs, newest first, `running` those at work.
    """

    id: str
    tree: str
    subscription: str
    trigger: str
    status: ScheduleStatus
    times: Sequence[str]
    timezone: str
    overlap: Overlap
    paused: bool
    note: str
    next: Sequence[datetime]
    last: Sequence[LastRun]
    running: Sequence[str]


class KeptSchedules(Protocol):
    """The schedules that are kept for one project, where runs live. Every method raises `Unreachable` when that place does not answer.

    A schedule is called by its id, `tree/event`; those that take one raise `NotFound`.
    """

    async def plan(self, wanted: Sequence[WantedSchedule], *, delete: bool = True) -> Plan:
        """What `apply` would do."""

    async def apply(self, wanted: Sequence[WantedSchedule], *, delete: bool = True) -> Plan:
        """Make them equal to the wanted ones; say what was done. Without `delete`, none goes."""

    async def list(self, wanted: Sequence[WantedSchedule]) -> Sequence[ScheduleView]:
        """Every schedule of the project, and every one that is kept for it, by id."""

    async def times(self, id: str, after: datetime, count: int) -> Sequence[datetime]:  # noqa: A002
        """The next times that are due, as the server has them, with their jitter."""

    async def trigger(self, id: str, overlap: Overlap | None = None) -> None:  # noqa: A002
        """Start a run now, as if it were due."""

    async def pause(self, id: str, note: str) -> None:  # noqa: A002
        """Let no time count until it is resumed."""

    async def resume(self, id: str, note: str) -> None:  # noqa: A002
        """Let its times count again."""

    async def backfill(
        self,
        id: str,  # noqa: A002
        begin: datetime,
        end: datetime,
        overlap: Overlap | None = None,
    ) -> None:
        """Start the runs of the times from `begin` to `end`, both included."""
