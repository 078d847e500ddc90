"""Kafka in `hub dev`: the embedded broker, where the project has a use for one, and its consumers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hub.dev.broker import Broker
from hub.routing.consumers import Consumers
from hub.routing.project import Project
from hub.trigger import ConsumerIntake

__all__ = ["LiveKafka"]


class LiveKafka:
    """The consumers of the project of this moment, over a broker that is started when first needed.

    Raises `PortTaken` or `Unreachable` when the broker cannot start.
    """

    def __init__(
        self, intake: ConsumerIntake, *, host: str, port: int, log: Path, say: Callable[[str], None]
    ) -> None:
        self._broker = Broker(host=host, port=port, log=log)
        self.consumers = Consumers(intake)
        self._say = say
        self._keeping: asyncio.Task[None] | None = None

    @staticmethod
    def settings(host: str, port: int) -> dict[str, Any]:
        """What brings every `kafka` trigger and connection to the embedded broker."""
        return Broker(host=host, port=port).settings

    @property
    def address(self) -> str | None:
        """Where clients connect; None while the project needs no broker."""
        return None if self._keeping is None else self._broker.address

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.consumers.use(())
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
            await self._broker.stop()

    async def use(self, project: Project) -> None:
        """Consume what this version of the project says."""
        topics = [
            topic
            for trigger in project.triggers.values()
            if trigger.kind == "kafka"
            for topic in getattr(trigger.settings, "named", ())
        ]
        if self._keeping is None and _needs_broker(project):
            await self._broker.start()
            self._keeping = asyncio.create_task(self._broker.keep_running(self._say))
        if self._keeping is not None and topics:
            await self._broker.create_topics(topics)
        await self.consumers.use(project.triggers.values())

    async def check(self) -> None:
        """A health check; see `Consumers.check`."""
        await self.consumers.check()


def _needs_broker(project: Project) -> bool:
    if any(trigger.kind == "kafka" for trigger in project.triggers.values()):
        return True
    return any(
        str(getattr(node, "action", "")).startswith("kafka.")
        for tree in project.trees.values()
        for node in tree.nodes()
    )
