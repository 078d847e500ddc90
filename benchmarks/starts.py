"""Trees of 1, 5 and 20 actions beside the same workflow written by hand, on one Temporal server.

Runs are started by a Temporal client, 32 at a time, and counted when they have completed; the workers
are processes of their own, the hub's and a plain one. Each node is an activity that calls the same
empty function. Then one history of each is set side by side, event by event. The server is the
development server with the hub's settings, on a file.
"""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from temporalio.client import Client

from benchmarks.frame import Bench, main
from benchmarks.processes import module
from benchmarks.workers import FUNCTION, ByHand
from hub.event import Event
from hub.run import Delivery, Start
from hub.temporal.client import TemporalRuns
from hub.temporal.connect import connect
from hub.temporal.dev_server import DevServer
from hub.tree import Tree, load_tree

_SIZES = (1, 5, 20)
_HAND = "by hand"
_DONE = "ExecutionStatus = 'Completed'"


def tree_of(steps: int) -> Tree:
    """A tree of that many actions."""
    call = f"  - python.call: {{function: {FUNCTION}, arguments: {{n: %d}}}}"
    nodes = "\n".join(call % n for n in range(steps))
    head = f"tree: steps-{steps}\nevents:\n  begun: {{webhook: app, key: event.data.key}}\n"
    return load_tree(f"{head}start: begun\ndo:\n{nodes}\n")


async def measure(bench: Bench) -> None:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            DevServer(db=bench.folder / "temporal.db", log=bench.folder / "temporal.log")
        )
        client = await stack.enter_async_context(working(bench, server.address))
        await race(bench, client, _SIZES, count=3)
        rows = []
        histories = {}
        for steps in _SIZES:
            for side_name in ("hub", _HAND):
                key = uuid.uuid4().hex
                await _starter(client, side_name, steps)(key)
                run_id = f"hand-{key}" if side_name == _HAND else f"steps-{steps}/{key}"
                handle = client.get_workflow_handle(run_id)
                await asyncio.wait_for(handle.result(), 60)
                history = await handle.fetch_history()
                size = sum(event.ByteSize() for event in history.events)
                histories[side_name, steps] = history.events
                rows.append((steps, side_name, len(history.events), f"{size:,}"))
    bench.table("History of one run", ("nodes", "side", "events", "bytes"), rows)
    for steps in _SIZES:
        ours, theirs = (
            Counter(_kind(event) for event in histories[side_name, steps])
            for side_name in ("hub", _HAND)
        )
        more = ", ".join(f"{n} {kind}" for kind, n in (ours - theirs).items())
        bench.fact(f"events that only the hub's run has, {steps} nodes", more or "none")


@asynccontextmanager
async def working(bench: Bench, address: str) -> AsyncIterator[Client]:
    """A client of the server, with the hub's worker and the one by hand at work for it."""
    async with AsyncExitStack() as stack:
        for side_name in ("hub", "hand"):
            log = bench.folder / f"{side_name}.log"
            await stack.enter_async_context(
                module("benchmarks.workers", side_name, address, log=log)
            )
        client = await connect(address)
        for side_name in ("hub", _HAND):
            await _run(client, _starter(client, side_name, 1), _type(side_name, 1), 4)
        yield client


async def race(
    bench: Bench, client: Client, sizes: Sequence[int], *, count: int, where: str = ""
) -> None:
    """Compare starts and completions of trees of these sizes, in so many rounds each."""
    for steps in sizes:
        runs = (24 if bench.quick else 72) // (1 if steps == 1 else 3 if steps == 5 else 8)
        async for side in bench.rounds("hub", _HAND, count=count):
            started, completed = await _run(
                client, _starter(client, side.name, steps), _type(side.name, steps), runs
            )
            side.note(f"starts/{steps}", started)
            side.note(f"completions/{steps}", completed)
    for steps in sizes:
        nodes = "1 node" if steps == 1 else f"{steps} nodes"
        for what in ("starts", "completions"):
            bench.compare(
                f"{what}/{steps}",
                of="hub",
                to=_HAND,
                unit="1/s",
                title=f"{what}/s of a tree of {nodes}{where}",
                goal=">= 0.8",
                name=f"{what}-{steps}",
            )


def _starter(client: Client, side: str, steps: int) -> Callable[[str], Awaitable[Any]]:
    if side == _HAND:
        return lambda key: client.start_workflow(
            ByHand.run, steps, id=f"hand-{key}", task_queue="hand"
        )
    tree, runs = tree_of(steps), TemporalRuns(client)
    return lambda key: runs.start(_start(tree, key))


async def _run(
    client: Client, start: Callable[[str], Awaitable[Any]], kind: str, count: int
) -> tuple[float, float]:
    """Starts and completions per second of that many runs, started 32 at a time."""
    query = f"WorkflowType = '{kind}' AND {_DONE}"
    before = (await client.count_workflows(query)).count
    keys = [uuid.uuid4().hex for _ in range(count)]
    began = time.perf_counter()

    async def some() -> None:
        while keys:
            await start(keys.pop())

    await asyncio.gather(*(some() for _ in range(32)))
    started = count / (time.perf_counter() - began)
    async with asyncio.timeout(180):
        while (await client.count_workflows(query)).count < before + count:
            await asyncio.sleep(0.05)
    return started, count / (time.perf_counter() - began)


def _start(tree: Tree, key: str) -> Start:
    event = Event(id=key, source="/bench", type="begun", data={"key": key})
    return Start(
        run_id=f"{tree.name}/{key}",
        tree=tree.name,
        key=key,
        hash=tree.hash,
        document=tree.document,
        delivery=Delivery(event=event, trigger="app"),
    )


def _type(side: str, steps: int) -> str:
    return "ByHand" if side == _HAND else f"steps-{steps}"


def _kind(event: Any) -> str:
    from temporalio.api.enums.v1 import EventType

    return str(EventType.Name(event.event_type)).removeprefix("EVENT_TYPE_").lower()


if __name__ == "__main__":
    sys.exit(main(measure))
