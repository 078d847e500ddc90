"""Where people and tokens are kept: at the hub that `HUB_URL` names, or in the project's own journal."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from hub.access import Access
    from hub.audit import Actor

__all__ = ["Project", "is_remote", "locally", "remotely"]

_Result = TypeVar("_Result")

Project = Annotated[
    Path,
    typer.Option(
        "--project",
        metavar="PROJECT",
        help="The project's folder, whose journal holds them. Not used where HUB_URL is set.",
    ),
]


def is_remote() -> bool:
    """Whether a hub is asked over HTTP, rather than the database itself."""
    return bool(os.environ.get("HUB_URL", "").strip())


def remotely(method: str, *path: str, body: object = None) -> Any:
    """The answer of the hub at `HUB_URL`, to whom `HUB_TOKEN` says who asks."""
    from hub.cli.client import HubClient

    with HubClient() as hub:
        return hub.send(method, *path, body=body).data


def locally(project: Path, work: Callable[[Access, Actor], Awaitable[_Result]]) -> _Result:
    """Do the work on the journal's database: whoever may write to that needs no token.

    Raises `NotFound` where the folder is no project, and `Unreachable`.
    """
    import asyncio

    return asyncio.run(_locally(project, work))


async def _locally(project: Path, work: Callable[[Access, Actor], Awaitable[_Result]]) -> _Result:
    import getpass

    from hub.access import Access
    from hub.audit import Actor
    from hub.errors import NotFound
    from hub.routing.journal import Journal
    from hub.settings import Settings, read_environment
    from hub.sign_in import SignInSettings

    settings = Settings.read(read_environment(project))
    state = settings.state or project / ".hub"
    if settings.journal_url is None:
        if not (project / "hub.yaml").is_file():
            raise NotFound(
                f"{project} is no project; name its folder by --project, or a hub by HUB_URL"
            )
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
    journal = await Journal.open(settings.journal_url or str(state / "journal.db"))
    try:
        access = Access(journal, SignInSettings())
        return await work(access, Actor(who=getpass.getuser(), how="cli"))
    finally:
        await journal.close()
