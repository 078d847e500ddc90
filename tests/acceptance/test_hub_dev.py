"""`hub dev` from outside: what a person sees and does, signals, kills and wrong files included."""

from __future__ import annotations

import os
import re
import signal
import socket
from pathlib import Path

import pytest

from tests.acceptance.hub_process import HubProcess

SIGN_UP = ("events", "send", "user.signed_up", "--trigger", "app", "--data")


def sign_up(hub: HubProcess, user: str) -> None:
    hub.hub(*SIGN_UP, f'{{"user_id": "{user}", "email": "{user}@example.com"}}')


def until_waiting(hub: HubProcess, run_id: str) -> None:
    hub.until(lambda: hub.run(run_id).get("waiting_for") == ["verified"], f"{run_id} to wait")


def test_a_new_project_runs_from_the_first_event_to_the_last_step(project: Path) -> None:
    with HubProcess(project) as hub:
        screen = hub.screen()
        assert f"{hub.url}/hooks/app" in screen
        assert f"{hub.url}/dev/mail" in screen
        assert "signup" in screen

        sign_up(hub, "u1")
        until_waiting(hub, "signup/u1")
        assert "⧗ waiting" in hub.hub("runs", "show", "signup/u1")
        hub.until(hub.mails, "the welcome mail")
        (welcome,) = hub.mails()
        assert welcome["to"] == ["u1@example.com"]

        link = re.search(rf"{re.escape(hub.url)}/callbacks/\S+", welcome["text"])
        assert link is not None
        assert hub.post(link[0].removeprefix(hub.url), None).status_code < 400
        hub.until(lambda: hub.run("signup/u1")["status"] == "succeeded", "the end of the run")
        assert hub.hub("runs", "watch", "signup/u1", code=0)
        assert len(hub.mails()) == 1

        events = hub.json("events", "list")["items"]
        assert {event["status"] for event in events} == {"delivered"}


