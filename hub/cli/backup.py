"""`hub export` and `hub import`: a project's state in one file, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["export", "import_"]

Folder = Annotated[Path, typer.Argument(metavar="[PROJECT]", help="The project's folder.")]
Json = Annotated[bool, typer.Option("--json", help="How many of what, as JSON.")]


def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file, such as hub.zip.")],
    project: Folder = Path(),
    as_json: Json = False,
) -> None:
    """Write the project's state to one file: journal, definitions, audit log, people, large results.

    A hub may run meanwhile. The file is for its owner alone, as it holds all events. Runs are on
    Temporal, and not in it.
    """
    import asyncio

    from hub.process.backup import export_state

    counts = asyncio.run(export_state(file, *_places(project)))
    _say(f"exported to {file}", counts, as_json)


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `hub export` has written.")],
    project: Folder = Path(),
    as_json: Json = False,
) -> None:
    """Fill an empty journal from such a file: after a loss, or in another database.

    Into the journal of HUB_JOURNAL_URL, or else of the project's state folder. No hub runs on it
    meanwhile.
    """
    import asyncio

    from hub.process.backup import import_state

    counts = asyncio.run(import_state(file, *_places(project)))
    _say(f"imported from {file}", counts, as_json)


def _places(project: Path) -> tuple[str, Path]:
    """The journal's address, and the folder of large results."""
    from hub.settings import Settings, read_environment

    settings = Settings.read(read_environment(project))
    state = settings.state or project / ".hub"
    return settings.journal_url or str(state / "journal.db"), state / "blobs"


def _say(what: str, counts: Mapping[str, int], as_json: bool) -> None:
    import json

    from hub.cli.screen import console, print_json

    if as_json:
        print_json(json.dumps(counts))
        return
    said = ", ".join(f"{name} {count}" for name, count in counts.items())
    console().print(f"{what}: {said}", markup=False, soft_wrap=True)
