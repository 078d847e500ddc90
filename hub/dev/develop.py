"""`hub dev`: the whole hub and the servers that it needs, in one process tree."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from hub.access import Access
from hub.api import create_app
from hub.dev.inbox import Inbox
from hub.dev.live_kafka import LiveKafka
from hub.dev.mail_page import mail_router
from hub.dev.screen import Screen
from hub.dev.state import open_state
from hub.errors import HubError, InvalidSetting
from hub.links import load_or_create_secret
from hub.process.changes import Changes
from hub.process.http import listen, serve_http
from hub.process.live import LiveProject
from hub.process.logs import configure_logs
from hub.process.metrics import ProcessMetrics
from hub.process.parts import (
    background,
    dispatching,
    keep_house,
    key_ring,
    make_links,
    make_services,
    open_blobs,
    open_journal,
    project_schedules,
)
from hub.process.schedules import LiveSchedules
from hub.process.stopping import run_until_stopped
from hub.process.tuning import collect_when_idle, settle_memory
from hub.routing.dispatcher import Dispatcher
from hub.routing.intake import JournalIntake
from hub.settings import Settings, read_environment
from hub.telemetry.tracing import Tracing
from hub.temporal.client import TemporalRuns
from hub.temporal.connect import check, connect
from hub.temporal.dev_server import DevServer
from hub.temporal.worker import make_worker
from hub.trigger import HttpTrigger

__all__ = ["develop", "run_dev"]

_DRAIN = 3.0
_LAST_RESORT = 20.0


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
        stack.enter_context(Tracing("hub dev", env=env))
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
        journal = await open_journal(settings, state)
        stack.push_async_callback(journal.close)
        await live.remember(journal)

        inbox = Inbox(state / "mail")
        await inbox.start(settings.host, settings.smtp_port)
        stack.push_async_callback(inbox.close)

        screen.step("starting the worker")
        secrets = settings.secrets() if settings.secret_key else [load_or_create_secret(state)]
        links = make_links(secrets, settings.url)
        metrics = ProcessMetrics()
        client = await connect(temporal.address, keys=key_ring(settings), runtime=metrics.runtime)
        runs = TemporalRuns(client, task_queue=settings.task_queue, eager=True)
        await stack.enter_async_context(
            make_worker(
                client,
                connections=live.connections,
                links=links,
                intake=JournalIntake(journal),
                blobs=open_blobs(journal, state),
                task_queue=settings.task_queue,
                max_cached=settings.max_cached_runs,
                max_actions=settings.max_actions,
            )
        )

        screen.step("opening the doors")
        dispatcher = Dispatcher(
            journal, runs, lambda: live.router, owner=f"dev-{os.getpid()}-{time.time_ns()}"
        )
        metrics.backlog = lambda: journal.backlog
        metrics.is_away = lambda: dispatcher.is_cut_off
        metrics.count_runs = runs.counts
        delivering = await stack.enter_async_context(dispatching(dispatcher, _DRAIN))
        schedules = project_schedules(live, client, settings.task_queue)
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
        access = Access(journal, live.project.sign_in)
        stack.push_async_callback(access.close)
        metrics.watch(kafka.consumers)
        at = f"[{settings.host}]" if ":" in settings.host else settings.host
        services = make_services(
            settings,
            live=live,
            journal=journal,
            client=client,
            runs=runs,
            links=links,
            health={
                "journal": journal.check,
                "temporal": lambda: check(client),
                "kafka": kafka.check,
            },
            schedules=schedules,
            temporal_ui=f"http://{at}:{settings.temporal_ui_port}",
            origins=[
                f"http://{name}:{settings.temporal_ui_port}" for name in ("127.0.0.1", "localhost")
            ],
            is_development=True,
            access=access,
            metrics=metrics.text,
            consumers=kafka.consumers.statuses,
        )
        app = create_app(services, extra_routes=[mail_router(inbox)])
        serving = await stack.enter_async_context(serve_http(app, listener))
        stack.callback(services.streams.close)
        keeping = await stack.enter_async_context(background(temporal.keep_running(screen.say)))
        reloading = await stack.enter_async_context(
            background(_reload(live, changes, screen, applied, kafka, access))
        )
        pruning = await stack.enter_async_context(background(keep_house(journal, runs, live)))
        applying = await stack.enter_async_context(background(applied.run()))

        collecting = await stack.enter_async_context(background(collect_when_idle()))
        settle_memory()
        screen.ready(
            live.project,
            url=settings.url,
            places=_places(live, settings, kafka),
            command_prefix="" if settings.port == 8080 else f"HUB_URL={settings.url} ",
            seconds=time.monotonic() - began,
        )
        ended, _ = await asyncio.wait(
            [delivering, serving, keeping, reloading, pruning, applying, collecting],
            return_when=asyncio.FIRST_COMPLETED,
        )
        for part in ended:
            await part
        raise HubError("a part of the hub ended by itself; its log says more")


def run_dev(folder: Path, screen: Screen, *, began: float) -> None:
    """`hub dev` as a process: until Ctrl-C or SIGTERM, which end it in order and without an error.

    A second Ctrl-C ends it at once. Raises what `develop` raises.
    """
    settings = Settings.read(read_environment(folder))
    configure_logs(form=settings.log_format or "console", level=settings.log_level)
    run_until_stopped(
        lambda _: develop(folder, screen, began=began), say=screen.say, last_resort=_LAST_RESORT
    )


async def _reload(
    live: LiveProject,
    changes: Changes,
    screen: Screen,
    schedules: LiveSchedules,
    kafka: LiveKafka,
    access: Access,
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
        access.use(live.project.sign_in)
        schedules.changed()
        try:
            await kafka.use(live.project)
        except HubError as error:
            screen.say(error.message, "red")


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
