from __future__ import annotations

import base64
import hmac
from datetime import datetime
from typing import Any

import msgspec
import pytest
from standardwebhooks import Webhook as Signer

from hub.errors import BadSignature, InvalidDefinition
from hub.trigger import HttpTrigger
from tests.contracts.trigger import NOW, HttpTriggerContract
from tests.unit.test_webhook_providers.payloads import payload
from triggers.webhook import GitLabSettings, Webhook


def token_of(secret: str) -> str:
    """A signing token as GitLab makes it: of 32 bytes."""
    return "whsec_" + base64.b64encode(secret.encode().ljust(32, b".")).decode()


class TestGitLabSigned(HttpTriggerContract):
    """GitLab signs as Standard Webhooks has it, so that library signs here."""

    signs_time = True

    def trigger(self, *secrets: str) -> HttpTrigger:
        tokens = [token_of(secret) for secret in secrets]
        return Webhook("gitlab", GitLabSettings(provider="gitlab", signing_token=tokens))

    def headers(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        message_id = "7bafea1a-a1bf-4948-9a37-3f912777dedc"
        return {
            "webhook-signature": _sign(token_of(secret), message_id, at, body),
            "webhook-id": message_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "idempotency-key": message_id,
            "x-gitlab-event": "Merge Request Hook",
        }

    def proof(self) -> list[str]:
        return ["webhook-signature", "webhook-id", "webhook-timestamp"]

    def body(self, text: str = "Ada") -> bytes:
        document = payload("gitlab_merge_request")
        document["object_attributes"]["title"] = text
        return msgspec.json.encode(document)

    async def test_what_the_event_is(self) -> None:
        body = self.body()
        headers = self.headers(body, self.secret, NOW) | {"idempotency-key": "not signed"}
        (event,) = await self.receive(self.trigger(self.secret), body, headers)
        assert event.id == "7bafea1a-a1bf-4948-9a37-3f912777dedc"
        assert event.type == "merge_request.open"
        assert event.subject == "analytical/shop!12"
        assert event.time == NOW
        assert event.data == msgspec.json.decode(body)

    async def test_both_are_asked_for_where_both_are_set(self) -> None:
        trigger = Webhook(
            "gitlab",
            GitLabSettings(provider="gitlab", signing_token=token_of(self.secret), secret="plain"),
        )
        body = self.body()
        headers = self.headers(body, self.secret, NOW)
        with pytest.raises(BadSignature):
            await self.receive(trigger, body, headers)
        assert await self.receive(trigger, body, headers | {"x-gitlab-token": "plain"})
        del headers["webhook-signature"]
        with pytest.raises(BadSignature):
            await self.receive(trigger, body, headers | {"x-gitlab-token": "plain"})


def _sign(token: str, message_id: str, at: datetime, body: bytes) -> str:
    # The library signs texts only; what is no text is never sent by a genuine sender.
    text = body.decode("utf-8", "surrogateescape")
    try:
        return Signer(token).sign(message_id, at, text)
    except UnicodeEncodeError:
        key = base64.b64decode(token.removeprefix("whsec_"))
        signed = f"{message_id}.{int(at.timestamp())}.".encode() + body
        return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


class TestGitLabToken(HttpTriggerContract):
    """The older way: the secret itself is sent along."""

    covers_body = False
    unsigned = frozenset({"idempotency-key"})

    def trigger(self, *secrets: str) -> HttpTrigger:
        return Webhook("gitlab", GitLabSettings(provider="gitlab", secret=list(secrets)))

    def headers(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        return {
            "x-gitlab-token": secret,
            "idempotency-key": "7bafea1a-a1bf-4948-9a37-3f912777dedc",
            "x-gitlab-event": "Merge Request Hook",
        }

    def proof(self) -> list[str]:
        return ["x-gitlab-token"]

    def body(self, text: str = "Ada") -> bytes:
        return TestGitLabSigned.body(self, text)  # type: ignore[arg-type]

    async def test_the_id_of_an_older_gitlab_is_of_the_body(self) -> None:
        trigger = self.trigger(self.secret)
        ids = set()
        for text in ("one", "two", "one"):
            body = self.body(text)
            headers = self.headers(body, self.secret, NOW)
            del headers["idempotency-key"]
            (event,) = await self.receive(trigger, body, headers)
            assert event.id.startswith("sha256:")
            ids.add(event.id)
        assert len(ids) == 2

    async def test_system_hooks(self) -> None:
        body = b'{"event_name": "project_create", "path_with_namespace": "analytical/shop"}'
        (event,) = await self.receive(
            self.trigger(self.secret), body, self.headers(body, self.secret, NOW)
        )
        assert (event.type, event.subject) == ("project_create", "analytical/shop")


@pytest.mark.parametrize(
    ("settings", "code", "path"),
    [
        ({}, "missing_secret", "secret"),
        ({"secret": ""}, "missing_secret", "secret"),
        ({"signing_token": ""}, "missing_secret", "signing_token"),
        ({"signing_token": []}, "missing_secret", "signing_token"),
        ({"signing_token": token_of("x"), "secret": ""}, "missing_secret", "secret"),
        ({"signing_token": "whsec_ä"}, "invalid_secret", "signing_token"),
    ],
)
def test_settings(settings: dict[str, Any], code: str, path: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        Webhook("gitlab", GitLabSettings(provider="gitlab", **settings))
    assert (code, path) in {(fault.code, fault.path) for fault in caught.value.diagnostics}
