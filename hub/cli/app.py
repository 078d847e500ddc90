"""All commands of `hub`, put together."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from hub.cli import (
    apply,
    approvals,
    backup,
    events,
    processes,
    produce,
    project,
    replay_check,
    runs,
    schedules,
    schema,
    simulate,
    test,
    tokens,
    trees,
    users,
    versions,
)

__all__ = ["app"]

app = typer.Typer(
    name="hub",
    help="An event-triggered integration hub: events start and resume trees that run on Temporal.",
    no_args_is_help=True,
    # Help in plain text starts three times as fast.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from hub import __version__

        typer.echo(f"hub {__version__}")
        raise typer.Exit


@app.callback()
def hub(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Show the version and exit."
        ),
    ] = False,
    url: Annotated[
        str | None,
        typer.Option(
            "--url", metavar="URL", help="The hub to talk to; HUB_URL, or the one of this machine."
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="TOKEN",
            help="What it is told who you are by. HUB_TOKEN does not show in the list of processes.",
        ),
    ] = None,
) -> None:
    """An event-triggered integration hub: events start and resume trees that run on Temporal."""
    if url:
        os.environ["HUB_URL"] = url
    if token:
        os.environ["HUB_TOKEN"] = token


app.command("dev")(project.dev)
app.command("serve")(processes.serve)
app.command("worker")(processes.worker)
app.command("consume")(processes.consume)
app.command("produce")(produce.produce)
app.command("init")(project.init)
app.command("validate")(project.validate)
app.command("test")(test.run_tests)
app.command("simulate")(simulate.simulate)
app.command("schema")(schema.schema)
app.command("apply")(apply.apply)
app.command("export")(backup.export)
app.command("import")(backup.import_)
app.command("replay-check")(replay_check.replay_check)
app.command("doctor")(project.doctor)
app.add_typer(approvals.app, name="approvals")
app.add_typer(events.app, name="events")
app.add_typer(runs.app, name="runs")
app.add_typer(schedules.app, name="schedules")
app.add_typer(tokens.app, name="tokens")
app.add_typer(trees.app, name="trees")
app.add_typer(users.app, name="users")
app.add_typer(versions.app, name="versions")
