from __future__ import annotations

import hmac
from datetime import UTC, datetime

import msgspec
import pytest

from hub.errors import BadRequest, BadSignature
from hub.trigger import HttpTrigger
from tests.contracts.trigger import NOW, HttpTriggerContract
from tests.unit.test_webhook_providers.payloads import payload
from triggers.webhook import Settings, Webhook


class TestZoom(HttpTriggerContract):
    """Zoom publishes no Python library, so these are signed by hand."""

    signs_time = True

    def trigger(self, *secrets: str) -> HttpTrigger:
        return Webhook("zoom", Settings(provider="zoom", secret=list(secrets)))

    def headers(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        time = str(int(at.timestamp()))
        signed = f"v0:{time}:".encode() + body
        return {
            "x-zm-signature": "v0=" + hmac.new(secret.encode(), signed, "sha256").hexdigest(),
            "x-zm-request-timestamp": time,
            "x-zm-trackingid": "v=2.0;clid=aw1;rid=WEB_1",
        }

    def proof(self) -> list[str]:
        return ["x-zm-signature", "x-zm-request-timestamp"]

    def body(self, text: str = "Ada") -> bytes:
        document = payload("zoom_meeting")
        document["payload"]["object"]["topic"] = text
        return msgspec.json.encode(document)

    async def test_what_the_event_is(self) -> None:
        body = self.body()
        received = await self.trigger(self.secret).receive(
            self.request(body, self.headers(body, self.secret, NOW))
        )
        (event,) = received.events
        assert event.id.startswith("sha256:")
        assert event.type == "meeting.started"
        assert event.subject == "1234567890"
        assert event.time == datetime(2026, 3, 1, 11, 59, 58, 123000, tzinfo=UTC)
        assert event.data == msgspec.json.decode(body)["payload"]
        assert received.response is not None
        assert received.response.status == 200

    @pytest.mark.parametrize("secret", ["the-right-secret", "another-secret"])
    async def test_the_address_is_validated_with_the_secret_that_signed(self, secret: str) -> None:
        body = self.challenge("qgg8vlvZRS6UYooatFL8Aw")
        received = await self.trigger(self.secret, self.other_secret).receive(
            self.request(body, self.headers(body, secret, NOW))
        )
        assert not received.events
        assert received.response is not None
        assert received.response.status == 200
        expected = hmac.new(secret.encode(), b"qgg8vlvZRS6UYooatFL8Aw", "sha256").hexdigest()
        assert msgspec.json.decode(received.response.body) == {
            "plainToken": "qgg8vlvZRS6UYooatFL8Aw",
            "encryptedToken": expected,
        }

    async def test_the_validation_signs_nothing_for_strangers(self) -> None:
        body = self.challenge("v0:1772366400:{}")
        with pytest.raises(BadSignature):
            await self.trigger(self.secret).receive(self.request(body, {}))
        with pytest.raises(BadSignature):
            await self.receive(
                self.trigger(self.secret), body, self.headers(body, self.other_secret, NOW)
            )

    @pytest.mark.parametrize("token", ["v0:1772366400:{}", "", None, {}])
    async def test_a_token_that_is_none_is_not_signed(self, token: object) -> None:
        body = self.challenge(token)
        with pytest.raises(BadRequest):
            await self.receive(
                self.trigger(self.secret), body, self.headers(body, self.secret, NOW)
            )

    def challenge(self, token: object) -> bytes:
        return msgspec.json.encode(
            {
                "event": "endpoint.url_validation",
                "event_ts": 1772366398123,
                "payload": {"plainToken": token},
            }
        )
