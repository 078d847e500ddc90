from __future__ import annotations

from typing import Any

import msgspec
import pytest
import structlog

from hub.errors import InvalidDefinition
from hub.trigger import Received, Request
from tests.contracts.trigger import NOW
from triggers.webhook import Respond, Settings, Webhook


async def answered(respond: Respond, body: object = None, **headers: str) -> Received:
    webhook = Webhook("app", Settings(provider="none", respond=respond))
    content = msgspec.json.encode({"id": "e1", "type": "t"} if body is None else body)
    return await webhook.receive(
        Request(
            method="POST",
            path="/hooks/app",
            headers={"content-type": "application/json"} | headers,
            query={"lang": "de"},
            body=content,
            received_at=NOW,
        )
    )


async def test_json() -> None:
    respond = Respond(
        status=201,
        headers={"X-Event": "${{ event.id }}-${{ query.lang }}"},
        json={"ok": True, "name": "${{ body.name }}", "id": "${{ event.id }}"},
    )
    received = await answered(respond, {"id": "e1", "name": "Ada"})
    assert received.response is not None
    assert received.response.status == 201
    assert received.response.headers == {"x-event": "e1-de", "content-type": "application/json"}
    assert msgspec.json.decode(received.response.body) == {"ok": True, "name": "Ada", "id": "e1"}
    assert len(received.events) == 1


async def test_text() -> None:
    respond = Respond(text="thanks, ${{ body.name }}", headers={"content-type": "text/html"})
    received = await answered(respond, {"name": "Łukasz"})
    assert received.response is not None
    assert received.response.body.decode() == "thanks, Łukasz"
    assert received.response.headers["content-type"] == "text/html"
    received = await answered(Respond(text="${{ body }}"), {"n": 1})
    assert received.response is not None
    assert received.response.body == b'{"n":1}'


async def test_no_body() -> None:
    received = await answered(Respond(status=204))
    assert received.response is not None
    assert (received.response.status, received.response.body) == (204, b"")
    assert received.response.headers == {}


async def test_json_null_is_a_body() -> None:
    received = await answered(Respond(json=None))
    assert received.response is not None
    assert received.response.body == b"null"


@pytest.mark.parametrize(
    ("respond", "body"),
    [
        (Respond(text="${{ body.missing }}"), {"a": 1}),
        (Respond(json={"a": "${{ body.a.b.c }}"}), {"a": 1}),
        (Respond(headers={"x-a": "${{ body.a }}"}), {"a": "one\r\nset-cookie: x"}),
        (Respond(headers={"x-a": "${{ body.a }}"}), {"a": "日本"}),
    ],
)
async def test_an_event_is_not_refused_for_the_sake_of_its_answer(
    respond: Respond, body: object
) -> None:
    with structlog.testing.capture_logs() as logs:
        received = await answered(respond, body)
    assert len(received.events) == 1
    assert received.response is None
    assert [log["log_level"] for log in logs] == ["warning", "warning"]
    assert logs[1]["reason"]


async def test_what_was_sent_as_cloudevents_is_answered_too() -> None:
    batch = [{"specversion": "1.0", "id": name, "source": "/s", "type": "t"} for name in ("a", "b")]
    received = await answered(
        Respond(text="${{ event.id }}"),
        batch,
        **{"content-type": "application/cloudevents-batch+json"},
    )
    assert received.response is not None
    assert received.response.body == b"a"


@pytest.mark.parametrize(
    ("respond", "path"),
    [
        ({"status": 99}, "respond.status"),
        ({"status": 404}, "respond.status"),
        ({"json": 1, "text": "x"}, "respond.text"),
        ({"headers": {"x y": "1"}}, "respond.headers"),
        ({"headers": {"Content-Length": "1"}}, "respond.headers"),
        ({"headers": {"x-a": "${{ vars.x }}"}}, "respond.headers.x-a"),
        ({"text": "${{ body. }}"}, "respond.text"),
        ({"json": {"a": ["${{ steps.x }}"]}}, "respond.json"),
    ],
)
def test_settings(respond: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        Webhook("app", Settings(secret="s", respond=Respond(**respond)))
    assert [fault.path for fault in caught.value.diagnostics] == [path]
