"""`hub versions`: the versions of workers, where they are versions of a Temporal deployment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hub.settings import Settings
    from hub.temporal.versions import WorkerVersions

__all__ = ["app"]

app = typer.Typer(help="Versions of workers (HUB_DEPLOYMENT).", no_args_is_help=True)
Project = Annotated[Path, typer.Option(help="The project's folder, for its settings.")]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]


@app.command("list")
def list_(project: Project = Path(), as_json: Json = False) -> None:
    """The versions whose workers Temporal has seen, newest first, and which is the current one."""
    import asyncio

    import msgspec

    from hub.cli.screen import print_json, print_table

    async def listed() -> list[tuple[str, str]]:
        versions = await _versions(_settings(project), project)
        return [(one.build_id, one.status) for one in await versions.list()]

    found = asyncio.run(listed())
    if as_json:
        items = [{"build_id": build_id, "status": status} for build_id, status in found]
        print_json(msgspec.json.encode({"items": items, "next": None}).decode())
        return
    print_table(["VERSION", "STATUS"], found, none="no worker of this deployment has been seen yet")


@app.command()
def use(
    build_id: Annotated[
        str | None,
        typer.Argument(metavar="[BUILD_ID]", help="HUB_BUILD_ID, or else this release."),
    ] = None,
    wait: Annotated[
        str, typer.Option(help="How long its workers may take to be seen, such as 5m.")
    ] = "5m",
    project: Project = Path(),
    as_json: Json = False,
) -> None:
    """Make a version of the workers the current one: where runs begin, and go on.

    The last step of a deployment, once its workers have been started. The exit code is 1 where
    Temporal has not seen them within the time of --wait.
    """
    import asyncio

    import msgspec

    from hub.cli.screen import console, print_json
    from hub.durations import parse_duration
    from hub.temporal.worker import release

    settings = _settings(project)
    wanted = build_id or settings.build_id or release()
    patience = parse_duration(wait).total_seconds()

    async def made() -> str:
        versions = await _versions(settings, project)
        await versions.use(wanted, patience=patience)
        return versions.deployment

    deployment = asyncio.run(made())
    if as_json:
        print_json(msgspec.json.encode({"deployment": deployment, "current": wanted}).decode())
    else:
        console().print(f"{wanted} is the current version of {deployment}", markup=False)


def _settings(project: Path) -> Settings:
    from hub.settings import Settings, read_environment

    return Settings.read(read_environment(project))


async def _versions(settings: Settings, project: Path) -> WorkerVersions:
    from hub.errors import InvalidSetting
    from hub.process.parts import key_ring
    from hub.settings import read_environment
    from hub.temporal.connect import connect
    from hub.temporal.versions import WorkerVersions

    if settings.deployment is None:
        raise InvalidSetting(
            "HUB_DEPLOYMENT is not set, so workers are no versions: any worker takes any run"
        )
    client = await connect(env=read_environment(project), keys=key_ring(settings))
    return WorkerVersions(client, settings.deployment)
