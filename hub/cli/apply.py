"""`hub apply`: make the servers as the project needs them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hub.cli.load import load

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
    """Make Temporal and the journal as the project needs them: a step of each deployment.

    It makes the search attributes that runs carry, brings the journal of HUB_JOURNAL_URL to this
    version, and creates, updates and deletes schedules until they are as the project has them.
    Several may do it at once.

    Temporal is found as the `temporal` command finds it: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE,
    TEMPORAL_API_KEY, TEMPORAL_PROFILE, ...; without any, on this machine.
    """
    import asyncio

    import msgspec

    from hub.cli.screen import console, print_fault, print_json
    from hub.errors import InvalidDefinition
    from hub.process.apply import apply_project
    from hub.settings import read_environment

    env = read_environment(project)
    loaded = load(project, env)
    if not loaded.is_valid:
        raise InvalidDefinition([d for d in loaded.diagnostics if d.severity == "error"])
    for warning in loaded.diagnostics:
        print_fault(warning)
    applied = asyncio.run(apply_project(loaded, env, dry_run=dry_run))
    attributes, plan = applied.search_attributes, applied.plan
    if as_json:
        document = {
            "dry_run": dry_run,
            "search_attributes": attributes,
            "changes": plan.changes,
            "unchanged": plan.unchanged,
        }
        print_json(msgspec.json.encode(document).decode())
        return
    screen = console()
    if attributes:
        what = "would make" if dry_run else "made"
        screen.print(f"{what}  search attributes {', '.join(attributes)}", soft_wrap=True)
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
