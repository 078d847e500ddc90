"""Runs of before are replayed by the code of today, in fresh processes: the order of sets, hashes
and imports differs from one to the next."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hub.temporal.client import TemporalRuns
from hub.temporal.replays import histories_in, replay_files
from tests.integration.record import HISTORIES
from tests.integration.test_runs import event, start, tree, until
from tests.node_cases import CASES

_STORE = HISTORIES.parent
"""A folder for each release, of which nothing is ever taken away."""
_CHECK = "from hub.cli import main; main()"
# A delay that lets a moment pass first: one timer more than there was.
_CHANGED = """
from hub.tree.nodes.waits import Delay
before = Delay.run
async def run(self, run):
    await run.breathe()
    return await before(self, run)
Delay.run = run
"""


def checked(*arguments: str, seed: str = "0", code: str = "", **env: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", code + _CHECK, "replay-check", *arguments],
        env={**os.environ, "PYTHONHASHSEED": seed, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("seed", ["0", "1", "4711"])
def test_histories_of_every_release_replay_in_a_fresh_process(seed: str) -> None:
    code, said = checked("--histories", str(_STORE), seed=seed)
    assert (code, f"{len(histories_in([_STORE]))} histories replayed, 0 differ" in said) == (
        0,
        True,
    ), said


def test_each_story_has_a_history() -> None:
    recorded = {file.stem for file in histories_in([HISTORIES])}
    assert {*(case.name for case in CASES), "approval", "parts-first", "parts-last"} <= recorded
    assert {"gate-first", "gate-last"} <= recorded


def test_a_change_that_is_not_deterministic_makes_the_check_fail() -> None:
    code, said = checked("--histories", str(HISTORIES / "delay.json"), code=_CHANGED)
    assert code == 1
    assert "delay.json" in said
    assert "1 histories replayed, 1 differ" in said


async def test_a_history_that_differs_is_found(tmp_path: Path) -> None:
    history = json.loads((HISTORIES / "sequence.json").read_text())
    for event_ in history["events"]:
        attributes = event_.get("activityTaskScheduledEventAttributes")
        if attributes is not None:
            attributes["activityType"]["name"] = "test.other"
    file = tmp_path / "sequence.json"
    file.write_text(json.dumps(history))
    (found,) = [one async for one in replay_files([file])]
    assert found.failure is not None
    assert "test.other" in found.failure


def test_what_is_no_history_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    code, said = checked("--histories", str(tmp_path))
    assert (code, "is no history of Temporal" in said) == (1, True)
    code, said = checked("--histories", str(tmp_path / "nothing"))
    assert (code, "there are no histories" in said) == (1, True)


async def test_live_and_ended_runs_of_a_server_are_replayed(
    runs: TemporalRuns, tmp_path: Path
) -> None:
    """The check of a release before it is released, and one that would break the runs that wait."""
    import asyncio

    delayed = tree("replayed", "  - delay: 1ms\n  - wait_for: verified\n")
    for user in ("r1", "r2"):
        await start(runs, delayed, user, event("signed_up", user))
    await runs.deliver("replayed/r1", event("verified", "r1"))
    await until(runs, "replayed/r1", "succeeded")
    while "verified" not in (await runs.show("replayed/r2")).waiting_for:
        await asyncio.sleep(0.02)
    env = {"TEMPORAL_ADDRESS": runs._client.service_client.config.target_host}
    # Other tests' runs are on the server too; their histories are of this code as well.
    code, said = await asyncio.to_thread(checked, str(tmp_path), "--closed", "3", **env)
    assert (code, "0 differ" in said) == (0, True), said
    code, said = await asyncio.to_thread(
        checked, str(tmp_path), "--closed", "3", code=_CHANGED, **env
    )
    assert code == 1
    assert "replayed/r2" in said
    await runs.terminate("replayed/r2", "the test is over")
