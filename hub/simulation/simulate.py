"""One tree, one story, in a unit test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hub.routing.router import Router
from hub.simulation.read import read_scenario
from hub.simulation.result import SimulatedRun
from hub.simulation.scenario import live
from hub.tree import Tree, load_tree

__all__ = ["simulate"]


def simulate(
    tree: Tree | Path | str,
    start: Mapping[str, Any],
    events: Sequence[Mapping[str, Any]] = (),
    *,
    mocks: Mapping[str, Any] | None = None,
    others: Iterable[Tree] = (),
) -> SimulatedRun:
    """Live one run of a tree in virtual time and give what became of it.

    `tree` is a tree, its YAML or its file; `start`, `events` and `mocks` are written as in a
    scenario file, and `others` are trees that it calls:

        from hub.simulation import simulate

        def test_a_reminder_after_a_day():
            run = simulate(Path("trees/signup.yaml"), {"type": "user.signed_up", "data": {...}})
            assert run.status == "succeeded" and run.lasts == timedelta(days=1)
            assert [a["template"] for a in run.called("email.send")] == ["welcome", "reminder"]

    A run that ends up waiting for an event that does not come has the status "running", and
    `run.state.waiting_for` says for what. A run that fails has `run.error`. Raises
    `InvalidDefinition` for a tree or a story that cannot be used, and `EndlessRun` for a run that
    neither ends nor waits.
    """
    if isinstance(tree, Path):
        tree = load_tree(tree.read_bytes(), file=str(tree))
    elif isinstance(tree, str):
        tree = load_tree(tree)
    router = Router([tree, *others])
    document = {"name": tree.name, "start": dict(start), "events": [dict(e) for e in events]}
    scenario = read_scenario({**document, "mocks": dict(mocks or {})}, tree, router)
    return live(scenario, router).run(scenario.run_id)
