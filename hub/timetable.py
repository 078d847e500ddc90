"""A timetable: the times at which a schedule is due, as Temporal reads them.

Source of the rules: the protocol documentation of Temporal's `ScheduleSpec`. A time is due when it
fits one of the calendars, by the clock of the time zone, or one of the intervals.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

__all__ = ["DEFAULT_CATCHUP", "Calendar", "Interval", "Overlap", "Range", "Timetable"]

Overlap = Literal[
    "skip", "buffer_one", "buffer_all", "cancel_other", "terminate_other", "allow_all"
]
"""What happens when a time comes and the run of the time before is still at work."""

DEFAULT_CATCHUP = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_YEAR = 2100


class Range(msgspec.Struct, frozen=True):
    """The numbers from `first` to `last`, both included, in steps."""

    first: int
    last: int
    step: int = 1

    def values(self) -> range:
        """The numbers themselves."""
        return range(self.first, self.last + 1, self.step)


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """Times by the fields of the clock and the calendar; a time fits when every field does.

    Sunday is day 0 of the week. No `year` is every year. `text` is how it was written.
    """

    second: tuple[Range, ...] = (Range(0, 0),)
    minute: tuple[Range, ...] = (Range(0, 0),)
    hour: tuple[Range, ...] = (Range(0, 0),)
    day_of_month: tuple[Range, ...] = (Range(1, 31),)
    month: tuple[Range, ...] = (Range(1, 12),)
    year: tuple[Range, ...] = ()
    day_of_week: tuple[Range, ...] = (Range(0, 6),)
    text: str = ""

    def wall_times(self, first: date) -> Iterator[datetime]:
        """The times of the clock on the wall, without a zone, from that day on."""
        years = _values(self.year)
        months, days = _values(self.month), _values(self.day_of_month)
        weekdays = _values(self.day_of_week)
        clock = [
            time(hour, minute, second)
            for hour, minute, second in product(
                *(sorted(_values(field)) for field in (self.hour, self.minute, self.second))
            )
        ]
        day = first
        while day.year < _LAST_YEAR:
            if years and day.year not in years:
                day = date(day.year + 1, 1, 1)
            elif day.month not in months:
                day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
            else:
                if day.day in days and day.isoweekday() % 7 in weekdays:
                    yield from (datetime.combine(day, at) for at in clock)
                day += timedelta(days=1)


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """Times that are `every` apart, counted from the beginning of 1970 in UTC plus `offset`."""

    every: timedelta
    offset: timedelta = timedelta(0)


class Timetable(msgspec.Struct, frozen=True, kw_only=True):
    """When a schedule is due, and what happens around these times.

    `jitter` delays each time by up to so much. After an outage, times that are not longer past
    than `catchup` are made up for. After `until` nothing is due. `paused` is None where whoever
    operates the schedule decides.
    """

    calendars: tuple[Calendar, ...] = ()
    intervals: tuple[Interval, ...] = ()
    timezone: str = "UTC"
    jitter: timedelta = timedelta(0)
    overlap: Overlap = "skip"
    catchup: timedelta = DEFAULT_CATCHUP
    until: datetime | None = None
    paused: bool | None = None

    def times(self, after: datetime) -> Iterator[datetime]:
        """The times that are due after that one, in UTC, oldest first; without their jitter.

        A time that the clocks skip is left out. One that comes twice stands here once, where the
        server may use the other one or both.
        """
        zone = ZoneInfo(self.timezone)
        sources = [_instants(calendar, zone, after) for calendar in self.calendars]
        sources += [_beats(interval, after) for interval in self.intervals]
        last: datetime | None = None
        for at in heapq.merge(*sources):
            if self.until is not None and at > self.until:
                return
            if at != last:
                last = at
                yield at


def _values(ranges: tuple[Range, ...]) -> set[int]:
    return {value for part in ranges for value in part.values()}


def _instants(calendar: Calendar, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    last = after
    for wall in calendar.wall_times(after.astimezone(zone).date()):
        at = _instant(wall, zone)
        if at is not None and at > last:
            last = at
            yield at


def _instant(wall: datetime, zone: ZoneInfo) -> datetime | None:
    """When the clock on the wall shows that, or None when it never does.

    Of a time that comes twice it is the one that a reader of the clock finds who begins with the
    offset that UTC would have there, which is how Temporal's own language resolves it.
    """
    as_utc = wall.replace(tzinfo=UTC)
    for guess in (as_utc, as_utc - _offset(as_utc, zone)):
        at = as_utc - _offset(guess, zone)
        if at.astimezone(zone).replace(tzinfo=None) == wall:
            return at
    return None


def _offset(at: datetime, zone: ZoneInfo) -> timedelta:
    offset = at.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def _beats(interval: Interval, after: datetime) -> Iterator[datetime]:
    first = (after - _EPOCH - interval.offset) // interval.every + 1
    at = _EPOCH + interval.offset + first * interval.every
    while at.year < _LAST_YEAR:
        yield at
        at += interval.every
