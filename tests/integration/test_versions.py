"""Workers in versions: a run stays with the version that it began with until it next goes on."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from hub.connections import Connections
from hub.errors import Conflict
from hub.links import Links
from hub.run import RunState, state
from hub.temporal.client import TemporalRuns
from hub.temporal.connect import connect
from hub.temporal.dev_server import DevServer
from hub.temporal.replays import replay_files
from hub.temporal.versions import WorkerVersions
from hub.temporal.worker import make_worker
from tests.integration.record import HISTORIES
from tests.integration.test_runs import event, start, tree, until

_QUEUE = "in-versions"
_DEPLOYMENT = "hub-test"


async def _use(server: DevServer, folder: Path, build_id: str) -> None:
    """As the last step of a deployment does it."""
    env = {"TEMPORAL_ADDRESS": server.address, "HUB_DEPLOYMENT": _DEPLOYMENT}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hub", "versions", "use", build_id, "--wait", "1m"),
        *("--project", str(folder)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **env},
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert said.decode().strip() == f"{build_id} is the current version of {_DEPLOYMENT}"


async def _version_of(client: Client, run_id: str) -> str:
    described = await client.get_workflow_handle(run_id).describe()
    info = described.raw_description.workflow_execution_info.versioning_info
    return info.deployment_version.build_id


async def _until(look: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not await look():
            await asyncio.sleep(0.1)


async def test_a_run_moves_to_the_current_version_when_it_goes_on_in_a_new_part(
    server: DevServer, tmp_path: Path
) -> None:
    client = await connect(server.address)
    connections = Connections(tmp_path, {}, {})
    runs = TemporalRuns(client, task_queue=_QUEUE)

    def worker(build_id: str) -> Worker:
        return make_worker(
            client,
            connections=lambda: connections,
            links=Links([b"k" * 32], "http://localhost"),
            task_queue=_QUEUE,
            deployment=_DEPLOYMENT,
            build_id=build_id,
        )

    versions = WorkerVersions(client, _DEPLOYMENT)
    assert await versions.list() == []
    with pytest.raises(Conflict, match=r"r1 .*have been seen: none. Start `hub worker`"):
        await versions.use("r1", patience=0)
    waits = tree("in-versions", "  - wait_for: verified\n    id: one\n  - wait_for: verified\n")
    async with worker("r1"):
        await versions.use("r1", patience=60)
        old = await start(runs, waits, "v1", event("signed_up", "v1"))
        await _until(lambda: _waits(runs, old))
        assert await _version_of(client, old) == "r1"
        async with worker("r2"):
            await _use(server, tmp_path, "r2")
            await versions.use("r2", patience=0)
            listed = [(one.build_id, one.status) for one in await versions.list()]
            assert listed[0] == ("r2", "current")
            assert listed[1][0] == "r1"
            with pytest.raises(Conflict, match=r"r3 .*have been seen: r2, r1\."):
                await versions.use("r3", patience=0)
            new = await start(runs, waits, "v2", event("signed_up", "v2"))
            await _until(lambda: _waits(runs, new))
            assert await _version_of(client, new) == "r2"
            # It waits on, where it is; when it is woken, it goes on in a new part.
            assert await _version_of(client, old) == "r1"
            await runs.deliver(old, event("verified", "v1"))
            await _until(lambda: _is_in(client, old, "r2"))
            assert (await runs.show(old)).part == 2
    # Nothing of the run is left to the version of before.
    async with worker("r2"):
        await runs.deliver(old, event("verified", "v1"))
        await until(runs, old, "succeeded")


async def _waits(runs: TemporalRuns, run_id: str) -> bool:
    return bool((await runs.show(run_id)).waiting_for)


async def _is_in(client: Client, run_id: str, build_id: str) -> bool:
    return await _version_of(client, run_id) == build_id


async def test_an_old_worker_leaves_a_later_format_of_state_to_newer_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = json.loads((HISTORIES / "parts-last.json").read_text())
    started = history["events"][0]["workflowExecutionStartedEventAttributes"]
    payload = started["input"]["payloads"][0]
    given = json.loads(base64.b64decode(payload["data"]))
    given["state"]["format"] = 2
    payload["data"] = base64.b64encode(json.dumps(given).encode()).decode()
    file = tmp_path / "later.json"
    file.write_text(json.dumps(history))
    # Its task fails, and is tried again by whoever comes; the run itself does not end.
    (found,) = [one async for one in replay_files([file])]
    assert "the run's state is of format 2, and this worker's release knows 1" in str(found.failure)
    monkeypatch.setattr(state, "FORMAT", 2)
    (found,) = [one async for one in replay_files([file])]
    assert found.failure is None


def test_an_old_worker_takes_what_is_only_added_and_a_new_one_what_lacks() -> None:
    """Unknown fields of a format that is known are left out; those that lack have their defaults."""
    later = msgspec.json.encode(
        {"id": "t/k", "tree": "t", "key": "k", "hash": "h", "status": "running",
         "nodes": {"do": {"type": "delay", "status": "waiting", "mood": "patient"}}, "colour": "red"}
    )  # fmt: skip
    read = msgspec.json.decode(later, type=RunState)
    assert (read.format, read.nodes["do"].status, read.mailbox.received) == (1, "waiting", 0)
    assert b"colour" not in msgspec.json.encode(read)
