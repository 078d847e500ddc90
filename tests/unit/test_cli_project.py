"""The commands on a project's folder: `init`, `validate`, `doctor`."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.cli import main
from hub.cli.doctor import examine
from hub.cli.init import create_project
from hub.errors import Conflict, WrongUsage
from hub.ports import find_free
from hub.process.http import listen
from hub.routing.project import load_project
from hub.secrets import read_dotenv
from hub.settings import Settings

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hub", *arguments])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> None:
    free: set[int] = set()
    while len(free) < 4:
        free.add(find_free())
    names = ("HUB_PORT", "HUB_TEMPORAL_PORT", "HUB_TEMPORAL_UI_PORT", "HUB_SMTP_PORT")
    for name, port in zip(names, free, strict=True):
        monkeypatch.setenv(name, str(port))


def test_a_new_project_is_valid_as_it_is(tmp_path: Path, command: Command) -> None:
    folder = tmp_path / "My Shop 2"
    code, out, _ = command("init", str(folder))
    assert code == 0
    assert f"hub dev {folder}" in out
    env = read_dotenv(folder / ".env")
    project = load_project(folder, env)
    assert project.diagnostics == []
    assert (project.name, list(project.trees)) == ("my-shop-2", ["signup"])
    assert (folder / "trees" / "signup.test.yaml").is_file()
    assert (folder / ".gitignore").read_text().splitlines() == [".env", ".hub/"]


def test_its_secret_is_its_own_and_for_its_owner_alone(tmp_path: Path) -> None:
    secrets = set()
    for name in ("one", "two"):
        create_project(tmp_path / name)
        secrets.add(read_dotenv(tmp_path / name / ".env")["APP_WEBHOOK_SECRET"])
        assert stat.S_IMODE((tmp_path / name / ".env").stat().st_mode) == 0o600
        assert read_dotenv(tmp_path / name / ".env.example")["APP_WEBHOOK_SECRET"] == ""
    assert len(secrets) == 2
    assert all(len(secret) >= 32 for secret in secrets)


def test_an_empty_folder_is_taken_and_any_other_left_alone(
    tmp_path: Path, command: Command
) -> None:
    (tmp_path / "empty").mkdir()
    assert command("init", str(tmp_path / "empty"))[0] == 0
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes").write_text("mine")
    code, _, err = command("init", str(tmp_path / "full"))
    assert code == 1
    assert "not empty" in err
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["notes"]
    with pytest.raises(Conflict):
        create_project(tmp_path / "empty")


def test_a_file_in_the_way_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WrongUsage, match="cannot be written"):
        create_project(tmp_path / "file" / "project")


def test_a_valid_project_is_said_to_be_so(tmp_path: Path, command: Command) -> None:
    create_project(tmp_path / "shop")
    code, out, err = command("validate", str(tmp_path / "shop"))
    assert (code, out.strip(), err) == (0, "✓ valid: 1 tree", "")
    code, out, _ = command("validate", str(tmp_path / "shop"), "--json")
    assert (code, json.loads(out)) == (0, {"valid": True, "diagnostics": []})


def test_what_is_logged_stands_apart_from_the_answer(tmp_path: Path, command: Command) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "hub.yaml").write_text("triggers: {open: {webhook: {provider: none}}}\n")
    code, out, err = command("validate", str(folder), "--json")
    assert (code, json.loads(out)["valid"]) == (0, True)
    assert "verifies nothing" in err


def test_every_fault_is_said_with_its_place(tmp_path: Path, command: Command) -> None:
    create_project(tmp_path / "shop")
    tree = tmp_path / "shop" / "trees" / "signup.yaml"
    tree.write_text(tree.read_text().replace("timeout: 24h", "timeout: soon") + "  - delya: 1h\n")
    code, out, err = command("validate", str(tmp_path / "shop"))
    assert (code, out) == (1, "")
    assert err.count("trees/signup.yaml:") == 2
    assert "not valid: 2 errors" in err
    code, out, _ = command("validate", str(tmp_path / "shop"), "--json")
    report = json.loads(out)
    assert (code, report["valid"]) == (1, False)
    assert [d["file"] for d in report["diagnostics"]] == ["trees/signup.yaml"] * 2
    assert all(d["line"] > 1 for d in report["diagnostics"])


def test_a_wrong_dotenv_never_shows_its_values(tmp_path: Path, command: Command) -> None:
    create_project(tmp_path / "shop")
    (tmp_path / "shop" / ".env").write_text("GOOD=1\nhunter2 hunter2\n")
    code, out, err = command("validate", str(tmp_path / "shop"))
    assert code == 1
    assert ".env:2:1" in err
    assert "hunter2" not in out + err


def test_a_folder_that_is_no_project_is_not_so(tmp_path: Path, command: Command) -> None:
    code, _, err = command("validate", str(tmp_path))
    assert code == 1
    assert "hub init" in err


@pytest.mark.usefixtures("ports")
def test_the_doctor_finds_nothing_wrong_with_a_new_project(
    tmp_path: Path, command: Command
) -> None:
    create_project(tmp_path / "shop")
    code, out, _ = command("doctor", str(tmp_path / "shop"))
    assert code == 0
    assert "✓ ok       project: shop, 1 trees" in out
    assert out.count("free for") == 4


@pytest.mark.usefixtures("ports")
def test_the_doctor_names_what_is_wrong(tmp_path: Path, command: Command) -> None:
    create_project(tmp_path / "shop")
    (tmp_path / "shop" / "trees" / "signup.yaml").write_text("tree: [\n")
    port = Settings.read().smtp_port
    with listen("127.0.0.1", port, what="a test", setting="NONE"):
        code, out, _ = command("doctor", str(tmp_path / "shop"), "--json")
    wrong = {item["name"] for item in json.loads(out)["items"] if item["status"] == "wrong"}
    assert code == 1
    assert wrong == {"project", f"port {port}"}


def test_the_doctor_stops_at_settings_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_PORT", "nope")
    create_project(tmp_path / "shop")
    last = examine(tmp_path / "shop")[-1]
    assert (last.name, last.status) == ("settings", "wrong")
    assert "HUB_PORT" in last.detail
