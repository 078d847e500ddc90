"""Runs of before are replayed by the code of today, in fresh processes: the order of sets, hashes
and imports differs from one to the next."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hub.temporal.dev_server import DevServer
from hub.temporal.replays import histories_in, replay_files
from tests.command import run_command
from tests.integration.record import HISTORIES
from tests.node_cases import CASES
from tests.parts import eventually, hub_of, write_project

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


@pytest.mark.parametrize("seed", ["0", "4711"])
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
    assert {f"correlator-{which}" for which in ("expired", "first", "last")} <= recorded


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
    code, said = run_command("replay-check", "--histories", str(tmp_path))
    assert (code, "is no history of Temporal" in said) == (1, True)
    code, said = run_command("replay-check", "--histories", str(tmp_path / "nothing"))
    assert (code, "there are no histories" in said) == (1, True)


async def test_live_and_ended_runs_of_a_server_are_replayed(tmp_path: Path) -> None:
    """The check of a release before it is released, and one that would break the runs that wait."""
    tree = """
tree: replayed
events:
  go: {webhook: app, where: event.type == "go", key: event.data.user_id}
  found: {webhook: app, where: event.type == "found", key: event.data.user_id}
start: {event: go, concurrency: {limit: 20}}
do:
  - delay: 1ms
  - wait_for: {event: found, match: run.key}
"""
    # More than are fetched at a time; and on a server of its own there are no others.
    users = [f"r{number}" for number in range(20)]
    async with (
        DevServer() as server,
        hub_of(write_project(tmp_path / "replayed", replayed=tree), server.address) as hub,
    ):
        for user in users:
            await hub.send("go", user)

        async def all_wait() -> bool:
            found = await hub.runs.list(tree="replayed", waiting_for="found", limit=50)
            return len(found.items) == len(users)

        await eventually(all_wait)
        await hub.send("found", users[0])
        await hub.state(f"replayed/{users[0]}", "succeeded")

        check = "replay-check", str(tmp_path), "--closed", "3"
        env = {"TEMPORAL_ADDRESS": server.address}
        # The runs, the gate that lets them begin, and a correlator for each that waits.
        code, said = await asyncio.to_thread(run_command, *check, **env)
        assert code == 0, said
        count, _, rest = said.strip().splitlines()[-1].partition(" ")
        assert (int(count) >= 41, rest) == (True, "histories replayed, 0 differ"), said
        code, said = await asyncio.to_thread(checked, *check[1:], code=_CHANGED, **env)
        assert (code, f"replayed/{users[1]}" in said) == (1, True), said
