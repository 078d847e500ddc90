"""What people are told about broken trees: one typical slip a file, and a snapshot of all messages.

After a change that is meant: `python -m tests.unit.test_tree_messages` writes the snapshot anew.
Read it as somebody who sees the hub for the first time.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.connector import installed_actions
from hub.errors import Diagnostic, InvalidDefinition
from hub.tree import load_tree
from hub.trigger import installed_triggers

BROKEN = Path(__file__).parent.parent / "broken"
SNAPSHOT = BROKEN / "messages.txt"
FILES = sorted(BROKEN.glob("*.yaml"))


def diagnostics_of(file: Path) -> list[Diagnostic]:
    try:
        tree = load_tree(
            file.read_bytes(),
            file=file.name,
            actions=installed_actions(),
            kinds=installed_triggers(),
        )
    except InvalidDefinition as error:
        return error.diagnostics
    return list(tree.warnings)


def messages() -> str:
    return "\n".join("\n".join(map(str, diagnostics_of(file))) + "\n" for file in FILES)


def test_the_messages_are_those_of_the_snapshot() -> None:
    assert messages() == SNAPSHOT.read_text(encoding="utf-8")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_says_where_what_and_the_way_out(file: Path) -> None:
    found = diagnostics_of(file)
    assert found, "nothing is said of it"
    for diagnostic in found:
        assert diagnostic.file == file.name
        assert diagnostic.line is not None
        assert diagnostic.column is not None
        assert diagnostic.suggestion, f"no way out: {diagnostic}"
        said = f"{diagnostic.message} {diagnostic.suggestion}"
        for jargon in ("Expected `", "given schemas", "Traceback", "Error(", "<block", "NoneType"):
            assert jargon not in said


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_is_refused_unless_it_is_only_dubious(file: Path) -> None:
    refused = any(d.severity == "error" for d in diagnostics_of(file))
    assert refused == (not file.stem.startswith("dubious-"))


if __name__ == "__main__":
    SNAPSHOT.write_text(messages(), encoding="utf-8")
