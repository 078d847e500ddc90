"""Runs the consumers of a project: all of them, restarted when their settings change or they fail."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hub.errors import HubError
from hub.secrets import redact
from hub.trigger import ConsumerIntake, ConsumerStatus, ConsumerTrigger, Trigger

__all__ = ["ConsumerMetrics", "Consumers"]

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_log = structlog.get_logger("hub.consumers")


@dataclass(frozen=True)
class _Running:
    trigger: ConsumerTrigger
    task: asyncio.Task[None]


class Consumers:
    """The consumers of one process, over one intake.

        async with Consumers(intake) as consumers:
            await consumers.use(project.triggers.values())
            ...
            await consumers.use(reloaded.triggers.values())

    Leaving it stops them all, in order: what they hold is given back to their groups.
    """

    def __init__(self, intake: ConsumerIntake) -> None:
        self._intake = intake
        self._running: dict[str, _Running] = {}
        self._changing = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.use(())

    async def use(self, triggers: Iterable[Trigger]) -> None:
        """Run exactly the consumers among these triggers.

        Those whose settings are as before go on; a changed one is stopped before it is started
        anew, so that the two never work against each other.
        """
        wanted = {one.name: one for one in triggers if isinstance(one, ConsumerTrigger)}
        async with self._changing:
            over = [
                name
                for name, running in self._running.items()
                if name not in wanted or not _is_same(running.trigger, wanted[name])
            ]
            for name in over:
                self._running[name].task.cancel()
            await asyncio.gather(
                *(self._running.pop(name).task for name in over), return_exceptions=True
            )
            for name, trigger in wanted.items():
                if name not in self._running:
                    task = asyncio.create_task(self._keep(trigger), name=f"consumer {name}")
                    self._running[name] = _Running(trigger, task)

    def statuses(self) -> list[ConsumerStatus]:
        """How each of them does, by name."""
        return [running.trigger.status() for _, running in sorted(self._running.items())]

    async def check(self) -> None:
        """A health check. Raises `HubError`, which names each consumer that has lost its source.

        A consumer that pauses or waits is well: that is what it is to do.
        """
        away = [
            f"{status.trigger}: {status.detail or status.state}"
            for status in self.statuses()
            if status.state == "away"
        ]
        if away:
            raise HubError(redact("; ".join(away)))

    async def _keep(self, trigger: ConsumerTrigger) -> None:
        """Run one consumer for ever. That it ends by itself is a fault, of it or of the journal."""
        pause = _FIRST_PAUSE
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await trigger.run(self._intake)
                _log.error("a consumer has ended by itself", trigger=trigger.name)
            except Exception as error:
                _log.error(
                    "a consumer has failed and is started again",
                    trigger=trigger.name,
                    exc_info=error,
                )
            if loop.time() - began > _LONGEST_PAUSE:
                pause = _FIRST_PAUSE
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
            pause = min(pause * 2, _LONGEST_PAUSE)


class ConsumerMetrics(Collector):
    """What the consumers of this process tell Prometheus: messages by outcome, lag and state."""

    def __init__(self, consumers: Consumers) -> None:
        self._consumers = consumers

    def collect(self) -> Iterator[Metric]:
        messages = CounterMetricFamily(
            "hub_consumer_messages",
            "Messages that became events, were there already, or could not be read",
            labels=["trigger", "outcome"],
        )
        lag = GaugeMetricFamily(
            "hub_consumer_lag",
            "Messages that are not read yet",
            labels=["trigger", "topic", "partition"],
        )
        state = GaugeMetricFamily(
            "hub_consumer_state",
            "1 for the state that a consumer is in",
            labels=["trigger", "state"],
        )
        for status in self._consumers.statuses():
            messages.add_metric([status.trigger, "accepted"], status.accepted)
            messages.add_metric([status.trigger, "duplicate"], status.duplicates)
            messages.add_metric([status.trigger, "dead"], status.dead)
            state.add_metric([status.trigger, status.state], 1)
            for one in status.partitions:
                if one.lag is not None:
                    lag.add_metric([status.trigger, one.topic, str(one.partition)], one.lag)
        yield from (messages, lag, state)


def _is_same(one: ConsumerTrigger, other: ConsumerTrigger) -> bool:
    return type(one) is type(other) and bool(one.settings == other.settings)
