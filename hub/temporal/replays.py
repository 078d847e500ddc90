"""Does the code of now live the runs of before as they were lived? Their histories are replayed.

A run goes on in a worker of a new release by being replayed in it. Where that comes to other commands
than stand in its history, Temporal stops the run there until a worker can do better. So histories are
replayed before a release: stored ones of every release before, and those of the runs that live now.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path

import msgspec
from temporalio.client import Client, WorkflowExecution, WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from hub.connector import installed_actions
from hub.errors import NotFound
from hub.structs import learn_structs
from hub.temporal.converter import DATA_CONVERTER
from hub.temporal.correlator import CORRELATOR, CorrelatorWorkflow
from hub.temporal.gate import GATE, GateWorkflow
from hub.temporal.reaching import reaching
from hub.temporal.workflow import TreeWorkflow

__all__ = ["Replayed", "count_runs", "histories_in", "replay_files", "replay_runs"]

_OURS = f"(HubTree IS NOT NULL OR WorkflowType = '{GATE}' OR WorkflowType = '{CORRELATOR}')"
_LIVE = f"{_OURS} AND ExecutionStatus = 'Running'"
_CLOSED = f"{_OURS} AND ExecutionStatus != 'Running'"
_AT_ONCE = 16
"""How many histories are fetched while one is being replayed."""


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """One history: of which run or file, and what differs, or None."""

    name: str
    failure: str | None


def histories_in(places: Iterable[Path]) -> list[Path]:
    """The histories in these files and folders, and the folders below. Raises `NotFound`."""
    found: list[Path] = []
    for place in places:
        some = sorted(place.rglob("*.json")) if place.is_dir() else [place]
        if not some or not some[0].is_file():
            raise NotFound(f"there are no histories at {place}")
        found += some
    return found


async def replay_files(files: Sequence[Path]) -> AsyncIterator[Replayed]:
    """Replay stored histories, as `temporal workflow show --output json` writes them."""

    async def histories() -> AsyncIterator[tuple[str, WorkflowHistory]]:
        for file in files:
            yield str(file), _read(file)

    async for one in _replayed(DATA_CONVERTER, histories()):
        yield one


async def count_runs(client: Client, *, closed: int = 0) -> int:
    """About how many `replay_runs` will replay. Raises `Unreachable`."""
    async with reaching():
        live = await client.count_workflows(_LIVE)
        ended = await client.count_workflows(_CLOSED) if closed else None
    return live.count + (0 if ended is None else min(closed, ended.count))


async def replay_runs(client: Client, *, closed: int = 0) -> AsyncIterator[Replayed]:
    """Replay the histories of all live runs, gates and correlators, and of those that ended last.

    Several are fetched at a time, and no more than that are held. Raises `Unreachable`.
    """
    async with reaching():
        async for one in _replayed(client.data_converter, _fetched(client, closed)):
            yield one


async def _fetched(client: Client, closed: int) -> AsyncIterator[tuple[str, WorkflowHistory]]:
    """The histories, in the order in which the server lists them, fetched ahead."""
    ahead: deque[tuple[str, asyncio.Task[WorkflowHistory | None]]] = deque()
    try:
        async for run in _listed(client, closed):
            ahead.append((run.id, asyncio.create_task(_fetch(client, run))))
            if len(ahead) == _AT_ONCE:
                name, fetching = ahead.popleft()
                if (history := await fetching) is not None:
                    yield name, history
        while ahead:
            name, fetching = ahead.popleft()
            if (history := await fetching) is not None:
                yield name, history
    finally:
        rest = [fetching for _, fetching in ahead]
        for fetching in rest:
            fetching.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


async def _listed(client: Client, closed: int) -> AsyncIterator[WorkflowExecution]:
    async for run in client.list_workflows(_LIVE):
        yield run
    if closed:
        async for run in client.list_workflows(_CLOSED, limit=closed):
            yield run


async def _fetch(client: Client, run: WorkflowExecution) -> WorkflowHistory | None:
    """The run's history. None where the server has deleted it since it was listed."""
    handle = client.get_workflow_handle(run.id, run_id=run.run_id)
    try:
        async with reaching(run.id):
            return await handle.fetch_history()
    except NotFound:
        return None


async def _replayed(
    converter: DataConverter, histories: AsyncIterator[tuple[str, WorkflowHistory]]
) -> AsyncIterator[Replayed]:
    installed_actions()
    learn_structs()
    replayer = Replayer(
        workflows=[TreeWorkflow, GateWorkflow, CorrelatorWorkflow],
        workflow_runner=UnsandboxedWorkflowRunner(),
        data_converter=converter,
    )
    names: deque[str] = deque()

    async def named() -> AsyncIterator[WorkflowHistory]:
        async for name, history in histories:
            names.append(name)
            yield history

    # One worker replays them all, one after the other.
    async with replayer.workflow_replay_iterator(named()) as results:
        async for result in results:
            failure = result.replay_failure
            yield Replayed(name=names.popleft(), failure=None if failure is None else str(failure))


def _read(file: Path) -> WorkflowHistory:
    try:
        history = json.loads(file.read_text(encoding="utf-8"))
        started = history["events"][0]["workflowExecutionStartedEventAttributes"]
        return WorkflowHistory.from_json(started.get("workflowId") or file.stem, history)
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise NotFound(f"{file} is no history of Temporal: {error}") from None
