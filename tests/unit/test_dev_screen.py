from __future__ import annotations

import io
import json
import shlex
from pathlib import Path

import pytest
from rich.console import Console

from hub.dev.screen import Screen, suggestions
from hub.errors import Diagnostic
from hub.routing.project import Project, load_project

URL = "http://127.0.0.1:9090"


def project(folder: Path, *, dev: str = "", tree: str | None = None) -> Project:
    (folder / "trees").mkdir()
    (folder / "hub.yaml").write_text(
        f"name: shop\ntriggers:\n  app:\n    webhook: {{provider: none}}\n{dev}"
    )
    if tree is not None:
        (folder / "trees" / "one.yaml").write_text(tree)
    return load_project(folder, {})


def tree(where: str, key: str) -> str:
    return (
        "tree: one\nevents:\n  begun:\n    webhook: app\n"
        f"    where: {where}\n    key: {key}\nstart: begun\ndo:\n  - log: hello\n"
    )


def shown(width: int = 40) -> tuple[Screen, io.StringIO]:
    out = io.StringIO()
    return Screen(Console(file=out, width=width, highlight=False)), out


def test_the_projects_own_suggestions_name_this_hub(tmp_path: Path) -> None:
    dev = (
        "dev:\n  try:\n"
        "    - {title: One, command: 'curl localhost:8080/x -d 8080'}\n"
        "    - {title: no command}\n    - nonsense\n"
    )
    assert suggestions(project(tmp_path, dev=dev), URL) == [
        ("One", "curl localhost:9090/x -d 8080")
    ]


def test_without_any_the_trees_own_start_events_are_suggested(tmp_path: Path) -> None:
    made = project(tmp_path, tree=tree('event.type == "it\'s.begun"', "event.data.user.id"))
    (title, command), *rest = suggestions(made, URL)
    words = shlex.split(command)
    assert title == "Start one"
    assert words[:6] == ["hub", "events", "send", "it's.begun", "--trigger", "app"]
    assert json.loads(words[7]) == {"user": {"id": "1"}}
    assert [command for _, command in rest] == ["hub runs list"]


@pytest.mark.parametrize("where", ["event.data.ok", 'event.type in ["a", "b"]'])
def test_nothing_is_made_up_where_the_texts_do_not_tell(tmp_path: Path, where: str) -> None:
    assert suggestions(project(tmp_path, tree=tree(where, "event.data.id")), URL) == []


def test_commands_can_be_copied_from_a_narrow_terminal(tmp_path: Path) -> None:
    made = project(tmp_path, tree=tree('event.type == "a.b"', "event.data.id"))
    screen, out = shown()
    screen.ready(made, url=URL, places={"API": URL}, command_prefix="HUB_URL=x ", seconds=1.0)
    lines = [line.strip() for line in out.getvalue().splitlines()]
    assert 'HUB_URL=x hub events send a.b --trigger app --data \'{"id": "1"}\'' in lines
    assert lines[-1] == "ready in 1.0 s; Ctrl-C stops"


def test_no_color_is_respected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    out = io.StringIO()
    screen = Screen(Console(file=out, force_terminal=True, highlight=False))
    screen.wrong([Diagnostic(message="wrong [red]name[/red]", file="hub.yaml", line=1, column=2)])
    assert out.getvalue().strip() == "hub.yaml:1:2: error: wrong [red]name[/red]"


def test_errors_come_before_warnings() -> None:
    screen, out = shown(width=200)
    screen.wrong([Diagnostic(message="mild", severity="warning"), Diagnostic(message="bad")])
    assert [line.rpartition(" ")[2] for line in out.getvalue().splitlines()] == ["bad", "mild"]


def test_without_a_terminal_progress_is_plain_lines() -> None:
    screen, out = shown()
    with screen:
        screen.step("starting Temporal")
        screen.say("done")
    assert out.getvalue() == "starting Temporal...\ndone\n"
