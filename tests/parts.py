"""A hub put together from its real parts for tests: journal, dispatcher, worker, mail inbox."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.blobs import FileBlobs
from hub.dev.inbox import Inbox, Mail
from hub.event import Event
from hub.links import Links
from hub.routing.dispatcher import Dispatcher
from hub.routing.intake import JournalIntake
from hub.routing.journal import DeliveryRecord, Entry, Journal
from hub.routing.project import Project, load_project
from hub.routing.router import Router
from hub.routing.turn import Turn
from hub.run import RunState
from hub.temporal.client import TemporalRuns
from hub.temporal.connect import connect
from hub.temporal.run_input import Limits
from hub.temporal.worker import make_worker

__all__ = ["Hub", "hub_of", "write_project"]

JOURNAL_URL: str | None = None
"""The database of all hubs' journals, where it is not to be a file: see `test_on_postgresql`."""
HUB_YAML = """
triggers:
  app: {webhook: {provider: none}}
connections:
  mail: {email: {host: 127.0.0.1, from: hub@example.com, tls: none}}
"""


def write_project(folder: Path, **trees: str) -> Path:
    """A project folder with one `app` webhook, one mail connection and the given trees."""
    (folder / "trees").mkdir(parents=True, exist_ok=True)
    (folder / "hub.yaml").write_text(HUB_YAML)
    for name, text in trees.items():
        (folder / "trees" / f"{name}.yaml").write_text(text)
    return folder


@dataclass
class Hub:
    """The parts of one hub. `dispatch` starts and stops its dispatcher and its worker."""

    project: Project
    journal: Journal
    intake: JournalIntake
    runs: TemporalRuns
    inbox: Inbox
    dispatcher: Dispatcher

    async def send(self, kind: str, key: str, *, id: str | None = None, **data: Any) -> str:  # noqa: A002
        event = Event(
            id=id or uuid.uuid4().hex,
            source="/test",
            type=kind,
            data={"user_id": key, **data},
        )
        await self.intake.accept("app", [event])
        return event.id

    @property
    def tree(self) -> str:
        """The name of the project's only tree."""
        (name,) = self.project.trees
        return name

    def run_id(self, key: str) -> str:
        """The run of that key."""
        return f"{self.tree}/{key}"

    def mails(self) -> list[Mail]:
        """What the inbox has caught."""
        return list(self.inbox.mails())

    async def settled(self, event_id: str) -> Entry:
        """The journal's entry of an event, once the dispatcher is done with it."""

        async def entry() -> Entry | None:
            found = await self.journal.get(event_id)
            return found if found.status != "accepted" else None

        return await eventually(entry)

    async def attempted(self, entry: Entry) -> DeliveryRecord:
        """What a dispatcher does up to the moment at which it dies: the journal hears nothing of it."""
        router = self.dispatcher._router()
        matches = router.route(entry.trigger, entry.event)
        turn = Turn(entry=entry, event=entry.event, matches=matches, router=router)
        (record,) = await self.dispatcher._tried(turn)
        return record

    async def state(self, run_id: str, *statuses: str, **wanted: Any) -> RunState:
        """A run's state, once it has one of the statuses and the wanted values."""

        async def state() -> RunState | None:
            found = await self.runs.show(run_id)
            fits = all(getattr(found, name) == value for name, value in wanted.items())
            return found if found.status in statuses and fits else None

        return await eventually(state)


async def eventually(look: Callable[[], Any], *, patience: float = 60.0) -> Any:
    """What `look` gives, as soon as it gives anything; the test's timeout bounds a long wait."""
    end = asyncio.get_running_loop().time() + patience
    pause = 0.02
    while True:
        found = await look()
        if found:
            return found
        if asyncio.get_running_loop().time() > end:
            raise AssertionError(f"{look} did not come true in {patience} s")
        await asyncio.sleep(pause)
        # Asking takes the time of those who are to make it true.
        pause = min(pause * 1.3, 0.2)


@asynccontextmanager
async def hub_of(
    project_path: Path,
    temporal: str,
    *,
    smtp: bool = True,
    dispatching: bool = True,
    working: bool = True,
    limits: Limits | None = None,
    max_cached: int = 1000,
) -> AsyncIterator[Hub]:
    """A hub over the Temporal server at that address.

    Its journal lives in the project's folder, unless `JOURNAL_URL` says where.
    """
    inbox = Inbox(project_path / "mail")
    port = await inbox.start("127.0.0.1", 0)
    if not smtp:
        await inbox.close()
    project = load_project(project_path, {}, overrides={"email": {"port": port}})
    assert project.is_valid, project.diagnostics
    router = Router(project.trees.values())
    client = await connect(temporal)
    # A task queue of its own keeps it apart from the other hubs on the same server.
    queue = f"hub-{project_path.name}"
    runs = TemporalRuns(client, task_queue=queue, limits=limits)
    journal = await Journal.open(JOURNAL_URL or str(project_path / "journal.db"))
    dispatcher = Dispatcher(journal, runs, lambda: router, owner=uuid.uuid4().hex)
    tasks = [asyncio.create_task(dispatcher.run())] if dispatching else []
    worker = None
    if working:
        # One that is made and does not run would still be given the first task of a run.
        worker = make_worker(
            client,
            connections=lambda: project.connections,
            links=Links([b"k" * 32], "http://localhost"),
            intake=JournalIntake(journal),
            blobs=FileBlobs(project_path / "blobs"),
            task_queue=queue,
            max_cached=max_cached,
        )
        tasks.append(asyncio.create_task(worker.run()))
    try:
        yield Hub(project, journal, JournalIntake(journal), runs, inbox, dispatcher)
    finally:
        for task in tasks[:1] if dispatching else []:
            task.cancel()
        if worker is not None:
            await worker.shutdown()
        await asyncio.gather(*tasks, return_exceptions=True)
        await journal.close()
        await project.connections.close()
        if smtp:
            await inbox.close()
