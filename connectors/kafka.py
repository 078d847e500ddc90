"""kafka: send messages to topics.

    connections:
      events:
        kafka: {brokers: "kafka-1.example.com:9092", security: {tls: true, mechanism: PLAIN,
                username: hub, password: "${{ env.KAFKA_PASSWORD }}"}}

Source of the CloudEvents mode: Kafka Protocol Binding for CloudEvents 1.0.2, section 3.2 (binary).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    CorruptRecordException,
    InvalidTopicError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    UnknownTopicOrPartitionError,
)
from msgspec import Meta

from hub.connector import Call, Connector, action
from hub.errors import ActionFailed, ActionRefused
from hub.kafka import (
    REFUSED_ACCESS,
    Security,
    cause_of,
    check_brokers,
    check_security,
    quiet_client,
    reason_of,
    start_producer,
    stop_producer,
)
from hub.telemetry.tracing import EXTENSION, carry

__all__ = ["CloudEvent", "Kafka", "Message", "Published", "Settings"]

_TOPIC: Final = r"^[A-Za-z0-9._-]{1,249}\Z"
_ATTRIBUTE: Final = r"^[a-z0-9]{1,64}\Z"
_MAX_HEADER: Final = 8192
_PATIENCE = 10.0
"""Seconds within which brokers answer, or the attempt is over."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster to send messages to."""

    brokers: Annotated[
        str | list[str],
        Meta(description="Addresses to begin with, `host:port`; several as a list or with commas"),
    ]
    security: Annotated[
        Security | None, Meta(description="TLS and login; without it, neither of them")
    ] = None
    max_size: Annotated[
        int, Meta(ge=1024, description="Largest message that is sent, in bytes")
    ] = 1024 * 1024
    compression: Annotated[bool, Meta(description="Whether messages are compressed, with gzip")] = (
        False
    )


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What makes the message a CloudEvent. Its id is the call's own, the same in every attempt."""

    type: Annotated[str, Meta(min_length=1, description="The event's type, such as order.paid")]
    source: Annotated[str | None, Meta(description="Who says so; when left out, the tree")] = None
    subject: Annotated[str | None, Meta(description="What it is about")] = None
    id: Annotated[str | None, Meta(description="An id of your own instead of the call's")] = None
    extensions: Annotated[
        dict[Annotated[str, Meta(pattern=_ATTRIBUTE)], str | int | bool],
        Meta(description="More attributes; names are lower-case letters and digits"),
    ] = {}


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message: `value`, `value_base64`, or neither for a tombstone."""

    topic: Annotated[str, Meta(pattern=_TOPIC, description="The topic's name")]
    value: Annotated[Any, Meta(description="The value, sent as JSON; a text is sent as it is")] = (
        None
    )
    value_base64: Annotated[str | None, Meta(description="The value as bytes, in base64")] = None
    key: Annotated[
        str | int | None,
        Meta(description="The key: messages of one key stay in order, in one partition"),
    ] = None
    headers: Annotated[
        dict[str, Annotated[str, Meta(max_length=_MAX_HEADER)]],
        Meta(description="Headers, as texts"),
    ] = {}
    partition: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="The partition; when left out it follows from the key"),
    ] = None
    cloudevent: Annotated[
        CloudEvent | None, Meta(description="Sends the message as a CloudEvent, in binary mode")
    ] = None


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """Where the message stands. All replicas that are in sync have it."""

    topic: Annotated[str, Meta(description="The topic")]
    partition: Annotated[int, Meta(description="The partition")]
    offset: Annotated[int, Meta(description="The message's number in the partition")]
    id: Annotated[str, Meta(description="The id by which readers recognise a second copy")]


class Kafka(Connector):
    """Sends messages to topics of a Kafka cluster."""

    name: ClassVar[str] = "kafka"
    settings_type: ClassVar[type[msgspec.Struct]] = Settings
    settings: Settings

    def __init__(self, settings: Settings, project: Path) -> None:
        super().__init__(settings, project)
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    @action(timeout=timedelta(seconds=30))
    async def publish(self, message: Message, call: Call) -> Published:
        """Send one message.

        It is there when this succeeds. An attempt that failed may have sent it all the same, so
        every attempt carries the same id: in the header `ce_id` of a CloudEvent, else in
        `idempotency-key`.
        """
        value, content_type = _value(message)
        if len(value or b"") > self.settings.max_size:
            raise ActionRefused(
                "too_large",
                f"the message has {len(value or b''):,} bytes; the connection sends at most "
                f"{self.settings.max_size:,} (`max_size`)",
            )
        headers, identity = _headers(message, call, content_type)
        producer = await self._started()
        try:
            async with asyncio.timeout(_PATIENCE * 1.5):
                sent = await producer.send_and_wait(
                    message.topic,
                    value=value,
                    key=None if message.key is None else str(message.key).encode(),
                    headers=headers,
                    partition=message.partition,
                )
        except (KafkaError, TimeoutError, OSError, AssertionError, UnicodeError) as error:
            raise await self._failure(error, message) from None
        return Published(
            topic=sent.topic, partition=sent.partition, offset=sent.offset, id=identity
        )

    async def close(self) -> None:
        """Send what is on its way and let go of the cluster."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await stop_producer(producer)

    def address(self) -> str:
        """The brokers to begin with."""
        brokers = self.settings.brokers
        return brokers if isinstance(brokers, str) else ", ".join(brokers)

    async def check(self) -> str:
        """Ask the cluster who belongs to it."""
        producer = await self._started()
        try:
            async with asyncio.timeout(_PATIENCE):
                cluster = await producer.client.fetch_all_metadata()
        except (KafkaError, TimeoutError, OSError) as error:
            raise _unreachable(error) from None
        number = len(cluster.brokers())
        return f"{number} broker{'' if number == 1 else 's'} answer"

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is not None:
                return self._producer
            quiet_client()
            faults = check_brokers(self.settings.brokers) + check_security(self.settings.security)
            if faults:
                said = "; ".join(f"{fault.path}: {fault.message}" for fault in faults)
                raise ActionRefused("invalid_settings", f"kafka: {said}")
            try:
                async with asyncio.timeout(_PATIENCE * 1.5):
                    self._producer = await start_producer(
                        self.settings.brokers,
                        self.settings.security,
                        # Headers and the key come on top of the value.
                        max_request_size=self.settings.max_size + 256 * 1024,
                        compression_type="gzip" if self.settings.compression else None,
                        request_timeout_ms=int(_PATIENCE * 1000),
                    )
            except (KafkaError, TimeoutError, OSError) as error:
                settings = self.settings
                cause = await cause_of(error, settings.brokers, settings.security)
                raise _unreachable(cause) from None
            return self._producer

    async def _failure(self, error: Exception, message: Message) -> ActionFailed:
        """What an error of the producer means for the run: try again, or do not."""
        match error:
            case MessageSizeTooLargeError() | RecordListTooLargeError():
                return ActionRefused(
                    "too_large", f"the topic {message.topic} does not take messages of this size"
                )
            case InvalidTopicError():
                return ActionRefused("invalid_input", f"{message.topic!r} is no topic's name")
            case AssertionError() | UnicodeError():
                # aiokafka asserts that the topic has the partition.
                return ActionRefused("invalid_input", f"kafka.publish: {error or 'invalid'}")
            case CorruptRecordException():
                return ActionFailed("kafka_error", "the message was damaged on its way")
            case UnknownTopicOrPartitionError():
                return ActionFailed("unknown_topic", f"there is no topic {message.topic} yet")
            case KafkaTimeoutError() | TimeoutError():
                return await self._timeout(message)
            case KafkaConnectionError() | OSError():
                return _unreachable(error)
            case _ if isinstance(error, REFUSED_ACCESS):
                return ActionRefused("kafka_auth", f"kafka: {reason_of(error)}")
            case KafkaError() if error.retriable:
                return ActionFailed("kafka_error", f"kafka: {reason_of(error)}")
            case _:
                # After an error that the producer cannot mend it takes nothing any more.
                await self.close()
                return ActionFailed("kafka_error", f"kafka: {reason_of(error)}")

    async def _timeout(self, message: Message) -> ActionFailed:
        """Of a message that was not taken in time: is it for want of the topic, or of brokers?"""
        producer = self._producer
        try:
            async with asyncio.timeout(_PATIENCE / 2):
                cluster = None
                if producer is not None:
                    cluster = await producer.client.fetch_all_metadata()
        except (KafkaError, TimeoutError, OSError) as error:
            # What waits in the producer would be sent some day, long after the run was told that
            # this attempt has failed.
            if self._producer is producer and producer is not None:
                self._producer = None
                await stop_producer(producer, patience=0.1)
            return _unreachable(error)
        if cluster is not None and message.topic not in cluster.topics():
            return ActionFailed("unknown_topic", f"there is no topic {message.topic} yet")
        return ActionFailed("kafka_timeout", "the brokers did not take the message in time")