def test_time_can_be_moved_on(project: Path) -> None:
    with HubProcess(project) as hub:
        sign_up(hub, "u1")
        until_waiting(hub, "signup/u1")
        hub.hub("runs", "forward", "signup/u1", "25h")
        hub.until(lambda: hub.run("signup/u1")["status"] == "succeeded", "the end of the run")
        assert [mail["subject"] for mail in hub.mails()] == [
            "Please confirm your address",
            "Welcome!",
        ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order_without_an_error_and_without_orphans(
    project: Path, number: int
) -> None:
    with HubProcess(project) as hub:
        assert hub.children()
        sign_up(hub, "u1")
        assert hub.stop(number) == 0
        assert hub.children() == []
        assert "stopped" in hub.screen()
        assert "Traceback" not in hub.screen()


def test_a_second_signal_ends_it_at_once_and_still_without_orphans(project: Path) -> None:
    with HubProcess(project) as hub:
        hub.process.send_signal(signal.SIGINT)
        hub.until_screen("Ctrl-C again stops at once")
        # A wrapper that passes on the same Ctrl-C counts as one; whoever insists is heard.
        hub.until(lambda: hub.interrupt() is not None, "its end")
        assert hub.process.returncode == 130
        hub.until(lambda: not hub.children(), "the children to be gone")


def test_a_signal_while_it_starts_ends_it_as_well(project: Path) -> None:
    with HubProcess(project, wait=False) as hub:
        hub.until_screen("starting Temporal")
        assert hub.stop() == 0
        assert hub.children() == []


def test_what_was_there_is_there_after_a_restart(project: Path) -> None:
    with HubProcess(project) as hub:
        sign_up(hub, "u1")
        until_waiting(hub, "signup/u1")
        hub.stop()
        hub.start()
        assert hub.run("signup/u1")["waiting_for"] == ["verified"]
        hub.hub(
            "events",
            "send",
            "user.email_verified",
            "--trigger",
            "app",
            "--data",
            '{"user_id": "u1"}',
        )
        hub.until(lambda: hub.run("signup/u1")["status"] == "succeeded", "the end of the run")
        assert len(hub.mails()) == 1


def test_a_killed_hub_takes_its_servers_along_and_loses_nothing(project: Path) -> None:
    with HubProcess(project) as hub:
        sign_up(hub, "u1")
        until_waiting(hub, "signup/u1")
        hub.kill()
        # At once again: the servers of before may still be dying.
        hub.start()
        assert hub.run("signup/u1")["waiting_for"] == ["verified"]
        hub.kill()
        hub.until(lambda: not hub.children(), "the servers to be gone")


def test_a_killed_temporal_comes_back_and_runs_go_on(project: Path) -> None:
    with HubProcess(project) as hub:
        sign_up(hub, "u1")
        until_waiting(hub, "signup/u1")
        (server,) = [
            int(line.split()[0])
            for line in hub.children()
            if "server start-dev" in line and "tether" not in line
        ]
        os.kill(server, signal.SIGKILL)
        hub.until_screen("is back on")
        hub.hub(
            "events",
            "send",
            "user.email_verified",
            "--trigger",
            "app",
            "--data",
            '{"user_id": "u1"}',
        )
        hub.until(lambda: hub.run("signup/u1").get("status") == "succeeded", "the end of the run")


@pytest.mark.parametrize(
    "setting", ["HUB_PORT", "HUB_TEMPORAL_PORT", "HUB_TEMPORAL_UI_PORT", "HUB_SMTP_PORT"]
)
def test_a_taken_port_is_named_with_its_setting(project: Path, setting: str) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with HubProcess(project, wait=False, **{setting: str(port)}) as hub:
            assert hub.process.wait(60) == 1
            assert f"port {port}" in hub.screen()
            assert f"set {setting} to a free port" in hub.screen()
            assert "Traceback" not in hub.screen()


def test_a_second_hub_on_the_same_project_is_told_of_the_first(project: Path) -> None:
    with HubProcess(project) as first, HubProcess(project, wait=False) as second:
        assert second.process.wait(60) == 1
        assert f"another `hub dev` (process {first.process.pid})" in second.screen()


@pytest.mark.parametrize(
    ("env", "said"),
    [({"HUB_PORT": "nope"}, "HUB_PORT is 'nope'"), ({"HUB_HOST": "0.0.0.0"}, "HUB_HOST")],
)
def test_a_setting_that_cannot_be_used_is_wrong_usage(
    project: Path, env: dict[str, str], said: str
) -> None:
    with HubProcess(project, wait=False, **env) as hub:
        assert hub.process.wait(60) == 2
        assert said in hub.screen()


def test_a_folder_that_is_no_project_says_how_to_make_one(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with HubProcess(empty, wait=False) as hub:
        assert hub.process.wait(60) == 1
        assert "hub init" in hub.screen()


def test_a_wrong_tree_is_said_at_the_start_and_mended_while_it_runs(project: Path) -> None:
    tree = project / "trees" / "signup.yaml"
    good = tree.read_text()
    tree.write_text(good.replace("wait_for: verified", "wait_for: verifed"))
    with HubProcess(project) as hub:
        assert re.search(r"trees/signup\.yaml:\d+:\d+: error: ", hub.screen())
        assert hub.json("trees", "list")["items"] == []
        tree.write_text(good)
        hub.until_screen("signup.yaml changed: reloaded")
        assert [item["name"] for item in hub.json("trees", "list")["items"]] == ["signup"]


def test_a_tree_that_becomes_wrong_goes_on_as_it_was(project: Path) -> None:
    tree = project / "trees" / "signup.yaml"
    good = tree.read_text()
    with HubProcess(project) as hub:
        (before,) = hub.json("trees", "list")["items"]
        tree.write_text(good + "  - delya: 7 days\n")
        hub.until_screen("with errors: what is wrong stays as it was")
        assert "delay" in hub.screen()
        assert hub.json("trees", "list")["items"] == [before]
        sign_up(hub, "u1")
        until_waiting(hub, "signup/u1")

        tree.write_text(good + "  - log: done\n")
        hub.until_screen("signup.yaml changed: reloaded")
        (after,) = hub.json("trees", "list")["items"]
        assert after["hash"] != before["hash"]
        # A run is pinned to the definition that it began with.
        assert hub.run("signup/u1")["hash"] == before["hash"]
        hub.hub(
            "events",
            "send",
            "user.email_verified",
            "--trigger",
            "app",
            "--data",
            '{"user_id": "u1"}',
        )
        hub.until(lambda: hub.run("signup/u1")["status"] == "succeeded", "the end of the run")


def test_the_doctor_finds_the_running_hub_well(project: Path) -> None:
    with HubProcess(project) as hub:
        found = {item["name"]: item["status"] for item in hub.json("doctor", str(project))["items"]}
        assert found["running hub: temporal"] == "ok"
        assert set(found.values()) == {"ok"}
