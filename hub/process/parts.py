"""What processes are put together from. `hub dev` and the processes of production share it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from temporalio.client import Client

from hub.api import Services
from hub.api.services import HealthCheck
from hub.blobs import Blobs, FileBlobs
from hub.errors import HubError
from hub.links import Links, derive_key
from hub.process.live import LiveProject
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
from hub.temporal.codec import KeyRing
from hub.temporal.migrations import TemporalMigrations
from hub.temporal.schedules import TemporalSchedules

__all__ = [
    "background",
    "dispatching",
    "keep_house",
    "key_ring",
    "make_links",
    "make_services",
    "namespace_page",
    "open_blobs",
    "open_journal",
    "project_schedules",
]

_PRUNE_EVERY = 3600.0


async def open_journal(settings: Settings, state: Path) -> Journal:
    """The journal that the settings name, or else that of the state folder. Raises `Unreachable`."""
    return await Journal.open(
        settings.journal_url or str(state / "journal.db"),
        retention=settings.journal_retention,
        audit_retention=settings.audit_retention,
    )


def open_blobs(journal: Journal, state: Path) -> Blobs:
    """Where results are that are too large for a run: with a journal in PostgreSQL, in there."""
    return journal.blobs or FileBlobs(state / "blobs")


def make_links(secrets: Sequence[str], url: str) -> Links:
    """Links that the first of the secrets signs, and that are believed by any of them.

    Raises `MissingSecret` for a secret that is too short.
    """
    return Links([derive_key(secret, "callback") for secret in secrets], url)


def key_ring(settings: Settings) -> KeyRing | None:
    """The keys of payloads; None where they are not encrypted. Raises `InvalidSetting`."""
    return None if settings.encryption_keys is None else KeyRing.read(settings.encryption_keys)


def project_schedules(live: LiveProject, client: Client, task_queue: str) -> ProjectSchedules:
    """The schedules of the project as it is at each moment."""
    return ProjectSchedules(
        lambda: live.project, lambda name: TemporalSchedules(client, name, task_queue=task_queue)
    )


def make_services(
    settings: Settings,
    *,
    live: LiveProject,
    journal: Journal,
    client: Client,
    runs: TemporalRuns,
    links: Links,
    health: Mapping[str, HealthCheck],
    temporal_ui: str | None = None,
    origins: Collection[str] = (),
    **more: Any,
) -> Services:
    """The parts behind the HTTP side; `more` are further fields of `Services`.

    `temporal_ui` is the address of Temporal's own page where the settings name none, and `origins`
    are those of that page.
    """
    return Services(
        intake=JournalIntake(journal),
        journal=journal,
        runs=runs,
        links=links,
        project=lambda: live.project,
        router=lambda: live.router,
        base_url=settings.url,
        allowed_hosts=frozenset(settings.allowed_hosts),
        health=health,
        approvals=TemporalApprovals(client),
        migrations=TemporalMigrations(client),
        files=TreeFiles(
            live.folder,
            lambda: live.project,
            # One who develops writes trees; elsewhere they come by a deployment.
            may_write=settings.edit_trees or bool(more.get("is_development")),
        ),
        count_runs=runs.counts,
        temporal_ui=namespace_page(settings.temporal_ui or temporal_ui, client.namespace),
        codec=client.data_converter.payload_codec,
        codec_origins=frozenset((*settings.codec_origins, *origins)),
        **more,
    )


def namespace_page(ui: str | None, namespace: str) -> str | None:
    """The address in Temporal's own page where that namespace begins; None where it has none."""
    return None if ui is None else f"{ui.rstrip('/')}/namespaces/{quote(namespace, safe='')}"


@asynccontextmanager
async def background(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Do the work beside the block, and no longer."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def dispatching(dispatcher: Dispatcher, drain: float) -> AsyncIterator[asyncio.Task[None]]:
    """Dispatch beside the block; at its end, finish what is under way within `drain` seconds."""
    async with background(dispatcher.run()) as task:
        try:
            yield task
        finally:
            # What is left then goes back to the journal, for the next process or the next start.
            with suppress(TimeoutError):
                await asyncio.wait_for(dispatcher.drain(), drain)


async def keep_house(journal: Journal, runs: Runs, live: LiveProject) -> None:
    """Forget, now and then, what the journal keeps no longer, and definitions that no run uses."""
    while True:
        now = datetime.now(UTC)
        with suppress(HubError):
            await journal.prune(now)
            if journal.blobs is not None:
                await journal.blobs.sweep(now)
        with suppress(HubError):
            current = {tree.hash for tree in live.project.trees.values()}
            dropped = await forget_definitions(journal, runs, current, now)
            live.forget({definition.hash for definition in dropped})
        await asyncio.sleep(_PRUNE_EVERY)
