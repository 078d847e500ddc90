from __future__ import annotations

import base64
import hmac
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import structlog

from hub.errors import BadRequest, InvalidDefinition, InvalidEvent, UnsupportedType
from hub.event import Event
from hub.trigger import HttpTrigger, Request
from tests.contracts.trigger import NOW, HttpTriggerContract
from triggers.webhook import PROVIDERS, HmacSettings, Settings, Webhook


class TestHmac(HttpTriggerContract):
    unsigned = frozenset({"content-type"})

    def trigger(self, *secrets: str) -> HttpTrigger:
        return Webhook("app", Settings(secret=list(secrets)))

    def headers(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        return {"x-signature": hmac.digest(secret.encode(), body, "sha256").hex()}

    def proof(self) -> list[str]:
        return ["x-signature"]


class TestHmacWithTime(HttpTriggerContract):
    signs_time = True
    unsigned = frozenset({"content-type"})

    def trigger(self, *secrets: str) -> HttpTrigger:
        return Webhook(
            "app",
            HmacSettings(
                secret=list(secrets),
                header="X-Hook-Signature",
                algorithm="sha512",
                encoding="base64",
                prefix="v1,",
                signed="{id}.{timestamp}.{body}",
                timestamp_header="X-Hook-Time",
            ),
        )

    def headers(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        time = str(int(at.timestamp()))
        signed = f"m1.{time}.".encode() + body
        digest = hmac.digest(secret.encode(), signed, "sha512")
        return {
            "x-hook-signature": "v1," + base64.b64encode(digest).decode(),
            "x-hook-time": time,
            "webhook-id": "m1",
        }

    def proof(self) -> list[str]:
        return ["x-hook-signature", "x-hook-time", "webhook-id"]

    async def test_a_changed_id_or_time_is_refused(self) -> None:
        from hub.errors import BadSignature

        body = self.body()
        for change in ({"webhook-id": "m2"}, {"x-hook-time": str(int(NOW.timestamp()) + 1)}):
            headers = self.headers(body, self.secret, NOW) | change
            with pytest.raises(BadSignature):
                await self.trigger(self.secret).receive(self.request(body, headers))

    async def test_the_id_is_the_signed_header(self) -> None:
        body = self.body()
        received = await self.trigger(self.secret).receive(
            self.request(body, self.headers(body, self.secret, NOW))
        )
        assert received.events[0].id == "m1"


async def test_hex_in_capitals_and_other_time_formats_count() -> None:
    webhook = Webhook(
        "app",
        HmacSettings(secret="s", signed="{timestamp}.{body}", timestamp_header="x-time"),
    )
    body = b"{}"
    millis = str(int(NOW.timestamp() * 1000))
    for time in (str(int(NOW.timestamp())), millis, NOW.isoformat(), "2026-03-01T12:00:00Z"):
        digest = hmac.digest(b"s", time.encode() + b"." + body, "sha256").hex().upper()
        received = await webhook.receive(
            request(body, headers={"x-signature": digest, "x-time": time})
        )
        assert received.events


@pytest.mark.parametrize("time", ["", "soon", "NaN", "1e400", "9" * 400, "2026-03-01T12:00:00"])
async def test_a_signed_time_that_is_none_is_refused(time: str) -> None:
    from hub.errors import BadSignature

    webhook = Webhook(
        "app", HmacSettings(secret="s", signed="{timestamp}.{body}", timestamp_header="x-time")
    )
    digest = hmac.digest(b"s", time.encode() + b".{}", "sha256").hex()
    with pytest.raises(BadSignature):
        await webhook.receive(request(b"{}", headers={"x-signature": digest, "x-time": time}))


def request(
    body: bytes,
    *,
    content_type: str | None = "application/json",
    headers: dict[str, str] | None = None,
    query: dict[str, str] | None = None,
) -> Request:
    given = dict(headers or {})
    if content_type is not None:
        given["content-type"] = content_type
    return Request(
        method="POST",
        path="/hooks/app",
        headers=given,
        query=query or {},
        body=body,
        received_at=NOW,
    )


async def read(body: object, *, settings: dict[str, Any] | None = None, **options: Any) -> Event:
    webhook = Webhook("app", Settings(provider="none", **(settings or {})))
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    received = await webhook.receive(request(raw, **options))
    assert len(received.events) == 1
    return received.events[0]


async def test_the_usual_places() -> None:
    event = await read({"type": "user.signed_up", "id": "e1", "data": {"user": "u1"}})
    assert event == Event(
        id="e1",
        source="/hooks/app",
        type="user.signed_up",
        time=NOW,
        data={"user": "u1"},
    )


async def test_a_body_without_any_of_them() -> None:
    first = await read({"hello": "world"})
    second = await read({"hello": "world"})
    assert first.type == "app.received"
    assert first.data == {"hello": "world"}
    assert first.id != second.id


@pytest.mark.parametrize(
    ("body", "expected"),
    [({"id": 7}, "7"), ({"id": "é/ 1"}, "é/ 1"), ({"id": 2.5}, "2.5")],
)
async def test_ids_in_the_body(body: dict[str, Any], expected: str) -> None:
    assert (await read(body)).id == expected


@pytest.mark.parametrize("odd", [None, True, "", [], {}, "x" * 1025])
async def test_an_odd_id_or_type_in_the_body_is_not_taken(odd: object) -> None:
    event = await read({"id": odd, "type": odd})
    assert len(event.id) == 36
    assert event.type == "app.received"


async def test_the_header_id_comes_first() -> None:
    assert (await read({"id": "b"}, headers={"webhook-id": "h"})).id == "h"


async def test_explicit_null_data_is_the_data() -> None:
    assert (await read({"data": None, "x": 1})).data is None


async def test_expressions() -> None:
    event = await read(
        {"order": {"no": 17, "at": 1767225600, "lines": [1, 2]}},
        settings={
            "id": "${{ headers['x-delivery'] }}",
            "type": "order.${{ query.kind }}",
            "subject": "${{ body.order.no }}",
            "time": "${{ body.order.at }}",
            "data": {"lines": "${{ body.order.lines }}"},
        },
        headers={"x-delivery": "d1"},
        query={"kind": "placed"},
    )
    assert event.id == "d1"
    assert event.type == "order.placed"
    assert event.subject == "17"
    assert event.time == datetime(2026, 1, 1, tzinfo=UTC)
    assert event.data == {"lines": [1, 2]}


@pytest.mark.parametrize(
    ("settings", "body"),
    [
        ({"id": "${{ body.missing }}"}, {"a": 1}),
        ({"id": "${{ body.id }}"}, {"id": ""}),
        ({"id": "${{ body.id }}"}, {"id": ["x"]}),
        ({"type": "${{ body.type }}"}, {"type": None}),
        ({"time": "${{ body.at }}"}, {"at": "yesterday"}),
        ({"time": "${{ body.at }}"}, {"at": "2026-01-01T00:00:00"}),
        ({"time": "${{ body.at }}"}, {"at": 1e300}),
        ({"time": "${{ body.at }}"}, {"at": [1]}),
        ({"id": "${{ body.a.b }}"}, [1, 2]),
    ],
)
async def test_what_an_expression_makes_no_event_of_is_a_bad_request(
    settings: dict[str, Any], body: object
) -> None:
    with pytest.raises((BadRequest, InvalidEvent)) as caught:
        await read(body, settings=settings)
    assert caught.value.status == 400


async def test_forms() -> None:
    form = "application/x-www-form-urlencoded; charset=utf-8"
    event = await read(b"type=paid&id=4&tag=a&tag=b&tag=c&empty=&u=%C3%A9", content_type=form)
    assert (event.type, event.id) == ("paid", "4")
    assert event.data == {
        "type": "paid",
        "id": "4",
        "tag": ["a", "b", "c"],
        "empty": "",
        "u": "é",
    }


@pytest.mark.parametrize(
    "body", [b'{"type": "x"}', b"a=%ff", b"\xff=1", b"&".join(b"a=1" for _ in range(2000))]
)
async def test_bad_forms(body: bytes) -> None:
    with pytest.raises(BadRequest):
        await read(body, content_type="application/x-www-form-urlencoded")


async def test_other_bodies() -> None:
    assert (await read(b"plain \xc3\xa9", content_type="text/plain")).data == "plain é"
    raw = await read(b"\xff\x00", content_type="application/octet-stream")
    assert base64.b64decode(raw.data) == b"\xff\x00"
    assert raw.extensions == {"database64": True}
    assert (await read(b"", content_type=None)).data is None
    assert (await read(b"[1]", content_type=None)).data == [1]
    assert (await read(b"[1]", content_type="application/vnd.api+json")).data == [1]


async def test_content_types_that_are_not_taken() -> None:
    settings = {"content_types": ["application/json", "text/*"]}
    assert (await read({}, settings=settings)).data == {}
    assert (await read(b"x", settings=settings, content_type="Text/Plain")).data == "x"
    for content_type in ("application/xml", None, "application/json+x"):
        with pytest.raises(UnsupportedType):
            await read(b"{}", settings=settings, content_type=content_type)


async def test_cloudevents_are_taken_as_they_are() -> None:
    document = {
        "specversion": "1.0",
        "id": "c1",
        "source": "/shop",
        "type": "order.placed",
        "time": "2026-01-01T00:00:00Z",
        "tenant": "t1",
        "data": {"n": 1},
    }
    structured = await read(document, content_type="application/cloudevents+json")
    assert structured.to_cloudevent() == document
    binary = await read(
        {"n": 1},
        headers={
            "ce-specversion": "1.0",
            "ce-id": "c%201",
            "ce-source": "/shop",
            "ce-type": "order.placed",
            "ce-tenant": "t1",
        },
    )
    assert binary.id == "c 1"
    assert binary.data == {"n": 1}
    assert binary.extensions == {"tenant": "t1"}
    assert binary.datacontenttype == "application/json"
    webhook = Webhook("app", Settings(provider="none"))
    batch = msgspec.json.encode([document, {**document, "id": "c2"}])
    received = await webhook.receive(
        request(batch, content_type="application/cloudevents-batch+json")
    )
    assert [event.id for event in received.events] == ["c1", "c2"]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/cloudevents+json", b"[]"),
        ("application/cloudevents+json", b"{}"),
        ("application/cloudevents-batch+json", b"{}"),
        ("application/cloudevents-batch+json", b"[1]"),
        ("application/cloudevents+avro", b"x"),
    ],
)
async def test_what_only_says_it_is_a_cloudevent(content_type: str, body: bytes) -> None:
    with pytest.raises(InvalidEvent):
        await read(body, content_type=content_type)


