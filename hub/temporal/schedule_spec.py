"""A project's schedule in Temporal's terms, and what sets one on the server apart from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast, get_args

import msgspec
from temporalio.api.common.v1 import Payload
from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleCalendarSpec,
    ScheduleDescription,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleState,
)
from temporalio.converter import DataConverter

from hub.durations import format_duration
from hub.run.schedules import WantedSchedule
from hub.temporal.attributes import attributes_of
from hub.temporal.run_input import RunInput
from hub.timetable import Calendar, Overlap, Range

__all__ = [
    "MEMO",
    "OVERLAPS",
    "Owner",
    "differences",
    "owner_of",
    "read_origin",
    "read_owner",
    "schedule_for",
    "times_of",
]

MEMO = "hub"
"""The name of what the hub keeps in memos."""

OVERLAPS: dict[Overlap, ScheduleOverlapPolicy] = {
    name: ScheduleOverlapPolicy[name.upper()] for name in get_args(Overlap)
}
_PAUSED = "paused by the project"
_RESUMED = "resumed by the project"


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """The memo of a schedule: whose it is. Temporal does not let a schedule's memo be changed."""

    project: str
    tree: str
    subscription: str


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """The memo of the runs that a schedule starts: by which trigger, with its times as written.

    Temporal keeps what a cron line means, and does not give the line back.
    """

    trigger: str
    times: list[str]


def owner_of(wanted: WantedSchedule, project: str) -> Owner:
    """Whose schedule it is."""
    return Owner(project=project, tree=wanted.tree, subscription=wanted.subscription)


async def read_owner(description: ScheduleDescription) -> Owner | None:
    """Whose schedule on the server it is, or None when the hub has not made it."""
    try:
        return msgspec.convert((await description.memo()).get(MEMO), Owner)
    except (msgspec.ValidationError, RuntimeError):
        return None


async def read_origin(schedule: Schedule, converter: DataConverter) -> Origin | None:
    """What the runs of a schedule on the server remember, or None where they do not."""
    memo = getattr(schedule.action, "memo", None) or {}
    if MEMO not in memo:
        return None
    try:
        (origin,) = await converter.decode([cast("Payload", memo[MEMO])], [Origin])
    except (RuntimeError, ValueError):
        return None
    return cast("Origin", origin)


def times_of(wanted: WantedSchedule) -> list[str]:
    """When it is due, as it was written."""
    timetable = wanted.timetable
    intervals = [
        f"every {format_duration(interval.every)}"
        + (f" + {format_duration(interval.offset)}" if interval.offset else "")
        for interval in timetable.intervals
    ]
    return [*(calendar.text for calendar in timetable.calendars), *intervals]


def schedule_for(
    wanted: WantedSchedule, task_queue: str, there: ScheduleState | None = None
) -> Schedule:
    """The schedule as the server shall have it; `there` is how it stands now, if it is there."""
    timetable = wanted.timetable
    name = wanted.trigger.rpartition("/")[2]
    return Schedule(
        action=ScheduleActionStartWorkflow(
            wanted.tree,
            _input(wanted),
            # Temporal appends the time that was due.
            id=f"{wanted.tree}/~{name}",
            task_queue=task_queue,
            memo={MEMO: Origin(trigger=wanted.trigger, times=times_of(wanted))},
            typed_search_attributes=attributes_of(wanted.tree, None),
        ),
        spec=ScheduleSpec(
            calendars=[_calendar(calendar) for calendar in timetable.calendars],
            intervals=[
                ScheduleIntervalSpec(every=interval.every, offset=interval.offset or None)
                for interval in timetable.intervals
            ],
            time_zone_name=timetable.timezone,
            jitter=timetable.jitter or None,
            end_at=timetable.until,
        ),
        policy=SchedulePolicy(
            overlap=OVERLAPS[timetable.overlap], catchup_window=timetable.catchup
        ),
        state=_state(wanted, there),
    )


