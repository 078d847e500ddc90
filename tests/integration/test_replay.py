"""Runs of before are replayed by the code of today, in fresh processes: the order of sets, hashes
and imports differs from one to the next."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.record import HISTORIES
from tests.node_cases import CASES
from tests.replay import replay

_ROOT = Path(__file__).parents[2]
_FILES = sorted(HISTORIES.glob("*.json"))


def replayed(files: list[Path], seed: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.replay", *map(str, files)],
        cwd=_ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


@pytest.mark.parametrize("seed", ["0", "1", "4711"])
def test_histories_replay_in_a_fresh_process(seed: str) -> None:
    done = replayed(_FILES, seed)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_story_has_a_history() -> None:
    recorded = {file.stem for file in _FILES}
    assert {*(case.name for case in CASES), "approval", "parts-first", "parts-last"} <= recorded
    assert {"gate-first", "gate-last"} <= recorded


async def test_a_history_that_differs_is_found(tmp_path: Path) -> None:
    history = json.loads((HISTORIES / "sequence.json").read_text())
    for event in history["events"]:
        attributes = event.get("activityTaskScheduledEventAttributes")
        if attributes is not None:
            attributes["activityType"]["name"] = "test.other"
    file = tmp_path / "sequence.json"
    file.write_text(json.dumps(history))
    (found,) = await replay([file])
    assert "test.other" in found
