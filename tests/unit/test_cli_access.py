"""`hub users` and `hub tokens` on a project's own journal, and over HTTP."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from hub.access import Access
from hub.access.passwords import Passwords
from hub.cli.app import app
from hub.cli.client import HubClient
from hub.errors import HubError, NotFound
from hub.routing.journal import Journal
from hub.sign_in import SignInSettings


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HUB_URL", "HUB_JOURNAL_URL", "HUB_STATE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "hub.yaml").write_text("name: p\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def hub(*words: str, stdin: str | None = None) -> str:
    result = CliRunner().invoke(app, list(words), input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_users_and_tokens_are_made_on_the_journal_itself(project: Path) -> None:
    given = ["--password-stdin"]
    hub("users", "create", "Ada@Example.com", "--role", "admin", *given, stdin="twelve letters\n")
    hub("users", "roles", "ada@example.com", "--role", "viewer", "--role", "approver")
    hub("users", "password", "ada@example.com", *given, stdin="other twelve letters\n")
    (user,) = json.loads(hub("users", "list", "--json"))["items"]
    assert (user["name"], user["roles"]) == ("ada@example.com", ["viewer", "approver"])
    token = hub("tokens", "create", "ci", "--role", "operator", "--expires-in", "1h").strip()
    (info,) = json.loads(hub("tokens", "list", "--json"))["items"]
    assert token.startswith(f"hub_{info['id']}_")
    assert "ci" in hub("tokens", "list")

    async def look() -> None:
        journal = await Journal.open(str(project / ".hub" / "journal.db"))
        access = Access(journal, SignInSettings())
        used = await access.tokens.use(token)
        assert used.roles == {"operator", "viewer"}
        kept = await access.people.password_of("ada@example.com")
        assert await Passwords().matches(kept, "other twelve letters")
        written = [(e.action, e.how, e.outcome) for e in (await access.audit.list()).items]
        assert written == [
            ("token.create", "cli", "done"),
            ("user.change", "cli", "done"),
            ("user.change", "cli", "done"),
            ("user.create", "cli", "done"),
        ]
        await journal.close()

    asyncio.run(look())
    hub("tokens", "revoke", info["prefix"])
    hub("users", "remove", "ada@example.com")
    assert json.loads(hub("users", "list", "--json"))["items"] == []
    assert json.loads(hub("tokens", "list", "--json"))["items"][0]["revoked_at"]


def test_what_cannot_be_is_said(project: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no user"):
        hub("users", "remove", "nobody")
    with pytest.raises(HubError, match="no role 'root'"):
        hub("users", "create", "x", "--role", "root", "--password-stdin", stdin="twelve letters\n")
    with pytest.raises(HubError, match="12 to 256"):
        hub("users", "create", "x", "--role", "admin", "--password-stdin", stdin="short\n")
    elsewhere = str(tmp_path / "elsewhere")
    with pytest.raises(NotFound, match="no project"):
        hub("tokens", "list", "--project", elsewhere)


def test_over_http_any_method_brings_the_token_along() -> None:
    seen: list[tuple[str, str, str, bytes]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(
            (request.method, request.url.path, request.headers["authorization"], request.content)
        )
        return httpx.Response(204) if request.method == "DELETE" else httpx.Response(200, json={})

    env = {"HUB_URL": "http://hub.example", "HUB_TOKEN": "hub_x"}
    with HubClient(env=env, transport=httpx.MockTransport(answer)) as client:
        client.send("PUT", "users", "ada@example.com", body={"roles": ["viewer"]})
        client.send("DELETE", "users", "ada@example.com")
    assert seen == [
        ("PUT", "/api/users/ada@example.com", "Bearer hub_x", b'{"roles": ["viewer"]}'),
        ("DELETE", "/api/users/ada@example.com", "Bearer hub_x", b""),
    ]
