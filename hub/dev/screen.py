"""What `hub dev` shows: its progress, where everything is, and what is wrong with the files."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.markup import escape
from rich.status import Status

if TYPE_CHECKING:
    from hub.errors import Diagnostic
    from hub.routing.project import Project
    from hub.tree import Tree

__all__ = ["Screen", "suggestions"]

_TYPE = re.compile(r"""event\.type\s*==\s*(?:"([^"\\]+)"|'([^'\\]+)')""")
_KEY = re.compile(r"event\.data((?:\.[A-Za-z_]\w*)+)")
_HUB_COMMAND = re.compile(r"(\S*/)?hub ")
_SUGGESTED = 3


class Screen:
    """The terminal of `hub dev`; without one, plain lines. NO_COLOR is respected."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._status: Status | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end_step()

    def step(self, text: str) -> None:
        """Say what is being done just now."""
        if not self._console.is_terminal:
            self._line(f"{text}...")
        elif self._status is None:
            self._status = self._console.status(escape(text))
            self._status.start()
        else:
            self._status.update(escape(text))

    def say(self, text: str, style: str = "") -> None:
        """One line that stays."""
        self._console.print(escape(text), style=style, soft_wrap=True)
        sys.stdout.flush()

    def wrong(self, diagnostics: Sequence[Diagnostic]) -> None:
        """All that is wrong with the project's files, errors first."""
        for fault in sorted(diagnostics, key=lambda fault: fault.severity != "error"):
            self.say(str(fault), "red" if fault.severity == "error" else "yellow")

    def ready(
        self,
        project: Project,
        *,
        url: str,
        places: Mapping[str, str],
        command_prefix: str,
        seconds: float,
    ) -> None:
        """Where everything is and what to try first. `command_prefix` goes before `hub` commands."""
        self._end_step()
        self._line()
        self._line(f"[bold]{escape(project.name)}[/]  {escape(str(project.path.resolve()))}")
        self._line()
        width = max(len(name) for name in places)
        for name, place in places.items():
            self._line(f"  {name:<{width}}  {escape(place)}")
        self._line(
            f"  {'Trees':<{width}}  {escape(', '.join(sorted(project.trees)) or 'none yet')}"
        )
        tries = suggestions(project, url)
        if tries:
            self._line()
            self._line("  Try, in another terminal")
            for title, command in tries:
                if _HUB_COMMAND.match(command):
                    command = command_prefix + command
                self._line(f"    [dim]# {escape(title)}[/]")
                self._line(f"    {escape(command)}")
        self._line()
        self.say(f"ready in {seconds:.1f} s; Ctrl-C stops", "bold green")

    def _line(self, markup: str = "") -> None:
        self._console.print(markup, soft_wrap=True)

    def _end_step(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


def suggestions(project: Project, url: str) -> list[tuple[str, str]]:
    """Commands to try first, with a title each: those of `hub.yaml`, or made from the trees.

    Commands of `hub.yaml` are written for the default port, `localhost:8080`, and are shown for
    the one that this hub listens on.
    """
    given = project.dev.get("try")
    if isinstance(given, list):
        port = url.rpartition(":")[2]
        return [
            (
                str(one.get("title", "")),
                str(one["command"]).replace("localhost:8080", f"localhost:{port}"),
            )
            for one in given
            if isinstance(one, dict) and one.get("command")
        ]
    starts = [(tree.name, command) for tree in project.trees.values() if (command := _start(tree))]
    if not starts:
        return []
    return [
        *((f"Start {name}", command) for name, command in sorted(starts)[: _SUGGESTED - 1]),
        ("See what runs", "hub runs list"),
    ]


def _start(tree: Tree) -> str | None:
    """The command that sends the event by which the tree starts, as far as its texts tell."""
    subscription = tree.subscriptions[tree.start.event]
    found = _TYPE.search(subscription.where.text) if subscription.where else None
    if found is None:
        return None
    kind = shlex.quote(found[1] or found[2])
    command = f"hub events send {kind} --trigger {subscription.trigger}"
    key = _KEY.fullmatch(subscription.key.text.strip()) if subscription.key else None
    if key is not None:
        command += f" --data {shlex.quote(_nested(key[1].split('.')[1:]))}"
    return command


def _nested(names: Sequence[str]) -> str:
    import json

    value: Any = "1"
    for name in reversed(names):
        value = {name: value}
    return json.dumps(value)
