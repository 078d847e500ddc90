"""Schedules: events that come at set times, kept by Temporal itself."""

from triggers.schedule.schedule import Schedule
from triggers.schedule.settings import Settings

__all__ = ["Schedule", "Settings"]
