"""What people write of webhooks in `hub.yaml`, through the project and over HTTP."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub.routing.project import load_project
from tests.unit.api_home import Home, open_home
from triggers.webhook import (
    PROVIDERS,
    BasicSettings,
    HmacSettings,
    Respond,
    Settings,
    TwilioSettings,
    Webhook,
)

YAML = """\
name: shop
triggers:
  hook:
    webhook:
%s
"""


def faults(folder: Path, lines: str) -> dict[str, str]:
    text = YAML % "\n".join(f"      {line}" for line in lines.splitlines())
    (folder / "hub.yaml").write_text(text)
    project = load_project(folder, {"S": "a-secret-of-somebody"})
    assert all(fault.line for fault in project.diagnostics)
    assert bool(project.diagnostics) != ("hook" in project.triggers)
    return {
        fault.path.removeprefix("triggers.hook.webhook."): f"{fault.message} {fault.suggestion}"
        for fault in project.diagnostics
    }


@pytest.mark.parametrize(
    "lines",
    [
        "provider: github\nsecret: ${{ env.S }}",
        "provider: stripe\nsecret: [one, '${{ env.S }}']\ntolerance: 10m",
        "provider: twilio\nsecret: ${{ env.S }}\nurl: https://example.com/in",
        "provider: basic\nusername: ada\nsecret: ${{ env.S }}",
        "provider: none\nrespond: {status: 200, json: {id: '${{ event.id }}'}}",
        "provider: none\nid: ${{ body.no }}\ndata: {a: '${{ headers.x }}'}\nsubject: ${{ query.s }}",
        "provider: none\nrate_limit: 100/s\nmax_body: 64 KiB",
        "secret: ${{ env.S }}\nprefix: sha256=\nheader: X-Sig",
    ],
)
def test_good_settings(tmp_path: Path, lines: str) -> None:
    assert faults(tmp_path, lines) == {}


@pytest.mark.parametrize(
    ("lines", "path", "words"),
    [
        ("provider: githib\nsecret: s", "provider", "'github'"),
        ("provider: [github]\nsecret: s", "provider", "no provider"),
        ("provider: github", "secret", "GITHUB_WEBHOOK_SECRET"),
        ("provider: github\nsecret: s\nheader: x", "header", "no such field"),
        ("provider: github\nsecret: s\ntolerance: 5m", "tolerance", "no such field"),
        ("provider: stripe\nsecret: s\ntolerence: 5m", "tolerence", "`tolerance`"),
        ("provider: basic\nsecret: s", "username", "required"),
        ("provider: jwt\nissuer: i\naudience: a", "jwks", "required"),
        ("provider: sendgrid\nsecret: s", "public_key", "required"),
        ("provider: none\nsecret: s", "secret", "nothing is verified"),
        ("provider: none\nrespond: {statos: 200}", "respond.statos", "no such field"),
        ("provider: none\nrespond: {status: 500}", "respond.status", "accepted"),
        ("provider: none\nid: ${{ env.S }}", "id", "'env'"),
        ("provider: none\nrate_limit: fast", "rate_limit", "100/s"),
    ],
)
def test_bad_settings(tmp_path: Path, lines: str, path: str, words: str) -> None:
    found = faults(tmp_path, lines)
    assert list(found) == [path]
    assert words in found[path]


def test_settings_without_what_the_provider_needs_are_said_so() -> None:
    with pytest.raises(Exception, match="username"):
        Webhook("app", Settings(provider="basic", secret="s"))
    with pytest.raises(Exception, match="zoom2"):
        Webhook("app", HmacSettings(provider="zoom2", secret="s", header="x"))


@pytest.mark.parametrize("kind", PROVIDERS.values())
def test_no_settings_show_a_secret(kind: Any) -> None:
    fields = {field.name for field in msgspec.structs.fields(kind.settings_type) if field.required}
    settings = kind.settings_type(
        provider=kind.name, secret="very-secret-value", **dict.fromkeys(fields, "very-secret")
    )
    assert "very-secret" not in f"{settings} {settings!r}"
    assert (kind.settings_type.__doc__ or "").strip()


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with open_home(tmp_path) as home:
        home.project.triggers = {
            "github": Webhook("github", Settings(provider="github", secret="s3cret")),
            "slack": Webhook("slack", Settings(provider="slack", secret="s3cret")),
            "slow": Webhook("slow", Settings(provider="none", rate_limit="2/h")),
            "basic": Webhook("basic", BasicSettings(provider="basic", username="u", secret="p")),
            "twilio": Webhook("twilio", TwilioSettings(provider="twilio", secret="s3cret")),
            "form": Webhook(
                "form",
                Settings(provider="none", respond=Respond(status=200, text="${{ event.id }}")),
            ),
        }
        yield home


async def test_a_delivery_over_http(home: Home) -> None:
    body = b'{"action": "opened"}'
    headers = {
        "X-Hub-Signature-256": "sha256=" + hmac.digest(b"s3cret", body, "sha256").hex(),
        "X-GitHub-Event": "issues",
        "X-GitHub-Delivery": "d1",
        "Content-Type": "application/json",
    }
    first = await home.client.post("/hooks/github", content=body, headers=headers)
    again = await home.client.post("/hooks/github", content=body, headers=headers)
    assert (first.status_code, first.json()) == (202, {"id": "d1"})
    assert (again.status_code, again.json()) == (202, {"id": "d1", "duplicate": True})
    entry = await home.journal.get("d1")
    assert entry.event.type == "issues.opened"


async def test_a_handshake_over_http_leaves_no_event(home: Home) -> None:
    import time

    body = b'{"type": "url_verification", "challenge": "abc"}'
    now = str(int(time.time()))
    signed = b"v0:" + now.encode() + b":" + body
    response = await home.client.post(
        "/hooks/slack",
        content=body,
        headers={
            "x-slack-signature": "v0=" + hmac.digest(b"s3cret", signed, "sha256").hex(),
            "x-slack-request-timestamp": now,
            "content-type": "application/json",
        },
    )
    assert (response.status_code, response.text) == (200, "abc")
    assert response.headers["content-type"].startswith("text/plain")
    assert not await home.journaled()


async def test_too_many_requests_over_http(home: Home) -> None:
    for _ in range(2):
        assert (await home.client.post("/hooks/slow", json={})).status_code == 202
    response = await home.client.post("/hooks/slow", json={})
    assert response.status_code == 429
    assert 1700 < int(response.headers["retry-after"]) <= 1800
    assert response.json()["code"] == "rate_limited"
    assert len(await home.journaled()) == 2


async def test_a_caller_is_asked_for_its_password_over_http(home: Home) -> None:
    response = await home.client.post("/hooks/basic", json={})
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Basic ")
    response = await home.client.post("/hooks/basic", json={}, auth=("u", "p"))
    assert response.status_code == 202


async def test_the_public_address_over_http(home: Home) -> None:
    from twilio.request_validator import RequestValidator

    url = "http://localhost:8080/hooks/twilio?tenant=a%2Fb&tenant=c"
    fields = {"MessageSid": "SM1", "MessageStatus": "sent"}
    response = await home.client.post(
        "/hooks/twilio?tenant=a%2Fb&tenant=c",
        data=fields,
        headers={"x-twilio-signature": RequestValidator("s3cret").compute_signature(url, fields)},
    )
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/xml"
    (entry,) = await home.journaled()
    assert entry.event.type == "message.sent"


async def test_an_answer_over_http_comes_after_the_event_is_kept(home: Home) -> None:
    response = await home.client.post("/hooks/form", data={"id": "f1", "name": "Ada"})
    assert (response.status_code, response.text) == (200, "f1")
    assert (await home.journal.get("f1")).event.data == {"id": "f1", "name": "Ada"}
