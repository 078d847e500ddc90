from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from hub.errors import HubError
from hub.routing.consumers import ConsumerMetrics, Consumers
from hub.trigger import (
    ConsumerIntake,
    ConsumerState,
    ConsumerStatus,
    ConsumerTrigger,
    PartitionStatus,
)

INTAKE = cast(ConsumerIntake, object())


class Settings(msgspec.Struct, frozen=True):
    what: str = ""


class Consumer(ConsumerTrigger):
    kind = "test"
    settings_type = Settings

    def __init__(self, name: str, what: str = "", log: list[str] | None = None) -> None:
        super().__init__(name, Settings(what))
        self.log = [] if log is None else log
        self.fails = 0
        self.state: ConsumerState = "starting"

    async def run(self, intake: ConsumerIntake) -> None:
        assert intake is INTAKE
        self.log.append(f"+{self.name}{self.settings.what}")
        if self.fails:
            self.fails -= 1
            raise RuntimeError("broken")
        self.state = "consuming"
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.log.append(f"-{self.name}{self.settings.what}")

    def status(self) -> ConsumerStatus:
        return ConsumerStatus(
            trigger=self.name,
            state=self.state,
            detail="nobody answers" if self.state == "away" else None,
            accepted=3,
            partitions=[PartitionStatus(topic="t", partition=0, position=5, lag=2)],
        )


async def until(look: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not look():
            await asyncio.sleep(0.001)


async def test_only_what_has_changed_is_started_anew_and_never_beside_itself() -> None:
    log: list[str] = []
    async with Consumers(INTAKE) as consumers:
        await consumers.use([Consumer("a", "1", log), Consumer("b", "1", log)])
        await until(lambda: log == ["+a1", "+b1"])
        await consumers.use([Consumer("a", "1", log), Consumer("b", "2", log)])
        await until(lambda: log[2:] == ["-b1", "+b2"])
        await consumers.use([Consumer("b", "2", log)])
        await until(lambda: log[4:] == ["-a1"])
    assert log[5:] == ["-b2"]


async def test_one_that_fails_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.routing.consumers._FIRST_PAUSE", 0.001)
    consumer = Consumer("a")
    consumer.fails = 3
    async with Consumers(INTAKE) as consumers:
        await consumers.use([consumer])
        await until(lambda: consumer.state == "consuming")
    assert consumer.log.count("+a") == 4


async def test_one_that_has_lost_its_source_is_unwell_and_one_that_pauses_is_not() -> None:
    consumer = Consumer("a")
    async with Consumers(INTAKE) as consumers:
        await consumers.use([consumer])
        await until(lambda: consumer.state == "consuming")
        consumer.state = "paused"
        await consumers.check()
        consumer.state = "away"
        with pytest.raises(HubError, match="a: nobody answers"):
            await consumers.check()


async def test_metrics_tell_lag_state_and_outcomes() -> None:
    consumer = Consumer("a")
    registry = CollectorRegistry()
    async with Consumers(INTAKE) as consumers:
        registry.register(ConsumerMetrics(consumers))
        await consumers.use([consumer])
        await until(lambda: consumer.state == "consuming")
        text = generate_latest(registry).decode()
    assert 'hub_consumer_messages_total{outcome="accepted",trigger="a"} 3.0' in text
    assert 'hub_consumer_lag{partition="0",topic="t",trigger="a"} 2.0' in text
    assert 'hub_consumer_state{state="consuming",trigger="a"} 1.0' in text
