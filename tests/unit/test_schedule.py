"""The schedule trigger: what it takes, what it refuses and why, what it warns of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter

from hub.errors import InvalidDefinition
from hub.timetable import Range, Timetable
from hub.trigger import installed_triggers
from tests.crons import CRONS, ZONES
from triggers.schedule import Schedule, Settings
from triggers.schedule.cron import read_cron

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def faults(**settings: Any) -> list[tuple[str, str, str]]:
    _, found = Schedule.read_settings(settings, "due")
    return [(fault.severity, fault.path, f"{fault.message} {fault.suggestion}") for fault in found]


def test_it_is_installed() -> None:
    assert installed_triggers()["schedule"] is Schedule


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("line", CRONS)
def test_a_line_means_what_cron_programs_mean(line: str, zone: str) -> None:
    begin = datetime(2026, 3, 5, 11, 7, tzinfo=UTC)
    timetable = Timetable(calendars=(read_cron(line),), timezone=zone)
    ours = list(islice(timetable.times(begin), 50))
    theirs = croniter(line, begin.astimezone(ZoneInfo(zone)), ret_type=datetime)
    # Neither Temporal nor the hub looks beyond 2099, which leap days reach in fewer than 50 runs.
    assert len(ours) == 50 or ours[-1].year > 2090
    assert ours == [theirs.get_next() for _ in ours]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0 8 * * 5#2", "every week"),
        ("0 8 * * MON#1", "every week"),
        ("0 0 8 * * *", "the sixth is the year to Temporal and the seconds to others"),
        ("0 0 8 * * * 2030", "7 fields"),
        ("0 8 1 * mon", "days that fit either, Temporal days that fit both"),
        ("0 8 */2 * mon", "days that fit either, Temporal days that fit both"),
        ("0 8 L * *", "neither last days"),
        ("0 8 L-2 * *", "neither last days"),
        ("0 8 15W * *", "neither last days"),
        ("0 8 LW * *", "neither last days"),
        ("0 8 * * 5L", "neither last days"),
        ("0 8 ? * mon", "write `*`"),
        ("R 8 * * *", "`jitter: 10m`"),
        ("R(0-9) 8 * * *", "`jitter: 10m`"),
        ("H/15 8 * * *", "`jitter: 10m`"),
        ("0 22-2 * * *", "write `22-23,0-2`"),
        ("0 8 * * fri-sun", "write `fri-sat,sun`"),
        ("0 8 * * sat-mon", "write `sat,sun-mon`"),
        ("0 8 * nov-feb *", "write `nov-dec,jan-feb`"),
        ("CRON_TZ=Europe/Berlin 0 8 * * *", "write `timezone: Europe/Berlin`"),
        ("TZ=UTC 0 8 * * *", "write `timezone: UTC`"),
        ("@every 5m", "write `every: 5m`"),
        ("@Daily", "write `@daily`"),
        ("@reboot", "is no name for a schedule"),
        ("0 8 * * Monday", "names have three letters: mon"),
        ("0 8 * * mo", "is no day of the week"),
        ("0 8 * January *", "names have three letters: jan"),
        ("60 * * * *", "from 0 to 59"),
        ("0 24 * * *", "from 0 to 23"),
        ("0 0 0 * *", "from 1 to 31"),
        ("0 0 * 13 *", "from 1 to 12"),
        ("0 0 * * 8", "from 0 to 7"),
        ("*/0 * * * *", "no step"),
        ("*/60 * * * *", "no step"),
        ("*/-5 * * * *", "no step"),
        ("*/5/5 * * * *", "no step"),
        ("1,,2 * * * *", "is no minute"),
        ("1-2-3 * * * *", "is no minute"),
        ("+5 * * * *", "is no minute"),
        ("-5 * * * *", "is no minute"),
        ("٣ * * * *", "is no minute"),
        ("0 8 * *", "4 fields"),
        ("", "is empty"),
        ("* " * 500, "longer than"),
        ("0 0 30 2 *", "never due"),
        ("0 0 31 4,6 *", "never due"),
    ],
)
def test_what_is_refused_says_why_and_what_to_write(line: str, said: str) -> None:
    ((severity, place, text),) = faults(cron=line)
    assert (severity, place) == ("error", "due.cron")
    assert said in text
    with pytest.raises(InvalidDefinition):
        Schedule("due", Settings(cron=line))


def test_sunday_is_seven_or_zero() -> None:
    assert read_cron("0 8 * * 7").day_of_week == (Range(0, 0),)
    assert read_cron("0 8 * * 5-7").day_of_week == (Range(0, 0), Range(5, 6))
    assert read_cron("0 8 * * 0-7").day_of_week == (Range(0, 6),)


@pytest.mark.parametrize(
    ("settings", "place", "said"),
    [
        ({}, "due", "when it is due"),
        ({"every": "500ms"}, "due.every", "one second"),
        ({"every": "1500ms"}, "due.every", "whole seconds"),
        ({"every": "soon"}, "due.every", "is not a duration"),
        ({"every": "1h", "offset": "90m"}, "due.offset", "write 30m"),
        ({"cron": "@daily", "offset": "90m"}, "due.offset", "belongs to `every`"),
        ({"cron": "@daily", "timezone": "europe/berlin"}, "due.timezone", "write Europe/Berlin"),
        ({"cron": "@daily", "timezone": "CEST"}, "due.timezone", "there is no time zone"),
        ({"cron": "@daily", "timezone": "../../etc/passwd"}, "due.timezone", "no time zone"),
        ({"cron": "@daily", "jitter": "5"}, "due.jitter", "no unit"),
        ({"cron": "@daily", "catchup": "1s"}, "due.catchup", "10 seconds"),
        ({"cron": "@daily", "until": "soon"}, "due.until", "is no time"),
        ({"cron": "@daily", "overlap": "queue"}, "due.overlap", "must be one of"),
        ({"cron": []}, "due.cron", "from one to"),
        ({"cron": ["@daily", "0 8 L * *"]}, "due.cron[1]", "neither last days"),
        ({"calendars": {}}, "due.calendars", "is empty"),
        ({"calendars": [{"hour": 24}]}, "due.calendars[0].hour", "from 0 to 23"),
        ({"calendars": [{"hours": 8}]}, "due.calendars[0].hours", "no field"),
        ({"calendars": [{"hour": {"a": 1}}]}, "due.calendars[0].hour", "a number"),
        ({"calendars": {"year": 1999}}, "due.calendars.year", "from 2000 to 2100"),
        ({"crn": "@daily"}, "due.crn", "did you mean `cron`?"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any], place: str, said: str) -> None:
    found = [(at, text) for severity, at, text in faults(**settings) if severity == "error"]
    assert any(at == place and said in text for at, text in found), found


def test_everything_at_once() -> None:
    settings = Settings(
        cron="0 8 * * mon-fri\n30 17 * * fri\n",
        every="1 day",
        offset="6h",
        calendars=[{"hour": [8, "12-14"], "day_of_week": "fri", "day_of_month": 13}],
        timezone="Europe/Berlin",
        jitter="30s",
        overlap="cancel_other",
        catchup="2h",
        until="2030-12-31",
        paused=True,
    )
    timetable = Schedule("due", settings).timetable
    assert [calendar.text for calendar in timetable.calendars[:2]] == [
        "0 8 * * mon-fri",
        "30 17 * * fri",
    ]
    assert timetable.calendars[2].hour == (Range(8, 8), Range(12, 14))
    assert timetable.until == datetime(2030, 12, 31, 22, 59, 59, tzinfo=UTC)
    assert timetable.overlap == "cancel_other"
    assert timetable.catchup == timedelta(hours=2)
    assert timetable.paused is True


def test_days_on_which_the_clocks_change_are_warned_of() -> None:
    _, found = Settings(cron="30 2 * * *", timezone="Europe/Berlin").read(NOW)
    assert [fault.severity for fault in found] == ["warning", "warning"]
    assert "2026-10-25 the clocks of Europe/Berlin show 02:30 twice" in found[0].message
    assert "2027-03-28 the clocks of Europe/Berlin skip 02:30" in found[1].message


@pytest.mark.parametrize(
    ("line", "zone"),
    [
        ("30 2 * * *", "UTC"),
        ("30 2 * * *", "Asia/Kolkata"),
        ("0 8 * * *", "Europe/Berlin"),
        ("30 2 1 1 *", "Europe/Berlin"),
        ("30 2 * * mon-sat", "America/New_York"),
    ],
)
def test_other_days_are_not_warned_of(line: str, zone: str) -> None:
    _, found = Settings(cron=line, timezone=zone).read(NOW)
    assert found == []


def test_every_hour_has_no_gap_in_spring() -> None:
    _, found = Settings(cron="0 * * * *", timezone="America/New_York").read(NOW)
    assert [fault.message for fault in found if "skip" in fault.message] == []


def test_an_end_that_is_past_is_warned_of() -> None:
    _, found = Settings(cron="@daily", until="2020-01-01").read(NOW)
    assert [(fault.severity, fault.path) for fault in found] == [("warning", "until")]
