"""The simulation and Temporal agree: the same story has the same statuses, results and effects."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub.connections import Connections
from hub.errors import HubError
from hub.links import Links
from hub.run import RunState, Start
from hub.simulation import SimulatedRun
from hub.temporal.client import TemporalRuns
from hub.temporal.connect import connect
from hub.temporal.dev_server import DevServer
from hub.temporal.worker import make_worker
from tests.stories import Acting, Story, collect_stories, essence, essence_of

STORIES = 52
AT_ONCE = 8
ENDED = ("succeeded", "failed", "cancelled")
LONG = timedelta(days=4000)


@pytest.fixture(scope="module")
async def runs(
    server: DevServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[TemporalRuns]:
    """Runs whose worker knows the connector `test`, and no other."""
    client = await connect(server.address)
    folder: Path = tmp_path_factory.mktemp("agreement")
    connections = Connections(folder, {}, {}, connectors={"test": Acting})
    Acting.done = []
    worker = make_worker(
        client,
        connections=lambda: connections,
        links=Links([b"k" * 32], "http://localhost"),
        task_queue="agreement",
    )
    async with worker:
        yield TemporalRuns(client, task_queue="agreement")


async def live(runs: TemporalRuns, story: Story, key: str) -> RunState:
    """The story on Temporal: time is forwarded from event to event, and then to the end."""
    tree = story.tree
    run_id = f"{tree.name}/{key}"
    start = Start(
        run_id=run_id,
        tree=tree.name,
        key=key,
        hash=tree.hash,
        document=tree.document,
        delivery=story.start(key),
    )
    assert await runs.start(start) == "started"
    before = timedelta(0)
    for after, delivery in story.deliveries(key):
        await forward(runs, run_id, after - before)
        before = after
        await runs.deliver(run_id, delivery)
    await forward(runs, run_id, LONG)
    return await runs.show(run_id)


async def forward(runs: TemporalRuns, run_id: str, by: timedelta) -> None:
    try:
        await runs.forward(run_id, by)
    except HubError:
        # It may have ended by itself before it was to be forwarded.
        if (await runs.show(run_id)).status not in ENDED:
            raise


def effects(run: SimulatedRun) -> list[list[tuple[int, int]]]:
    """The calls that were made, in groups of those that came at one moment."""
    groups = itertools.groupby(run.calls, key=lambda call: call.at)
    return [sorted((call.arguments["n"], call.attempt) for call in group) for _, group in groups]


def disagreement(story: Story, run: SimulatedRun, state: RunState) -> str | None:
    key = state.key
    expected, got = essence(run), essence_of(state)
    for name, value in expected.items():
        if got[name] != value:
            return f"{key}: {name}: simulated {value}, on Temporal {got[name]}\n{_told(story)}"
    done = [(n, attempt) for run_id, n, attempt in Acting.done if run_id == state.id]
    for group in effects(run):
        if sorted(done[: len(group)]) != group:
            return f"{key}: effects: simulated {effects(run)}, on Temporal {done}\n{_told(story)}"
        del done[: len(group)]
    return f"{key}: more on Temporal: {done}\n{_told(story)}" if done else None


def _told(story: Story) -> str:
    document: Any = {**story.document, "script": story.script}
    return msgspec.json.format(msgspec.json.encode(document), indent=1).decode()


async def test_simulation_and_temporal_agree(runs: TemporalRuns) -> None:
    stories = collect_stories(STORIES)
    assert len(stories) >= 50
    gate = asyncio.Semaphore(AT_ONCE)

    async def compare(number: int, story: Story) -> str | None:
        key = f"s{number}"
        async with gate:
            try:
                state = await live(runs, story, key)
            except HubError as error:
                return f"{key}: {error.message}\n{_told(story)}"
        (run,) = story.simulate(key).runs
        return disagreement(story, run, state)

    compared = await asyncio.gather(*(compare(n, story) for n, story in enumerate(stories)))
    found = [text for text in compared if text is not None]
    assert not found, f"{len(found)} of {len(stories)} disagree; the first:\n{found[0]}"
