"""A run, drawn: its nodes as a tree, each with a sign and a word for its status."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from hub.cli.screen import length, parse_time, relative, short_json, when

__all__ = ["ENDED", "STATUSES", "draw_run", "status_text"]

STATUSES: Mapping[str, tuple[str, str]] = {
    "pending": ("·", "dim"),
    "dormant": ("◌", "dim"),
    "running": ("▶", "cyan"),
    "waiting": ("⧗", "yellow"),
    "succeeded": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "cancelled": ("⊘", "magenta"),
    "terminated": ("■", "magenta"),
    "timed_out": ("⧖", "red"),
    "expired": ("⧖", "dim"),
    "skipped": ("↷", "dim"),
}
"""The sign and the colour of every status; the word always stands beside them."""

ENDED = frozenset({"succeeded", "failed", "cancelled", "terminated", "timed_out", "expired"})
"""The statuses of runs in which nothing happens any more."""


def status_text(status: str) -> Text:
    """A status as sign and word."""
    sign, style = STATUSES.get(status, ("?", ""))
    return Text(f"{sign} {status}", style=style)


def draw_run(run: Mapping[str, Any], now: datetime | None = None) -> RenderableType:
    """The run as `GET /api/runs/{id}` gives it. `now` is what waits are measured against."""
    now = now or datetime.now(UTC)
    head = Text.assemble((str(run["id"]), "bold"), "  ", status_text(str(run["status"])))
    parts: list[RenderableType] = [head, Text(_life(run, now), style="dim")]
    if run.get("waiting_for"):
        parts.append(Text("waits for " + ", ".join(map(str, run["waiting_for"])), style="yellow"))
    if run.get("error"):
        parts.append(_failure(run["error"]))
    if run.get("result") is not None:
        parts.append(Text(f"result: {short_json(run['result'], 300)}"))
    nodes = run.get("nodes") or {}
    if nodes:
        parts.append(_nodes(nodes, now))
    parts.extend(_mailbox(run.get("mailbox") or {}))
    return Group(*parts)


def _life(run: Mapping[str, Any], now: datetime) -> str:
    began, ended = parse_time(run.get("started_at")), parse_time(run.get("ended_at"))
    words = [f"tree {run['tree']} ({run['hash']})"]
    if began is not None:
        words.append(f"started {when(run['started_at'])}")
    if began is not None and ended is not None:
        words.append(f"ended {when(run['ended_at'])} after {length(ended - began)}")
    elif began is not None:
        words.append(relative(run["started_at"], now))
    return ", ".join(words)


def _nodes(nodes: Mapping[str, Mapping[str, Any]], now: datetime) -> RenderableType:
    """The nodes below those whose paths their own paths go on from."""
    roots: list[Tree] = []
    branches: dict[str, Tree] = {}
    for path in sorted(nodes, key=_order):
        above = _parent(path, branches)
        label = _label(path if above is None else path[len(above) :].lstrip("."), nodes[path], now)
        if above is None:
            branches[path] = Tree(label, guide_style="dim")
            roots.append(branches[path])
        else:
            branches[path] = branches[above].add(label)
    return Group(*roots)


def _parent(path: str, known: Mapping[str, object]) -> str | None:
    for end in range(len(path) - 1, 0, -1):
        if path[end] in ".[#" and path[:end] in known:
            return path[:end]
    return None


def _order(path: str) -> list[tuple[int, int, str]]:
    """Paths in the order of the definition: numbers as numbers, a node before what is below it."""
    words = path.replace("[", ".").replace("]", "").replace("#", ".").split(".")
    return [(0, int(w), "") if w.isdigit() else (1, 0, w) for w in words]


def _label(place: str, node: Mapping[str, Any], now: datetime) -> Text:
    status = str(node["status"])
    label = Text.assemble(
        status_text(status),
        "  ",
        (str(node["type"]), "bold"),
        f" {node['id']}" if node.get("id") else "",
        (f"  {place}", "dim"),
    )
    if (node.get("attempt") or 0) > 1:
        label.append(f"  attempt {node['attempt']}")
    if status in ("waiting", "running") and node.get("deadline"):
        label.append(
            f"  until {when(node['deadline'])} ({relative(node['deadline'], now)})", style="yellow"
        )
    began, ended = parse_time(node.get("started_at")), parse_time(node.get("ended_at"))
    if began is not None and ended is not None:
        label.append(f"  {length(ended - began)}", style="dim")
    if node.get("error"):
        label.append("  ").append_text(_failure(node["error"]))
    elif node.get("result") is not None and node["type"] != "approval":
        label.append(f"  → {short_json(node['result'])}", style="dim")
    if node["type"] == "approval" and isinstance(node.get("result"), dict):
        label.append("  ").append_text(_approval(node["result"]))
    return label


def _approval(asked: Mapping[str, Any]) -> Text:
    """Who has decided what, how, and who was asked again."""
    words = [f"{asked['approvals']} of {asked['quorum']} approvals"]
    for one in asked["by"]:
        said = "approved" if one["decision"] == "approve" else "rejected"
        comment = f": {short_json(one['comment'])}" if one.get("comment") else ""
        words.append(f"{said} by {one['who']} ({one['how']}){comment}")
    words += [f"passed on by {d['who']} to {d['to']}" for d in asked.get("delegations", ())]
    if asked["timed_out"]:
        words.append("its time was over")
    if asked["reminders"]:
        words.append(f"reminded {asked['reminders']} times")
    further = (", ".join(step["to"]) or "nobody else" for step in asked["escalations"])
    words += [f"escalated to {people}" for people in further]
    if asked["unsent"]:
        words.append(f"{len(asked['unsent'])} notices not sent")
    return Text("; ".join(words), style="dim")


def _failure(error: Mapping[str, Any]) -> Text:
    return Text(f"{error['code']}: {short_json(str(error['message']), 300)}", style="red")


def _mailbox(mailbox: Mapping[str, Any]) -> list[RenderableType]:
    """Events that the run has received and not yet used."""
    lines: list[RenderableType] = []
    for stored in mailbox.get("stored") or ():
        event = stored["event"]
        wanted = ", ".join(stored["subscriptions"])
        lines.append(Text(f"mailbox: {event['type']} ({event['id']}) for {wanted}"))
    return lines
