"""Replays stored histories: `python -m tests.replay FILE...` ends with 1 at the first that differs."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from hub.connector import installed_actions
from hub.temporal.converter import DATA_CONVERTER
from hub.temporal.gate import GateWorkflow
from hub.temporal.workflow import TreeWorkflow

__all__ = ["replay"]


async def replay(files: list[Path]) -> list[str]:
    """What differs, by the names of the files."""
    installed_actions()
    replayer = Replayer(
        workflows=[TreeWorkflow, GateWorkflow],
        workflow_runner=UnsandboxedWorkflowRunner(),
        data_converter=DATA_CONVERTER,
    )
    differ: list[str] = []
    for file in files:
        history = json.loads(file.read_text())
        # The id is the run's; a history does not tell it.
        run_id = f"{file.stem}/k"
        if file.stem.startswith("parts-"):
            run_id = "parts/k"
        elif file.stem.startswith("gate-"):
            run_id = "~gate/gated"
        result = await replayer.replay_workflow(
            WorkflowHistory.from_json(run_id, history), raise_on_replay_failure=False
        )
        if result.replay_failure is not None:
            differ.append(f"{file.name}: {result.replay_failure}")
    return differ


if __name__ == "__main__":
    found = asyncio.run(replay([Path(name) for name in sys.argv[1:]]))
    print("\n".join(found))  # noqa: T201
    sys.exit(1 if found else 0)
