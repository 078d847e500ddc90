"""A run in a few lines of Markdown, for Temporal's own page."""

from __future__ import annotations

from hub.run import RunState

__all__ = ["describe"]

_MARKS = {
    "waiting": "⏳",
    "running": "▶",
    "succeeded": "✔",
    "failed": "✘",
    "cancelled": "◼",
    "skipped": "↷",
    "pending": "·",
}
_LINES = 40


def describe(state: RunState) -> str:
    """What the run does now, and what its nodes have come to. At most some forty lines."""
    lines = [f"**{state.status}**"]
    if state.waiting_for:
        lines.append("waits for " + ", ".join(f"`{name}`" for name in state.waiting_for))
    shown = list(state.nodes.items())[-_LINES:]
    for path, node in shown:
        until = f", until {node.deadline:%Y-%m-%d %H:%M:%S} UTC" if node.deadline else ""
        failed = f": {node.error.code}" if node.error else ""
        lines.append(f"- {_MARKS[node.status]} `{path}` {node.type} {node.status}{failed}{until}")
    return "\n".join(lines)
