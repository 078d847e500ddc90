"""The schedules that a project has, and those that are kept for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hub.routing.project import Project
from hub.run.schedules import KeptSchedules, Plan, ScheduleView, WantedSchedule
from hub.tree.needs import needed_groups, needed_trees
from hub.trigger import ScheduleTrigger

__all__ = ["ProjectSchedules", "wanted_schedules"]


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
                groups=needed_groups(tree, project.trees, project.groups),
            )
        )
    return sorted(wanted, key=lambda one: one.id)


class ProjectSchedules:
    """The schedules of a project that may change: `project` and `kept` are asked each time.

    `kept` gives the schedules that are kept for a project of that name.
    """

    def __init__(
        self, project: Callable[[], Project], kept: Callable[[str], KeptSchedules]
    ) -> None:
        self._project = project
        self._make = kept
        self._name = project().name
        self._kept = kept(self._name)

    @property
    def kept(self) -> KeptSchedules:
        """Those that are kept for the project."""
        name = self._project().name
        return self._kept if name == self._name else self._make(name)

    async def list(self) -> Sequence[ScheduleView]:
        """Every schedule of the project, and every one that is kept for it, by id."""
        return await self.kept.list(wanted_schedules(self._project()))

    async def apply(self) -> Plan:
        """Make those that are kept equal to the project's; say what was done.

        While a file of the project cannot be read, nothing is deleted: it may be in that file.
        """
        project = self._project()
        wanted = wanted_schedules(project)
        if project.name != self._name:
            if project.is_valid:
                # Under its old name the project starts nothing any more.
                await self._kept.apply([])
            self._name, self._kept = project.name, self._make(project.name)
        return await self._kept.apply(wanted, delete=project.is_valid)
