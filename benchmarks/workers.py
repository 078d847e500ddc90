"""Workers for `benchmarks.starts`, each side a process of its own.

    python -m benchmarks.workers hub|hand TEMPORAL

`hub` is the hub's worker; `hand` is a plain worker with the same trees written as workflows, which
call the same function by an activity for each node.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from benchmarks import told

FUNCTION = "benchmarks.told.nothing"


@activity.defn
async def nothing(n: int) -> int:
    return await told.nothing(n)


@workflow.defn
class ByHand:
    """As many steps, one after the other, as it is asked for."""

    @workflow.run
    async def run(self, steps: int) -> int:
        for n in range(steps):
            await workflow.execute_activity(
                nothing, n, start_to_close_timeout=timedelta(seconds=30)
            )
        return steps


async def _work(side: str, address: str) -> None:
    async with AsyncExitStack() as stack:
        if side == "hub":
            await stack.enter_async_context(await _of_the_hub(address))
        else:
            client = await Client.connect(address)
            await stack.enter_async_context(
                Worker(client, task_queue="hand", workflows=[ByHand], activities=[nothing])
            )
        print(json.dumps({"ready": True}), flush=True)
        await asyncio.Event().wait()


async def _of_the_hub(address: str) -> Worker:
    # The other side's process has none of the hub in it.
    from hub.connections import Connections
    from hub.links import Links
    from hub.temporal.connect import connect
    from hub.temporal.worker import make_worker

    code = {"code": {"python": {"functions": [FUNCTION]}}}
    connections = Connections(Path.cwd(), code, {})
    return make_worker(
        await connect(address),
        connections=lambda: connections,
        links=Links([b"k" * 32], "http://127.0.0.1"),
    )


if __name__ == "__main__":
    try:
        import uvloop

        uvloop.run(_work(*sys.argv[1:3]))
    except ImportError:
        asyncio.run(_work(*sys.argv[1:3]))
