from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode

import msgspec
import pytest
from twilio.request_validator import RequestValidator

from hub.errors import BadRequest, BadSignature, InvalidDefinition
from hub.trigger import HttpTrigger, Request
from tests.contracts.trigger import NOW, HttpTriggerContract
from tests.unit.test_webhook_providers.payloads import payload
from triggers.webhook import Settings, TwilioSettings, Webhook

BASE = "https://hub.example.com"
PATH = "/hooks/twilio"


class TwilioContract(HttpTriggerContract):
    """Signed by Twilio's own library."""

    def trigger(self, *secrets: str) -> HttpTrigger:
        return Webhook("twilio", Settings(provider="twilio", secret=list(secrets)))

    def request(
        self,
        body: bytes,
        headers: Mapping[str, str],
        *,
        received_at: datetime = NOW,
        query_string: str = "",
        base_url: str = BASE,
    ) -> Request:
        return Request(
            method="POST",
            path=PATH,
            headers=headers,
            query=dict(parse_qsl(query_string)),
            body=body,
            received_at=received_at,
            query_string=query_string,
            base_url=base_url,
        )

    def proof(self) -> list[str]:
        return ["x-twilio-signature"]


class TestForm(TwilioContract):
    speaks_json = False

    def headers(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        fields: dict[str, Any] = dict(parse_qsl(body.decode(), keep_blank_values=True))
        signature = RequestValidator(secret).compute_signature(BASE + PATH, fields)
        return {
            "x-twilio-signature": signature,
            "content-type": "application/x-www-form-urlencoded; charset=UTF-8",
            "i-twilio-idempotency-token": "b2d5a6d1-57a7-4ac7-8d7d-1ee3ad5e7a0b",
        }

    def body(self, text: str = "Ada") -> bytes:
        return urlencode(payload("twilio_sms") | {"Body": text}).encode()

    async def test_what_the_event_is(self) -> None:
        body = self.body("Yes & no + maybe?")
        received = await self.trigger(self.secret).receive(
            self.request(body, self.headers(body, self.secret, NOW))
        )
        (event,) = received.events
        assert event.id.startswith("sha256:")
        assert event.type == "message.received"
        assert event.subject == "SM8b9c0d1e2f3a4b5c6d7e8f9a0b1c2d3e"
        assert event.data == payload("twilio_sms")
        assert received.response is not None
        assert received.response.headers["content-type"] == "text/xml"
        assert b"<Response/>" in received.response.body

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"MessageSid": "SM1", "MessageStatus": "delivered"}, "message.delivered"),
            ({"CallSid": "CA1", "CallStatus": "ringing"}, "call.ringing"),
            ({"ConversationSid": "CH1", "EventType": "onMessageAdded"}, "onMessageAdded"),
            ({"Something": "else"}, "twilio.received"),
        ],
    )
    async def test_types(self, fields: dict[str, str], expected: str) -> None:
        body = urlencode(fields).encode()
        (event,) = await self.receive(
            self.trigger(self.secret), body, self.headers(body, self.secret, NOW)
        )
        assert event.type == expected

    async def test_another_status_of_the_same_message_is_another_event(self) -> None:
        trigger = self.trigger(self.secret)
        ids = set()
        for status in ("sent", "delivered"):
            body = urlencode({"MessageSid": "SM1", "MessageStatus": status}).encode()
            (event,) = await self.receive(trigger, body, self.headers(body, self.secret, NOW))
            ids.add(event.id)
        assert len(ids) == 2

    async def test_fields_that_are_repeated(self) -> None:
        body = b"Sid=SM1&Media=b&Media=a&Media=b"
        fields: Any = _Fields(body.decode())
        signature = RequestValidator(self.secret).compute_signature(BASE + PATH, fields)
        headers = self.headers(body, self.secret, NOW) | {"x-twilio-signature": signature}
        (event,) = await self.receive(self.trigger(self.secret), body, headers)
        assert event.data["Media"] == ["a", "b"]

    async def test_a_field_without_its_sign_is_refused(self) -> None:
        body = b"A=1&B=2"
        headers = self.headers(body, self.secret, NOW)
        for shifted in (b"A=1&B2", b"A1&B=2"):
            with pytest.raises(BadSignature):
                await self.receive(self.trigger(self.secret), shifted, headers)

    @pytest.mark.parametrize("port", ["", ":443"])
    async def test_the_sender_may_sign_with_or_without_the_port(self, port: str) -> None:
        body = self.body()
        fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
        signer = RequestValidator(self.secret)
        signature = signer.compute_signature(f"https://hub.example.com{port}{PATH}", fields)
        headers = self.headers(body, self.secret, NOW) | {"x-twilio-signature": signature}
        assert await self.receive(self.trigger(self.secret), body, headers)

    async def test_the_query_is_signed_too(self) -> None:
        body = self.body()
        fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
        url = f"{BASE}{PATH}?tenant=a%20b&x=1"
        signature = RequestValidator(self.secret).compute_signature(url, fields)
        headers = self.headers(body, self.secret, NOW) | {"x-twilio-signature": signature}
        trigger = self.trigger(self.secret)
        assert await trigger.receive(self.request(body, headers, query_string="tenant=a%20b&x=1"))
        for query in ("tenant=a%20b&x=2", "", "x=1&tenant=a%20b"):
            with pytest.raises(BadSignature):
                await trigger.receive(self.request(body, headers, query_string=query))

    async def test_the_address_may_be_said(self) -> None:
        trigger = Webhook(
            "twilio",
            TwilioSettings(provider="twilio", secret=self.secret, url="https://other.example/in"),
        )
        body = self.body()
        fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
        signer = RequestValidator(self.secret)
        signature = signer.compute_signature("https://other.example/in", fields)
        headers = self.headers(body, self.secret, NOW)
        assert await self.receive(trigger, body, headers | {"x-twilio-signature": signature})
        with pytest.raises(BadSignature):
            await self.receive(trigger, body, headers)

    async def test_the_newer_algorithm(self) -> None:
        body = self.body()
        fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
        signature = RequestValidator(self.secret).compute_signature(
            BASE + PATH, fields, "HMAC_SHA256"
        )
        headers = self.headers(body, self.secret, NOW) | {"x-twilio-signature": signature}
        with pytest.raises(BadSignature):
            await self.receive(self.trigger(self.secret), body, headers)
        headers["x-twilio-webhooks-signature-settings"] = "key=sk1,algorithm=HMAC_SHA256"
        assert await self.receive(self.trigger(self.secret), body, headers)


