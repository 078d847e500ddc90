"""Messages per second from a Kafka topic through to started runs, and catching up after a pause.

`hub dev` with a Kafka trigger: messages are produced as fast as the broker takes them, and the time is
taken until as many runs have been started. The baseline is a plain aiokafka consumer in a process of
its own that starts a workflow by hand for each message, on the same Temporal server, and commits.
Then the hub's process is stopped (SIGSTOP) for a while, with messages still coming, and the time is
taken until it has caught up.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
import uuid
from contextlib import AsyncExitStack
from typing import Any

from temporalio.client import Client

from benchmarks.frame import Bench, main
from benchmarks.processes import Hub, command_of, hub_dev, module
from hub.kafka import start_producer

_HAND = "by hand"
_HUB = """
triggers:
  bus: {kafka: {topic: numbers}}
"""
_TREE = """
tree: number
events:
  number: {kafka: bus, key: event.data.key}
start: number
do:
  - delay: 1 day
"""


async def measure(bench: Bench) -> None:
    count = 60 if bench.quick else 300
    pause = 3.0 if bench.quick else 60.0
    project = bench.folder / "project"
    (project / "trees").mkdir(parents=True)
    (project / "hub.yaml").write_text(_HUB)
    (project / "trees" / "number.yaml").write_text(_TREE)
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(hub_dev(project, bench.folder / "hub.log"))
        client = await Client.connect(hub.temporal)
        producer = await start_producer(hub.kafka, None, linger_ms=5)
        stack.push_async_callback(producer.stop)
        topics = {"hub": "numbers", _HAND: "by-hand"}
        kinds = {"hub": "number", _HAND: "Number"}
        for topic in topics.values():
            await _produce(producer, topic, 1)
        await stack.enter_async_context(
            module(
                "benchmarks.kafka_by_hand", hub.temporal, hub.kafka, log=bench.folder / "hand.log"
            )
        )
        for kind in kinds.values():
            await _started(client, kind, 1)
        async for side in bench.rounds(*topics, count=3):
            before = await _count(client, kinds[side.name])
            began = time.perf_counter()
            await _produce(producer, topics[side.name], count)
            await _started(client, kinds[side.name], before + count)
            side.note("started", count / (time.perf_counter() - began))
        bench.compare(
            "started", of="hub", to=_HAND, unit="1/s", title="Kafka message → run started, runs/s"
        )
        await _pause(bench, hub, client, producer, pause)


async def _pause(bench: Bench, hub: Hub, client: Client, producer: Any, pause: float) -> None:
    """Stop the hub's process while messages come, and see it catch up."""
    (pid,) = [p for p in hub.process.pids if "hub dev" in command_of(p) and "tether" not in command_of(p)]  # fmt: skip
    before = await _count(client, "number")
    pace = 5 if bench.quick else 10
    bench.say(f"stopping the hub for {pause:.0f} s, {pace} messages a second meanwhile")
    os.kill(pid, signal.SIGSTOP)
    try:
        sent = 0
        began = time.monotonic()
        while time.monotonic() - began < pause:
            await _produce(producer, "numbers", pace)
            sent += pace
            await asyncio.sleep(1)
    finally:
        os.kill(pid, signal.SIGCONT)
    began = time.monotonic()
    await _started(client, "number", before + sent)
    took = time.monotonic() - began
    bench.figure(
        "recovery",
        [took],
        unit="s",
        title=f"caught up after {pause:.0f} s of standing still, {sent} messages behind",
    )
    bench.check(
        "after the pause each message has started one run",
        await _count(client, "number") == before + sent,
    )


async def _produce(producer: Any, topic: str, count: int) -> None:
    sent = []
    for _ in range(count):
        key = uuid.uuid4().hex
        value = json.dumps({"id": key, "data": {"key": key}}).encode()
        sent.append(await producer.send(topic, value, key=key.encode()))
    await asyncio.gather(*sent)


async def _count(client: Client, kind: str) -> int:
    return (await client.count_workflows(f"WorkflowType = '{kind}'")).count


async def _started(client: Client, kind: str, count: int) -> None:
    async with asyncio.timeout(180):
        while await _count(client, kind) < count:
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main(measure))
