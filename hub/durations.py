"""Lengths of time, as people write them: "7 days", "1h30m", "PT24H".

A duration is a fixed length. Years and months are not, so they are refused.
"""

from __future__ import annotations

import re
from datetime import timedelta
from fractions import Fraction

from hub.errors import InvalidDuration

__all__ = ["MAX_DURATION", "format_duration", "parse_duration"]

MAX_DURATION = timedelta(days=36_500)
"""The longest duration that is read: a deadline of now plus this is still a valid time."""

_MICROSECONDS = {
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}
_NAMES = {
    "ms": ("ms", "msec", "msecs", "millisecond", "milliseconds"),
    "s": ("s", "sec", "secs", "second", "seconds"),
    "m": ("m", "min", "mins", "minute", "minutes"),
    "h": ("h", "hr", "hrs", "hour", "hours"),
    "d": ("d", "day", "days"),
    "w": ("w", "wk", "wks", "week", "weeks"),
}
_UNITS = {name: unit for unit, names in _NAMES.items() for name in names}
_NOT_FIXED = {
    "mo": "30 days",
    "mon": "30 days",
    "month": "30 days",
    "months": "30 days",
    "y": "365 days",
    "yr": "365 days",
    "yrs": "365 days",
    "year": "365 days",
    "years": "365 days",
}
_NUMBER = r"[0-9]{1,18}(?:[.][0-9]{1,9})?"
_PART = re.compile(rf"\s*({_NUMBER})\s*([A-Za-z]+)")
_BARE = re.compile(rf"{_NUMBER}|[0-9]+")
_CLOCK = re.compile(r"[0-9]+(?::[0-9]+)+")
_ISO_NUMBER = r"([0-9]{1,18}(?:[.,][0-9]{1,9})?)"
_ISO = re.compile(
    rf"P(?:{_ISO_NUMBER}Y)?(?:{_ISO_NUMBER}M)?(?:{_ISO_NUMBER}W)?(?:{_ISO_NUMBER}D)?"
    rf"(?:T(?=.)(?:{_ISO_NUMBER}H)?(?:{_ISO_NUMBER}M)?(?:{_ISO_NUMBER}S)?)?"
)
_EXAMPLES = "write for example 90s, 30 minutes, 1h30m, 7 days or PT24H"
_MAX_TEXT = 100


