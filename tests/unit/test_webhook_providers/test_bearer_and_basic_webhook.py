from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

import pytest

from hub.errors import BadSignature, InvalidDefinition
from hub.trigger import HttpTrigger
from tests.contracts.trigger import NOW, HttpTriggerContract
from triggers.webhook import BasicSettings, BearerSettings, Settings, Webhook


class TestBearer(HttpTriggerContract):
    covers_body = False
    unsigned = frozenset({"content-type"})

    def trigger(self, *secrets: str) -> HttpTrigger:
        return Webhook("app", Settings(provider="bearer", secret=list(secrets)))

    def headers(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        return {"authorization": f"Bearer {secret}"}

    def proof(self) -> list[str]:
        return ["authorization"]

    async def test_the_scheme_in_any_case(self) -> None:
        body = self.body()
        headers = {"authorization": f"bEARER {self.secret}"}
        assert await self.receive(self.trigger(self.secret), body, headers)

    async def test_a_token_is_asked_for(self) -> None:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic eDp5"}):
            with pytest.raises(BadSignature) as caught:
                await self.receive(self.trigger(self.secret), self.body(), headers)
            assert caught.value.details["challenge"].startswith("Bearer ")

    async def test_cloudevents_in_binary_mode(self) -> None:
        headers = {
            "authorization": f"Bearer {self.secret}",
            "ce-specversion": "1.0",
            "ce-id": "c1",
            "ce-source": "/shop",
            "ce-type": "order.placed",
        }
        (event,) = await self.receive(self.trigger(self.secret), b'{"n": 1}', headers)
        assert (event.id, event.type, event.data) == ("c1", "order.placed", {"n": 1})


class TestBearerInItsOwnHeader(TestBearer):
    def trigger(self, *secrets: str) -> HttpTrigger:
        return Webhook(
            "app", BearerSettings(provider="bearer", secret=list(secrets), header="X-API-Key")
        )

    def headers(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        return {"x-api-key": secret}

    def proof(self) -> list[str]:
        return ["x-api-key"]

    async def test_the_scheme_in_any_case(self) -> None:
        body = self.body()
        with pytest.raises(BadSignature):
            await self.receive(
                self.trigger(self.secret), body, {"x-api-key": f"Bearer {self.secret}"}
            )

    async def test_cloudevents_in_binary_mode(self) -> None:
        headers = self.headers(b"", self.secret, NOW) | {"ce-specversion": "1.0"}
        with pytest.raises(Exception, match="required"):
            await self.receive(self.trigger(self.secret), b"{}", headers)


class TestBasic(HttpTriggerContract):
    covers_body = False
    unsigned = frozenset({"content-type"})

    def trigger(self, *secrets: str) -> HttpTrigger:
        return Webhook("app", BasicSettings(provider="basic", username="ådå", secret=list(secrets)))

    def headers(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        pair = base64.b64encode(f"ådå:{secret}".encode()).decode()
        return {"authorization": f"Basic {pair}"}

    def proof(self) -> list[str]:
        return ["authorization"]

    async def test_a_password_with_a_colon(self) -> None:
        body = self.body()
        assert await self.receive(self.trigger("a:b:c"), body, self.headers(body, "a:b:c", NOW))

    async def test_another_name_is_refused(self) -> None:
        for pair in (f"ada:{self.secret}", f":{self.secret}", self.secret, "ådå:", "ådå"):
            value = "Basic " + base64.b64encode(pair.encode()).decode()
            with pytest.raises(BadSignature) as caught:
                await self.receive(self.trigger(self.secret), self.body(), {"authorization": value})
            assert caught.value.details["challenge"].startswith("Basic ")


@pytest.mark.parametrize(
    ("settings", "code", "path"),
    [
        (BearerSettings(provider="bearer"), "missing_secret", "secret"),
        (BearerSettings(provider="bearer", secret="s", header="a b"), "invalid_value", "header"),
        (BasicSettings(provider="basic", username="u"), "missing_secret", "secret"),
        (BasicSettings(provider="basic", username="", secret="s"), "invalid_value", "username"),
        (BasicSettings(provider="basic", username="a:b", secret="s"), "invalid_value", "username"),
        (Settings(provider="basic", secret="s"), "invalid_value", "username"),
    ],
)
def test_settings(settings: Any, code: str, path: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        Webhook("app", settings)
    assert [(fault.code, fault.path) for fault in caught.value.diagnostics] == [(code, path)]
