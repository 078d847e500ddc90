"""`hub runs`: what runs, what ran, and what may be done to a run."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

__all__ = ["app"]

app = typer.Typer(help="See what runs, and act on it.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="The hub's own JSON instead of a drawing.")]
RunId = Annotated[str, typer.Argument(metavar="ID", help="The run's id: TREE/KEY.")]


@app.command("list")
def list_(
    tree: Annotated[str | None, typer.Option(help="Only of this tree.")] = None,
    key: Annotated[str | None, typer.Option(help="Only of this correlation key.")] = None,
    status: Annotated[
        str | None, typer.Option(help="Only of this status, such as running or failed.")
    ] = None,
    waiting_for: Annotated[
        str | None, typer.Option(help="Only those that wait for this event of their tree.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    cursor: Annotated[str | None, typer.Option(help="Where a list of before went on.")] = None,
    as_json: Json = False,
) -> None:
    """Runs, newest first."""
    from hub.cli.client import HubClient
    from hub.cli.drawing import status_text
    from hub.cli.screen import print_json, print_more, print_table, when

    with HubClient() as hub:
        answer = hub.get(
            "runs",
            tree=tree,
            key=key,
            status=status,
            waiting_for=waiting_for,
            limit=limit,
            cursor=cursor,
        )
    if as_json:
        print_json(answer.text)
        return
    print_table(
        ["RUN", "STATUS", "WAITS FOR", "STARTED", "ENDED"],
        (
            [
                item["id"],
                status_text(item["status"]),
                ", ".join(item["waiting_for"]),
                when(item["started_at"]),
                when(item["ended_at"]),
            ]
            for item in answer.data["items"]
        ),
        none="no runs",
    )
    print_more(answer.data["next"])


@app.command()
def show(id: RunId, as_json: Json = False) -> None:
    """One run: each node with its status, what it waits for and until when."""
    from hub.cli.client import HubClient
    from hub.cli.drawing import draw_run
    from hub.cli.screen import console, print_json

    with HubClient() as hub:
        answer = hub.get("runs", id)
    if as_json:
        print_json(answer.text)
    else:
        console().print(draw_run(answer.data))


@app.command()
def watch(id: RunId) -> None:
    """Follow a run until it ends. The exit code is 0 when it has succeeded, else 1."""
    from rich.live import Live

    from hub.cli.client import HubClient
    from hub.cli.drawing import draw_run
    from hub.cli.screen import console

    with HubClient() as hub:
        run: Any = hub.get("runs", id).data
        # Drawn again and again, as it says how long each wait still lasts.
        with Live(get_renderable=lambda: draw_run(run), console=console(), refresh_per_second=2):
            for name, data in hub.follow("runs", id, "live"):
                if name == "run":
                    run = data
    raise typer.Exit(0 if run["status"] == "succeeded" else 1)


@app.command()
def cancel(id: RunId, as_json: Json = False) -> None:
    """Ask a run to stop; its `finally` and `undo` parts still run."""
    _act(id, "cancel", {}, as_json, f"{id} was asked to stop")


@app.command()
def terminate(
    id: RunId,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "terminated by request",
    as_json: Json = False,
) -> None:
    """End a run at once; nothing of it runs any more."""
    _act(id, "terminate", {"reason": reason}, as_json, f"{id} was terminated")


@app.command()
def forward(
    id: RunId,
    by: Annotated[str, typer.Argument(help="How far: 24h, '7 days', PT1H.")],
    as_json: Json = False,
) -> None:
    """Let a run's own clock jump ahead; with the embedded server of `hub dev` only."""
    from hub.durations import parse_duration
    from hub.errors import InvalidDuration, WrongUsage

    try:
        parse_duration(by)
    except InvalidDuration as error:
        raise WrongUsage(error.message) from None
    _act(id, "forward", {"by": by}, as_json, f"{id} is {by} ahead now")


@app.command()
def migrate(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Runs; or all of --tree.")
    ] = None,
    tree: Annotated[str | None, typer.Option(help="All live runs of this tree.")] = None,
    to: Annotated[
        str | None, typer.Option(help="A definition's hash; the project's own by default.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would become of each run.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Move live runs to another definition of their tree, where their state maps onto it.

    Each run decides by itself, and goes on as it was where it refuses. What was moved is not moved
    again, so that a command that was stopped is just given once more. The exit code is 1 when a
    run was refused.
    """
    from hub.cli.client import HubClient
    from hub.cli.migrating import migrate_all, runs_of, show_migrations
    from hub.cli.screen import print_json
    from hub.errors import WrongUsage

    if bool(ids) == bool(tree):
        raise WrongUsage("name runs, or a tree by --tree")
    with HubClient() as hub:
        wanted = list(ids) if ids else runs_of(hub, str(tree))
        done = migrate_all(hub, wanted, to=to, dry_run=dry_run, hidden=as_json)
    if as_json:
        print_json(json.dumps({"items": done, "next": None}))
    else:
        show_migrations(done)
    raise typer.Exit(1 if any(one["outcome"] == "refused" for one in done) else 0)


def _act(id: str, action: str, body: dict[str, Any], as_json: bool, done: str) -> None:
    from hub.cli.client import HubClient
    from hub.cli.screen import console, print_json

    with HubClient() as hub:
        answer = hub.post("runs", id, action, body=body)
    if as_json:
        print_json(answer.text)
    else:
        console().print(done, markup=False, soft_wrap=True)
