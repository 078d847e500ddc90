"""The plain program that the hub is measured against: Litestar and temporalio, as one writes them.

    python -m benchmarks.plain_program TEMPORAL PORT

The same scenario as the tree `order`: start, wait up to a day to be resumed by key, one step.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    import uvicorn
    from litestar import Litestar, post

    from benchmarks import told


@activity.defn
async def tell(key: str, port: int) -> None:
    await told.tell(key, port)


@workflow.defn
class Order:
    def __init__(self) -> None:
        self.paid: dict[str, Any] | None = None

    @workflow.run
    async def run(self, placed: dict[str, Any]) -> None:
        await workflow.wait_condition(lambda: self.paid is not None, timeout=timedelta(hours=24))
        await workflow.execute_activity(
            tell,
            args=[placed["data"]["key"], placed["data"]["port"]],
            start_to_close_timeout=timedelta(seconds=30),
        )

    @workflow.signal
    def pay(self, paid: dict[str, Any]) -> None:
        self.paid = paid


def app(client: Client) -> Litestar:
    @post("/hooks/app", status_code=202)
    async def hook(data: dict[str, Any]) -> dict[str, str]:
        key = f"order-{data['data']['key']}"
        if data["type"] == "placed":
            await client.start_workflow(Order.run, data, id=key, task_queue="plain")
        else:
            await client.get_workflow_handle(key).signal(Order.pay, data)
        return {"id": data["id"]}

    return Litestar([hook], openapi_config=None)


async def serve(address: str, port: int) -> None:
    client = await Client.connect(address)
    config = uvicorn.Config(app(client), port=port, access_log=False, log_level="warning")
    async with Worker(client, task_queue="plain", workflows=[Order], activities=[tell]):
        print(json.dumps({"ready": True}), flush=True)
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("temporal")
    parser.add_argument("port", type=int)
    given = parser.parse_args()
    asyncio.run(serve(given.temporal, given.port))
