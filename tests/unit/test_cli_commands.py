"""The commands that talk to a hub, against the real HTTP side over a socket."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from hub.cli import main
from hub.ports import find_free
from hub.process.http import listen, serve_http
from hub.run.state import NodeState
from tests.unit.api_home import Home, open_home


@dataclass
class Done:
    code: int
    out: str
    err: str


Command = Callable[..., Awaitable[Done]]


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Home]:
    async with open_home(tmp_path) as opened:
        listener = listen("127.0.0.1", 0, what="the hub", setting="HUB_PORT")
        monkeypatch.setenv("HUB_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
        async with serve_http(opened.app, listener):
            yield opened


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    async def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["hub", *arguments])
        capsys.readouterr()

        def call() -> int:
            try:
                main()
            except SystemExit as end:
                return int(end.code or 0)
            return 0

        code = await asyncio.to_thread(call)
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return run


async def test_a_sent_event_is_durable_and_shown(home: Home, command: Command) -> None:
    sent = await command(
        "events", "send", "user.signed_up", "--data", '{"user_id": "u1"}', "--trigger", "app",
        "--id", "e/1", "--subject", "u1",
    )  # fmt: skip
    assert (sent.code, sent.out) == (0, "accepted e/1\n")
    (entry,) = await home.journaled()
    assert (entry.trigger, entry.event.type, entry.event.data) == (
        "app",
        "user.signed_up",
        {"user_id": "u1"},
    )
    again = await command("events", "send", "user.signed_up", "--trigger", "app", "--id", "e/1")
    assert "duplicate" in again.out
    listed = await command("events", "list")
    assert "user.signed_up" in listed.out
    shown = await command("events", "show", "e/1")
    assert '"user_id": "u1"' in shown.out


async def test_each_event_gets_an_id_of_its_own(home: Home, command: Command) -> None:
    for _ in range(2):
        assert (await command("events", "send", "x.y")).code == 0
    first, second = await home.journaled()
    assert first.id != second.id


async def test_the_payload_is_read_from_a_file(
    home: Home, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "payload.json").write_text('["ü"]', encoding="utf-8")
    sent = await command("events", "send", "x.y", "--data", f"@{tmp_path / 'payload.json'}")
    assert sent.code == 0
    (entry,) = await home.journaled()
    assert entry.event.data == ["ü"]


@pytest.mark.parametrize("data", ["{user_id: u1}", "@/no/such/file"])
async def test_a_payload_that_cannot_be_read_is_wrong_usage(
    home: Home, command: Command, data: str
) -> None:
    done = await command("events", "send", "x.y", "--data", data)
    assert done.code == 2
    assert "--data" in done.err
    assert await home.journaled() == []


async def test_an_unknown_trigger_is_not_so(home: Home, command: Command) -> None:
    done = await command("events", "send", "x.y", "--trigger", "nope")
    assert done.code == 1
    assert "there is no trigger 'nope'" in done.err


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (["events", "list", "--json"], "/api/events?limit=20"),
        (["events", "show", "e1", "--json"], "/api/events/e1"),
        (["runs", "list", "--json"], "/api/runs?limit=20"),
        (["runs", "show", "onboarding/u1", "--json"], "/api/runs/onboarding/u1"),
        (["trees", "list", "--json"], "/api/trees"),
        (["trees", "show", "onboarding", "--json"], "/api/trees/onboarding"),
    ],
)
async def test_json_is_exactly_what_the_hub_says(
    home: Home, command: Command, monkeypatch: pytest.MonkeyPatch, arguments: list[str], path: str
) -> None:
    home.runs.add("onboarding/u1", status="running")
    await command("events", "send", "x.y", "--id", "e1")
    done = await command(*arguments)
    said = (await home.client.get(path)).text
    assert (done.code, done.out) == (0, said + "\n")


async def test_runs_are_listed_with_what_they_wait_for(home: Home, command: Command) -> None:
    home.runs.add("onboarding/u1", status="running", waiting_for=["verified"])
    home.runs.add("onboarding/u2", status="failed")
    everything = await command("runs", "list")
    assert "onboarding/u1" in everything.out
    assert "✗ failed" in everything.out
    waiting = await command("runs", "list", "--waiting-for", "verified", "--status", "running")
    assert "onboarding/u1" in waiting.out
    assert "onboarding/u2" not in waiting.out
    part = await command("runs", "list", "--limit", "1")
    assert "more: --cursor 1" in part.err


async def test_empty_lists_say_so_on_stderr(home: Home, command: Command) -> None:
    for noun in ("events", "runs"):
        done = await command(noun, "list")
        assert (done.code, done.out, done.err.strip()) == (0, "", f"no {noun}")


async def test_a_run_is_drawn(home: Home, command: Command) -> None:
    home.runs.add(
        "onboarding/a/b",
        status="running",
        waiting_for=["verified"],
        started_at=datetime.now(UTC),
        nodes={
            "do[0]": NodeState(
                type="wait_for",
                status="waiting",
                attempt=1,
                deadline=datetime.now(UTC) + timedelta(days=2),
            )
        },
    )
    shown = await command("runs", "show", "onboarding/a/b")
    assert shown.code == 0
    assert "⧗ waiting" in shown.out
    assert "\x1b" not in shown.out


@pytest.mark.parametrize(("status", "code"), [("succeeded", 0), ("failed", 1), ("cancelled", 1)])
async def test_watching_ends_with_the_run(
    home: Home, command: Command, status: str, code: int
) -> None:
    home.runs.add("onboarding/u1", status=status)
    done = await command("runs", "watch", "onboarding/u1")
    assert done.code == code
    assert status in done.out


async def test_watching_follows_until_the_end(home: Home, command: Command) -> None:
    state = home.runs.add("onboarding/u1", status="running")

    def end() -> None:
        state.status = "succeeded"
        home.runs.moved.set()

    watching = asyncio.create_task(command("runs", "watch", "onboarding/u1"))
    while not home.runs.followed:
        await asyncio.sleep(0.01)
    end()
    done = await watching
    assert done.code == 0
    assert "succeeded" in done.out


async def test_watching_goes_on_when_its_stream_breaks_off(home: Home, command: Command) -> None:
    home.services.streams.lasts = 0.05
    state = home.runs.add("onboarding/u1", status="running")
    watching = asyncio.create_task(command("runs", "watch", "onboarding/u1"))
    while len(home.runs.followed) < 3:
        await asyncio.sleep(0.01)
    state.status = "failed"
    home.runs.moved.set()
    assert (await watching).code == 1


async def test_actions_reach_the_run(home: Home, command: Command) -> None:
    home.runs.add("onboarding/u1", status="running")
    assert (await command("runs", "cancel", "onboarding/u1")).code == 0
    assert (await command("runs", "terminate", "onboarding/u1", "--reason", "why")).code == 0
    forwarded = await command("runs", "forward", "onboarding/u1", "1 day 2h")
    assert forwarded.out == "onboarding/u1 is 1 day 2h ahead now\n"
    assert home.runs.done == [
        ("cancel", "onboarding/u1"),
        ("terminate", "onboarding/u1", "why"),
        ("forward", "onboarding/u1", timedelta(hours=26)),
    ]
    as_json = await command("runs", "cancel", "onboarding/u1", "--json")
    assert json.loads(as_json.out) == {"id": "onboarding/u1"}


async def test_a_length_that_is_none_is_wrong_usage_before_anything_is_sent(
    home: Home, command: Command
) -> None:
    home.runs.add("onboarding/u1")
    done = await command("runs", "forward", "onboarding/u1", "24")
    assert done.code == 2
    assert home.runs.done == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["runs", "show", "onboarding/nobody"],
        ["runs", "cancel", "onboarding/nobody"],
        ["runs", "watch", "onboarding/nobody"],
        ["events", "show", "nothing"],
        ["trees", "show", "nothing"],
    ],
)
async def test_what_is_not_there_is_exit_1(
    home: Home, command: Command, arguments: list[str]
) -> None:
    done = await command(*arguments)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: ")


async def test_trees_are_listed_and_shown_as_yaml(home: Home, command: Command) -> None:
    assert "onboarding" in (await command("trees", "list")).out
    assert "tree: onboarding" in (await command("trees", "show", "onboarding")).out


@pytest.mark.parametrize("noun", ["events", "runs", "trees"])
async def test_without_a_hub_the_exit_code_is_3(
    command: Command, monkeypatch: pytest.MonkeyPatch, noun: str
) -> None:
    monkeypatch.setenv("HUB_URL", f"http://127.0.0.1:{find_free()}")
    done = await command(noun, "list")
    assert done.code == 3
    assert "is `hub dev` running?" in done.err


@pytest.mark.parametrize(
    "arguments",
    [["runs", "show"], ["runs", "list", "--limit", "0"], ["nothing"], ["events", "send"]],
)
async def test_wrong_usage_is_exit_2(command: Command, arguments: list[str]) -> None:
    assert (await command(*arguments)).code == 2


async def test_help_and_version_need_nothing(command: Command) -> None:
    assert "Commands" in (await command("--help")).out
    assert (await command("--version")).out.startswith("hub 0.")


async def test_a_wrong_token_is_not_taken_for_the_local_user(home: Home) -> None:
    answer = await home.client.get("/api/runs", headers={"authorization": "Bearer x"})
    assert answer.status_code == httpx.codes.UNAUTHORIZED