def parse_duration(value: str | int | float | timedelta) -> timedelta:
    """Read a duration: numbers with units ("1 day 2 hours", "500ms"), or ISO 8601 ("P1DT2H").

    Units are ms, s, m, h, d and w, and their English names. Numbers may have a decimal point; what
    is below a microsecond is rounded. A `timedelta` is checked and handed back.

    Raises `InvalidDuration`, which says what to write instead, for a number without a unit, for
    months and years, and for anything negative or longer than `MAX_DURATION`.
    """
    if isinstance(value, timedelta):
        if value < timedelta(0):
            raise InvalidDuration(f"{value} is negative: a duration is zero or longer")
        return _bounded(Fraction(value // timedelta(microseconds=1)), str(value))
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise InvalidDuration(f"{_shown(value)} is not a duration: {_EXAMPLES}")
    if not isinstance(value, str):
        raise InvalidDuration(_without_unit(value))
    text = value.strip()
    if not text:
        raise InvalidDuration(f"the duration is empty: {_EXAMPLES}")
    if len(text) > _MAX_TEXT:
        raise InvalidDuration(f"{_shown(text)} is longer than {_MAX_TEXT} characters: {_EXAMPLES}")
    if text.startswith(("-", "−")):
        raise InvalidDuration(f"{_shown(text)} is negative: a duration is zero or longer")
    if _CLOCK.fullmatch(text):
        raise InvalidDuration(_like_a_clock(text))
    if _BARE.fullmatch(text):
        raise InvalidDuration(_without_unit(text))
    if text[0] in "Pp":
        return _iso(text)
    return _units(text)


def format_duration(duration: timedelta) -> str:
    """Write a duration for people, rounded to milliseconds: "8 days", "7 days 2h", "1h 30m".

    `parse_duration` reads it back. A negative one, which only a difference can be, has a sign.
    """
    if duration < timedelta(0):
        return f"-{format_duration(-duration)}"
    rest = round(duration / timedelta(milliseconds=1)) if duration.days < 1000 else _whole(duration)
    days, rest = divmod(rest, 86_400_000)
    parts = [f"{days} day" if days == 1 else f"{days} days"] if days else []
    for length, unit in ((3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")):
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0s"


def _whole(duration: timedelta) -> int:
    # Division of a long timedelta by a short one loses its milliseconds in a float.
    return round(Fraction(duration // timedelta(microseconds=1), 1000))


def _units(text: str) -> timedelta:
    total = Fraction(0)
    seen: set[str] = set()
    position = 0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None:
            raise InvalidDuration(
                f"{_shown(text)} is not a duration: {_shown(text[position:].strip())} "
                f"is no number with a unit; {_EXAMPLES}"
            )
        number, name = part.groups()
        instead = _NOT_FIXED.get(name.lower())
        if instead is not None or name == "M":
            hint = f"write {instead}" if instead else "write m for minutes, or 30 days"
            raise InvalidDuration(
                f"{_shown(text)} is not a fixed length, as months and years differ: {hint}"
            )
        unit = _UNITS.get(name.lower())
        if unit is None:
            raise InvalidDuration(
                f"{_shown(text)} has the unknown unit {_shown(name)}: "
                "the units are ms, s, m, h, d and w, or their names"
            )
        if unit in seen:
            raise InvalidDuration(f"{_shown(text)} names the unit {unit!r} twice: add them up")
        seen.add(unit)
        total += Fraction(number) * _MICROSECONDS[unit]
        position = part.end()
    return _bounded(total, text)


def _iso(text: str) -> timedelta:
    match = _ISO.fullmatch(text.upper())
    if match is None or not any(match.groups()):
        raise InvalidDuration(
            f"{_shown(text)} is no ISO 8601 duration: write for example P7D, PT24H or P1DT2H30M"
        )
    years, months, *fixed = match.groups()
    if years or months:
        raise InvalidDuration(
            f"{_shown(text)} is not a fixed length, as months and years differ: "
            "write days, for example P30D"
        )
    total = Fraction(0)
    for number, unit in zip(fixed, ("w", "d", "h", "m", "s"), strict=True):
        if number:
            total += Fraction(number.replace(",", ".")) * _MICROSECONDS[unit]
    return _bounded(total, text)


def _bounded(microseconds: Fraction, text: str) -> timedelta:
    if microseconds > MAX_DURATION // timedelta(microseconds=1):
        raise InvalidDuration(
            f"{_shown(text)} is too long: the longest duration is {format_duration(MAX_DURATION)}"
        )
    return timedelta(microseconds=round(microseconds))


def _without_unit(number: object) -> str:
    shown = _shown(number)
    if isinstance(number, float) and (number != number or number in (float("inf"), -float("inf"))):
        return f"{shown} is not a duration: {_EXAMPLES}"
    if isinstance(number, (int, float)) and number < 0:
        return f"{shown} is negative: a duration is zero or longer, with a unit"
    plain = shown.strip("'")
    return f"{shown} has no unit: write {plain}s or {plain} minutes"


def _like_a_clock(text: str) -> str:
    first, second, *more = text.split(":")
    if more:
        hint = f"write {first}h{second}m{more[0]}s" if len(more) == 1 else _EXAMPLES
    else:
        hint = f"write {first}h{second}m or {first}m{second}s"
    return f"{_shown(text)} reads like a clock's time, not a duration: {hint}"


def _shown(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 200:
        return "the number"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
