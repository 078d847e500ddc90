"""`hub dev`: the whole hub and the servers that it needs, in one process tree."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from temporalio.client import Client

from hub.api import Services, create_app
from hub.blobs import FileBlobs
from hub.dev.changes import Changes
from hub.dev.http import listen, serve_http
from hub.dev.inbox import Inbox
from hub.dev.live import LiveProject, read_environment
from hub.dev.live_kafka import LiveKafka
from hub.dev.logs import configure_logs
from hub.dev.mail_page import mail_router
from hub.dev.schedules import LiveSchedules
from hub.dev.screen import Screen
from hub.dev.state import open_state
from hub.errors import HubError, InvalidSetting
from hub.links import Links, derive_key, load_or_create_secret
from hub.routing.dispatcher import Dispatcher
from hub.routing.housekeeping import forget_definitions
from hub.routing.intake import JournalIntake
from hub.routing.journal import Journal
from hub.routing.schedules import ProjectSchedules
from hub.routing.sources import TreeFiles
from hub.run import Runs
from hub.settings import Settings
from hub.temporal.approvals import TemporalApprovals
from hub.temporal.client import TemporalRuns
from hub.temporal.connect import connect
from hub.temporal.dev_server import DevServer
from hub.temporal.schedules import TemporalSchedules
from hub.temporal.worker import make_worker
from hub.trigger import HttpTrigger

__all__ = ["develop", "run_dev"]

_DRAIN = 3.0
_LAST_RESORT = 20.0
_ONE_PRESS = 0.3
_PRUNE_EVERY = 3600.0
_log = structlog.get_logger("hub.dev")


async def develop(folder: Path, screen: Screen, *, began: float | None = None) -> None:
    """Run the project in this folder until cancelled, everything included.

    Parts are entered in the order in which they need each other and left in the other direction:
    no new events, those under way delivered, the worker, the journal, Temporal. `began` is the
    `time.monotonic()` that the start is counted from. Raises a `HubError` when a part cannot
    start, or ends by itself.
    """
    began = time.monotonic() if began is None else began
    env = read_environment(folder)
    settings = Settings.read(env)
    _check_host(settings.host)
    async with AsyncExitStack() as stack:
        state = stack.enter_context(open_state(settings.state or folder / ".hub"))
        changes = Changes(folder)
        live = LiveProject(
            folder,
            overrides={
                "email": _inbox_account(settings),
                "kafka": LiveKafka.settings(settings.host, settings.kafka_port),
            },
        )
        stack.push_async_callback(live.close)
        screen.wrong(live.project.diagnostics)
        listener = stack.enter_context(_listen(settings))

        screen.step("starting Temporal")
        temporal = DevServer(
            port=settings.temporal_port,
            ui_port=settings.temporal_ui_port,
            db=state / "temporal.db",
            log=state / "temporal.log",
        )
        await stack.enter_async_context(temporal)

        screen.step("opening the journal")
        journal = await Journal.open(settings.journal_url or str(state / "journal.db"))
        stack.push_async_callback(journal.close)
        await live.remember(journal)

        inbox = Inbox(state / "mail")
        await inbox.start(settings.host, settings.smtp_port)
        stack.push_async_callback(inbox.close)

        screen.step("starting the worker")
        secret = env.get("HUB_SECRET_KEY") or load_or_create_secret(state)
        links = Links([derive_key(secret, "callback")], settings.url)
        client = await connect(temporal.address)
        runs = TemporalRuns(client)
        await stack.enter_async_context(
            make_worker(
                client,
                connections=live.connections,
                links=links,
                intake=JournalIntake(journal),
                blobs=FileBlobs(state / "blobs"),
            )
        )

        screen.step("opening the doors")
        dispatcher = Dispatcher(
            journal, runs, lambda: live.router, owner=f"dev-{os.getpid()}-{time.time_ns()}"
        )
        dispatching = await stack.enter_async_context(_dispatching(dispatcher))
        schedules = ProjectSchedules(
            lambda: live.project, lambda name: TemporalSchedules(client, name)
        )
        applied = LiveSchedules(schedules, screen.say)
        kafka = await stack.enter_async_context(
            LiveKafka(
                JournalIntake(journal),
                host=settings.host,
                port=settings.kafka_port,
                log=state / "kafka.log",
                say=screen.say,
            )
        )
        await kafka.use(live.project)
        services = Services(
            intake=JournalIntake(journal),
            journal=journal,
            runs=runs,
            links=links,
            project=lambda: live.project,
            router=lambda: live.router,
            base_url=settings.url,
            health={
                "journal": journal.counts,
                "temporal": lambda: _check_temporal(client),
                "kafka": kafka.check,
            },
            schedules=schedules,
            approvals=TemporalApprovals(client),
            files=TreeFiles(folder, lambda: live.project),
            count_runs=runs.counts,
            temporal_ui=f"http://{settings.host}:{settings.temporal_ui_port}",
            is_development=True,
        )
        app = create_app(services, extra_routes=[mail_router(inbox)])
        serving = await stack.enter_async_context(serve_http(app, listener))
        stack.callback(services.streams.close)
        keeping = await stack.enter_async_context(_background(temporal.keep_running(screen.say)))
        reloading = await stack.enter_async_context(
            _background(_reload(live, changes, screen, applied, kafka))
        )
        pruning = await stack.enter_async_context(_background(_prune(journal, runs, live)))
        applying = await stack.enter_async_context(_background(applied.run()))

        screen.ready(
            live.project,
            url=settings.url,
            places=_places(live, settings, kafka),
            command_prefix="" if settings.port == 8080 else f"HUB_URL={settings.url} ",
            seconds=time.monotonic() - began,
        )
        ended, _ = await asyncio.wait(
            [dispatching, serving, keeping, reloading, pruning, applying],
            return_when=asyncio.FIRST_COMPLETED,
        )
        for part in ended:
            await part
        raise HubError("a part of the hub ended by itself; its log says more")


def run_dev(folder: Path, screen: Screen, *, began: float) -> None:
    """`hub dev` as a process: until Ctrl-C or SIGTERM, which end it in order and without an error.

    A second Ctrl-C ends it at once. Raises what `develop` raises.
    """
    configure_logs()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_until_stopped(folder, screen, began))


async def _until_stopped(folder: Path, screen: Screen, began: float) -> None:
    loop = asyncio.get_running_loop()
    work = asyncio.ensure_future(develop(folder, screen, began=began))
    stopping: float | None = None

    def stop() -> None:
        nonlocal stopping
        if stopping is not None:
            # A terminal and a wrapper may both pass on what was one Ctrl-C.
            if loop.time() - stopping > _ONE_PRESS:
                _exit_now()
            return
        stopping = loop.time()
        screen.say("stopping; Ctrl-C again stops at once")
        work.cancel()
        loop.call_later(_LAST_RESORT, _exit_now)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    try:
        await work
    except asyncio.CancelledError:
        if stopping is None:
            raise
        screen.say("stopped")


def _exit_now() -> None:
    """End without ceremony. The embedded servers are tethered to this process and follow it."""
    sys.stdout.flush()
    os._exit(130)


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


@asynccontextmanager
async def _background(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Do the work beside the block, and no longer."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def _dispatching(dispatcher: Dispatcher) -> AsyncIterator[asyncio.Task[None]]:
    """Dispatch beside the block; at its end, finish what is under way, as far as that is quick."""
    async with _background(dispatcher.run()) as task:
        try:
            yield task
        finally:
            # What is left then stays in the journal, and the next start goes on with it.
            with suppress(TimeoutError):
                await asyncio.wait_for(dispatcher.drain(), _DRAIN)


async def _reload(
    live: LiveProject,
    changes: Changes,
    screen: Screen,
    schedules: LiveSchedules,
    kafka: LiveKafka,
) -> None:
    """Use the project's files as they change; where they are wrong, say so and go on as before."""
    async for changed in changes:
        names = ", ".join(path.name for path in changed[:3]) + (", ..." if len(changed) > 3 else "")
        faults = await live.reload(changed)
        screen.wrong(faults)
        if any(fault.severity == "error" for fault in faults):
            screen.say(f"{names} changed, with errors: what is wrong stays as it was", "red")
        else:
            screen.say(f"{names} changed: reloaded", "green")
        schedules.changed()
        try:
            await kafka.use(live.project)
        except HubError as error:
            screen.say(error.message, "red")


