"""The Kafka trigger: a member of a consumer group for as long as it runs."""

from __future__ import annotations

import asyncio
import random

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from hub.errors import InvalidDefinition
from hub.kafka import cause_of, quiet_client, reason_of
from hub.trigger import ConsumerIntake, ConsumerStatus, ConsumerTrigger
from triggers.kafka.dead_letters import DeadLetterTopic
from triggers.kafka.member import Member
from triggers.kafka.message import Reader
from triggers.kafka.registry import Registry
from triggers.kafka.schemas import make_decode
from triggers.kafka.settings import Settings
from triggers.kafka.standing import Standing

__all__ = ["Kafka"]

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 10.0
_LONG_LIFE = 30.0


class Kafka(ConsumerTrigger):
    """Reads topics into the hub, each message once.

    A message is consumed when it is in the journal, which knows copies by their ids; offsets are
    committed after that. Raises `InvalidDefinition` with every fault of its settings when it is
    made of wrong ones.
    """

    kind = "kafka"
    settings_type = Settings
    settings: Settings

    def __init__(self, name: str, settings: Settings) -> None:
        faults = settings.check()
        if faults:
            raise InvalidDefinition(faults)
        super().__init__(name, settings)
        self.group = settings.group or f"hub-{name}"
        self._registry = None
        if settings.registry is not None:
            self._registry = Registry(settings.registry, make_decode)
        self._reader = Reader(name, settings, self._registry)
        self._standing = Standing(name)
        self._member: Member | None = None

    async def run(self, intake: ConsumerIntake) -> None:
        """Consume until cancelled: brokers that are away or refuse are tried for ever."""
        quiet_client()
        self._standing.now("starting")
        dead_letters = DeadLetterTopic(self.name, self.settings)
        known: set[TopicPartition] | None = None
        pause = _FIRST_PAUSE
        try:
            while True:
                member = Member(
                    self.settings,
                    group=self.group,
                    reader=self._reader,
                    intake=intake,
                    dead_letters=dead_letters,
                    standing=self._standing,
                    known=known,
                )
                self._member = member
                began = asyncio.get_running_loop().time()
                try:
                    await member.run()
                except (KafkaError, TimeoutError, OSError) as error:
                    if asyncio.get_running_loop().time() - began > _LONG_LIFE:
                        pause = _FIRST_PAUSE
                    cause = await cause_of(error, self.settings.brokers, self.settings.security)
                    self._standing.now("away", reason_of(cause))
                finally:
                    known = member.known
                    self._member = None
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
                pause = min(pause * 2, _LONGEST_PAUSE)
        finally:
            await dead_letters.close()
            if self._registry is not None:
                await self._registry.close()
            self._standing.now("stopped")

    def status(self) -> ConsumerStatus:
        """How it does just now."""
        return self._standing.status([] if self._member is None else self._member.partitions())