@pytest.mark.parametrize(
    ("settings", "code", "path"),
    [
        ({"secret": ""}, "missing_secret", "secret"),
        ({"secret": None}, "missing_secret", "secret"),
        ({"secret": []}, "missing_secret", "secret"),
        ({"secret": ["a", ""]}, "missing_secret", "secret"),
        ({"provider": "hmca"}, "unknown_provider", "provider"),
        ({"algorithm": "md5"}, "invalid_value", "algorithm"),
        ({"encoding": "base32"}, "invalid_value", "encoding"),
        ({"header": "x signature"}, "invalid_value", "header"),
        ({"signed": "{timestamp}"}, "body_not_signed", "signed"),
        ({"signed": "{timestamp}.{body}"}, "missing_header", "timestamp_header"),
        ({"timestamp_header": "x-time"}, "timestamp_not_signed", "signed"),
        ({"signed": "{bodi}{body}"}, "unknown_placeholder", "signed"),
        ({"tolerance": "5"}, "invalid_duration", "tolerance"),
        ({"max_body": "lots"}, "invalid_value", "max_body"),
        ({"max_body": 0}, "invalid_value", "max_body"),
        ({"content_types": ["json"]}, "invalid_value", "content_types[0]"),
        ({"id": "${{ body. }}"}, "expression", "id"),
        ({"data": {"x": "${{ event.data }}"}}, "unknown_name", "data"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], code: str, path: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        Webhook("app", HmacSettings(**({"secret": "s"} | settings)))
    assert (code, path) in {(fault.code, fault.path) for fault in caught.value.diagnostics}


@pytest.mark.parametrize(
    ("size", "expected"),
    [(10, 10), ("10", 10), ("1 MiB", 2**20), ("512KiB", 2**19), ("2 MB", 2_000_000), ("9b", 9)],
)
def test_sizes(size: int | str, expected: int) -> None:
    assert Webhook("app", Settings(secret="s", max_body=size)).max_body == expected


def test_a_webhook_that_verifies_nothing_says_so_once() -> None:
    with structlog.testing.capture_logs() as logs:
        Webhook("app", Settings(provider="none"))
        Webhook("other", Settings(secret="s"))
    assert [(log["log_level"], log["webhook"]) for log in logs] == [("warning", "app")]


def test_settings_do_not_show_the_secret() -> None:
    settings = Settings(secret="very-secret-value")
    assert "very-secret-value" not in repr(settings)
    assert "very-secret-value" not in str(settings)


def test_every_provider_is_found_by_its_name() -> None:
    assert {name: kind.name for name, kind in PROVIDERS.items()} == {
        name: name for name in PROVIDERS
    }
