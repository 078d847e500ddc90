"""The topic for messages that cannot be read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from hub.kafka import reason_of, start_producer, stop_producer
from triggers.kafka.message import Message
from triggers.kafka.settings import Settings

__all__ = ["DeadLetterTopic"]

_PATIENCE = 10.0
_log = structlog.get_logger("hub.kafka")


class DeadLetterTopic:
    """Sends messages on, as they came, with headers that say where from and what is wrong.

    The headers are `hub_error`, `hub_trigger`, `hub_topic`, `hub_partition`, `hub_offset` and
    `hub_timestamp`. The journal has these messages in any case, so a topic that cannot be written
    holds nothing up: after `_PATIENCE` seconds it is given up and said in the log.
    """

    def __init__(self, trigger: str, settings: Settings) -> None:
        self._trigger = trigger
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._failing = False

    async def send(self, letters: Sequence[tuple[Message, str]]) -> None:
        """Send the messages, each with what is wrong with it, and wait until they are there."""
        topic = self._settings.dead_letter
        if topic is None or not letters:
            return
        try:
            async with asyncio.timeout(_PATIENCE):
                producer = await self._started()
                sent = [
                    await producer.send(
                        topic,
                        value=message.value,
                        key=message.key,
                        headers=[*message.headers, *self._headers(message, reason)],
                    )
                    for message, reason in letters
                ]
                await asyncio.gather(*sent)
        except (KafkaError, TimeoutError, OSError) as error:
            if not self._failing:
                _log.warning(
                    "the dead-letter topic takes nothing; the journal has the messages",
                    trigger=self._trigger,
                    topic=topic,
                    error=reason_of(error),
                )
            self._failing = True
            await self.close()
        else:
            self._failing = False

    async def close(self) -> None:
        """Let go of the cluster."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await stop_producer(producer, patience=1.0)

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            self._producer = await start_producer(
                self._settings.brokers,
                self._settings.security,
                request_timeout_ms=int(_PATIENCE * 1000),
                # Messages come with headers on top of what a topic takes.
                max_request_size=16 * 1024 * 1024,
            )
        return self._producer

    def _headers(self, message: Message, reason: str) -> list[tuple[str, bytes]]:
        told = {
            "error": reason,
            "trigger": self._trigger,
            "topic": message.topic,
            "partition": message.partition,
            "offset": message.offset,
            "timestamp": message.timestamp,
        }
        return [(f"hub_{name}", str(value).encode()) for name, value in told.items()]
