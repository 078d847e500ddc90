"""kafka.publish against a real broker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from connectors.kafka import Kafka
from hub.connector import Connector
from hub.errors import ActionFailed, ActionRefused
from hub.ports import find_free
from tests.contracts.connector import PLANTED, ConnectorContract, FailingCall, GivenCall
from tests.kafka import PASSWORD, USER, KafkaServer


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.kafka._PATIENCE", 1.0)


async def publish(
    kafka: KafkaServer, folder: Path, settings: Mapping[str, Any] | None = None, **message: Any
) -> Any:
    connections = TestContract().connections(folder, {"brokers": kafka.address, **(settings or {})})
    try:
        return await connections.run("kafka.publish", message, GivenCall(folder))
    finally:
        await connections.close()


class TestContract(ConnectorContract):
    kind: ClassVar[type[Connector]] = Kafka
    settings: ClassVar[Mapping[str, Any]] = {
        "brokers": "127.0.0.1:9092",
        "security": {"mechanism": "PLAIN", "username": "hub", "password": "${{ env.PLANTED }}"},
    }
    arguments: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "kafka.publish": {"topic": "orders", "value": {"id": 1}, "key": "o1"}
    }

    @pytest.fixture
    async def failing_calls(self, kafka: KafkaServer) -> Sequence[FailingCall]:
        topic = await kafka.topic()
        nobody = f"127.0.0.1:{find_free()}"
        login = {"mechanism": "PLAIN", "username": "eve", "password": "${{ env.PLANTED }}"}

        def call(
            failure: str, retryable: bool, settings: Any = None, **message: Any
        ) -> FailingCall:
            return FailingCall(
                action="kafka.publish",
                settings={"brokers": kafka.address, **(settings or {})},
                arguments={"topic": topic, "value": 1, **message},
                failure=failure,
                retryable=retryable,
            )

        calls = [
            call("kafka_unreachable", True, {"brokers": nobody, "security": login}),
            call("invalid_settings", False, {"brokers": "http://x"}),
            call("invalid_settings", False, {"security": {"mechanism": "PLAIN"}}),
            call("too_large", False, {"max_size": 1024}, value="x" * 2000),
            call("invalid_input", False, value_base64="AA=="),
            call("invalid_input", False, value=None, value_base64="%"),
            call("invalid_input", False, partition=99),
            call("invalid_input", False, cloudevent={"type": "a"}, headers={"ce_id": "x"}),
            call("invalid_input", False, cloudevent={"type": "a", "extensions": {"id": "x"}}),
        ]
        if kafka.is_apache:
            calls += [
                call("unknown_topic", True, topic="there-is-no-such-topic"),
                call("too_large", False, {"max_size": 4_000_000}, value="x" * 3_000_000),
            ]
        if kafka.sasl_address is not None:
            at = {"brokers": kafka.sasl_address}
            calls.append(call("kafka_auth", False, {**at, "security": login}))
        if kafka.tls_address is not None:
            at = {"brokers": kafka.tls_address}
            calls.append(call("kafka_tls", False, {**at, "security": {"tls": True}}))
        return calls


async def test_a_message_goes_out_with_key_headers_and_its_id(
    kafka: KafkaServer, tmp_path: Path
) -> None:
    topic = await kafka.topic()
    result = await publish(
        kafka, tmp_path, topic=topic, value={"id": 1}, key="o1", headers={"tenant": "acme"}
    )
    (message,) = await kafka.read(topic, 1)
    assert (message.key, json.loads(message.value)) == (b"o1", {"id": 1})
    assert dict(message.headers) == {
        "tenant": b"acme",
        "content-type": b"application/json",
        "idempotency-key": b"tree/key:do[0]",
    }
    assert result == {
        "topic": topic,
        "partition": message.partition,
        "offset": message.offset,
        "id": "tree/key:do[0]",
    }


async def test_an_id_of_ones_own_is_kept(kafka: KafkaServer, tmp_path: Path) -> None:
    topic = await kafka.topic()
    headers = {"Idempotency-Key": "mine"}
    result = await publish(kafka, tmp_path, topic=topic, value="x", headers=headers)
    (message,) = await kafka.read(topic, 1)
    assert result["id"] == "mine"
    assert [v for n, v in message.headers if n.lower() == "idempotency-key"] == [b"mine"]


async def test_a_cloudevent_is_one_that_the_hub_reads(kafka: KafkaServer, tmp_path: Path) -> None:
    from triggers.kafka.message import Message, Reader
    from triggers.kafka.settings import Settings

    topic = await kafka.topic()
    await publish(
        kafka,
        tmp_path,
        topic=topic,
        value={"n": 1},
        cloudevent={"type": "order.paid", "subject": "ö1", "extensions": {"tenant": "acme"}},
    )
    (sent,) = await kafka.read(topic, 1)
    event = Reader("orders", Settings(topic=topic, format="cloudevents")).read(
        Message(
            topic=topic,
            partition=0,
            offset=0,
            timestamp=sent.timestamp,
            key=sent.key,
            value=sent.value,
            headers=sent.headers,
        )
    )
    assert (event.id, event.source, event.type) == ("tree/key:do[0]", "/trees/tree", "order.paid")
    assert (event.subject, event.data) == ("ö1", {"n": 1})
    assert event.extensions["tenant"] == "acme"
    assert event.time is not None


async def test_bytes_texts_and_tombstones(kafka: KafkaServer, tmp_path: Path) -> None:
    topic = await kafka.topic()
    await publish(kafka, tmp_path, topic=topic, value_base64="AP8=", key=7)
    await publish(kafka, tmp_path, topic=topic, value="plain ü", key=7)
    await publish(kafka, tmp_path, topic=topic, key=7)
    messages = await kafka.read(topic, 3)
    assert [m.value for m in messages] == [b"\x00\xff", "plain ü".encode(), None]
    assert {m.key for m in messages} == {b"7"}


async def test_many_calls_share_one_producer(kafka: KafkaServer, tmp_path: Path) -> None:
    topic = await kafka.topic(3)
    connections = TestContract().connections(tmp_path, {"brokers": kafka.address})
    calls = [{"topic": topic, "value": n, "key": f"k{n % 5}"} for n in range(200)]
    await asyncio.gather(
        *(connections.run("kafka.publish", call, GivenCall(tmp_path)) for call in calls)
    )
    messages = await kafka.read(topic, 200)
    await connections.close()
    assert sorted(json.loads(m.value) for m in messages) == list(range(200))


async def test_it_logs_in(apache_kafka: KafkaServer, tmp_path: Path) -> None:
    if apache_kafka.sasl_address is None:
        pytest.skip("this broker has no listener with SASL")
    assert PASSWORD == PLANTED
    topic = await apache_kafka.topic()
    security = {"mechanism": "SCRAM-SHA-512", "username": USER, "password": "${{ env.PLANTED }}"}
    settings = {"brokers": apache_kafka.sasl_address, "security": security}
    await publish(apache_kafka, tmp_path, settings, topic=topic, value=1)
    assert len(await apache_kafka.read(topic, 1)) == 1


async def test_a_broker_that_restarts_is_written_to_again(
    apache_kafka: KafkaServer, tmp_path: Path
) -> None:
    topic = await apache_kafka.topic()
    connections = TestContract().connections(tmp_path, {"brokers": apache_kafka.address})
    call = {"topic": topic, "value": 1}
    await connections.run("kafka.publish", call, GivenCall(tmp_path))
    await apache_kafka.stop(kill=True)
    with pytest.raises(ActionFailed) as caught:
        await connections.run("kafka.publish", call, GivenCall(tmp_path))
    assert caught.value.retryable
    assert not isinstance(caught.value, ActionRefused)
    await apache_kafka.start()
    async with asyncio.timeout(30):
        while True:
            try:
                await connections.run("kafka.publish", call, GivenCall(tmp_path))
                break
            except ActionFailed:
                await asyncio.sleep(0.05)
    await connections.close()
    assert len(await apache_kafka.read(topic, 2)) >= 2
