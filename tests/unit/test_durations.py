from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.durations import MAX_DURATION, format_duration, parse_duration
from hub.errors import InvalidDuration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7 days", timedelta(days=7)),
        ("24h", timedelta(hours=24)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("1 day 2 hours", timedelta(days=1, hours=2)),
        ("90s", timedelta(seconds=90)),
        ("500ms", timedelta(milliseconds=500)),
        ("2 weeks", timedelta(weeks=2)),
        ("1.5h", timedelta(minutes=90)),
        ("0.1s", timedelta(milliseconds=100)),
        ("  15 Min ", timedelta(minutes=15)),
        ("0s", timedelta(0)),
        ("P7D", timedelta(days=7)),
        ("PT24H", timedelta(hours=24)),
        ("P1DT2H30M", timedelta(days=1, hours=2, minutes=30)),
        ("P3W", timedelta(weeks=3)),
        ("PT0.5S", timedelta(milliseconds=500)),
        ("PT0,5S", timedelta(milliseconds=500)),
        ("pt5m", timedelta(minutes=5)),
        (timedelta(hours=3), timedelta(hours=3)),
        ("36500 days", MAX_DURATION),
    ],
)
def test_reads(text: str | timedelta, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (30, "write 30s or 30 minutes"),
        ("30", "write 30s or 30 minutes"),
        (0, "no unit"),
        (1.5, "write 1.5s or 1.5 minutes"),
        (-1, "negative"),
        ("-5m", "negative"),
        ("-P1D", "negative"),
        (timedelta(seconds=-1), "negative"),
        (float("nan"), "not a duration"),
        (float("inf"), "not a duration"),
        (True, "not a duration"),
        (None, "not a duration"),
        ([], "not a duration"),
        ("", "empty"),
        ("   ", "empty"),
        ("12:30", "write 12h30m or 12m30s"),
        ("1:02:03", "write 1h02m03s"),
        ("1 month", "write 30 days"),
        ("2 years", "write 365 days"),
        ("3M", "write m for minutes"),
        ("P1M", "not a fixed length"),
        ("P1Y", "not a fixed length"),
        ("P", "ISO 8601"),
        ("PT", "ISO 8601"),
        ("P1DT", "ISO 8601"),
        ("P1H", "ISO 8601"),
        ("5 lightyears", "unknown unit"),
        ("1h 1h", "twice"),
        ("1h and 2m", "no number with a unit"),
        ("soon", "no number with a unit"),
        ("1h-2m", "no number with a unit"),
        ("٣ days", "no number with a unit"),
        ("36501 days", "too long"),
        ("999999999999999999w", "too long"),
        (timedelta.max, "too long"),
        ("9" * 400 + "s", "longer than 100 characters"),
        (10**400, "no unit"),
    ],
)
def test_refuses_and_says_what_to_write(value: object, says: str) -> None:
    with pytest.raises(InvalidDuration) as refusal:
        parse_duration(value)  # type: ignore[arg-type]
    assert says in refusal.value.message
    assert len(refusal.value.message) < 300


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (timedelta(days=8), "8 days"),
        (timedelta(days=7, hours=2), "7 days 2h"),
        (timedelta(days=1), "1 day"),
        (timedelta(minutes=90), "1h 30m"),
        (timedelta(milliseconds=1250), "1s 250ms"),
        (timedelta(0), "0s"),
        (timedelta(microseconds=400), "0s"),
        (timedelta(microseconds=999_600), "1s"),
        (timedelta(hours=-2), "-2h"),
    ],
)
def test_writes(duration: timedelta, expected: str) -> None:
    assert format_duration(duration) == expected


@given(st.integers(0, MAX_DURATION // timedelta(milliseconds=1)))
def test_what_is_written_is_read_back(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration)) == duration


@given(st.timedeltas(min_value=timedelta(0)))
def test_writing_is_exact_to_the_millisecond(duration: timedelta) -> None:
    text = format_duration(duration)
    if duration <= MAX_DURATION:
        off = abs(parse_duration(text) - duration)
        assert off <= timedelta(microseconds=500)


@given(st.text(max_size=40))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    with suppress(InvalidDuration):
        assert parse_duration(text) >= timedelta(0)
