from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import structlog

from hub.errors import Busy
from hub.event import Event
from hub.trigger import HttpTrigger, Receipt, Received, Request, Response
from tests.contracts.trigger import GARBAGE
from tests.unit.api_home import Home, open_home
from triggers.webhook import Settings


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with open_home(tmp_path) as home:
        yield home


def signed(body: bytes, secret: bytes = b"s3cret") -> dict[str, str]:
    return {
        "x-signature": hmac.digest(secret, body, "sha256").hex(),
        "content-type": "application/json",
    }


def is_problem(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["code"] == code
    assert problem["title"]
    assert problem["detail"]
    assert problem["type"] == "about:blank"
    return dict(problem)


class Wire:
    """A sender on the other end of ASGI, which can send in pieces, stall, and go away."""

    def __init__(self, messages: Sequence[dict[str, Any] | None]) -> None:
        self._messages = list(messages)
        self.taken = 0
        self.sent: list[Any] = []

    async def receive(self) -> Any:
        if self.taken == len(self._messages):
            raise AssertionError("the hub reads on after the end")
        message = self._messages[self.taken]
        self.taken += 1
        if message is None:
            await asyncio.Event().wait()
        return message

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    async def post(self, home: Home, path: str, headers: Sequence[tuple[bytes, bytes]] = ()) -> int:
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(b"host", b"localhost"), *headers],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
        await home.app(scope, self.receive, self.send)  # type: ignore[arg-type]
        return int(self.sent[0]["status"])

    def header(self, name: bytes) -> bytes | None:
        return dict(self.sent[0]["headers"]).get(name)


