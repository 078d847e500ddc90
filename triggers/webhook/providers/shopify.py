"""`provider: shopify`: topics of Shopify shops.

Source: Shopify Docs, "Deliver webhooks through HTTPS" and "About webhooks". Shopify signs the body
alone, with no time in it; it wants a 2xx within five seconds.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from typing import Any

from hub.errors import BadRequest, BadSignature, Diagnostic
from hub.payload import read_json
from hub.trigger import Request
from triggers.webhook.providers import checks
from triggers.webhook.providers.fields import find, moment_of, text_of
from triggers.webhook.providers.provider import Draft, Provider
from triggers.webhook.providers.signature import digests, matches, presented
from triggers.webhook.settings import Settings

__all__ = ["Shopify"]

_TOPIC = re.compile(r"[a-z0-9_]+(?:/[a-z0-9_]+){0,3}")


class Shopify(Provider):
    """`X-Shopify-Hmac-Sha256` over the body, by the app's client secret."""

    name = "shopify"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._keys = [secret.encode() for secret in settings.secrets]

    @classmethod
    def check(cls, settings: Settings) -> Iterator[Diagnostic]:
        yield from checks.secret_given(settings, "SHOPIFY_CLIENT_SECRET")

    async def verify(self, request: Request) -> None:
        given = presented(request, "x-shopify-hmac-sha256")
        expected = [base64.b64encode(digest) for digest in digests(self._keys, request.body)]
        if not matches(expected, [given]):
            raise BadSignature("the signature does not match the body")

    def read(self, request: Request) -> tuple[Any, bool]:
        return read_json(request.body), False

    def draft(self, request: Request, body: Any) -> Sequence[Draft]:
        """Id, topic and shop are headers, which Shopify does not sign."""
        webhook_id = text_of(request.headers.get("x-shopify-webhook-id"))
        topic = request.headers.get("x-shopify-topic", "")
        if webhook_id is None or not _TOPIC.fullmatch(topic) or len(topic) > 100:
            raise BadRequest("that is no webhook of Shopify: X-Shopify-Topic, X-Shopify-Webhook-Id")
        shop = text_of(request.headers.get("x-shopify-shop-domain"))
        return [
            Draft(
                body=body,
                id=webhook_id,
                type=topic,
                subject=text_of(find(body, "admin_graphql_api_id")) or text_of(find(body, "id")),
                time=moment_of(find(body, "updated_at"))
                or moment_of(request.headers.get("x-shopify-triggered-at")),
                data=body,
                extensions={"shop": shop} if shop else {},
            )
        ]