class _Fields(dict[str, str]):
    """A form as frameworks have it, which the library takes too."""

    def __init__(self, body: str) -> None:
        self._values = parse_qs(body)
        super().__init__({name: values[0] for name, values in self._values.items()})

    def getlist(self, name: str) -> list[str]:
        return self._values[name]


class TestJson(TwilioContract):
    """A JSON body, whose digest stands in the address."""

    def headers(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        url = f"{BASE}{PATH}?bodySHA256={sha256(body).hexdigest()}"
        return {
            "x-twilio-signature": RequestValidator(secret).compute_signature(url, {}),
            "content-type": "application/json",
            "x-test-query": url.partition("?")[2],
        }

    def request(
        self,
        body: bytes,
        headers: Mapping[str, str],
        *,
        received_at: datetime = NOW,
        query_string: str = "",
        base_url: str = BASE,
    ) -> Request:
        query = query_string or headers.get("x-test-query", "")
        return super().request(
            body, headers, received_at=received_at, query_string=query, base_url=base_url
        )

    def body(self, text: str = "Ada") -> bytes:
        return msgspec.json.encode({"EventType": "com.example.sms", "data": {"text": text}})

    async def test_what_the_event_is(self) -> None:
        body = self.body()
        (event,) = await self.receive(
            self.trigger(self.secret), body, self.headers(body, self.secret, NOW)
        )
        assert event.type == "com.example.sms"
        assert event.data == msgspec.json.decode(body)

    async def test_a_body_that_is_none(self) -> None:
        for body in (b"[]", b"{}", b"1"):
            with pytest.raises(BadRequest):
                await self.receive(
                    self.trigger(self.secret), body, self.headers(body, self.secret, NOW)
                )


@pytest.mark.parametrize(
    "url", ["", "hub.example.com", "ftp://x/", "https://x/?a=1", "https://x/#a", "https://:0/"]
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        Webhook("twilio", TwilioSettings(provider="twilio", secret="s", url=url))
    assert [fault.path for fault in caught.value.diagnostics] == ["url"]


def test_the_library_signs_as_it_always_did() -> None:
    """The library's own hash, so that a change of it is not taken for one of ours."""
    digest = hmac.digest(b"s", b"https://x/A1B2", "sha1")
    assert RequestValidator("s").compute_signature("https://x/", {"B": "2", "A": "1"}) == (
        b64encode(digest).decode()
    )
