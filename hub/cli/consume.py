"""`hub consume`: the process that reads the project's Kafka topics into the journal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AsyncExitStack

    from hub.dev.live import LiveProject
    from hub.routing.consumers import Consumers
    from hub.routing.journal import Journal

__all__ = ["consume"]


def consume(
    project: Annotated[
        Path, typer.Argument(metavar="[PROJECT]", help="The project's folder.")
    ] = Path(),
    dispatch: Annotated[
        bool,
        typer.Option("--dispatch", help="Deliver to the runs as well, without another process."),
    ] = False,
    health_port: Annotated[
        int,
        typer.Option(help="Serve /healthz, /readyz and /metrics on this port; 0 serves none."),
    ] = 0,
) -> None:
    """Read the project's Kafka topics into the journal, until stopped; reloads on changes.

    Any number of these may run side by side: partitions are shared among them. What they read is
    delivered to runs by whatever process dispatches from the same journal.
    """
    import asyncio

    from hub.dev.logs import configure_logs

    configure_logs()
    asyncio.run(_until_stopped(project, dispatch, health_port))


async def _until_stopped(project: Path, dispatch: bool, health_port: int) -> None:
    import asyncio
    import signal
    from contextlib import AsyncExitStack

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        work = await _start(stack, project, dispatch, health_port)
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([stopping, *work], return_when=asyncio.FIRST_COMPLETED)
            for task in work:
                if task.done():
                    await task
        finally:
            for task in (stopping, *work):
                task.cancel()
            await asyncio.gather(stopping, *work, return_exceptions=True)


async def _start(
    stack: AsyncExitStack, folder: Path, dispatch: bool, health_port: int
) -> list[Any]:
    """Start the parts; gives the tasks that must not end."""
    import asyncio

    from hub.cli.screen import console, print_fault
    from hub.dev.changes import Changes
    from hub.dev.http import listen, serve_http
    from hub.dev.live import LiveProject, read_environment
    from hub.routing.consumers import Consumers
    from hub.routing.intake import JournalIntake
    from hub.routing.journal import Journal
    from hub.settings import Settings
    from hub.trigger import ConsumerTrigger

    env = read_environment(folder)
    settings = Settings.read(env)
    changes = Changes(folder)
    live = LiveProject(folder, overrides=_overrides(env))
    stack.push_async_callback(live.close)
    for fault in live.project.diagnostics:
        print_fault(fault)
    state = settings.state or folder / ".hub"
    if settings.journal_url is None:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
    journal = await Journal.open(settings.journal_url or str(state / "journal.db"))
    stack.push_async_callback(journal.close)
    await live.remember(journal)
    work: list[Any] = []
    if dispatch:
        work.append(await _dispatching(stack, live, journal))
    consumers = await stack.enter_async_context(Consumers(JournalIntake(journal)))
    await consumers.use(live.project.triggers.values())
    if health_port:
        listener = stack.enter_context(
            listen(settings.host, health_port, what="the consumer", setting="--health-port")
        )
        app = _app(consumers, journal)
        work.append(await stack.enter_async_context(serve_http(app, listener)))
    work.append(asyncio.create_task(_reload(live, changes, consumers, print_fault)))
    names = [n for n, t in live.project.triggers.items() if isinstance(t, ConsumerTrigger)]
    said = f"consuming: {', '.join(sorted(names))}" if names else "no Kafka triggers yet"
    console().print(said, markup=False, soft_wrap=True)
    return work


def _overrides(env: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """`HUB_KAFKA_BROKERS` replaces the brokers of every Kafka trigger and connection."""
    brokers = env.get("HUB_KAFKA_BROKERS", "").strip()
    return {"kafka": {"brokers": brokers}} if brokers else {}


async def _dispatching(stack: AsyncExitStack, live: LiveProject, journal: Journal) -> Any:
    import asyncio
    import os
    import time

    from hub.routing.dispatcher import Dispatcher
    from hub.temporal.client import TemporalRuns
    from hub.temporal.connect import connect

    dispatcher = Dispatcher(
        journal,
        TemporalRuns(await connect()),
        lambda: live.router,
        owner=f"consume-{os.getpid()}-{time.time_ns()}",
    )
    task = asyncio.create_task(dispatcher.run(), name="dispatcher")

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)
    return task


async def _reload(
    live: LiveProject,
    changes: Any,
    consumers: Consumers,
    say: Callable[[Any], None],
) -> None:
    """Use the project's files as they change; what is wrong stays as it was."""
    async for changed in changes:
        for fault in await live.reload(changed):
            say(fault)
        await consumers.use(live.project.triggers.values())


def _app(consumers: Consumers, journal: Journal) -> Any:
    """What probes and Prometheus ask. It says nothing that needs guarding."""
    from litestar import Litestar, Response, get
    from prometheus_client import CollectorRegistry, generate_latest

    from hub.errors import HubError
    from hub.routing.consumers import ConsumerMetrics

    registry = CollectorRegistry()
    registry.register(ConsumerMetrics(consumers))

    @get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @get("/readyz")
    async def readyz() -> Response[dict[str, Any]]:
        try:
            await journal.counts()
            await consumers.check()
        except HubError as error:
            return Response({"status": "not_ready", "detail": error.message}, status_code=503)
        return Response({"status": "ready"})

    @get("/metrics", media_type="text/plain; version=0.0.4; charset=utf-8", sync_to_thread=False)
    def metrics() -> bytes:
        return generate_latest(registry)

    return Litestar([healthz, readyz, metrics], openapi_config=None, logging_config=None)
