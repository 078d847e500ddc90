"""Migrations over HTTP and by the command."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.process.http import listen, serve_http
from hub.routing.router import Router
from hub.run.migration import Definition, Migration
from hub.tree import load_tree
from tests.unit.api_home import Home, open_home
from tests.unit.test_api_ingress import is_problem
from tests.unit.test_cli_commands import Command, command

__all__ = ["command"]

TREE = """
tree: onboarding
events:
  a: {webhook: app, key: event.data.k}
start: a
do: [{log: %s}]
"""
OLD, NEW = load_tree(TREE % "old"), load_tree(TREE % "new")


class Moves:
    """Where runs live: one that refuses, and others that do not."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bool]] = []

    async def migrate(self, run_id: str, to: Definition, *, dry_run: bool) -> Migration:
        self.asked.append((run_id, to.hash, dry_run))
        refused = run_id.endswith("stuck")
        return Migration(
            id=run_id,
            outcome="refused" if refused else "would_migrate" if dry_run else "migrated",
            from_hash=OLD.hash,
            to_hash=to.hash,
            reasons=["do[0] waits"] if refused else [],
            skipped=[] if refused else ["do[1]"],
        )


@pytest.fixture
async def moves() -> Moves:
    return Moves()


@pytest.fixture
async def home(
    tmp_path: Path, moves: Moves, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Home]:
    async with open_home(tmp_path, migrations=moves) as home:
        router = Router([NEW])
        home.services.router = lambda: router
        listener = listen("127.0.0.1", 0, what="the hub", setting="HUB_PORT")
        monkeypatch.setenv("HUB_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
        async with serve_http(home.app, listener):
            yield home


async def test_a_run_is_moved_to_the_definition_of_now_or_to_one_that_is_kept(
    home: Home, moves: Moves
) -> None:
    address = "/api/runs/onboarding/a/b/migrate"
    looked = await home.client.post(address, json={"dry_run": True})
    assert (looked.status_code, looked.json()["outcome"]) == (200, "would_migrate")
    assert await home.journal.definitions() == []
    moved = await home.client.post(address)
    assert moved.json() == {
        "id": "onboarding/a/b", "outcome": "migrated", "from_hash": OLD.hash, "to_hash": NEW.hash,
        "reasons": [], "skipped": ["do[1]"], "repeated": [], "kept": [], "gone": [], "notes": [],
    }  # fmt: skip
    # It is kept for as long as the run lives, also when the project goes on to another.
    assert [one.hash for one in await home.journal.definitions()] == [NEW.hash]
    is_problem(await home.client.post(address, json={"to": OLD.hash}), 404, "not_found")
    await home.journal.keep_definition(OLD.hash, "onboarding", OLD.document)
    assert (await home.client.post(address, json={"to": OLD.hash})).json()["to_hash"] == OLD.hash
    assert [dry for _, _, dry in moves.asked] == [True, False, False]
    for wrong in ({"to": 1}, {"dry_run": "yes"}):
        is_problem(await home.client.post(address, json=wrong), 400, "bad_request")
    is_problem(await home.client.post("/api/runs/nothing/x/migrate"), 404, "not_found")


async def test_the_command_moves_all_live_runs_of_a_tree(
    home: Home, moves: Moves, command: Command
) -> None:
    for key in ("a", "b", "stuck"):
        home.runs.add(f"onboarding/{key}", status="running")
    home.runs.add("onboarding/early", status="dormant")
    home.runs.add("onboarding/over", status="succeeded")
    looked = await command("runs", "migrate", "--tree", "onboarding", "--dry-run")
    assert looked.code == 1
    assert "4 runs: 1 refused, 3 would be moved" in looked.out
    assert "do[0] waits" in looked.out
    moves.asked.clear()
    moved = await command("runs", "migrate", "onboarding/a", "--to", NEW.hash, "--json")
    assert (moved.code, moves.asked) == (0, [("onboarding/a", NEW.hash, False)])
    assert json.loads(moved.out)["items"][0]["outcome"] == "migrated"
    both = await command("runs", "migrate", "onboarding/a", "--tree", "onboarding")
    assert both.code == 2
