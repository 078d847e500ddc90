"""`hub dev` from outside: what a person sees and does, signals, kills and wrong files included."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hub.cli.init import create_project
from hub.dev.develop import develop
from hub.dev.screen import Screen
from hub.errors import InvalidSetting, PortTaken
from tests.acceptance.hub_process import HubProcess, free_ports

SIGN_UP = ("events", "send", "user.signed_up", "--trigger", "app", "--data")
RELOADED = "signup.yaml changed: reloaded"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """One that runs, for those tests that leave it as it was; each has users of its own."""
    folder = tmp_path_factory.mktemp("dev") / "shop"
    create_project(folder)
    with HubProcess(folder) as hub:
        yield hub


def send(hub: HubProcess, kind: str, user: str) -> None:
    event = {
        "specversion": "1.0",
        "id": f"{kind}-{user}",
        "source": "/test",
        "type": kind,
        "data": {"user_id": user, "email": f"{user}@example.com"},
    }
    headers = {"content-type": "application/cloudevents+json"}
    assert hub.post("/api/events?trigger=app", event, headers).status_code == 202


def begin(hub: HubProcess, user: str) -> str:
    """A run that waits for the user's address to be verified; its id."""
    send(hub, "user.signed_up", user)
    run_id = f"signup/{user}"
    until_waiting(hub, run_id)
    return run_id


def verify(hub: HubProcess, user: str) -> None:
    send(hub, "user.email_verified", user)
    run_id = f"signup/{user}"
    hub.until(lambda: hub.run(run_id).get("status") == "succeeded", f"the end of {run_id}")


def until_waiting(hub: HubProcess, run_id: str) -> None:
    hub.until(lambda: hub.run(run_id).get("waiting_for") == ["verified"], f"{run_id} to wait")


def mails_to(hub: HubProcess, user: str) -> list[str]:
    return [mail["subject"] for mail in hub.mails() if mail["to"] == [f"{user}@example.com"]]


def test_a_project_runs_from_the_first_event_to_the_last_step(hub: HubProcess) -> None:
    screen = hub.screen()
    assert f"{hub.url}/hooks/app" in screen
    assert f"{hub.url}/dev/mail" in screen
    assert "signup" in screen

    hub.hub(*SIGN_UP, '{"user_id": "u1", "email": "u1@example.com"}')
    until_waiting(hub, "signup/u1")
    assert "⧗ waiting" in hub.hub("runs", "show", "signup/u1")
    hub.until(lambda: mails_to(hub, "u1"), "the welcome mail")
    (welcome,) = [mail for mail in hub.mails() if mail["to"] == ["u1@example.com"]]

    link = re.search(rf"{re.escape(hub.url)}/callbacks/\S+", welcome["text"])
    assert link is not None
    assert hub.post(link[0].removeprefix(hub.url), None).status_code < 400
    hub.until(lambda: hub.run("signup/u1")["status"] == "succeeded", "the end of the run")
    assert hub.hub("runs", "watch", "signup/u1", code=0)
    assert mails_to(hub, "u1") == ["Welcome!"]

    events = hub.json("events", "list", "--key", "u1")["items"]
    assert [event["status"] for event in events] == ["delivered", "delivered"]


def test_time_can_be_moved_on(hub: HubProcess) -> None:
    run_id = begin(hub, "moved")
    hub.hub("runs", "forward", run_id, "25h")
    hub.until(lambda: hub.run(run_id)["status"] == "succeeded", "the end of the run")
    assert mails_to(hub, "moved") == ["Please confirm your address", "Welcome!"]


def test_a_killed_temporal_comes_back_and_runs_go_on(hub: HubProcess) -> None:
    begin(hub, "before")
    (server,) = [
        int(line.split()[0])
        for line in hub.children()
        if "server start-dev" in line and "tether" not in line
    ]
    os.kill(server, signal.SIGKILL)
    hub.until_screen("is back on")
    verify(hub, "before")


def test_a_second_hub_on_the_same_project_is_told_of_the_first(hub: HubProcess) -> None:
    with HubProcess(hub.project, wait=False) as second:
        assert second.process.wait(60) == 1
        assert f"another `hub dev` (process {hub.process.pid})" in second.screen()


def test_the_doctor_finds_the_running_hub_well(hub: HubProcess) -> None:
    listed = hub.json("doctor", str(hub.project))["items"]
    found = {item["name"]: item["status"] for item in listed}
    assert found["running hub: temporal"] == "ok"
    assert set(found.values()) == {"ok"}


