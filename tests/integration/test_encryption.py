"""Runs whose payloads are encrypted: nothing can be read at the server, and keys can be changed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from temporalio.worker import Worker

from hub.connections import Connections
from hub.event import Event
from hub.links import Links
from hub.run import Delivery, Start
from hub.temporal.client import TemporalRuns
from hub.temporal.codec import KeyRing
from hub.temporal.connect import connect
from hub.temporal.dev_server import DevServer
from hub.temporal.worker import make_worker
from hub.tree import Tree, load_tree
from tests.parts import eventually

PLANTED = "pl4nted-4711"
OLD, NEW = b"o" * 32, b"n" * 32
TREE = """
tree: sealed
events:
  began: {webhook: app, where: event.type == "began", key: event.data.id}
  ended: {webhook: app, where: event.type == "ended", key: event.data.id}
start: began
vars:
  number: "${{ event.data.number }}"
do:
  - log: "the number is ${{ vars.number }}"
  - id: last
    wait_for: ended
  - fail:
      message: "${{ vars.number }} and ${{ steps.last.data.number }}"
"""


def started(tree: Tree, key: str) -> Start:
    event = Event(id=f"began-{key}", source="/t", type="began", data={"id": key, "number": PLANTED})
    return Start(
        run_id=f"sealed/{key}",
        tree=tree.name,
        key=key,
        hash=tree.hash,
        document=tree.document,
        delivery=Delivery(event=event, trigger="app"),
    )


def ending(key: str) -> Delivery:
    event = Event(id=f"ended-{key}", source="/t", type="ended", data={"id": key, "number": PLANTED})
    return Delivery(event=event, trigger="app")


def worker(client: Any, queue: str) -> Worker:
    links = Links([b"k" * 32], "http://localhost")
    nothing = Connections(Path(), {}, {})
    return make_worker(client, connections=lambda: nothing, links=links, task_queue=queue)


async def test_a_key_is_changed_while_a_run_waits(server: DevServer) -> None:
    tree = load_tree(TREE)
    before = await connect(server.address, keys=KeyRing({"old": OLD}))
    after = await connect(server.address, keys=KeyRing({"new": NEW, "old": OLD}))
    queue = "sealed"
    runs = TemporalRuns(before, task_queue=queue)
    async with worker(before, queue):
        await runs.start(started(tree, "u1"))

        async def waits() -> bool:
            return (await runs.show("sealed/u1")).waiting_for == ["ended"]

        await eventually(waits)
    runs = TemporalRuns(after, task_queue=queue)
    async with worker(after, queue):
        assert await runs.deliver("sealed/u1", ending("u1"))

        async def ended() -> Any:
            state = await runs.show("sealed/u1")
            return state if state.status == "failed" else None

        state = await eventually(ended)
        assert state.error.message == f"{PLANTED} and {PLANTED}"
    history = await after.get_workflow_handle("sealed/u1").fetch_history()
    stored = msgspec.json.encode(history.to_json_dict())
    raw = b"".join(event.SerializeToString() for event in history.events)
    for text in (PLANTED, "the number is", "began-u1"):
        assert text.encode() not in stored
        assert text.encode() not in raw
    names = {
        payload.metadata["encryption-key-id"]
        for event in history.events
        for payload in event.workflow_execution_signaled_event_attributes.input.payloads
    }
    assert names == {b"new"}
    assert datetime.now(UTC) > state.ended_at
