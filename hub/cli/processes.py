"""The processes of production: `hub serve`, `hub worker`, `hub consume`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hub.process.production import Role

__all__ = ["consume", "serve", "worker"]

Folder = Annotated[Path, typer.Argument(metavar="[PROJECT]", help="The project's folder.")]
HealthPort = Annotated[
    int | None,
    typer.Option(help="Serve /healthz, /readyz and /metrics on this port (or HUB_HEALTH_PORT)."),
]


def serve(
    project: Folder = Path(),
    everything: Annotated[
        bool, typer.Option("--all", help="Be the worker and the consumer as well, in one process.")
    ] = False,
    health_port: HealthPort = None,
) -> None:
    """Take in events over HTTP, deliver them to runs, and serve the API and the page.

    Any number of these may run side by side behind a load balancer, on one journal in PostgreSQL
    (HUB_JOURNAL_URL) and one Temporal namespace (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE,
    TEMPORAL_API_KEY, TEMPORAL_PROFILE, ...). SIGTERM ends it in order; SIGHUP reads the project
    again.
    """
    _run(
        project, ("serve", "dispatch", *(("worker", "consume") if everything else ())), health_port
    )


def worker(project: Folder = Path(), health_port: HealthPort = None) -> None:
    """Live runs and do their actions. Any number of these share the work.

    SIGTERM lets the actions under way finish, for HUB_DRAIN_TIMEOUT; SIGHUP reads the project again.
    """
    _run(project, ("worker",), health_port)


def consume(
    project: Folder = Path(),
    dispatch: Annotated[
        bool,
        typer.Option("--dispatch", help="Deliver to the runs as well, without another process."),
    ] = False,
    health_port: HealthPort = None,
) -> None:
    """Read the project's Kafka topics into the journal.

    Any number of these may run side by side: partitions are shared among them. What they read is
    delivered to runs by whatever process dispatches from the same journal. SIGTERM ends it in
    order; SIGHUP reads the project again.
    """
    _run(project, ("consume", *(("dispatch",) if dispatch else ())), health_port)


def _run(project: Path, roles: tuple[Role, ...], health_port: int | None) -> None:
    import signal

    # It asks for the project to be read again, and it is about to be read.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from hub.process.production import run_process

    run_process(project, roles, health_port=health_port)