def test_a_tree_that_becomes_wrong_goes_on_as_it_was(hub: HubProcess) -> None:
    tree = hub.project / "trees" / "signup.yaml"
    good = tree.read_text()

    def save(text: str) -> None:
        before = hub.screen().count(RELOADED)
        tree.write_text(text)
        hub.until(lambda: hub.screen().count(RELOADED) > before, repr(RELOADED))

    (before,) = hub.get("/api/trees")["items"]
    tree.write_text(good + "  - delya: 7 days\n")
    hub.until_screen("with errors: what is wrong stays as it was")
    assert "delay" in hub.screen()
    assert hub.get("/api/trees")["items"] == [before]
    run_id = begin(hub, "pinned")

    save(good + "  - log: done\n")
    (after,) = hub.get("/api/trees")["items"]
    assert after["hash"] != before["hash"]
    # A run is pinned to the definition that it began with.
    assert hub.run(run_id)["hash"] == before["hash"]
    verify(hub, "pinned")
    save(good)


def test_a_wrong_tree_is_said_at_the_start_and_mended_while_it_runs(project: Path) -> None:
    tree = project / "trees" / "signup.yaml"
    good = tree.read_text()
    tree.write_text(good.replace("wait_for: verified", "wait_for: verifed"))
    with HubProcess(project) as hub:
        assert re.search(r"trees/signup\.yaml:\d+:\d+: error: ", hub.screen())
        assert hub.get("/api/trees")["items"] == []
        tree.write_text(good)
        hub.until_screen(RELOADED)
        assert [item["name"] for item in hub.json("trees", "list")["items"]] == ["signup"]

        hub.process.send_signal(signal.SIGINT)
        hub.until_screen("Ctrl-C again stops at once")
        # A wrapper that passes on the same Ctrl-C counts as one; whoever insists is heard.
        hub.until(lambda: hub.interrupt() is not None, "its end")
        assert hub.process.returncode == 130
        hub.until(lambda: not hub.children(), "the children to be gone")


def test_what_was_there_is_there_after_each_kind_of_end(project: Path) -> None:
    with HubProcess(project) as hub:
        run_id = begin(hub, "u1")
        _end(hub, signal.SIGTERM)

        hub.start()
        assert hub.run(run_id)["waiting_for"] == ["verified"]
        hub.kill()
        # At once again: the servers of before may still be dying.
        hub.start()
        assert hub.run(run_id)["waiting_for"] == ["verified"]
        verify(hub, "u1")
        assert mails_to(hub, "u1") == ["Welcome!"]
        _end(hub, signal.SIGINT)


def _end(hub: HubProcess, number: int) -> None:
    """A signal ends it in order, without an error, and without orphans."""
    assert hub.children()
    assert hub.stop(number) == 0
    assert hub.children() == []
    assert "stopped" in hub.screen()
    assert "Traceback" not in hub.screen()


def test_a_signal_while_it_starts_ends_it_as_well(project: Path) -> None:
    with HubProcess(project, wait=False) as hub:
        hub.until_screen("starting Temporal")
        assert hub.stop() == 0
        assert hub.children() == []


def test_a_taken_port_is_said_and_ends_it(project: Path) -> None:
    with _held() as port, HubProcess(project, wait=False, HUB_PORT=str(port)) as hub:
        assert hub.process.wait(60) == 1
        assert f"port {port}" in hub.screen()
        assert "set HUB_PORT to a free port" in hub.screen()
        assert "Traceback" not in hub.screen()


@pytest.mark.parametrize("setting", ["HUB_TEMPORAL_PORT", "HUB_TEMPORAL_UI_PORT", "HUB_SMTP_PORT"])
async def test_each_taken_port_is_named_with_its_setting(
    project: Path, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _held() as port:
        for name, value in {**free_ports(), setting: str(port)}.items():
            monkeypatch.setenv(name, value)
        with Screen() as screen, pytest.raises(PortTaken, match=f"port {port}.*set {setting} to a"):
            await develop(project, screen)


@contextmanager
def _held() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_a_setting_that_cannot_be_used_is_wrong_usage(project: Path) -> None:
    with HubProcess(project, wait=False, HUB_PORT="nope") as hub:
        assert hub.process.wait(60) == 2
        assert "HUB_PORT is 'nope'" in hub.screen()


async def test_it_listens_on_this_machine_alone(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_HOST", "0.0.0.0")
    with Screen() as screen, pytest.raises(InvalidSetting, match=r"HUB_HOST is '0\.0\.0\.0'"):
        await develop(project, screen)


def test_a_folder_that_is_no_project_says_how_to_make_one(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with HubProcess(empty, wait=False) as hub:
        assert hub.process.wait(60) == 1
        assert "hub init" in hub.screen()
