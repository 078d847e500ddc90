"""A plain consumer that starts a workflow for each message, as one writes it with aiokafka.

python -m benchmarks.kafka_by_hand TEMPORAL BROKERS
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from aiokafka import AIOKafkaConsumer


@workflow.defn
class Number:
    @workflow.run
    async def run(self, message: dict[str, Any]) -> None:
        await workflow.sleep(timedelta(days=1))


async def consume(address: str, brokers: str) -> None:
    client = await Client.connect(address)
    consumer = AIOKafkaConsumer(
        "by-hand",
        bootstrap_servers=brokers,
        group_id="by-hand",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    async with Worker(client, task_queue="by-hand", workflows=[Number]):
        print(json.dumps({"ready": True}), flush=True)
        while True:
            batch = await consumer.getmany(timeout_ms=500, max_records=100)
            messages = [json.loads(one.value) for part in batch.values() for one in part]
            await asyncio.gather(*(_start(client, message) for message in messages))
            if messages:
                await consumer.commit()


async def _start(client: Client, message: dict[str, Any]) -> None:
    await client.start_workflow(
        Number.run, message, id=f"number-by-hand-{message['id']}", task_queue="by-hand"
    )


if __name__ == "__main__":
    asyncio.run(consume(*sys.argv[1:3]))
