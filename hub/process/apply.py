"""`hub apply`: the step of a deployment that makes the servers as the project needs them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from hub.process.parts import key_ring
from hub.routing.journal import Journal
from hub.routing.project import Project
from hub.routing.schedules import wanted_schedules
from hub.run.schedules import Plan
from hub.settings import Settings
from hub.temporal.connect import connect
from hub.temporal.namespace import missing, prepare
from hub.temporal.schedules import TemporalSchedules

__all__ = ["Applied", "apply_project"]


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, or would be: search attributes that were made, and changes to schedules."""

    search_attributes: list[str]
    plan: Plan


async def apply_project(
    project: Project, env: Mapping[str, str], *, dry_run: bool = False
) -> Applied:
    """Make search attributes, migrate the journal, and make the schedules equal the project's.

    Several may do it at once; whoever comes second finds less to do. Raises `Unreachable` and its
    kinds, and `Conflict` for a schedule that is somebody else's.
    """
    settings = Settings.read(env)
    client = await connect(env=env, keys=key_ring(settings))
    schedules = TemporalSchedules(client, project.name, task_queue=settings.task_queue)
    wanted = wanted_schedules(project)
    if dry_run:
        return Applied(search_attributes=await missing(client), plan=await schedules.plan(wanted))
    made = await prepare(client)
    if settings.journal_url is not None:
        # Opening it migrates it.
        await (await Journal.open(settings.journal_url)).close()
    return Applied(search_attributes=made, plan=await schedules.apply(wanted))
