"""Where cron programs and Temporal part: the days on which the clocks of a zone are changed.

Cron programs (croniter stands for them) bring a time that the clocks skip forward, and know an hour
that comes twice. Temporal leaves the first out, and of the second runs one time, the other, or
both, by zone and schedule.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from croniter import CroniterError, croniter

from hub.timetable import Calendar, Timetable

__all__ = ["changes", "surprises"]

_AHEAD = timedelta(days=400)
_AROUND = timedelta(hours=3)


def changes(zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """The moments in the coming year at which the zone's clocks are put forward or back."""
    at = after.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    end = at + _AHEAD
    step = timedelta(days=1)
    while at < end:
        if _offset(at, zone) != _offset(at + step, zone):
            low, high = at, at + step
            while high - low > timedelta(minutes=1):
                middle = low + (high - low) / 2
                if _offset(middle, zone) == _offset(at, zone):
                    low = middle
                else:
                    high = middle
            yield high.replace(second=0, microsecond=0)
        at += step


def surprises(calendar: Calendar, timezone: str, now: datetime) -> Iterator[str]:
    """What is not as cron has it when the clocks change, in words; one for each change.

    `calendar` is of a cron line, its `text`.
    """
    zone = ZoneInfo(timezone)
    for change in changes(zone, now):
        before = change - timedelta(minutes=1)
        jump = _offset(change, zone) - _offset(before, zone)
        # The times of the clock that are skipped, or shown twice, begin or end with this one.
        edge = (before.astimezone(zone) + timedelta(minutes=1)).replace(tzinfo=None)
        touched = next(_between(calendar, min(edge, edge + jump), max(edge, edge + jump)), None)
        if touched is None:
            continue
        day, shown = change.astimezone(zone).date(), f"{touched:%H:%M}"
        if jump < timedelta(0):
            yield (
                f"{calendar.text!r}: on {day} the clocks of {timezone} show {shown} twice; how often "
                "Temporal runs it then depends on the zone"
            )
        elif not _agree(calendar, zone, change):
            yield (
                f"{calendar.text!r}: on {day} the clocks of {timezone} skip {shown}; cron is late "
                "then, and Temporal leaves that time out"
            )


def _agree(calendar: Calendar, zone: ZoneInfo, change: datetime) -> bool:
    """Do croniter and Temporal read it alike around the time at which the clocks skip?"""
    begin, end = change - _AROUND, change + _AROUND
    ours = []
    for at in Timetable(calendars=(calendar,), timezone=zone.key).times(begin):
        if at > end:
            break
        ours.append(at)
    theirs = []
    try:
        for found in croniter(calendar.text, begin.astimezone(zone), ret_type=datetime):
            if found > end:
                break
            theirs.append(found.astimezone(UTC))
    except CroniterError:
        return False
    return ours == theirs


def _between(calendar: Calendar, low: datetime, high: datetime) -> Iterator[datetime]:
    for wall in calendar.wall_times(low.date()):
        if wall >= high:
            return
        if wall >= low:
            yield wall


def _offset(at: datetime, zone: ZoneInfo) -> timedelta:
    offset = at.astimezone(zone).utcoffset()
    assert offset is not None
    return offset
