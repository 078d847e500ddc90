"""What a tree or `hub.yaml` says of a schedule, and the timetable that it means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from hub.durations import format_duration, parse_duration
from hub.errors import Diagnostic, InvalidDuration
from hub.timetable import DEFAULT_CATCHUP, Calendar, Interval, Overlap, Range, Timetable
from triggers.schedule.clocks import surprises
from triggers.schedule.cron import FIELDS, CronError, read_cron, read_field

__all__ = ["Settings"]

_MAX_LINES = 50
_SHORTEST = timedelta(seconds=1)
_SHORTEST_CATCHUP = timedelta(seconds=10)


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A schedule. At least one of `cron`, `every` and `calendars` says when it is due.

    `cron` is one line or several, `every` a length of time (counted from the beginning of 1970 in
    UTC, plus `offset`), and `calendars` are mappings of fields to numbers, names, ranges and
    lists, of which a time must fit all. `timezone` is the zone of `cron` and `calendars`. `jitter`
    spreads the times by up to so much. `overlap` says what happens while the run of the time
    before is still at work, `catchup` how old a time may be that is made up for after an outage.
    After `until` it is never due. `paused` true or false is held to at every `hub apply`; without
    it, whoever operates the schedule decides.
    """

    cron: str | list[str] | None = None
    every: str | None = None
    offset: str | None = None
    calendars: dict[str, Any] | list[dict[str, Any]] | None = None
    timezone: str = "UTC"
    jitter: str | None = None
    overlap: Overlap = "skip"
    catchup: str | None = None
    until: str | None = None
    paused: bool | None = None

    def read(self, now: datetime | None = None) -> tuple[Timetable | None, list[Diagnostic]]:
        """The timetable, or None, and everything that is wrong or surprising.

        Places are relative to the schedule: `cron[1]`. `now` is what the future is counted from.
        """
        reading = _Reading()
        timetable = reading.timetable(self, now or datetime.now(UTC))
        wrong = any(fault.severity == "error" for fault in reading.faults)
        return None if wrong else timetable, reading.faults