async def differences(
    there: Schedule, wanted: WantedSchedule, task_queue: str, converter: DataConverter
) -> list[str]:
    """What of the server's schedule is not as wanted, in words; nothing when all of it is."""
    ours = schedule_for(wanted, task_queue, there.state)
    reasons: list[str] = []
    if (list(there.spec.calendars), list(there.spec.intervals)) != (
        ours.spec.calendars,
        ours.spec.intervals,
    ):
        reasons.append(f"times: {', '.join(times_of(wanted))}")
    for name, of, attribute in (
        ("timezone", "spec", "time_zone_name"),
        ("jitter", "spec", "jitter"),
        ("until", "spec", "end_at"),
        ("overlap", "policy", "overlap"),
        ("catchup", "policy", "catchup_window"),
    ):
        new = getattr(getattr(ours, of), attribute)
        if (getattr(getattr(there, of), attribute) or None) != (new or None):
            reasons.append(f"{name}: {_spoken(new)}")
    if there.spec.skip or there.spec.start_at or there.policy.pause_on_failure:
        reasons.append("settings that the project does not have")
    if there.state.paused != ours.state.paused:
        reasons.append("paused" if ours.state.paused else "resumed")
    if there.state.limited_actions:
        reasons.append("no limit on its runs")
    reasons += await _action_differences(there, ours, wanted, converter)
    origin = Origin(trigger=wanted.trigger, times=times_of(wanted))
    if not reasons and await read_origin(there, converter) != origin:
        reasons.append("how its times are written")
    return reasons


async def _action_differences(
    there: Schedule, ours: Schedule, wanted: WantedSchedule, converter: DataConverter
) -> list[str]:
    action, new = there.action, ours.action
    assert isinstance(new, ScheduleActionStartWorkflow)
    if not isinstance(action, ScheduleActionStartWorkflow):
        return ["what it starts"]
    try:
        (given,) = await converter.decode(cast("Sequence[Payload]", action.args), [RunInput])
    except (RuntimeError, ValueError):
        return ["what it starts"]
    expected = _input(wanted)
    if _plain(given) != _plain(expected):
        if given.hash != expected.hash:
            return [f"tree: {given.hash} → {expected.hash}"]
        return ["the trees that it may run, the groups that it may ask, or its name"]
    same = ("workflow", "id", "task_queue", "execution_timeout", "run_timeout", "retry_policy")
    if any(getattr(action, name) != getattr(new, name) for name in same):
        return ["what it starts"]
    return []


def _input(wanted: WantedSchedule) -> RunInput:
    return RunInput(
        hash=wanted.hash,
        document=msgspec.Raw(wanted.document),
        schedule=wanted.trigger,
        trees={name: msgspec.Raw(document) for name, document in wanted.trees.items()},
        groups={name: list(people) for name, people in wanted.groups.items()},
    )


def _plain(given: RunInput) -> bytes:
    return msgspec.json.encode(given, order="sorted")


def _state(wanted: WantedSchedule, there: ScheduleState | None) -> ScheduleState:
    """Whether it is paused: as the project says, else as it stands.

    What the project has paused it also resumes when it says so no more.
    """
    before = False if there is None else there.paused
    note = None if there is None else there.note
    paused = wanted.timetable.paused
    if paused is None:
        paused = before and note != _PAUSED
    if paused != before:
        note = _PAUSED if paused else _RESUMED
    return ScheduleState(note=note, paused=paused)


def _calendar(calendar: Calendar) -> ScheduleCalendarSpec:
    # Ranges rather than the line: what the server gives back can be compared with them.
    return ScheduleCalendarSpec(
        second=_ranges(calendar.second),
        minute=_ranges(calendar.minute),
        hour=_ranges(calendar.hour),
        day_of_month=_ranges(calendar.day_of_month),
        month=_ranges(calendar.month),
        year=_ranges(calendar.year),
        day_of_week=_ranges(calendar.day_of_week),
        comment=calendar.text or None,
    )


def _ranges(ranges: Sequence[Range]) -> tuple[ScheduleRange, ...]:
    return tuple(ScheduleRange(part.first, part.last, part.step) for part in ranges)


def _spoken(value: Any) -> str:
    if isinstance(value, ScheduleOverlapPolicy):
        return value.name.lower()
    return "none" if value is None else str(value)
