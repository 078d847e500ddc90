"""Does the code of now live the runs of before as they were lived? Their histories are replayed.

A run goes on in a worker of a new release by being replayed in it. Where that comes to other commands
than stand in its history, Temporal stops the run there until a worker can do better. So histories are
replayed before a release: stored ones of every release before, and those of the runs that live now.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path

import msgspec
from temporalio.client import Client, WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from hub.connector import installed_actions
from hub.errors import NotFound
from hub.temporal.converter import DATA_CONVERTER
from hub.temporal.gate import GateWorkflow
from hub.temporal.reaching import reaching
from hub.temporal.workflow import TreeWorkflow

__all__ = ["Replayed", "histories_in", "replay_files", "replay_runs"]

_LIVE = "HubTree IS NOT NULL AND ExecutionStatus = 'Running'"
_CLOSED = "HubTree IS NOT NULL AND ExecutionStatus != 'Running'"


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
    replayer = _replayer(DATA_CONVERTER)
    for file in files:
        yield await _replayed(replayer, _read(file), str(file))


async def replay_runs(client: Client, *, closed: int = 0) -> AsyncIterator[Replayed]:
    """Replay the histories of all live runs, and of the runs that have ended last.

    Raises `Unreachable`.
    """
    replayer = _replayer(client.data_converter)
    async with reaching():
        for query, limit in ((_LIVE, None), (_CLOSED, closed)):
            if limit == 0:
                continue
            runs = client.list_workflows(query, limit=limit)
            async for run in runs:
                handle = client.get_workflow_handle(run.id, run_id=run.run_id)
                history = await handle.fetch_history()
                yield await _replayed(replayer, history, run.id)


def _replayer(converter: DataConverter) -> Replayer:
    installed_actions()
    return Replayer(
        workflows=[TreeWorkflow, GateWorkflow],
        workflow_runner=UnsandboxedWorkflowRunner(),
        data_converter=converter,
    )


async def _replayed(replayer: Replayer, history: WorkflowHistory, name: str) -> Replayed:
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    failure = result.replay_failure
    return Replayed(name=name, failure=None if failure is None else str(failure))


def _read(file: Path) -> WorkflowHistory:
    try:
        history = json.loads(file.read_text(encoding="utf-8"))
        started = history["events"][0]["workflowExecutionStartedEventAttributes"]
        return WorkflowHistory.from_json(started.get("workflowId") or file.stem, history)
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise NotFound(f"{file} is no history of Temporal: {error}") from None
