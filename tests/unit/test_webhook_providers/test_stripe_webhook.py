from __future__ import annotations

import hmac
from datetime import UTC, datetime

import msgspec
import pytest
from stripe import WebhookSignature

from hub.errors import BadRequest, BadSignature
from hub.trigger import HttpTrigger
from tests.contracts.trigger import NOW, HttpTriggerContract
from tests.unit.test_webhook_providers.payloads import payload
from triggers.webhook import Settings, Webhook


class TestStripe(HttpTriggerContract):
    """Signed by Stripe's own library."""

    signs_time = True

    def trigger(self, *secrets: str) -> HttpTrigger:
        return Webhook("stripe", Settings(provider="stripe", secret=list(secrets)))

    def headers(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        seconds = int(at.timestamp())
        try:
            signature = WebhookSignature.generate_signature_header(body.decode(), secret, seconds)
        except UnicodeDecodeError:  # which Stripe would not send either
            digest = hmac.new(secret.encode(), b"%d.%b" % (seconds, body), "sha256").hexdigest()
            signature = f"t={seconds},v1={digest}"
        return {"stripe-signature": signature}

    def proof(self) -> list[str]:
        return ["stripe-signature"]

    def body(self, text: str = "Ada") -> bytes:
        document = payload("stripe_invoice")
        document["data"]["object"]["customer_name"] = text
        return msgspec.json.encode(document)

    async def test_what_the_event_is(self) -> None:
        body = self.body()
        (event,) = await self.receive(
            self.trigger(self.secret), body, self.headers(body, self.secret, NOW)
        )
        document = payload("stripe_invoice")
        assert event.id == "evt_1T6aXkLkdIwHu7ixV0mQzF3p"
        assert event.type == "invoice.payment_failed"
        assert event.subject == "in_1T6aXhLkdIwHu7ixE8mNcQ2s"
        assert event.time == datetime(2026, 3, 1, 11, 59, tzinfo=UTC)
        assert event.data == document["data"]
        assert event.extensions == {"livemode": False, "account": "acct_1PqKx2LkdIwHu7ix"}

    async def test_a_thin_event(self) -> None:
        document = {
            "id": "evt_test_65R9Ijk8dKEYZcXeRWn16R9A7",
            "object": "v2.core.event",
            "type": "v1.billing.meter.error_report_triggered",
            "created": "2026-03-01T11:59:00.000Z",
            "related_object": {"id": "mtr_1", "type": "billing.meter"},
        }
        body = msgspec.json.encode(document)
        (event,) = await self.receive(
            self.trigger(self.secret), body, self.headers(body, self.secret, NOW)
        )
        assert (event.subject, event.data) == ("mtr_1", document)
        assert event.time == datetime(2026, 3, 1, 11, 59, tzinfo=UTC)

    async def test_one_of_several_signatures_is_enough_while_a_secret_is_rolled(self) -> None:
        body = self.body()
        old = self.headers(body, self.other_secret, NOW)["stripe-signature"]
        new = self.headers(body, self.secret, NOW)["stripe-signature"]
        both = f"{old},{new.partition(',')[2]},v0=ffff"
        for secret in (self.secret, self.other_secret):
            assert await self.receive(self.trigger(secret), body, {"stripe-signature": both})

    async def test_only_scheme_v1_counts(self) -> None:
        body = self.body()
        header = self.headers(body, self.secret, NOW)["stripe-signature"].replace("v1=", "v0=")
        with pytest.raises(BadSignature):
            await self.receive(self.trigger(self.secret), body, {"stripe-signature": header})

    async def test_two_times_are_none(self) -> None:
        body = self.body()
        header = self.headers(body, self.secret, NOW)["stripe-signature"]
        for twice in (f"t=1,{header}", f"{header},t=1"):
            with pytest.raises(BadSignature):
                await self.receive(self.trigger(self.secret), body, {"stripe-signature": twice})

    @pytest.mark.parametrize("body", [b"[]", b'{"id": "evt_1"}', b'{"type": "x"}', b'"x"'])
    async def test_what_is_no_event(self, body: bytes) -> None:
        with pytest.raises(BadRequest):
            await self.receive(
                self.trigger(self.secret), body, self.headers(body, self.secret, NOW)
            )
