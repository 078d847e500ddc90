"""Runs whose worker knows the connector `test` of the stories of nodes, and no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client
from temporalio.worker import Worker

from hub.connections import Connections
from hub.errors import HubError, NotFound
from hub.event import Event
from hub.links import Links
from hub.routing.router import Router
from hub.run import Delivery, RunState, Start
from hub.temporal.client import TemporalRuns
from hub.temporal.connect import connect
from hub.temporal.run_input import Limits
from hub.temporal.worker import make_worker
from hub.tree import Tree
from hub.tree.needs import needed_trees
from hub.trigger import Receipt
from tests.node_cases import Case, Doing, delivery

__all__ = ["Place", "doing", "live"]

ENDED = ("succeeded", "failed", "cancelled", "terminated")
_LONG = timedelta(days=3650)


class _RoutedIntake:
    """Takes in what trees emit, and hands it to the runs that it is for."""

    def __init__(self, runs: TemporalRuns) -> None:
        self.runs = runs
        self.trees: dict[str, Tree] = {}

    async def accept(self, trigger: str, events: Sequence[Event]) -> Sequence[Receipt]:
        router = Router(self.trees.values())
        for event in events:
            for match in router.route(trigger, event):
                assert match.run_id is not None
                await self.runs.deliver(match.run_id, Delivery(event=event, trigger=trigger))
        return []


@dataclass
class Place:
    """Where these runs live."""

    client: Client
    runs: TemporalRuns
    worker: Worker
    intake: _RoutedIntake

    async def start(
        self,
        trees: Mapping[str, Tree],
        name: str,
        key: str,
        *,
        groups: Mapping[str, Sequence[str]] | None = None,
    ) -> str:
        """Start a run of one of the trees; its id."""
        tree = trees[name]
        self.intake.trees.update(trees)
        run_id = f"{name}/{key}"
        start = Start(
            run_id=run_id,
            tree=name,
            key=key,
            hash=tree.hash,
            document=tree.document,
            delivery=delivery("begin", key, "begin"),
            trees=needed_trees(tree, trees),
            groups=groups or {},
        )
        assert await self.runs.start(start) == "started"
        return run_id

    async def forward(self, run_id: str, by: timedelta = _LONG) -> None:
        """Let the run's clock jump; it may end meanwhile."""
        try:
            await self.runs.forward(run_id, by)
        except HubError:
            if (await self.runs.show(run_id)).status not in ENDED:
                raise

    async def until_ended(self, run_id: str) -> RunState:
        """The run's state once it has ended."""
        return await self.until(run_id, *ENDED)

    async def until_waiting(self, run_id: str) -> None:
        """Return once the run has begun and waits for something."""
        while True:
            try:
                if (await self.runs.show(run_id)).waiting_for:
                    return
            except NotFound:
                pass
            await asyncio.sleep(0.02)

    async def until(self, run_id: str, *statuses: str) -> RunState:
        """The run's state once it has one of the statuses."""
        while (state := await self.runs.show(run_id)).status not in statuses:
            await asyncio.sleep(0.02)
        return state


@asynccontextmanager
async def doing(
    address: str, folder: Path, *, limits: Limits | None = None, max_cached: int = 1000
) -> AsyncIterator[Place]:
    """A worker for these runs, on a task queue of its own."""
    client = await connect(address)
    queue = f"doing-{folder.name}"
    runs = TemporalRuns(client, task_queue=queue, limits=limits)
    intake = _RoutedIntake(runs)
    connections = Connections(folder, {}, {}, connectors={"test": Doing})
    Doing.done = getattr(Doing, "done", [])
    worker = make_worker(
        client,
        connections=lambda: connections,
        links=Links([b"k" * 32], "http://localhost"),
        intake=intake,
        task_queue=queue,
        max_cached=max_cached,
    )
    async with worker:
        yield Place(client, runs, worker, intake)


async def live(place: Place, case: Case, key: str) -> RunState:
    """A story on Temporal: time is forwarded from event to event, and then to the end."""
    run_id = await place.start(case.trees, case.name, key)
    before = timedelta(0)
    for number, (after, kind) in enumerate(case.events):
        await place.forward(run_id, after - before)
        before = after
        await place.runs.deliver(run_id, delivery(kind, key, f"{kind}-{number}"))
    if case.cancel is not None:
        if case.others:
            # The clock of a run that has another at work does not jump.
            (other,) = case.others
            await place.until_waiting(f"{other}/{key}-waiting")
        else:
            await place.forward(run_id, case.cancel - before)
        await place.runs.cancel(run_id)
        if case.others:
            return await place.until_ended(run_id)
    await place.forward(run_id)
    return await place.until_ended(run_id)
