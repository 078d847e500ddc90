"""`hub simulate`: what recorded events would do, by the project's trees."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from hub.event import Event
    from hub.routing.router import Match, Router

__all__ = ["simulate"]

_SIGNS = {
    "start": ("▶", "green"),
    "resume": ("→", "cyan"),
    "filtered": ("·", "dim"),
    "failed": ("✗", "red"),
}


def simulate(
    events: Annotated[
        Path, typer.Argument(metavar="EVENTS.jsonl", help="CloudEvents as JSON, one a line.")
    ],
    project: Annotated[
        Path, typer.Argument(metavar="[PROJECT]", help="The project's folder.")
    ] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document a line.")] = False,
    fail_unmatched: Annotated[
        bool,
        typer.Option("--fail-unmatched", help="Exit with 1 when an event reaches no tree."),
    ] = False,
) -> None:
    """Say for each recorded event which runs it would start or resume, and why not.

    A line may name its "trigger" beside the event's attributes; else the event is tried at every
    trigger of the project's trees.
    """
    from hub.cli.screen import console
    from hub.cli.test import quiet_project
    from hub.errors import InvalidDefinition
    from hub.routing.router import Router

    loaded = quiet_project(project)
    broken = [d for d in loaded.diagnostics if d.severity == "error" and d.file != "hub.yaml"]
    if broken:
        raise InvalidDefinition(broken)
    router = Router(loaded.trees.values(), groups=loaded.groups)
    count = unmatched = 0
    for line, trigger, event in _read(events):
        found = _explain(router, trigger, event)
        reached = any(match.run_id is not None for _, match in found)
        count += 1
        unmatched += not reached
        if as_json:
            _print_json(line, event, found, matched=reached)
        else:
            _print_event(line, event, found, matched=reached)
    if not as_json:
        style = "yellow" if unmatched else "green"
        said = f"{count} events, {count - unmatched} matched, {unmatched} unmatched"
        console().print(said, style=style)
    raise typer.Exit(1 if fail_unmatched and unmatched else 0)


def _read(file: Path) -> Iterator[tuple[int, str | None, Event]]:
    """Each event with its line and, where it says so, its trigger. Raises `WrongUsage`."""
    from hub.errors import InvalidEvent, WrongUsage
    from hub.event import Event

    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise WrongUsage(f"{file} cannot be read: {reason}") from None
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            document = json.loads(text)
            trigger = None
            if isinstance(document, dict):
                trigger = document.pop("trigger", None)
                document.setdefault("specversion", "1.0")
            yield number, None if trigger is None else str(trigger), Event.from_cloudevent(document)
        except (ValueError, RecursionError) as error:
            raise WrongUsage(f"{file}:{number}: this is not JSON: {error}") from None
        except InvalidEvent as error:
            raise WrongUsage(f"{file}:{number}: {error.message}") from None


def _explain(router: Router, trigger: str | None, event: Event) -> list[tuple[str, Match]]:
    triggers = [trigger]
    if trigger is None:
        subscriptions = (s for t in router.trees.values() for s in t.subscriptions.values())
        triggers = list(dict.fromkeys(s.trigger for s in subscriptions))
    return [(name, match) for name in triggers if name for match in router.explain(name, event)]


def _print_event(line: int, event: Event, found: list[tuple[str, Match]], *, matched: bool) -> None:
    from rich.text import Text

    from hub.cli.screen import console

    screen = console()
    head = Text.assemble((f"{line}: ", "dim"), (event.type, "bold"), f" {event.id}")
    if not matched:
        head.append("  matches nothing", style="yellow")
    screen.print(head, soft_wrap=True)
    for trigger, match in found:
        sign, style = _SIGNS[match.outcome]
        said = Text.assemble(
            "  ",
            (f"{sign} {match.outcome:<8}", style),
            f" {match.tree}.{match.subscription}",
            (f"  ({trigger})", "dim"),
        )
        if match.run_id is not None:
            said.append(f"  {match.run_id}")
        if match.reason:
            said.append(f"  {match.reason}", style="dim")
        screen.print(said, soft_wrap=True)
    if not found:
        screen.print("  no tree has an event of its trigger", style="dim")


def _print_json(line: int, event: Event, found: list[tuple[str, Match]], *, matched: bool) -> None:
    import msgspec

    from hub.cli.screen import print_json

    matches: list[dict[str, Any]] = [
        {"trigger": trigger, **msgspec.to_builtins(match)} for trigger, match in found
    ]
    document = {"line": line, "id": event.id, "type": event.type, "matched": matched}
    print_json(json.dumps({**document, "matches": matches}, ensure_ascii=False))
