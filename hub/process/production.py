"""The processes of production: `serve`, `worker` and `consume`, each alone or several in one.

They keep nothing of their own: the journal, Temporal and Kafka's groups hold all state, so that any
number of each may run side by side, and each may go at any time.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Collection, Coroutine, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Literal

import msgspec
import structlog

from hub.access import Access, check_exposure
from hub.api import create_app
from hub.api.services import HealthCheck
from hub.errors import (
    CredentialsRefused,
    Diagnostic,
    HubError,
    InvalidDefinition,
    NotPrepared,
    Unreachable,
)
from hub.process.health import health_app
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
from hub.process.stopping import Stop, run_until_stopped
from hub.process.tuning import collect_when_idle, settle_memory
from hub.routing.consumers import Consumers
from hub.routing.dispatcher import Dispatcher
from hub.routing.intake import JournalIntake
from hub.routing.journal import Journal
from hub.settings import Settings, read_environment
from hub.telemetry.tracing import Tracing
from hub.temporal.client import TemporalRuns
from hub.temporal.connect import check, connect
from hub.temporal.namespace import prepare
from hub.temporal.worker import make_worker

__all__ = ["Process", "Role", "run_process"]

Role = Literal["serve", "worker", "consume", "dispatch"]
"""What a process does: HTTP, runs and their actions, Kafka topics, deliveries to runs."""

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 10.0
_CAN_WAIT = ("temporal", "worker", "kafka")
_LATER = 15.0
"""Seconds that parts may take to end besides those that finish what is under way."""
_log = structlog.get_logger("hub.process")


def run_process(folder: Path, roles: Collection[Role], *, health_port: int | None = None) -> None:
    """Have these roles in this process until Ctrl-C or SIGTERM; SIGHUP reads the project again.

    `health_port` goes before that of the settings. Raises a `HubError` when a part cannot start,
    or ends by itself.
    """
    env = read_environment(folder)
    settings = Settings.read(env)
    if health_port is not None:
        settings = msgspec.structs.replace(settings, health_port=health_port)
    configure_logs(form=settings.log_format, level=settings.log_level)
    process = Process(folder, env, settings, roles)
    run_until_stopped(
        process.run,
        say=_log.info,
        delay=settings.drain_delay.total_seconds(),
        last_resort=settings.drain_timeout.total_seconds() + _LATER,
        hang_up=process.hung_up.set,
    )


class Process:
    """One process with its roles. `hung_up` is set to have the project read again."""

    def __init__(
        self, folder: Path, env: Mapping[str, str], settings: Settings, roles: Collection[Role]
    ) -> None:
        self.hung_up = asyncio.Event()
        self._folder = folder
        self._env = env
        self._settings = settings
        self._roles = roles
        self._drain = settings.drain_timeout.total_seconds()
        self._stack = AsyncExitStack()
        self._parts: list[asyncio.Task[None]] = []
        self._is_working = False
        self._metrics = ProcessMetrics()

    async def run(self, stop: Stop) -> None:
        """Start the parts in the order in which they need each other, and wait.

        They are ended in the other direction: no new events, those under way delivered, the
        worker, the journal.
        """
        settings, roles = self._settings, self._roles
        links = make_links(settings.secrets(), settings.url) if _signs(roles) else None
        async with self._stack as stack:
            stack.enter_context(Tracing(f"hub {' '.join(sorted(roles))}", env=self._env))
            live = LiveProject(self._folder, overrides=_overrides(settings))
            stack.push_async_callback(live.close)
            _refuse_errors(live.project.diagnostics)
            probed = None
            if settings.health_port is not None:
                probed = stack.enter_context(
                    listen(
                        settings.host,
                        settings.health_port,
                        what="the hub's health",
                        setting="HUB_HEALTH_PORT",
                    )
                )
            state = settings.state or self._folder / ".hub"
            if settings.journal_url is None:
                state.mkdir(parents=True, exist_ok=True, mode=0o700)
            journal = await open_journal(settings, state)
            stack.push_async_callback(journal.close)
            access = listener = None
            if "serve" in roles:
                access = Access(journal, live.project.sign_in)
                stack.push_async_callback(access.close)
                await check_exposure(settings.host, access)
                listener = stack.enter_context(
                    listen(settings.host, settings.port, what="the hub", setting="HUB_PORT")
                )
            await live.remember(journal)
            self._metrics.backlog = lambda: journal.backlog
            intake = JournalIntake(journal)
            # What is accepted waits in the journal for as long as it takes.
            degrading = frozenset(_CAN_WAIT if "serve" in roles else ())
            checks: dict[str, HealthCheck] = {
                "accepting": lambda: _accepting(stop),
                "journal": journal.check,
            }
            if _needs_temporal(roles):
                client = await connect(
                    env=self._env,
                    lazy=True,
                    keys=key_ring(settings),
                    runtime=self._metrics.runtime,
                )
                checks["temporal"] = lambda: check(client)
                runs = TemporalRuns(client, task_queue=settings.task_queue)
                if not await _is_prepared(client):
                    await self._beside(_until_prepared(client))
            if "worker" in roles:
                checks["worker"] = self._working
                await self._beside(self._work(live, journal, links))
            if "dispatch" in roles:
                dispatcher = Dispatcher(
                    journal,
                    runs,
                    lambda: live.router,
                    owner=f"{'-'.join(sorted(roles))}-{os.uname().nodename}-{os.getpid()}"
                    f"-{time.time_ns()}",
                    catch_up=lambda: live.catch_up(journal),
                )
                self._parts.append(
                    await stack.enter_async_context(dispatching(dispatcher, self._drain))
                )
                self._metrics.is_away = lambda: dispatcher.is_cut_off
                self._metrics.count_runs = runs.counts
                await self._beside(keep_house(journal, runs, live))
            consumers = None
            if "consume" in roles:
                consumers = await stack.enter_async_context(Consumers(intake))
                self._metrics.watch(consumers)
                await consumers.use(live.project.triggers.values())
                checks["kafka"] = consumers.check
            if access is not None and listener is not None:
                assert links is not None
                services = make_services(
                    settings,
                    live=live,
                    journal=journal,
                    client=client,
                    runs=runs,
                    links=links,
                    health=checks,
                    degrading=degrading,
                    access=access,
                    schedules=project_schedules(live, client, settings.task_queue),
                    metrics=self._metrics.text,
                )
                await self._serve(create_app(services), listener)
                stack.callback(services.streams.close)
            if probed is not None:
                await self._serve(
                    health_app(checks, degrading=degrading, metrics=self._metrics), probed
                )
            await self._beside(self._reread(live, consumers, access))
            await self._beside(collect_when_idle())
            settle_memory()
            _log.info(
                "ready",
                roles=" ".join(sorted(roles)),
                project=live.project.name,
                trees=len(live.project.trees),
                **({"url": settings.url} if access is not None else {}),
            )
            ended, _ = await asyncio.wait(self._parts, return_when=asyncio.FIRST_COMPLETED)
            for part in ended:
                await part
            raise HubError("a part of the hub ended by itself; its log says more")

    async def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        self._parts.append(await self._stack.enter_async_context(background(work)))

    async def _serve(self, app: Any, listener: Any) -> None:
        serving = serve_http(app, listener, grace=self._drain)
        self._parts.append(await self._stack.enter_async_context(serving))

    async def _work(self, live: LiveProject, journal: Journal, links: Any) -> None:
        """Be a worker from the moment at which Temporal answers; cancelled, finish what was begun."""
        settings = self._settings
        pause = _FIRST_PAUSE
        while True:
            try:
                client = await connect(
                    env=self._env, keys=key_ring(settings), runtime=self._metrics.runtime
                )
                break
            except Unreachable as error:
                if pause == _FIRST_PAUSE:
                    _log.warning("runs wait for Temporal", error=error.message)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
        worker = make_worker(
            client,
            connections=live.connections,
            links=links,
            intake=JournalIntake(journal),
            blobs=open_blobs(journal, settings.state or self._folder / ".hub"),
            task_queue=settings.task_queue,
            max_cached=settings.max_cached_runs,
            max_actions=settings.max_actions,
            deployment=settings.deployment,
            build_id=settings.build_id,
            graceful=settings.drain_timeout,
        )
        running = asyncio.create_task(worker.run(), name="worker")
        self._is_working = True
        try:
            await asyncio.shield(running)
        finally:
            self._is_working = False
            await worker.shutdown()
            await asyncio.gather(running, return_exceptions=True)

    async def _working(self) -> None:
        if not self._is_working:
            raise Unreachable("the worker waits for Temporal")

    async def _reread(
        self, live: LiveProject, consumers: Consumers | None, access: Access | None
    ) -> None:
        """Read the project again at each SIGHUP; what is wrong then stays as it was."""
        while True:
            await self.hung_up.wait()
            self.hung_up.clear()
            faults = await live.reload([self._folder / "hub.yaml", self._folder / ".env"])
            for fault in faults:
                level = _log.error if fault.severity == "error" else _log.warning
                level("the project is not as it should be", fault=str(fault))
            if consumers is not None:
                await consumers.use(live.project.triggers.values())
            if access is not None:
                access.use(live.project.sign_in)
            _log.info("the project was read again", trees=len(live.project.trees))


def _signs(roles: Collection[Role]) -> bool:
    return "serve" in roles or "worker" in roles


def _needs_temporal(roles: Collection[Role]) -> bool:
    return bool({"serve", "worker", "dispatch"} & set(roles))


def _overrides(settings: Settings) -> dict[str, dict[str, Any]]:
    return {"kafka": {"brokers": settings.kafka_brokers}} if settings.kafka_brokers else {}


def _refuse_errors(diagnostics: Collection[Diagnostic]) -> None:
    """A version of the project that is wrong is not to take the place of one that works."""
    errors = [fault for fault in diagnostics if fault.severity == "error"]
    if errors:
        raise InvalidDefinition(errors)
    for fault in diagnostics:
        _log.warning("the project has a doubtful place", fault=str(fault))


async def _accepting(stop: Stop) -> None:
    if stop.is_stopping:
        raise HubError("this process is stopping")


async def _is_prepared(client: Any) -> bool:
    """See that runs can live there. Wrong credentials and the like are raised at once.

    A Temporal that is merely away is waited for: events are accepted meanwhile.
    """
    try:
        made = await prepare(client)
    except (CredentialsRefused, NotPrepared):
        raise
    except Unreachable as error:
        _log.warning("Temporal is away; what comes in waits for it", error=error.message)
        return False
    if made:
        _log.info("search attributes were made", names=", ".join(made))
    return True


async def _until_prepared(client: Any) -> None:
    pause, said = _FIRST_PAUSE, ""
    while True:
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
        try:
            await prepare(client)
        except Unreachable as error:
            if not isinstance(error, CredentialsRefused | NotPrepared):
                continue
            if error.message != said:
                said = error.message
                _log.error("Temporal cannot be used", error=said)
        else:
            _log.info("Temporal is there")
            break
    await asyncio.Event().wait()
