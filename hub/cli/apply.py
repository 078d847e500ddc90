"""`hub apply`: make the server's schedules equal the project's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["apply"]

_DONE = {"create": "created", "update": "updated", "delete": "deleted"}


def apply(
    project: Annotated[
        Path, typer.Argument(metavar="[PROJECT]", help="The project's folder.")
    ] = Path(),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The plan as JSON.")] = False,
) -> None:
    """Create, update and delete schedules on Temporal until they are as the project has them.

    Temporal is found as the `temporal` command finds it: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE,
    TEMPORAL_PROFILE; without any, on this machine.
    """
    import asyncio

    import msgspec

    from hub.cli.screen import console, print_fault, print_json
    from hub.dev.live import read_environment
    from hub.errors import InvalidDefinition
    from hub.routing.project import Project, load_project
    from hub.routing.schedules import wanted_schedules
    from hub.run.schedules import Plan
    from hub.temporal.connect import connect
    from hub.temporal.schedules import TemporalSchedules

    async def work(loaded: Project) -> Plan:
        client = await connect()
        schedules = TemporalSchedules(client, loaded.name)
        wanted = wanted_schedules(loaded)
        return await (schedules.plan(wanted) if dry_run else schedules.apply(wanted))

    loaded = load_project(project, read_environment(project))
    if not loaded.is_valid:
        raise InvalidDefinition([d for d in loaded.diagnostics if d.severity == "error"])
    for warning in loaded.diagnostics:
        print_fault(warning)
    plan = asyncio.run(work(loaded))
    if as_json:
        document = {"dry_run": dry_run, "changes": plan.changes, "unchanged": plan.unchanged}
        print_json(msgspec.json.encode(document).decode())
        return
    screen = console()
    for change in plan.changes:
        what = f"would {change.action}" if dry_run else _DONE[change.action]
        reasons = "; ".join(change.reasons)
        screen.print(f"{what}  {change.id}  ({reasons})", markup=False, soft_wrap=True)
    if not plan.changes:
        count = len(plan.unchanged)
        screen.print(
            f"nothing to do: {count} schedule{'' if count == 1 else 's'} "
            f"{'is' if count == 1 else 'are'} as the project has {'it' if count == 1 else 'them'}",
            soft_wrap=True,
        )
