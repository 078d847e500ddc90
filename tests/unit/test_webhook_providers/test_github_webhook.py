from __future__ import annotations

import hmac
from datetime import datetime
from urllib.parse import quote_plus, urlencode

import msgspec
import pytest

from hub.errors import BadRequest, UnsupportedType
from hub.trigger import HttpTrigger, Request
from tests.contracts.trigger import NOW, HttpTriggerContract
from tests.unit.test_webhook_providers.payloads import payload
from triggers.webhook import PROVIDERS, Settings, Webhook


class TestGitHub(HttpTriggerContract):
    """GitHub publishes no library that signs; its docs have a test vector, which is below."""

    unsigned = frozenset({"x-github-event", "x-github-delivery"})

    def trigger(self, *secrets: str) -> HttpTrigger:
        return Webhook("github", Settings(provider="github", secret=list(secrets)))

    def headers(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        return {
            "x-hub-signature-256": "sha256="
            + hmac.new(secret.encode(), body, "sha256").hexdigest(),
            "x-github-event": "pull_request",
            "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
            "x-hub-signature": "sha1=0000",
        }

    def proof(self) -> list[str]:
        return ["x-hub-signature-256"]

    def body(self, text: str = "Ada") -> bytes:
        document = payload("github_pull_request")
        document["pull_request"]["title"] = text
        return msgspec.json.encode(document)

    async def test_what_the_event_is(self) -> None:
        body = self.body()
        trigger = self.trigger(self.secret)
        (event,) = await self.receive(trigger, body, self.headers(body, self.secret, NOW))
        assert event.id == "72d3162e-cc78-11e3-81ab-4c9367dc0958"
        assert event.type == "pull_request.opened"
        assert event.subject == "analytical/shop#12"
        assert event.time == NOW
        assert event.data == msgspec.json.decode(body)

    async def test_an_event_without_an_action(self) -> None:
        body = b'{"ref": "refs/heads/main", "repository": {"full_name": "analytical/shop"}}'
        headers = self.headers(body, self.secret, NOW) | {"x-github-event": "push"}
        (event,) = await self.receive(self.trigger(self.secret), body, headers)
        assert (event.type, event.subject) == ("push", "analytical/shop")

    async def test_forms(self) -> None:
        text = msgspec.json.encode(payload("github_pull_request")).decode()
        body = urlencode({"payload": text}, quote_via=quote_plus).encode()
        headers = self.headers(body, self.secret, NOW) | {
            "content-type": "application/x-www-form-urlencoded"
        }
        (event,) = await self.receive(self.trigger(self.secret), body, headers)
        assert event.data == payload("github_pull_request")

    async def test_other_bodies(self) -> None:
        trigger = self.trigger(self.secret)
        form = b"payload=1&payload=2"
        with pytest.raises(BadRequest):
            await self.receive(
                trigger,
                form,
                self.headers(form, self.secret, NOW)
                | {"content-type": "application/x-www-form-urlencoded"},
            )
        with pytest.raises(UnsupportedType):
            await self.receive(
                trigger,
                b"x",
                self.headers(b"x", self.secret, NOW) | {"content-type": "text/plain"},
            )

    @pytest.mark.parametrize("name", ["x-github-event", "x-github-delivery"])
    async def test_a_header_that_makes_the_event_is_missing(self, name: str) -> None:
        body = self.body()
        headers = self.headers(body, self.secret, NOW)
        del headers[name]
        with pytest.raises(BadRequest):
            await self.receive(self.trigger(self.secret), body, headers)

    async def test_the_signature_by_sha1_alone_is_not_enough(self) -> None:
        body = self.body()
        headers = self.headers(body, self.secret, NOW)
        del headers["x-hub-signature-256"]
        sha1 = hmac.new(self.secret.encode(), body, "sha1").hexdigest()
        headers["x-hub-signature"] = f"sha1={sha1}"
        with pytest.raises(Exception, match="missing"):
            await self.receive(self.trigger(self.secret), body, headers)


async def test_the_vector_of_the_docs() -> None:
    provider = PROVIDERS["github"](Settings(provider="github", secret="It's a Secret to Everybody"))
    await provider.verify(
        Request(
            method="POST",
            path="/hooks/github",
            headers={
                "x-hub-signature-256": "sha256="
                "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
            },
            query={},
            body=b"Hello, World!",
            received_at=NOW,
        )
    )
