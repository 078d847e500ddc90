"""What a project tells of its trees: their own warnings, and what is wrong between them."""

from __future__ import annotations

from pathlib import Path

from hub.errors import Diagnostic
from hub.routing.project import load_project


def project(folder: Path, **trees: str) -> list[Diagnostic]:
    (folder / "hub.yaml").write_text("name: p\n")
    (folder / "trees").mkdir()
    for name, do in trees.items():
        text = (
            f"tree: {name}\nevents:\n  go: {{api: api, key: event.data.id}}\nstart: go\ndo:\n{do}"
        )
        (folder / "trees" / f"{name}.yaml").write_text(text)
    return load_project(folder, {}).diagnostics


def test_events_that_are_sent_to_the_hub_need_no_trigger(tmp_path: Path) -> None:
    assert project(tmp_path, a="  - log: hello\n") == []


def test_what_is_dubious_is_told_with_its_place(tmp_path: Path) -> None:
    (found,) = project(tmp_path, a="  - fail: a\n  - log: b\n")
    assert (found.code, found.severity, found.file, found.line) == (
        "unreachable",
        "warning",
        "trees/a.yaml",
        7,
    )


def test_trees_that_run_each_other(tmp_path: Path) -> None:
    found = project(tmp_path, a="  - run: b\n", b="  - run: a\n")
    assert [(d.code, d.file, d.line) for d in found] == [
        ("tree_cycle", "trees/a.yaml", 6),
        ("tree_cycle", "trees/b.yaml", 6),
    ]


def test_an_event_that_is_sent_to_nowhere(tmp_path: Path) -> None:
    (found,) = project(tmp_path, a="  - emit: done\n    trigger: app\n")
    assert (found.code, found.severity, found.line) == ("unknown_trigger", "warning", 7)


def test_an_unknown_trigger(tmp_path: Path) -> None:
    (tmp_path / "hub.yaml").write_text("name: p\n")
    (tmp_path / "trees").mkdir()
    (tmp_path / "trees" / "a.yaml").write_text(
        "tree: a\nevents:\n  go: {webhook: app}\nstart: go\ndo:\n  - log: hello\n"
    )
    (found,) = load_project(tmp_path, {}).diagnostics
    assert (found.code, found.file, found.line) == ("unknown_trigger", "trees/a.yaml", 3)
