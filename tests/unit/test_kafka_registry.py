"""Values that were written by a schema registry's schemas, without a broker."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import fastavro
import pytest

from hub.event import Event
from tests.http_peer import answer, http_peer
from tests.registry import RegistryServer, registry_server
from tests.unit.test_kafka_message import message
from triggers.kafka import Kafka, Settings
from triggers.kafka.message import Message, Reader, Unreadable
from triggers.kafka.registry import Registry, RegistryAway
from triggers.kafka.schemas import make_decode
from triggers.kafka.settings import RegistrySettings

LOGIN = "hub:s3cret"
ORDER = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "total", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "uid", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "seal", "type": "bytes"},
        {"name": "note", "type": ["null", "string"], "default": None},
        {"name": "weight", "type": "double"},
    ],
}  # fmt: skip
VALUE: dict[str, Any] = {
    "id": "o1",
    "total": Decimal("12.30"),
    "at": datetime(2026, 5, 1, 12, tzinfo=UTC),
    "day": date(2026, 5, 1),
    "uid": UUID(int=7),
    "seal": b"\x00\xff",
    "note": None,
    "weight": 1.5,
}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name"],
}


@pytest.fixture(scope="module")
def server() -> Iterator[RegistryServer]:
    with registry_server(LOGIN) as running:
        yield running


def settings(server: RegistryServer, **changes: Any) -> RegistrySettings:
    user, password = LOGIN.split(":")
    return RegistrySettings(
        **{"url": server.url, "username": user, "password": password, **changes}
    )


def framed(number: int, body: bytes) -> bytes:
    return b"\0" + number.to_bytes(4, "big") + body


def avro(schema: Any, value: Any, named: dict[str, Any] | None = None) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema, named_schemas=named or {}), value)
    return out.getvalue()


async def read(of: RegistrySettings, *messages: Message, **more: Any) -> list[Event]:
    registry = Registry(of, make_decode)
    reader = Reader("shop", Settings(topic="t", format="registry", registry=of, **more), registry)
    try:
        await reader.prepare(messages)
        return [reader.read(one) for one in messages]
    finally:
        await registry.close()


async def test_avro_values_are_json(server: RegistryServer) -> None:
    number = server.register("orders-value", ORDER)
    (event,) = await read(settings(server), message(framed(number, avro(ORDER, VALUE)), key=b"k"))
    assert event.data == {
        "id": "o1",
        "total": "12.30",
        "at": "2026-05-01T12:00:00+00:00",
        "day": "2026-05-01",
        "uid": "00000000-0000-0000-0000-000000000007",
        "seal": "AP8=",
        "note": None,
        "weight": 1.5,
    }
    assert event.subject == "k"


async def test_schemas_may_name_others(server: RegistryServer) -> None:
    money = {"type": "record", "name": "shop.Money", "fields": [{"name": "n", "type": "int"}]}
    line = {"type": "record", "name": "shop.Line", "fields": [{"name": "price", "type": "shop.Money"}]}  # fmt: skip
    cart = {"type": "record", "name": "shop.Cart", "fields": [{"name": "lines", "type": {"type": "array", "items": "shop.Line"}}]}  # fmt: skip
    server.register("money", money)
    first = [{"name": "shop.Money", "subject": "money", "version": 1}]
    server.register("line/of a cart", line, references=first)
    number = server.register(
        "cart", cart, references=[{"name": "shop.Line", "subject": "line/of a cart", "version": 1}]
    )
    named: dict[str, Any] = {}
    for schema in (money, line):
        fastavro.parse_schema(schema, named_schemas=named)
    value = {"lines": [{"price": {"n": 3}}]}
    (event,) = await read(settings(server), message(framed(number, avro(cart, value, named))))
    assert event.data == value

    server.register("person", PERSON, "JSON")
    team = {"type": "array", "items": {"$ref": "person.json"}}
    refers = [{"name": "person.json", "subject": "person", "version": 1}]
    number = server.register("team", team, "JSON", references=refers)
    good, bad = (message(framed(number, body)) for body in (b'[{"name": "Ada"}]', b'[{"age": 3}]'))
    (event,) = await read(settings(server), good)
    assert event.data == [{"name": "Ada"}]
    with pytest.raises(Unreadable, match="JSON Schema: 0: "):
        await read(settings(server), bad)


async def test_json_that_fits_its_schema(server: RegistryServer) -> None:
    number = server.register("person-value", PERSON, "JSON")
    body = b'{"name": "Ada", "type": "person.made"}'
    (event,) = await read(settings(server), message(framed(number, body)))
    assert (event.type, event.data) == ("person.made", {"name": "Ada", "type": "person.made"})


@pytest.mark.parametrize(
    ("kind", "schema", "body", "said"),
    [
        ("JSON", PERSON, b'{"name": "hunter2", "age": "hunter2"}', "does not fit its JSON Schema: age"),
        ("JSON", PERSON, b"{", "JSON"),
        ("JSON", {"type": 7}, b"{}", "JSON Schema cannot be used"),
        ("JSON", {"$ref": "http://127.0.0.1:1/x.json"}, b"{}", "JSON Schema cannot be used"),
        ("JSON", {"$ref": "file:///etc/passwd"}, b"{}", "JSON Schema cannot be used"),
        ("AVRO", ORDER, b"\x02", "does not fit its Avro schema"),
        ("AVRO", {"type": "nonsense"}, b"", "Avro schema cannot be used"),
        ("AVRO", "string", b"\x02a and more", "it is longer"),
        ("PROTOBUF", "message A {}", b"", "'PROTOBUF' are not read here"),
    ],
)  # fmt: skip
async def test_what_cannot_be_read_is_said(
    server: RegistryServer, kind: str, schema: Any, body: bytes, said: str
) -> None:
    number = server.register("wrong", schema, kind)
    with pytest.raises(Unreadable) as caught:
        await read(settings(server), message(framed(number, body)))
    assert said in caught.value.reason
    assert "hunter2" not in caught.value.reason
    assert caught.value.remains.data is not None


async def test_no_such_schema_and_no_schema_at_all(server: RegistryServer) -> None:
    with pytest.raises(Unreadable, match="has no schema 4294967295"):
        await read(settings(server), message(framed(2**32 - 1, b"")))
    for value in (b"{}", b"\0\0\0", b""):
        with pytest.raises(Unreadable, match="zero byte"):
            await read(settings(server), message(value))
    (event,) = await read(settings(server), message(None, key=b"gone"))
    assert (event.data, event.extensions["tombstone"]) == (None, True)


async def test_a_cloudevent_may_have_data_by_a_schema(server: RegistryServer) -> None:
    number = server.register("ce", "string")
    headers = [("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"/x"), ("ce_type", b"t")]
    sent = message(framed(number, avro("string", "hello")), headers=headers)
    (event,) = await read(settings(server), sent)
    assert (event.id, event.data) == ("1", "hello")


async def test_whoever_is_not_let_in_waits(server: RegistryServer) -> None:
    with pytest.raises(RegistryAway, match="refuses the login"):
        await read(settings(server, password="wrong"), message(framed(1, b"")))


@pytest.mark.parametrize(
    "said",
    [
        lambda _: answer(500, {"error_code": 50001}),
        lambda _: answer(429, ""),
        lambda _: answer(404, "<html>nothing here</html>", content_type="text/html"),
        lambda _: answer(200, "<html>welcome</html>", content_type="text/html"),
        lambda _: answer(302, "", location="http://169.254.169.254/"),
    ],
)
async def test_what_is_no_answer_of_a_registry_buries_nothing(said: Any) -> None:
    async with http_peer(said) as peer:
        with pytest.raises(RegistryAway):
            await read(RegistrySettings(url=peer.url), message(framed(1, b"")))
        assert len(peer.received) == 1
    with pytest.raises(RegistryAway, match="does not answer"):
        await read(RegistrySettings(url=peer.url), message(framed(1, b"")))


async def test_a_schema_is_asked_for_once() -> None:
    async with http_peer(lambda _: answer(200, {"schema": '"string"'})) as peer:
        registry = Registry(RegistrySettings(url=f"{peer.url}/base/"), make_decode)
        values = [framed(5, avro("string", "a")), framed(5, avro("string", "b"))]
        for _ in range(3):
            await registry.fetch(values)
        assert [registry.decode(value) for value in values] == ["a", "b"]
        assert [one.path for one in peer.received] == ["/base/schemas/ids/5"]
        await registry.close()


async def test_a_huge_schema_is_not_read_to_its_end() -> None:
    async with http_peer(lambda _: answer(200, {"schema": "x" * 5_000_000})) as peer:
        with pytest.raises(Unreadable, match="more than 2,097,152 bytes"):
            await read(RegistrySettings(url=peer.url), message(framed(1, b"")))


def test_key_and_id_may_stand_in_headers() -> None:
    reader = Reader("shop", Settings(topic="t", key_header="x-key", id_header="x-id"))
    headers = [("x-id", b"old"), ("x-id", b"7"), ("x-key", b"u1")]
    event = reader.read(message(b"{}", key=b"partition", headers=headers))
    assert (event.id, event.subject, event.extensions["kafkakey"]) == ("7", "u1", "u1")
    bare = reader.read(message(b"{}", key=b"own"))
    assert (bare.id, bare.subject) == ("orders-3-42-1700000000000", "own")


@pytest.mark.parametrize(
    ("given", "paths"),
    [
        ({"format": "registry"}, ["registry"]),
        ({"registry": RegistrySettings(url="https://r")}, ["registry"]),
        ({"format": "registry", "registry": RegistrySettings(url="r:8081")}, ["registry.url"]),
        ({"format": "registry", "registry": RegistrySettings(url="http://r", password="x")}, ["registry.username"]),
        ({"format": "registry", "registry": RegistrySettings(url="http://r", username="x", token="x")}, ["registry.token"]),
        ({"format": "registry", "registry": RegistrySettings(url="http://r", ca="x", timeout=0)}, ["registry.timeout", "registry.ca"]),
        ({"id": "${{ value.id }}", "id_header": "x"}, ["id_header"]),
    ],
)  # fmt: skip
def test_every_fault_of_the_settings_is_named(given: dict[str, Any], paths: list[str]) -> None:
    assert [fault.path for fault in Settings(topic="t", **given).check()] == paths
    good = Settings(topic="t", format="registry", registry=RegistrySettings(url="http://r"))
    assert Kafka("orders", good).group == "hub-orders"
    assert "s3cret" not in repr(RegistrySettings(url="http://r", username="x", password="s3cret"))
