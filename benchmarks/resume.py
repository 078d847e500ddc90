"""From an event to the next step of the run that waited for it: the hub beside a program by hand.

Orders wait for their payment. An event is sent for one at a time, and the time is taken until the
activity after the wait has begun. The hand-written workflow (`benchmarks/plain_program.py`) lives on
the same Temporal server, which is the one of `hub dev`: once behind a plain Litestar endpoint that
signals it, once signalled bare by a Temporal client, with no HTTP at all.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from temporalio.client import Client

from benchmarks.frame import Bench, main, quantiles
from benchmarks.http import Connections
from benchmarks.processes import hub_dev, module, patiently
from benchmarks.scenario import Orders, order_project, until_ready
from benchmarks.told import listening
from hub.kafka import start_producer
from hub.ports import find_free

_BY_HAND = "by hand"
_SIGNAL = "bare signal"


async def measure(bench: Bench) -> None:
    count = 20 if bench.quick else 36
    async with AsyncExitStack() as stack:
        told = await stack.enter_async_context(listening())
        project = order_project(bench.folder / "project")
        with_kafka = _add_kafka(project)
        hub = await stack.enter_async_context(hub_dev(project, bench.folder / "hub.log"))
        port = find_free()
        plain = await stack.enter_async_context(
            module("benchmarks.plain_program", hub.temporal, port, log=bench.folder / "plain.log")
        )
        by_hand_url = f"http://127.0.0.1:{port}"
        await asyncio.sleep(0.5)
        orders = {
            "hub": Orders(hub.url, await _pool(stack, hub.url), told),
            _BY_HAND: Orders(by_hand_url, await _pool(stack, by_hand_url), told),
        }
        orders[_SIGNAL] = orders[_BY_HAND]
        await until_ready(orders["hub"], hub.process)
        await until_ready(orders[_BY_HAND], plain)
        client = await Client.connect(hub.temporal)
        producer = await start_producer(hub.kafka, None, linger_ms=0)
        stack.push_async_callback(producer.stop)

        async def signalled(key: str) -> float:
            began = time.perf_counter()
            await client.get_workflow_handle(f"order-{key}").signal("pay", {"data": {"key": key}})
            return (await told.of(key) - began) * 1000

        async def from_kafka(key: str) -> float:
            event = {"id": f"paid-{key}", "type": "paid", "data": {"key": key}}
            began = time.perf_counter()
            await producer.send_and_wait(with_kafka, json.dumps(event).encode(), key=key.encode())
            return (await told.of(key) - began) * 1000

        ways: dict[str, Callable[[str], Awaitable[float]]] = {
            "hub": orders["hub"].resumed,
            _BY_HAND: orders[_BY_HAND].resumed,
            _SIGNAL: signalled,
            "hub, from Kafka": from_kafka,
        }
        orders["hub, from Kafka"] = orders["hub"]
        async for side in bench.rounds(*ways, count=4):
            keys = orders[side.name].keys(count // 4 if "Kafka" in side.name else count)
            for key in keys:
                await orders[side.name].place(key)
            await asyncio.sleep(1.0)
            took = [await ways[side.name](key) for key in keys]
            for name, value in quantiles(took).items():
                side.note(name, value)
    for what in ("p50", "p99"):
        for side_name, baseline, goal in (
            ("hub", _BY_HAND, "<= 1.3"),
            ("hub", _SIGNAL, None),
            ("hub, from Kafka", _BY_HAND, None),
        ):
            source = "Kafka" if "Kafka" in side_name else "HTTP"
            bench.compare(
                what,
                of=side_name,
                to=baseline,
                unit="ms",
                title=f"event → next step begun, {what}, from {source}",
                goal=goal,
                name=f"{source}-{baseline}-{what}".replace(" ", "-"),
            )


async def _pool(stack: AsyncExitStack, url: str) -> Connections:
    pool = await patiently(Connections.open, url, 4)
    stack.callback(pool.close)
    return pool


def _add_kafka(project: Path) -> str:
    """Let payments come by Kafka as well; the topic."""
    hub = project / "hub.yaml"
    hub.write_text(
        hub.read_text().replace("triggers:", "triggers:\n  bus: {kafka: {topic: payments}}")
    )
    tree = project / "trees" / "order.yaml"
    text = tree.read_text()
    tree.write_text(
        text.replace(
            "start: placed",
            '  paid_by_bus: {kafka: bus, where: event.type == "paid", key: event.data.key}\nstart: placed',
        ).replace("wait_for: paid", "wait_for: {any: [paid, paid_by_bus]}")
    )
    return "payments"


if __name__ == "__main__":
    sys.exit(main(measure))
