"""What a start event does by its tree's policy: one place for the hub and for the simulation."""

from __future__ import annotations

from typing import Literal

from hub.run.state import RunStatus
from hub.tree import Tree

__all__ = ["Meeting", "allows_another", "ended_reason", "meeting", "run_id_of"]

Meeting = Literal["deliver", "ignore", "restart"]


def run_id_of(tree: Tree, key: str | None, event_id: str) -> str:
    """The run that a start event means: one per key, or one per event where the tree says so."""
    if key is None:
        return f"{tree.name}/~{event_id}"
    if tree.start.when_running == "parallel":
        return f"{tree.name}/{key}~{event_id}"
    return f"{tree.name}/{key}"


def meeting(tree: Tree, *, resumes: bool) -> Meeting:
    """What is done with a start event whose run exists already.

    `resumes` says that it is meant for that run by another subscription too. A run that may be
    dormant, or that may use the event, is always asked: it ignores what only would start it.
    """
    policy = tree.start.when_running
    if policy == "restart":
        return "restart"
    dormant = any(
        s.early is not None and s.name not in tree.matched for s in tree.subscriptions.values()
    )
    return "ignore" if policy == "ignore" and not (resumes or dormant) else "deliver"


def allows_another(tree: Tree, status: RunStatus) -> bool:
    """May a run begin after one of its id that has ended so?"""
    if tree.start.rerun == "always":
        return True
    return tree.start.rerun == "after_failure" and status != "succeeded"


def ended_reason(tree: Tree, run_id: str) -> str:
    """Why an event starts no run where one has ended."""
    return f"the run {run_id} has ended, and `rerun` is {tree.start.rerun}"
