"""The schedules that a project has."""

from __future__ import annotations

from hub.routing.project import Project
from hub.run.schedules import WantedSchedule
from hub.tree.needs import needed_trees
from hub.trigger import ScheduleTrigger

__all__ = ["wanted_schedules"]


def wanted_schedules(project: Project) -> list[WantedSchedule]:
    """A schedule for each tree that one starts, by id; with the tree as it is now."""
    wanted: list[WantedSchedule] = []
    for tree in project.trees.values():
        start = tree.subscriptions[tree.start.event]
        trigger = project.triggers.get(start.trigger)
        if not isinstance(trigger, ScheduleTrigger) or trigger.kind != start.kind:
            continue
        wanted.append(
            WantedSchedule(
                tree=tree.name,
                subscription=start.name,
                trigger=start.trigger,
                timetable=trigger.timetable,
                hash=tree.hash,
                document=tree.document,
                trees=needed_trees(tree, project.trees),
            )
        )
    return sorted(wanted, key=lambda one: one.id)
