"""`hub trees diff`: the hub's definition and the folder's, node by node."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.process.http import listen, serve_http
from hub.run.differences import differences
from hub.tree import Tree, load_tree, tree_from_document
from tests.parts import write_project
from tests.unit.api_home import Home, TreeStub, open_home
from tests.unit.test_cli_commands import Command, command

__all__ = ["command"]

OLD = """
tree: onboarding
events:
  a: {webhook: app, key: event.data.k}
  b: {webhook: app, key: event.data.k}
start: a
do:
  - {log: gone}
  - {wait_for: b, id: wait, timeout: 24h}
  - {log: stays}
"""
NEW = (
    OLD.replace("  - {log: gone}\n", "")
    .replace("24h", "48h")
    .replace("  b: {webhook: app, ", "  b: {webhook: app, where: event.data.ok, ")
    + "  - {log: added}\n"
)


def read(text: str) -> Tree:
    return tree_from_document(load_tree(text).document)


def test_nodes_are_known_again() -> None:
    told = differences(read(OLD), read(NEW))
    assert [(one.what, one.id, one.old_path, one.new_path) for one in told.nodes] == [
        ("removed", None, "do[0]", None),
        ("moved", "wait", "do[1]", "do[0]"),
        ("changed", "wait", "do[1]", "do[0]"),
        ("moved", None, "do[2]", "do[1]"),
        ("added", None, None, "do[2]"),
    ]
    assert told.events == ["b"]
    assert differences(read(OLD), read(OLD)).nodes == []


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Home]:
    async with open_home(tmp_path) as home:
        tree = read(OLD)
        home.project.trees = {"onboarding": TreeStub("onboarding", tree.hash, tree.document)}
        listener = listen("127.0.0.1", 0, what="the hub", setting="HUB_PORT")
        monkeypatch.setenv("HUB_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
        async with serve_http(home.app, listener):
            yield home


async def test_the_command(home: Home, command: Command, tmp_path: Path) -> None:
    same = str(write_project(tmp_path / "same", onboarding=OLD))
    other = str(write_project(tmp_path / "other", onboarding=NEW))
    assert (await command("trees", "diff", "onboarding", same)).code == 0
    told = await command("trees", "diff", "onboarding", other)
    assert told.code == 1
    assert "removed" in told.out
    assert "events that differ: b" in told.out
    as_json = await command("trees", "diff", "onboarding", other, "--json")
    # The webhook of this project says first that it verifies nothing.
    assert json.loads(as_json.out.splitlines()[-1])["to_hash"] == read(NEW).hash
    assert (await command("trees", "diff", "nothing", other)).code == 1
