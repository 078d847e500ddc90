from __future__ import annotations

import base64
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sendgrid.helpers.eventwebhook import EventWebhook

from hub.errors import BadRequest, InvalidDefinition
from hub.trigger import HttpTrigger
from tests.contracts.trigger import NOW, HttpTriggerContract
from tests.unit.test_webhook_providers.payloads import payload
from triggers.webhook import PROVIDERS, SendGridSettings, Webhook

SIGNATURE = "x-twilio-email-event-webhook-signature"
TIME = "x-twilio-email-event-webhook-timestamp"


def private(secret: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(
        int.from_bytes(sha256(secret.encode()).digest()) >> 8, ec.SECP256R1()
    )


@cache
def public(secret: str) -> str:
    key = private(secret).public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


class TestSendGrid(HttpTriggerContract):
    """SendGrid's own library only verifies, so it is asked whether what is signed here is genuine."""

    signs_time = True
    compares = False

    def trigger(self, *secrets: str) -> HttpTrigger:
        return Webhook(
            "sendgrid",
            SendGridSettings(provider="sendgrid", public_key=[public(s) for s in secrets]),
        )

    def headers(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        time = str(int(at.timestamp()))
        signature = private(secret).sign(time.encode() + body, ec.ECDSA(hashes.SHA256()))
        text = base64.b64encode(signature).decode()
        try:
            assert EventWebhook(public(secret)).verify_signature(body.decode(), text, time)
        except UnicodeDecodeError:
            pass  # the library verifies texts only
        return {SIGNATURE: text, TIME: time}

    def proof(self) -> list[str]:
        return [SIGNATURE, TIME]

    def body(self, text: str = "Ada") -> bytes:
        (first, _) = payload("sendgrid_events")
        return msgspec.json.encode([first | {"response": text}])

    async def test_each_in_the_list_is_an_event(self) -> None:
        body = msgspec.json.encode(payload("sendgrid_events")) + b"\r\n"
        first, second = await self.receive(
            self.trigger(self.secret), body, self.headers(body, self.secret, NOW)
        )
        assert (first.id, first.type) == ("ZGVsaXZlcmVkLTAtMTIzNDU2Nzg", "delivered")
        assert first.subject == "ada@example.com"
        assert first.time == datetime.fromtimestamp(1772366390, UTC)
        assert first.data == payload("sendgrid_events")[0]
        assert (second.id, second.type) == ("Ym91bmNlLTAtMTIzNDU2Nzg5", "bounce")

    async def test_events_without_an_id_have_different_ones(self) -> None:
        body = b'[{"event": "open"}, {"event": "open"}]'
        first, second = await self.receive(
            self.trigger(self.secret), body, self.headers(body, self.secret, NOW)
        )
        assert first.id != second.id

    async def test_expressions_see_one_event_each(self) -> None:
        trigger = Webhook(
            "sendgrid",
            SendGridSettings(
                provider="sendgrid",
                public_key=public(self.secret),
                subject="${{ body.sg_message_id }}",
            ),
        )
        body = msgspec.json.encode(payload("sendgrid_events"))
        events = await self.receive(trigger, body, self.headers(body, self.secret, NOW))
        assert [e.subject for e in events] == [
            item["sg_message_id"] for item in payload("sendgrid_events")
        ]

    @pytest.mark.parametrize("body", [b"{}", b"[1]", b'"x"'])
    async def test_what_is_no_list_of_events(self, body: bytes) -> None:
        with pytest.raises(BadRequest):
            await self.receive(
                self.trigger(self.secret), body, self.headers(body, self.secret, NOW)
            )


async def test_the_vector_of_the_official_library() -> None:
    key = (
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62g"
        "w+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
    )
    body = (
        b'[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address",'
        b'"sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",'
        b'"sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C'
        b'-9.0","smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>",'
        b'"timestamp":1600112492}]\r\n'
    )
    headers = {
        SIGNATURE: "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPI"
        "qHh89M15TluLtEZtM=",
        TIME: "1600112502",
    }
    provider = PROVIDERS["sendgrid"](SendGridSettings(provider="sendgrid", public_key=key))
    at = datetime.fromtimestamp(1600112502, UTC)
    await provider.verify(TestSendGrid().request(body, headers, received_at=at))


def test_a_key_with_its_frame_is_the_same() -> None:
    pem = f"-----BEGIN PUBLIC KEY-----\n{public('a')}\n-----END PUBLIC KEY-----\n"
    assert Webhook("s", SendGridSettings(provider="sendgrid", public_key=pem))


def rsa_key() -> str:
    key = generate_private_key(65537, 2048).public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


@pytest.mark.parametrize(
    ("settings", "code", "path"),
    [
        ({"public_key": ""}, "invalid_key", "public_key"),
        ({"public_key": []}, "invalid_key", "public_key"),
        ({"public_key": [public("a"), "x"]}, "invalid_key", "public_key"),
        ({"public_key": rsa_key()}, "invalid_key", "public_key"),
        ({"public_key": public("a"), "secret": "s"}, "unused_secret", "secret"),
    ],
)
def test_settings(settings: dict[str, Any], code: str, path: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        Webhook("sendgrid", SendGridSettings(provider="sendgrid", **settings))
    assert [(fault.code, fault.path) for fault in caught.value.diagnostics] == [(code, path)]
