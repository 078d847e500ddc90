"""A failed scenario, drawn: the differences, the run's nodes in virtual time, the calls, the events."""

from __future__ import annotations

import io
import re
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text
from rich.tree import Tree

from hub.cli.drawing import status_text
from hub.cli.screen import short_json
from hub.durations import format_duration
from hub.run import NodeState
from hub.simulation import SimulatedRun, Verdict
from hub.tree import Tree as Definition

__all__ = ["draw_verdict", "verdict_as_text"]

_ROUND = re.compile(r"#\d+")


def verdict_as_text(verdict: Verdict, tree: Definition) -> str:
    """The drawing as plain text."""
    screen = Console(file=io.StringIO(), width=160, color_system=None, highlight=False)
    with screen.capture() as captured:
        screen.print(draw_verdict(verdict, tree))
    return captured.get()


def draw_verdict(verdict: Verdict, tree: Definition) -> RenderableType:
    """Why the scenario failed, the first difference on top."""
    scenario = verdict.scenario
    place = f"{scenario.file}:{scenario.line}" if scenario.file else ""
    parts: list[RenderableType] = [Text(place, style="dim")] if place else []
    for number, difference in enumerate(verdict.differences):
        parts += [
            Text(("also: " if number else "") + difference.what, style="bold"),
            Text.assemble("  expected  ", (difference.expected, "green")),
            Text.assemble("  got       ", (difference.got, "red")),
        ]
    if verdict.run is not None:
        parts += [Text(""), _draw_run(verdict.run, tree)]
    if verdict.run is not None and verdict.simulation is not None:
        start = verdict.run.state.started_at or verdict.simulation.now
        parts += _draw_calls(verdict, start)
        parts += _draw_events(verdict, start)
    return Padding(Group(*parts), (0, 0, 1, 4), expand=False)


def _draw_run(run: SimulatedRun, tree: Definition) -> RenderableType:
    start = run.state.started_at
    head = Text.assemble((run.id, "bold"), "  ", status_text(run.status))
    if run.state.waiting_for:
        head.append(f"  still waits for {', '.join(run.state.waiting_for)}", style="yellow")
    drawing = Tree(head, guide_style="dim")
    branches: dict[str, Tree] = {}
    begun = {_ROUND.sub("", path) for path in run.state.nodes}
    nodes = dict(run.state.nodes)
    for node in tree.nodes():
        if node.path not in begun:
            nodes[node.path] = NodeState(type=node.type, id=node.id)
    for path in sorted(nodes, key=_order):
        above = _parent(path, branches)
        place = path if above is None else path[len(above) :].lstrip(".")
        branch = drawing if above is None else branches[above]
        branches[path] = branch.add(_node(place, nodes[path], start))
    return drawing


def _node(place: str, node: NodeState, start: datetime | None) -> Text:
    label = Text.assemble(
        status_text(node.status),
        "  ",
        (node.type, "bold"),
        f" {node.id}" if node.id else "",
        (f"  {place}", "dim"),
    )
    if start is not None and node.started_at is not None:
        label.append("  " + _span(start, node.started_at, node.ended_at), style="cyan")
    if node.attempt > 1:
        label.append(f"  attempt {node.attempt}")
    if node.status == "waiting" and node.deadline is not None and start is not None:
        label.append(f"  until +{format_duration(node.deadline - start)}", style="yellow")
    if node.error is not None:
        label.append(f"  {node.error.code}: {short_json(node.error.message)}", style="red")
    elif node.result is not None:
        label.append(f"  → {short_json(node.result)}", style="dim")
    return label


def _span(start: datetime, began: datetime, ended: datetime | None) -> str:
    first = f"+{format_duration(began - start)}"
    if ended is None:
        return f"{first} …"
    return first if ended == began else f"{first} … +{format_duration(ended - start)}"


def _draw_calls(verdict: Verdict, start: datetime) -> list[RenderableType]:
    assert verdict.run is not None
    assert verdict.simulation is not None
    calls = verdict.simulation.calls_of(verdict.run)
    parts: list[RenderableType] = [Text("calls" if calls else "no calls", style="bold")]
    for call in calls:
        line = Text.assemble(
            "  ",
            status_text(call.outcome),
            (f"  +{format_duration(call.at - start)}", "cyan"),
            f"  {call.action} {short_json(call.arguments, 200)}",
        )
        if call.attempt > 1:
            line.append(f"  attempt {call.attempt}")
        if call.code is not None:
            line.append(f"  {call.code}: {call.message}", style="red")
        parts.append(line)
    return parts


def _draw_events(verdict: Verdict, start: datetime) -> list[RenderableType]:
    assert verdict.simulation is not None
    parts: list[RenderableType] = [Text("events", style="bold")]
    for event in verdict.simulation.events:
        line = Text.assemble(
            (f"  +{format_duration(event.at - start)}", "cyan"), f"  {event.event.type}"
        )
        for delivery in event.deliveries:
            line.append(f"  {delivery.outcome} {delivery.run_id or delivery.tree}")
            if delivery.reason:
                line.append(f" ({delivery.reason})", style="dim")
        if not event.deliveries:
            line.append(f"  {event.status}")
        parts.append(line)
    return parts


def _parent(path: str, known: dict[str, Tree]) -> str | None:
    for end in range(len(path) - 1, 0, -1):
        if path[end] in ".[#" and path[:end] in known:
            return path[:end]
    return None


def _order(path: str) -> list[tuple[int, int, str]]:
    words = path.replace("[", ".").replace("]", "").replace("#", ".").split(".")
    return [(0, int(word), "") if word.isdigit() else (1, 0, word) for word in words]
