from __future__ import annotations

import base64
import hmac
from datetime import datetime

import msgspec
import pytest

from hub.errors import BadRequest
from hub.trigger import HttpTrigger
from tests.contracts.trigger import NOW, HttpTriggerContract
from tests.unit.test_webhook_providers.payloads import payload
from triggers.webhook import Settings, Webhook


class TestShopify(HttpTriggerContract):
    """Shopify's Python library has nothing for webhooks, so these are signed by hand."""

    unsigned = frozenset({"x-shopify-webhook-id", "x-shopify-topic", "x-shopify-shop-domain"})

    def trigger(self, *secrets: str) -> HttpTrigger:
        return Webhook("shopify", Settings(provider="shopify", secret=list(secrets)))

    def headers(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        digest = hmac.new(secret.encode(), body, "sha256").digest()
        return {
            "x-shopify-hmac-sha256": base64.b64encode(digest).decode(),
            "x-shopify-topic": "orders/create",
            "x-shopify-webhook-id": "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
            "x-shopify-event-id": "98880550-7158-44d4-b7cd-2c97c8a091b5",
            "x-shopify-shop-domain": "analytical.myshopify.com",
            "x-shopify-triggered-at": "2026-03-01T11:59:58.987654321Z",
        }

    def proof(self) -> list[str]:
        return ["x-shopify-hmac-sha256"]

    def body(self, text: str = "Ada") -> bytes:
        return msgspec.json.encode(payload("shopify_order") | {"note": text})

    async def test_what_the_event_is(self) -> None:
        body = self.body()
        (event,) = await self.receive(
            self.trigger(self.secret), body, self.headers(body, self.secret, NOW)
        )
        assert event.id == "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043"
        assert event.type == "orders/create"
        assert event.subject == "gid://shopify/Order/820982911946154508"
        assert event.time == datetime.fromisoformat("2026-03-01T11:59:58+00:00")
        assert event.data == msgspec.json.decode(body)
        assert event.extensions == {"shop": "analytical.myshopify.com"}

    async def test_a_body_without_a_time_has_that_of_the_header(self) -> None:
        body = b'{"id": 788032119674292922}'
        (event,) = await self.receive(
            self.trigger(self.secret), body, self.headers(body, self.secret, NOW)
        )
        assert event.subject == "788032119674292922"
        assert event.time == datetime.fromisoformat("2026-03-01T11:59:58.987654+00:00")

    @pytest.mark.parametrize("name", ["x-shopify-topic", "x-shopify-webhook-id"])
    async def test_a_header_that_makes_the_event_is_missing(self, name: str) -> None:
        body = self.body()
        headers = self.headers(body, self.secret, NOW)
        del headers[name]
        with pytest.raises(BadRequest):
            await self.receive(self.trigger(self.secret), body, headers)