def piece(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_an_accepted_event_is_in_the_journal(home: Home) -> None:
    body = b'{"type": "user.signed_up", "id": "e1", "data": {"user": "u1"}}'
    response = await home.client.post("/hooks/app", content=body, headers=signed(body))
    assert response.status_code == 202
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {"id": "e1"}
    entry = await home.journal.get("e1")
    assert (entry.trigger, entry.event.type, entry.event.data) == (
        "app",
        "user.signed_up",
        {"user": "u1"},
    )


async def test_a_duplicate_is_accepted_and_marked(home: Home) -> None:
    body = b'{"id": "e1"}'
    first = await home.client.post("/hooks/app", content=body, headers=signed(body))
    second = await home.client.post("/hooks/app", content=body, headers=signed(body))
    assert first.json() == {"id": "e1"}
    assert second.status_code == 202
    assert second.json() == {"id": "e1", "duplicate": True}
    assert len(await home.journaled()) == 1


async def test_several_events_in_one_request(home: Home) -> None:
    events = [{"specversion": "1.0", "id": i, "source": "/s", "type": "t"} for i in ("a", "b", "a")]
    response = await home.client.post(
        "/hooks/open",
        content=msgspec.json.encode(events),
        headers={"content-type": "application/cloudevents-batch+json"},
    )
    assert response.status_code == 202
    assert response.json() == {"ids": ["a", "b", "a"], "duplicates": ["a"]}
    assert len(await home.journaled()) == 2


@pytest.mark.parametrize("name", ["nothing", "nightly", "app/more", "", "../app", "app%2Fx"])
async def test_unknown_hooks(home: Home, name: str) -> None:
    is_problem(await home.client.post(f"/hooks/{name}", content=b"{}"), 404, "not_found")


async def test_a_path_that_only_begins_like_a_hook(home: Home) -> None:
    is_problem(await home.client.post("/hooksapp", content=b"{}"), 404, "not_found")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"])
async def test_hooks_are_posted_to(home: Home, method: str) -> None:
    response = await home.client.request(method, "/hooks/app")
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"


async def test_forged_requests_leave_nothing(home: Home) -> None:
    body = b'{"id": "e1"}'
    for headers in (signed(body, b"wrong"), signed(b'{"id": "e2"}'), {}):
        response = await home.client.post("/hooks/app", content=body, headers=headers)
        is_problem(response, 401, "bad_signature")
        assert "s3cret" not in response.text
    assert await home.journaled() == []


@pytest.mark.parametrize("name", GARBAGE)
async def test_garbage_is_a_400_and_leaves_nothing(home: Home, name: str) -> None:
    body = GARBAGE[name][:1024]
    response = await home.client.post(
        "/hooks/open", content=body, headers={"content-type": "application/json"}
    )
    is_problem(response, 400, "bad_request")
    assert await home.journaled() == []


async def test_a_hook_answers_whatever_host_it_is_called_by(home: Home) -> None:
    body = b"{}"
    response = await home.client.post(
        "/hooks/app",
        content=body,
        headers=signed(body) | {"host": "tunnel.example", "origin": "https://shop.example"},
    )
    assert response.status_code == 202


async def test_a_body_over_the_limit_by_its_length(home: Home) -> None:
    wire = Wire([])
    status = await wire.post(home, "/hooks/open", [(b"content-length", b"1025")])
    assert (status, wire.taken) == (413, 0)


async def test_a_chunked_body_over_the_limit_is_not_read_whole(home: Home) -> None:
    wire = Wire([piece(b"x" * 400, more=True) for _ in range(100)])
    assert await wire.post(home, "/hooks/open") == 413
    assert wire.taken == 3
    assert msgspec.json.decode(wire.sent[1]["body"])["code"] == "too_large"
    assert await home.journaled() == []


async def test_a_length_that_lies_changes_nothing(home: Home) -> None:
    wire = Wire([piece(b"x" * 1024, more=True), piece(b"y", more=False)])
    assert await wire.post(home, "/hooks/open", [(b"content-length", b"2")]) == 413
    whole = Wire([piece(b"x" * 2000, more=False)])
    assert await whole.post(home, "/hooks/open", [(b"content-length", b"2")]) == 413
    for odd in (b"-5", b"two", b"9" * 5000):
        last = Wire([piece(b"{}", more=False)])
        assert await last.post(home, "/hooks/open", [(b"content-length", odd)]) in (202, 413)


async def test_a_body_of_just_the_limit(home: Home) -> None:
    body = b'{"id": "' + b"x" * (1024 - 10) + b'"}'
    wire = Wire(
        [piece(body[:500], more=True), piece(b"", more=True), piece(body[500:], more=False)]
    )
    assert await wire.post(home, "/hooks/open") == 202


async def test_a_slow_body(tmp_path: Path) -> None:
    async with open_home(tmp_path, body_timeout=0.01) as home:
        wire = Wire([piece(b"{", more=True), None])
        assert await wire.post(home, "/hooks/open") == 408
        assert wire.header(b"connection") == b"close"
        assert await home.journaled() == []


async def test_a_sender_that_goes_away_leaves_nothing(home: Home) -> None:
    wire = Wire([piece(b"{}", more=True), {"type": "http.disconnect"}])
    await wire.post(home, "/hooks/open")
    assert await home.journaled() == []


async def test_a_full_hub_asks_to_come_again(tmp_path: Path) -> None:
    async with open_home(tmp_path, max_backlog=0) as home:
        response = await home.client.post("/hooks/open", json={})
        is_problem(response, 503, "busy")
        assert int(response.headers["retry-after"]) > 0
        assert await home.journaled() == []


async def test_a_full_disk_asks_to_come_again_and_nothing_is_half_kept(home: Home) -> None:
    """By SQLite's own way of a full disk, which holds for the connection that it is set on."""

    async def limit_pages(pages: int) -> None:
        connection = await home.journal._writer._connect()
        await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        await connection.rollback()

    batch = [
        {"specversion": "1.0", "id": f"e{n}", "source": "/t", "type": "t", "data": "x" * 9000}
        for n in range(5)
    ]
    content = {"content-type": "application/cloudevents-batch+json"}

    async def send() -> httpx.Response:
        return await home.client.post(
            "/api/events", content=msgspec.json.encode(batch), headers=content
        )

    assert (await home.client.post("/hooks/open", json={"id": "before"})).status_code == 202
    await limit_pages(1)
    for _ in range(3):
        refused = await send()
        is_problem(refused, 503, "busy")
        assert int(refused.headers["retry-after"]) > 0
    assert [entry.id for entry in await home.journaled()] == ["before"]
    await limit_pages(100_000)
    assert (await send()).status_code == 202
    entries = await home.journaled()
    assert sorted(entry.id for entry in entries) == ["before", *(f"e{n}" for n in range(5))]
    assert not any(entry.duplicates for entry in entries)


class Handshake(HttpTrigger):
    """Answers in its own words."""

    kind = "handshake"
    settings_type = Settings

    async def receive(self, request: Request) -> Received:
        if request.body == b"broken":
            raise RuntimeError("the password is hunter2")
        events = [Event(id="h1", source="/s", type="t")] if request.body else []
        answer = Response(
            status=200, headers={"Content-Type": "text/plain", "X-Q": "é"}, body=b"challenge"
        )
        return Received(events=events, response=answer)


async def test_a_trigger_may_answer_itself_after_the_commit(home: Home) -> None:
    home.project.triggers = {"h": Handshake("h", None)}
    shaken = await home.client.post("/hooks/h")
    assert (shaken.status_code, shaken.text) == (200, "challenge")
    assert shaken.headers["content-type"] == "text/plain"
    assert await home.journaled() == []
    sent = await home.client.post("/hooks/h", content=b"event")
    assert sent.text == "challenge"
    assert len(await home.journaled()) == 1


async def test_the_triggers_own_answer_is_not_sent_when_nothing_was_kept(home: Home) -> None:
    class Full:
        async def accept(self, trigger: str, events: Sequence[Event]) -> Sequence[Receipt]:
            raise Busy(retry_after=7)

    home.project.triggers = {"h": Handshake("h", None)}
    home.services.intake = Full()
    response = await home.client.post("/hooks/h", content=b"event")
    is_problem(response, 503, "busy")
    assert response.headers["retry-after"] == "7"


async def test_an_unexpected_fault_tells_nothing_but_its_id(home: Home) -> None:
    home.project.triggers = {"h": Handshake("h", None)}
    with structlog.testing.capture_logs() as logs:
        response = await home.client.post("/hooks/h", content=b"broken")
    problem = is_problem(response, 500, "internal")
    assert "hunter2" not in response.text
    assert "RuntimeError" not in response.text
    (entry,) = logs
    assert problem["instance"] == f"urn:uuid:{entry['error_id']}"
    assert entry["error_id"] in problem["detail"]
    assert "RuntimeError" in entry["exception"]


async def test_no_hook_speaks_for_callback_links(home: Home) -> None:
    home.project.triggers = {"callback": home.project.triggers["open"]}
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "x",
        "ce-source": "/callbacks",
        "ce-type": "hub.callback",
        "ce-hubrun": "onboarding/u1",
        "ce-hubsubscription": "verified",
    }
    is_problem(await home.client.post("/hooks/callback", headers=headers), 404, "not_found")
    sent = await home.client.post("/api/events?trigger=callback", headers=headers)
    is_problem(sent, 404, "not_found")
    assert await home.journaled() == []
