"""`hub replay-check`: does this release live the runs of before as they were lived?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hub.temporal.replays import Replayed

__all__ = ["replay_check"]

_SAID_EVERY = 500
"""After how many histories a line is written where the screen is no terminal."""


def replay_check(
    project: Annotated[
        Path, typer.Argument(metavar="[PROJECT]", help="The project's folder, for its settings.")
    ] = Path(),
    histories: Annotated[
        list[Path] | None,
        typer.Option(help="Files or folders of stored histories, instead of a server's runs."),
    ] = None,
    closed: Annotated[
        int, typer.Option(min=0, help="How many runs that have ended last, beside all live ones.")
    ] = 100,
    as_json: Annotated[
        bool, typer.Option("--json", help="Each history with what differs.")
    ] = False,
) -> None:
    """Replay the histories of runs with the code of this release, before it is released.

    Of the runs of the Temporal server that the environment names, or of stored histories. The exit
    code is 1 when one comes to other commands: a worker of this release could not go on with it.
    """
    import asyncio

    import msgspec

    from hub.cli.screen import console, print_json
    from hub.process.parts import key_ring
    from hub.settings import Settings, read_environment
    from hub.temporal.connect import connect
    from hub.temporal.replays import count_runs, histories_in, replay_files, replay_runs

    async def check() -> list[Replayed]:
        if histories:
            files = histories_in(histories)
            return await follow(replay_files(files), len(files))
        env = read_environment(project)
        client = await connect(env=env, keys=key_ring(Settings.read(env)))
        runs = replay_runs(client, closed=closed)
        return await follow(runs, await count_runs(client, closed=closed))

    async def follow(replayed: AsyncIterator[Replayed], count: int) -> list[Replayed]:
        found: list[Replayed] = []
        differ = 0
        screen = console(error=True)
        with screen.status("") as status:
            async for one in replayed:
                found.append(one)
                if one.failure is not None:
                    differ += 1
                    if not as_json:
                        screen.print(
                            f"✗ {one.name}: {one.failure}",
                            style="red",
                            markup=False,
                            soft_wrap=True,
                        )
                said = f"{len(found)} of about {count} histories replayed, {differ} differ"
                status.update(said)
                if not screen.is_terminal and len(found) % _SAID_EVERY == 0:
                    screen.print(said, markup=False)
        return found

    found = asyncio.run(check())
    differ = sum(one.failure is not None for one in found)
    if as_json:
        print_json(msgspec.json.encode({"items": found, "next": None}).decode())
    else:
        console().print(f"{len(found)} histories replayed, {differ} differ", markup=False)
    raise typer.Exit(1 if differ else 0)
