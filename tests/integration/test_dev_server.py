"""The embedded Temporal server: starts, keeps what it has acknowledged, comes back, and goes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.api.operatorservice.v1 import (
    ListSearchAttributesRequest,
    RemoveSearchAttributesRequest,
)
from temporalio.client import Client, WorkflowHandle
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
)

from hub.errors import PortTaken, Unreachable
from hub.ports import find_free
from hub.temporal import dev_server
from hub.temporal.dev_server import DevServer
from hub.temporal.namespace import SEARCH_ATTRIBUTES

ATTRIBUTES = TypedSearchAttributes(
    [
        SearchAttributePair(SearchAttributeKey.for_keyword("HubTree"), "onboarding"),
        SearchAttributePair(SearchAttributeKey.for_keyword("HubKey"), "u1"),
        SearchAttributePair(SearchAttributeKey.for_keyword("HubStatus"), "running"),
        SearchAttributePair(SearchAttributeKey.for_keyword_list("HubWaitingFor"), ["verified"]),
    ]
)


async def start_run(address: str) -> WorkflowHandle:  # type: ignore[type-arg]
    client = await Client.connect(address)
    return await client.start_workflow(
        "never-picked-up",
        id=f"onboarding/{uuid4()}",
        task_queue="none",
        search_attributes=ATTRIBUTES,
    )


def server_pids(db: Path) -> list[int]:
    """The processes that serve this database, by their command lines."""
    found = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,args="], capture_output=True, text=True, check=True
    )
    lines = [line.split(None, 1) for line in found.stdout.splitlines()]
    return [int(pid) for pid, args in lines if str(db) in args and "tether" not in args]


async def gone(db: Path) -> None:
    while server_pids(db):
        await asyncio.sleep(0.02)


async def test_a_fresh_server_takes_runs_with_the_hubs_search_attributes() -> None:
    async with DevServer() as server:
        handle = await start_run(server.address)
        described = await handle.describe()
        assert described.typed_search_attributes == ATTRIBUTES


async def test_runs_survive_a_restart_on_the_same_file(tmp_path: Path) -> None:
    db = tmp_path / "temporal.db"
    async with DevServer(db=db) as server:
        handle = await start_run(server.address)
    assert server_pids(db) == []
    async with DevServer(db=db) as server:
        client = await Client.connect(server.address)
        await client.get_workflow_handle(handle.id).describe()


async def test_a_killed_server_comes_back_with_all_it_had_acknowledged(tmp_path: Path) -> None:
    db = tmp_path / "temporal.db"
    said: list[str] = []
    async with DevServer(db=db, log=tmp_path / "temporal.log") as server:
        keeper = asyncio.create_task(server.keep_running(said.append))
        client = await Client.connect(server.address)
        handles = []
        for _ in range(20):
            handle = await start_run(server.address)
            await handle.signal("event", "payload")
            handles.append(handle)
        (pid,) = server_pids(db)
        os.kill(pid, signal.SIGKILL)
        while not any("is back on" in line for line in said):
            await asyncio.sleep(0.02)
        for handle in handles:
            history = await client.get_workflow_handle(handle.id).fetch_history()
            # started, first task scheduled, signalled
            assert len(history.events) == 3
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
    assert "ended with code 137" in said[0]


async def test_search_attributes_are_added_to_a_database_that_lacks_them(tmp_path: Path) -> None:
    db = tmp_path / "temporal.db"
    async with DevServer(db=db) as server:
        client = await Client.connect(server.address)
        await client.operator_service.remove_search_attributes(
            RemoveSearchAttributesRequest(namespace="default", search_attributes=["HubWaitingFor"])
        )
    async with DevServer(db=db) as server:
        client = await Client.connect(server.address)
        listed = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace="default")
        )
        assert set(listed.custom_attributes) >= set(SEARCH_ATTRIBUTES)
        await start_run(server.address)


async def test_a_missing_attribute_is_added_to_a_running_server() -> None:
    async with DevServer() as server:
        client = await Client.connect(server.address)
        await client.operator_service.remove_search_attributes(
            RemoveSearchAttributesRequest(namespace="default", search_attributes=["HubKey"])
        )
        await dev_server._prepare(server.address)
        listed = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace="default")
        )
        assert "HubKey" in listed.custom_attributes


@pytest.mark.parametrize("page", [False, True])
async def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path, page: bool) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen(1)
        port = holder.getsockname()[1]
        server = (
            DevServer(port=find_free(), ui_port=port, db=tmp_path / "t.db")
            if page
            else DevServer(port=port, db=tmp_path / "t.db")
        )
        with pytest.raises(PortTaken) as caught:
            await server.start()
    assert f"port {port}" in caught.value.message
    assert ("HUB_TEMPORAL_UI_PORT=" if page else "HUB_TEMPORAL_PORT=") in caught.value.message
    # The lock is not left behind: the next start needs no patience.
    async with DevServer(db=tmp_path / "t.db", patience=0):
        pass


async def test_the_page_is_served_where_it_was_asked_for() -> None:
    async with DevServer(ui_port=0) as server:
        assert server.ui_port is not None
        _, writer = await asyncio.open_connection("127.0.0.1", server.ui_port)
        writer.close()
        await writer.wait_closed()
        assert server.ui_url == f"http://127.0.0.1:{server.ui_port}"


async def test_two_servers_on_one_database_are_refused(tmp_path: Path) -> None:
    db = tmp_path / "t.db"
    async with DevServer(db=db):
        with pytest.raises(Unreachable, match=r"another Temporal server has .*t\.db open"):
            await DevServer(db=db, patience=0.1).start()


async def test_a_start_waits_for_the_server_of_a_killed_hub_to_end(tmp_path: Path) -> None:
    db = tmp_path / "t.db"
    port = find_free()
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from hub.temporal.dev_server import DevServer\n"
        "async def main():\n"
        f"    await DevServer(port={port}, db=Path({str(db)!r})).start()\n"
        "    print('ready', flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    hub = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert hub.stdout is not None
    assert await hub.stdout.readline() == b"ready\n"
    handle = await start_run(f"127.0.0.1:{port}")
    hub.kill()
    async with DevServer(port=port, db=db) as server:
        client = await Client.connect(server.address)
        await client.get_workflow_handle(handle.id).describe()
        assert len(server_pids(db)) == 1
    await hub.wait()
    await gone(db)


async def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    db = tmp_path / "t.db"
    db.write_bytes(b"this is no database" * 100)
    with pytest.raises(Unreachable, match="file is not a database"):
        await DevServer(db=db).start()
    await gone(db)


async def test_a_missing_program_is_said_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev_server.shutil, "which", lambda *a, **k: None)
    with pytest.raises(Unreachable, match=r"pip install 'event-hub\[dev\]'"):
        await DevServer().start()
