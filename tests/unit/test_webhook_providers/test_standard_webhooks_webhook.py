from __future__ import annotations

import base64
import hmac
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks import Webhook as Signer

from hub.errors import BadRequest, BadSignature, InvalidDefinition
from hub.trigger import HttpTrigger
from tests.contracts.trigger import NOW, HttpTriggerContract
from triggers.webhook import PROVIDERS, Settings, TimedSettings, Webhook


def shared(secret: str) -> str:
    return "whsec_" + base64.b64encode(secret.encode().ljust(24, b".")).decode()


def private(secret: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(sha256(secret.encode()).digest())


def public(secret: str) -> str:
    return "whpk_" + base64.b64encode(private(secret).public_key().public_bytes_raw()).decode()


class TestShared(HttpTriggerContract):
    """Signed by the specification's own library."""

    signs_time = True
    unsigned = frozenset({"content-type"})

    def trigger(self, *secrets: str) -> HttpTrigger:
        return webhook(*map(shared, secrets))

    def headers(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        message_id = "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"
        try:
            signature = Signer(shared(secret)).sign(message_id, at, body.decode())
        except UnicodeDecodeError:  # the library signs texts only
            key = base64.b64decode(shared(secret).removeprefix("whsec_"))
            signed = f"{message_id}.{int(at.timestamp())}.".encode() + body
            digest = hmac.digest(key, signed, "sha256")
            signature = "v1," + base64.b64encode(digest).decode()
        return {
            "webhook-signature": signature,
            "webhook-id": message_id,
            "webhook-timestamp": str(int(at.timestamp())),
        }

    def proof(self) -> list[str]:
        return ["webhook-signature", "webhook-id", "webhook-timestamp"]

    def body(self, text: str = "Ada") -> bytes:
        return msgspec.json.encode(
            {
                "type": "contact.created",
                "timestamp": "2026-03-01T11:59:10.344522Z",
                "data": {"id": "1f81eb52-5198-4599-803e-771906343485", "name": text},
            }
        )

    async def test_what_the_event_is(self) -> None:
        body = self.body()
        (event,) = await self.receive(
            self.trigger(self.secret), body, self.headers(body, self.secret, NOW)
        )
        assert event.id == "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"
        assert event.type == "contact.created"
        assert event.time == datetime(2026, 3, 1, 11, 59, 10, 344522, tzinfo=UTC)
        assert event.data == msgspec.json.decode(body)["data"]

    async def test_the_sender_may_sign_with_old_and_new_at_once(self) -> None:
        body = self.body()
        headers = self.headers(body, self.secret, NOW)
        other = self.headers(body, self.other_secret, NOW)["webhook-signature"]
        both = f"{other} v1a,AAAA v2,x {headers['webhook-signature']}"
        for secret in (self.secret, self.other_secret):
            assert await self.receive(
                self.trigger(secret), body, headers | {"webhook-signature": both}
            )

    async def test_cloudevents_are_taken_where_they_are_signed(self) -> None:
        document = {"specversion": "1.0", "id": "c1", "source": "/shop", "type": "order.placed"}
        body = msgspec.json.encode(document)
        headers = self.headers(body, self.secret, NOW)
        trigger = self.trigger(self.secret)
        (event,) = await self.receive(
            trigger, body, headers | {"content-type": "application/cloudevents+json"}
        )
        assert event.to_cloudevent() == document
        unsigned = {"ce-specversion": "1.0", "ce-id": "c2", "ce-source": "/s", "ce-type": "t"}
        with pytest.raises(BadRequest, match="structured"):
            await self.receive(trigger, body, headers | unsigned)


class TestPublic(TestShared):
    """The asymmetric scheme `v1a`, which the Python library does not have: signed by hand."""

    compares = False

    def trigger(self, *secrets: str) -> HttpTrigger:
        return webhook(*map(public, secrets))

    def headers(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        headers = super().headers(body, secret, at)
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        signature = base64.b64encode(private(secret).sign(signed)).decode()
        return headers | {"webhook-signature": f"v1a,{signature}"}

    async def test_the_schemes_are_not_mixed_up(self) -> None:
        body = self.body()
        headers = self.headers(body, self.secret, NOW)
        renamed = headers["webhook-signature"].replace("v1a,", "v1,")
        with pytest.raises(BadSignature):
            await self.receive(
                self.trigger(self.secret), body, headers | {"webhook-signature": renamed}
            )

    async def test_from_a_shared_secret_to_a_key_pair(self) -> None:
        body = self.body()
        trigger = webhook(shared(self.secret), public(self.secret))
        assert await self.receive(trigger, body, self.headers(body, self.secret, NOW))
        assert await self.receive(trigger, body, TestShared.headers(self, body, self.secret, NOW))


def webhook(*secrets: str) -> Webhook:
    return Webhook("app", Settings(provider="standard-webhooks", secret=list(secrets)))


async def test_a_bare_secret_is_the_same() -> None:
    case = TestShared()
    body = case.body()
    bare = shared(case.secret).removeprefix("whsec_")
    assert await case.receive(webhook(bare), body, case.headers(body, case.secret, NOW))


async def test_the_vector_of_the_reference_libraries() -> None:
    settings = TimedSettings(
        provider="standard-webhooks", secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    )
    at = datetime.fromtimestamp(1614265330, UTC)
    body = b'{"test": 2432232314}'
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    provider = PROVIDERS["standard-webhooks"](settings)
    await provider.verify(TestShared().request(body, headers, received_at=at))


@pytest.mark.parametrize("secret", ["whsec_", "whsec_ä", "!!", "whpk_AAAA", "whpk_", "whsk_AAAA"])
def test_secrets_that_are_none_are_said_without_their_values(secret: Any) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        webhook(secret)
    assert [fault.path for fault in caught.value.diagnostics] == ["secret"]
    assert secret not in str(caught.value).replace("whsec_...", "").replace("whpk_...", "")