async def _prune(journal: Journal, runs: Runs, live: LiveProject) -> None:
    """Forget, now and then, what the journal keeps no longer, and definitions that no run uses."""
    while True:
        now = datetime.now(UTC)
        with suppress(HubError):
            await journal.prune(now)
        with suppress(HubError):
            current = {tree.hash for tree in live.project.trees.values()}
            dropped = await forget_definitions(journal, runs, current, now)
            live.forget({definition.hash for definition in dropped})
        await asyncio.sleep(_PRUNE_EVERY)


async def _check_temporal(client: Client) -> None:
    if not await client.service_client.check_health():
        raise HubError("Temporal is not serving")


def _listen(settings: Settings) -> socket.socket:
    return listen(settings.host, settings.port, what="the hub", setting="HUB_PORT")


def _inbox_account(settings: Settings) -> dict[str, Any]:
    """The email connection that brings every mail to the inbox, whatever the project says."""
    return {
        "host": settings.host,
        "port": settings.smtp_port,
        "tls": "none",
        "username": None,
        "password": None,
        "ca_file": None,
    }


def _check_host(host: str) -> None:
    """Without sign-in, nobody but this machine may reach the management side."""
    if host == "localhost":
        return
    try:
        if ipaddress.ip_address(host).is_loopback:
            return
    except ValueError:
        pass
    raise InvalidSetting(
        f"HUB_HOST is {host!r}, but `hub dev` has no sign-in and so listens on this machine alone; "
        "leave it at 127.0.0.1, and let a tunnel or proxy forward /hooks/ and /callbacks/ to it"
    )


def _places(live: LiveProject, settings: Settings, kafka: LiveKafka) -> dict[str, str]:
    hooks = [
        f"{settings.url}/hooks/{name}"
        for name, trigger in sorted(live.project.triggers.items())
        if isinstance(trigger, HttpTrigger)
    ]
    return {
        "API": f"{settings.url}/api",
        **({"Webhooks": "  ".join(hooks)} if hooks else {}),
        **({"Kafka": kafka.address} if kafka.address else {}),
        "Mail": f"{settings.url}/dev/mail  (SMTP on port {settings.smtp_port})",
        "Temporal": f"http://127.0.0.1:{settings.temporal_ui_port}  "
        f"(clients on port {settings.temporal_port})",
    }