def _value(message: Message) -> tuple[bytes | None, str | None]:
    """The bytes of the value, and their content type."""
    if message.value_base64 is not None:
        if message.value is not None:
            raise _invalid("value_base64 cannot stand beside value")
        try:
            return base64.b64decode(message.value_base64, validate=True), "application/octet-stream"
        except binascii.Error:
            raise _invalid("value_base64 is no base64") from None
    if message.value is None:
        return None, None
    if isinstance(message.value, str):
        return message.value.encode("utf-8", "replace"), "text/plain; charset=utf-8"
    try:
        return msgspec.json.encode(message.value), "application/json"
    except (TypeError, ValueError) as error:
        raise _invalid(f"value is no JSON: {error}") from None


def _headers(
    message: Message, call: Call, content_type: str | None
) -> tuple[list[tuple[str, bytes]], str]:
    """The headers, and the message's id."""
    named = {name.lower() for name in message.headers}
    headers = {name: value.encode("utf-8", "replace") for name, value in message.headers.items()}
    event = message.cloudevent
    if content_type is not None and "content-type" not in named:
        headers["content-type"] = content_type.encode()
    if EXTENSION not in named:
        trace: dict[str, str] = {}
        carry(trace)
        headers |= {name: value.encode() for name, value in trace.items()}
    if event is None:
        # Who gives the header himself knows better what the message is a copy of.
        given = next(
            (v for n, v in message.headers.items() if n.lower() == "idempotency-key"), None
        )
        if given is None:
            headers["idempotency-key"] = call.idempotency_key.encode()
        return list(headers.items()), given or call.idempotency_key
    if taken := sorted(name for name in named if name.startswith("ce_")):
        raise _invalid(f"the header {taken[0]} is made from `cloudevent`")
    attributes: dict[str, str | int | bool | None] = {
        "specversion": "1.0",
        "id": event.id or call.idempotency_key,
        "source": event.source or f"/trees/{call.run.tree}",
        "type": event.type,
        "subject": event.subject,
        "time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
    }
    if taken := sorted(attributes.keys() & event.extensions.keys()):
        raise _invalid(f"the attribute {taken[0]} is no extension")
    for name, value in (attributes | event.extensions).items():
        if value is not None:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            headers[f"ce_{name}"] = text.encode("utf-8", "replace")
    return list(headers.items()), event.id or call.idempotency_key


def _invalid(message: str) -> ActionRefused:
    return ActionRefused("invalid_input", f"kafka.publish: {message}")


def _unreachable(error: BaseException) -> ActionFailed:
    if isinstance(error, REFUSED_ACCESS):
        return ActionRefused(
            "kafka_auth", f"kafka: {reason_of(error)}: check username and password"
        )
    if isinstance(error, ssl.SSLError):
        return ActionRefused("kafka_tls", f"kafka: {reason_of(error)}")
    return ActionFailed("kafka_unreachable", f"kafka: {reason_of(error)}")
