"""Cron lines, in the part of the language that cron programs and Temporal read alike.

What one of them reads otherwise, or not at all, is refused with the way out: a schedule that looks
right and fires on other days is worse than one that is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from croniter import CroniterError, croniter

from hub.timetable import Calendar, Range

__all__ = ["FIELDS", "CronError", "Field", "read_cron", "read_field"]

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MAX_TEXT = 200
_NUMBER = re.compile(r"[0-9]{1,4}")


class CronError(Exception):
    """A text that is no schedule, or not the same one to everybody; `suggestion` is the way out."""

    def __init__(self, message: str, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.suggestion = suggestion


class Field:
    """One field: what it is called, its smallest and largest number, and names for its numbers."""

    def __init__(
        self, name: str, first: int, last: int, names: Sequence[str] = (), of: int = 0
    ) -> None:
        self.name = name
        self.first = first
        self.last = last
        self.names = {name: number + of for number, name in enumerate(names)}


FIELDS = {
    "second": Field("second", 0, 59),
    "minute": Field("minute", 0, 59),
    "hour": Field("hour", 0, 23),
    "day_of_month": Field("day of the month", 1, 31),
    "month": Field("month", 1, 12, _MONTHS, of=1),
    "year": Field("year", 2000, 2100),
    "day_of_week": Field("day of the week", 0, 7, _DAYS),
}
"""The fields of a calendar. Sunday is 0, and 7 too."""
_CRON = ("minute", "hour", "day_of_month", "month", "day_of_week")


def read_cron(line: str) -> Calendar:
    """Read one line: five fields, or a nickname such as `@daily`. Raises `CronError`."""
    text = line.strip()
    if len(text) > _MAX_TEXT:
        raise CronError(f"the line is longer than {_MAX_TEXT} characters")
    _refuse_prefixes(text)
    fields = _NICKNAMES.get(text, text).split()
    if len(fields) != len(_CRON):
        raise _wrong_count(fields)
    given = dict(zip(_CRON, fields, strict=True))
    read = {name: read_field(FIELDS[name], value) for name, value in given.items()}
    if given["day_of_month"] != "*" and given["day_of_week"] != "*":
        raise CronError(
            "it names days of the month and days of the week: cron means days that fit either, "
            "Temporal days that fit both",
            "for either, write two lines; for both, write `calendars: [{day_of_month: "
            f"{_quoted(given['day_of_month'])}, day_of_week: {given['day_of_week']}, ...}}]`",
        )
    try:
        # What it does not read would be no cron line to people either.
        croniter.expand(text)
    except CroniterError as error:
        raise CronError(f"{line!r} is no cron line: {error}") from None
    return Calendar(text=text, **read)


def read_field(field: Field, text: str) -> tuple[Range, ...]:
    """Read one field: `*`, numbers and names, ranges, steps, and lists of them."""
    if not text:
        raise CronError(f"the {field.name} is empty")
    return tuple(part for item in text.split(",") for part in _part(field, item.strip()))


def _part(field: Field, text: str) -> tuple[Range, ...]:
    _refuse_marks(field, text)
    span, slash, step_text = text.partition("/")
    step = 1
    if slash:
        size = field.last - field.first + 1
        step = int(step_text) if _NUMBER.fullmatch(step_text) else 0
        if not 0 < step < size:
            raise CronError(
                f"{text!r} has no step for the {field.name}: a number from 1 to {size - 1}"
            )
    first_text, dash, last_text = span.partition("-")
    if span == "*":
        found = Range(field.first, min(field.last, 6) if field.last == 7 else field.last, step)
    elif dash:
        first, last = _value(field, first_text), _value(field, last_text)
        if last < first:
            raise _wrapping(field, text, first_text, last_text)
        found = Range(first, last, step)
    else:
        first = _value(field, span)
        top = 6 if field.last == 7 else field.last
        found = Range(first, max(first, top) if slash else first, step)
    return _sunday_is_zero(found) if field.last == 7 else (found,)


def _value(field: Field, text: str) -> int:
    named = field.names.get(text.lower())
    if named is not None:
        return named
    if not _NUMBER.fullmatch(text):
        short = text.lower()[:3]
        hint = f"names have three letters: {short}" if short in field.names else None
        known = f" or one of {', '.join(field.names)}" if field.names else ""
        raise CronError(
            f"{text!r} is no {field.name}: a number from {field.first} to {field.last}{known}", hint
        )
    number = int(text)
    if not field.first <= number <= field.last:
        raise CronError(f"{text!r} is no {field.name}: they go from {field.first} to {field.last}")
    return number


def _sunday_is_zero(found: Range) -> tuple[Range, ...]:
    """Days of the week with Sunday as 0, which may be written as 7."""
    values = sorted({value % 7 for value in found.values()})
    if 7 not in found.values():
        return (Range(found.first, max(values), found.step),)
    merged: list[Range] = []
    for value in values:
        if merged and merged[-1].last == value - 1:
            merged[-1] = Range(merged[-1].first, value)
        else:
            merged.append(Range(value, value))
    return tuple(merged)


# -- what is refused, and what to write instead -------------------------------------------------


def _refuse_prefixes(text: str) -> None:
    if not text:
        raise CronError("the line is empty", 'write for example "0 8 * * mon-fri"')
    if text.startswith(("TZ=", "CRON_TZ=")):
        zone = text.partition("=")[2].partition(" ")[0]
        raise CronError("the time zone has its own key", f"write `timezone: {zone}` beside it")
    if text.startswith("@every"):
        length = text.removeprefix("@every").strip() or "5m"
        raise CronError("an interval has its own key", f"write `every: {length}` instead of `cron`")
    if text.startswith("@") and text not in _NICKNAMES:
        known = ", ".join(_NICKNAMES)
        hint = f"write `{text.lower()}`" if text.lower() in _NICKNAMES else f"there are {known}"
        raise CronError(f"{text!r} is no name for a schedule", hint)


def _wrong_count(fields: list[str]) -> CronError:
    shape = "minute hour day-of-month month day-of-week"
    if len(fields) in (6, 7):
        return CronError(
            f"it has {len(fields)} fields: the sixth is the year to Temporal and the seconds to "
            "others",
            f"write five, {shape}; seconds and years stand in `calendars`",
        )
    return CronError(f"it has {len(fields)} fields, and must have five", f"they are {shape}")


def _refuse_marks(field: Field, text: str) -> None:
    upper = text.upper()
    if "#" in text:
        raise CronError(
            f"{text!r}: Temporal takes what follows `#` for a remark, and fires every week",
            "write the days of the month too: the second Friday is `calendars: [{day_of_week: fri, "
            "day_of_month: 8-14, ...}]`",
        )
    if text == "?":
        raise CronError("Temporal does not know `?`", "write `*`")
    if re.fullmatch(r"L(-\d+)?|L?\d*W|\d*L|LW", upper):
        raise CronError(
            f"{text!r}: Temporal knows neither last days (L) nor nearest weekdays (W)",
            "fire on 28-31 and put an `if` in the tree, or fire on the first day for the month "
            "before",
        )
    if re.match(r"[HR](\(|/|$)", upper):
        raise CronError(
            f"{text!r}: Temporal picks no {field.name} by itself",
            "write a number, and `jitter: 10m` beside it",
        )


def _wrapping(field: Field, text: str, first: str, last: str) -> CronError:
    names = list(field.names)
    top, bottom = (names[-1], names[0]) if names else (str(field.last), str(field.first))
    instead = (first if first == top else f"{first}-{top}") + ","
    instead += last if _value(field, last) == _value(field, bottom) else f"{bottom}-{last}"
    return CronError(
        f"{text!r} ends before it begins, and Temporal does not go round the {field.name}",
        f"write `{instead}`",
    )


def _quoted(text: str) -> str:
    return text if text.isdecimal() else f'"{text}"'
