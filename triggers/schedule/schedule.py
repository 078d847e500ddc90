"""The schedule trigger: a timetable that Temporal itself keeps."""

from __future__ import annotations

from typing import Any

from hub.errors import Diagnostic, InvalidDefinition
from hub.timetable import Timetable
from hub.trigger import ScheduleTrigger
from triggers.schedule.settings import Settings

__all__ = ["Schedule"]


class Schedule(ScheduleTrigger):
    """Times at which trees are started, whether a process of the hub runs or not.

    Raises `InvalidDefinition` with every fault of its settings when it is made of wrong ones.
    """

    kind = "schedule"
    settings_type = Settings
    settings: Settings

    def __init__(self, name: str, settings: Settings) -> None:
        super().__init__(name, settings)
        timetable, faults = settings.read()
        if timetable is None:
            raise InvalidDefinition(faults)
        self._timetable = timetable

    @classmethod
    def read_settings(cls, value: Any, path: str) -> tuple[Any, list[Diagnostic]]:
        """The settings, or None and everything that does not fit; what is surprising is a warning."""
        settings, problems = super().read_settings(value, path)
        if settings is None:
            return None, problems
        timetable, faults = settings.read()
        for fault in faults:
            problems.append(
                Diagnostic(
                    message=fault.message,
                    path=".".join(part for part in (path, fault.path) if part),
                    code=fault.code,
                    severity=fault.severity,
                    suggestion=fault.suggestion,
                )
            )
        return None if timetable is None else settings, problems

    @property
    def timetable(self) -> Timetable:
        return self._timetable
