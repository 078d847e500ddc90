"""Timetables: the times that are due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

from hub.timetable import Calendar, Interval, Range, Timetable

DAILY = Calendar(hour=(Range(8, 8),))


def due(timetable: Timetable, after: datetime, count: int) -> list[datetime]:
    return list(islice(timetable.times(after), count))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


def test_a_time_that_is_now_is_past() -> None:
    timetable = Timetable(calendars=(DAILY,))
    assert due(timetable, utc(2026, 1, 1, 8), 1) == [utc(2026, 1, 2, 8)]
    assert due(timetable, utc(2026, 1, 1, 7, 59, 59), 1) == [utc(2026, 1, 1, 8)]


def test_the_clock_on_the_wall_counts() -> None:
    timetable = Timetable(calendars=(DAILY,), timezone="Europe/Berlin")
    assert due(timetable, utc(2027, 3, 27, 0), 2) == [utc(2027, 3, 27, 7), utc(2027, 3, 28, 6)]


def test_a_time_that_the_clocks_skip_is_left_out() -> None:
    night = Calendar(hour=(Range(2, 2),), minute=(Range(30, 30),))
    timetable = Timetable(calendars=(night,), timezone="Europe/Berlin")
    assert due(timetable, utc(2027, 3, 27, 0), 2) == [
        utc(2027, 3, 27, 1, 30),
        utc(2027, 3, 29, 0, 30),
    ]


def test_the_day_of_the_zone_is_meant_not_that_of_utc() -> None:
    early = Calendar(hour=(Range(1, 1),), day_of_week=(Range(1, 1),))
    timetable = Timetable(calendars=(early,), timezone="Asia/Tokyo")
    # 01:00 on a Monday in Tokyo is Sunday in UTC.
    assert due(timetable, utc(2026, 11, 1), 1) == [utc(2026, 11, 1, 16)]


def test_all_fields_must_fit() -> None:
    friday_13th = Calendar(
        hour=(Range(8, 8),), day_of_month=(Range(13, 13),), day_of_week=(Range(5, 5),)
    )
    timetable = Timetable(calendars=(friday_13th,))
    assert due(timetable, utc(2026, 1, 1), 3) == [
        utc(2026, 2, 13, 8),
        utc(2026, 3, 13, 8),
        utc(2026, 11, 13, 8),
    ]


def test_years_and_steps() -> None:
    calendar = Calendar(
        second=(Range(0, 59, 30),), month=(Range(2, 2),), day_of_month=(Range(29, 29),)
    )
    assert due(Timetable(calendars=(calendar,)), utc(2026, 1, 1), 3) == [
        utc(2028, 2, 29),
        utc(2028, 2, 29, 0, 0, 30),
        utc(2032, 2, 29),
    ]
    past = Calendar(year=(Range(2020, 2021),))
    assert due(Timetable(calendars=(past,)), utc(2026, 1, 1), 1) == []


def test_intervals_count_from_1970() -> None:
    timetable = Timetable(intervals=(Interval(every=timedelta(days=7), offset=timedelta(hours=3)),))
    assert due(timetable, utc(2026, 10, 3, 12), 2) == [utc(2026, 10, 8, 3), utc(2026, 10, 15, 3)]


def test_several_sources_are_merged_and_a_common_time_is_one() -> None:
    timetable = Timetable(
        calendars=(DAILY, Calendar(hour=(Range(8, 20, 12),))),
        intervals=(Interval(every=timedelta(hours=10)),),
    )
    found = due(timetable, utc(1970, 1, 1), 5)
    assert found == [
        utc(1970, 1, 1, 8),
        utc(1970, 1, 1, 10),
        utc(1970, 1, 1, 20),
        utc(1970, 1, 2, 6),
        utc(1970, 1, 2, 8),
    ]


def test_it_ends() -> None:
    timetable = Timetable(calendars=(DAILY,), until=utc(2026, 1, 2, 8))
    assert due(timetable, utc(2026, 1, 1), 9) == [utc(2026, 1, 1, 8), utc(2026, 1, 2, 8)]