class _Reading:
    def __init__(self) -> None:
        self.faults: list[Diagnostic] = []

    def problem(
        self, place: str, message: str, suggestion: str | None = None, severity: str = "error"
    ) -> None:
        self.faults.append(
            Diagnostic(
                message=message,
                path=place,
                code="invalid_schedule",
                severity=severity,
                suggestion=suggestion,
            )
        )

    def timetable(self, settings: Settings, now: datetime) -> Timetable:
        calendars = {
            **dict(self._cron(settings.cron)),
            **dict(self._calendars(settings.calendars)),
        }
        every = self._every(settings)
        if settings.cron is None and settings.calendars is None and settings.every is None:
            self.problem(
                "",
                "the schedule does not say when it is due",
                'write `cron: "0 8 * * mon-fri"`, or `every: 15m`',
            )
        zone = self._zone(settings.timezone)
        catchup = self._length("catchup", settings.catchup, DEFAULT_CATCHUP)
        if catchup < _SHORTEST_CATCHUP:
            self.problem(
                "catchup", "Temporal makes up for at least the last 10 seconds", "write `10s`"
            )
        timetable = Timetable(
            calendars=tuple(calendars.values()),
            intervals=() if every is None else (every,),
            timezone=zone.key,
            jitter=self._length("jitter", settings.jitter, timedelta(0)),
            overlap=settings.overlap,
            catchup=catchup,
            until=self._until(settings.until, zone),
            paused=settings.paused,
        )
        if not self.faults:
            self._check_times(timetable, calendars, now)
        return timetable

    # -- when it is due -------------------------------------------------------------------

    def _cron(self, given: str | list[str] | None) -> Iterator[tuple[str, Calendar]]:
        if given is None:
            return
        # A block of text (`cron: |`) has a line each, as a crontab has.
        lines = given if isinstance(given, list) else given.strip().splitlines() or [""]
        if not lines or len(lines) > _MAX_LINES:
            self.problem("cron", f"write from one to {_MAX_LINES} lines")
            return
        for index, line in enumerate(lines):
            place = f"cron[{index}]" if isinstance(given, list) else "cron"
            try:
                yield f"{place} {index}", read_cron(line)
            except CronError as error:
                quoted = f"{line.strip()!r}: " if repr(line.strip()) not in error.message else ""
                self.problem(place, quoted + error.message, error.suggestion)

    def _calendars(
        self, given: dict[str, Any] | list[dict[str, Any]] | None
    ) -> Iterator[tuple[str, Calendar]]:
        if given is None:
            return
        found = given if isinstance(given, list) else [given]
        if not found or len(found) > _MAX_LINES:
            self.problem("calendars", f"write from one to {_MAX_LINES} calendars")
        for index, fields in enumerate(found):
            place = f"calendars[{index}]" if isinstance(given, list) else "calendars"
            calendar = self._calendar(place, fields)
            if calendar is not None:
                yield f"{place} {index}", calendar

    def _calendar(self, place: str, fields: Mapping[str, Any]) -> Calendar | None:
        read: dict[str, tuple[Range, ...]] = {}
        for name, value in fields.items():
            if name not in FIELDS:
                self.problem(
                    f"{place}.{name}",
                    f"a calendar has no field {name!r}",
                    f"its fields are {', '.join(FIELDS)}",
                )
                continue
            items = value if isinstance(value, list) else [value]
            if not all(isinstance(item, (str, int)) and item is not True for item in items):
                self.problem(
                    f"{place}.{name}", "this is a number, a range such as `9-17`, or a list of them"
                )
                continue
            try:
                read[name] = read_field(FIELDS[name], ",".join(str(item) for item in items))
            except CronError as error:
                self.problem(f"{place}.{name}", error.message, error.suggestion)
        if not fields:
            self.problem(place, "the calendar is empty", "write for example `{hour: 8}`")
        if len(read) != len(fields) or not fields:
            return None
        text = ", ".join(f"{name}: {value}" for name, value in fields.items())
        return Calendar(text=text[:200], **read)

    def _every(self, settings: Settings) -> Interval | None:
        if settings.every is None:
            if settings.offset is not None:
                self.problem("offset", "`offset` belongs to `every`, which is not there")
            return None
        every = self._length("every", settings.every, _SHORTEST)
        offset = self._length("offset", settings.offset, timedelta(0))
        for place, length in (("every", every), ("offset", offset)):
            if length % _SHORTEST:
                self.problem(place, "Temporal counts in whole seconds")
        if every < _SHORTEST:
            self.problem("every", "Temporal's shortest interval is one second")
        elif offset >= every:
            self.problem(
                "offset",
                f"an offset is shorter than the interval of {format_duration(every)}",
                f"write {format_duration(offset % every)}",
            )
        return Interval(every=every, offset=offset) if every >= _SHORTEST else None

    # -- what goes with it ----------------------------------------------------------------

    def _length(self, place: str, text: str | None, default: timedelta) -> timedelta:
        if text is None:
            return default
        try:
            return parse_duration(text)
        except InvalidDuration as error:
            self.problem(place, error.message)
            return default

    def _zone(self, name: str) -> ZoneInfo:
        known = available_timezones()
        if name in known:
            return ZoneInfo(name)
        folded = {zone.lower(): zone for zone in sorted(known)}
        close = folded.get(name.lower().replace(" ", "_"))
        self.problem(
            "timezone",
            f"there is no time zone {name!r}",
            f"write {close}" if close else "write a name such as Europe/Berlin, or UTC",
        )
        return ZoneInfo("UTC")

    def _until(self, text: str | None, zone: ZoneInfo) -> datetime | None:
        if text is None:
            return None
        try:
            until = datetime.fromisoformat(text)
        except ValueError:
            self.problem("until", f"{text!r} is no time", "write 2030-12-31 or 2030-12-31T18:00:00")
            return None
        if len(text) == len("2030-12-31"):
            # Through that day: that it were over as it begins is not what people mean.
            until += timedelta(days=1, seconds=-1)
        # Without an offset it is a time of the schedule's own zone.
        until = until if until.tzinfo is not None else until.replace(tzinfo=zone)
        return until.astimezone(UTC)

    def _check_times(
        self, timetable: Timetable, calendars: Mapping[str, Calendar], now: datetime
    ) -> None:
        for key, calendar in calendars.items():
            place = key.partition(" ")[0]
            alone = Timetable(calendars=(calendar,), timezone=timetable.timezone)
            if next(alone.times(now), None) is None:
                self.problem(place, f"{calendar.text!r} is never due: there is no such day")
                continue
            for message in (
                surprises(calendar, timetable.timezone, now) if place.startswith("cron") else ()
            ):
                self.problem(
                    place,
                    message,
                    "choose another time of day, `timezone: UTC`, or `every`; the server's own "
                    "times are shown by `hub schedules preview`",
                    severity="warning",
                )
        if timetable.until is not None and next(timetable.times(now), None) is None:
            self.problem("until", "nothing is due any more before this time", severity="warning")
