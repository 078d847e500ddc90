"""The command on another machine: `--url`, `--token`, HUB_URL and HUB_TOKEN, from any folder."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from litestar.types import ASGIApp, Receive, Scope, Send

from hub.event import Event
from hub.process.http import listen, serve_http
from tests.unit.api_home import Home, open_home
from tests.unit.test_cli_commands import Command, Done, command

__all__ = ["command"]

READS = (
    ("runs", "list"),
    ("runs", "show", "onboarding/a/b"),
    ("runs", "watch", "onboarding/a/b"),
    ("events", "list"),
    ("events", "show", "e1"),
    ("events", "explain", "e1"),
    ("trees", "list"),
    ("trees", "show", "onboarding"),
)


class Remote:
    """A hub somewhere, which notes the tokens that it is shown."""

    def __init__(self, home: Home, url: str, token: str) -> None:
        self.home = home
        self.url = url
        self.token = token
        self.shown: set[str | None] = set()

    def noting(self, app: ASGIApp) -> ASGIApp:
        async def noted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                self.shown.add(dict(scope["headers"]).get(b"authorization", b"").decode() or None)
            await app(scope, receive, send)

        return noted


@pytest.fixture
async def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Remote]:
    for name in ("HUB_URL", "HUB_TOKEN", "HUB_PORT"):
        # Set first, so that what a command sets for its process is taken back after the test.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    async with open_home(tmp_path) as home:
        home.runs.add("onboarding/a/b", status="succeeded")
        await home.journal.append("app", [Event(id="e1", source="/t", type="t.x", data={"n": 1})])
        listener = listen("127.0.0.1", 0, what="the hub", setting="HUB_PORT")
        given = await home.access.tokens.create("ci", ["operator"], created_by="ada@example.com")
        found = Remote(home, f"http://127.0.0.1:{listener.getsockname()[1]}", given.token)
        async with serve_http(found.noting(home.app), listener):
            yield found


@pytest.mark.parametrize(
    "read",
    [*READS, *((*read, "--json") for read in READS if "watch" not in read)],
    ids=" ".join,
)
async def test_a_command_elsewhere_gives_the_same_as_at_home(
    remote: Remote,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    read: tuple[str, ...],
) -> None:
    monkeypatch.setenv("HUB_PORT", remote.url.rpartition(":")[2])
    local = await command(*read)
    assert local.code == 0
    monkeypatch.setenv("HUB_PORT", "9")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    remote.shown.clear()
    # A hub in production: nobody is let in for calling from this machine.
    remote.home.services.is_development = False
    assert await command("--url", remote.url, "--token", remote.token, *read) == local
    monkeypatch.setenv("HUB_URL", remote.url)
    monkeypatch.setenv("HUB_TOKEN", remote.token)
    assert await command(*read) == local
    assert remote.shown == {f"Bearer {remote.token}"}


async def test_what_is_named_goes_before_the_environment(
    remote: Remote, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("HUB_TOKEN", "another")
    sent = await command(
        "--url", remote.url, "--token", remote.token, "events", "send", "t.y", "--id", "e2"
    )
    assert sent.out == "accepted e2\n"
    assert remote.shown == {f"Bearer {remote.token}"}
    assert os.environ["HUB_URL"] == remote.url


async def test_without_a_token_a_hub_in_production_says_what_is_missing(
    remote: Remote, command: Command
) -> None:
    remote.home.services.is_development = False
    done: Done = await command("--url", remote.url, "runs", "list")
    assert done.code == 1
    assert "HUB_TOKEN" in done.err
    watched: Done = await command("--url", remote.url, "runs", "watch", "onboarding/a/b")
    assert (watched.code, "HUB_TOKEN" in watched.err) == (1, True)


async def test_a_hub_that_is_not_there(remote: Remote, command: Command) -> None:
    done: Done = await command("--url", "http://127.0.0.1:9", "runs", "list")
    assert done.code == 3
    assert "http://127.0.0.1:9" in done.err
    wrong: Any = await command("--url", "nowhere", "runs", "list")
    assert wrong.code != 0
    assert "nowhere" in wrong.err
