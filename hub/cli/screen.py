"""What the commands write: tables, times and errors. Respects NO_COLOR and narrow terminals."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from hub.durations import format_duration
from hub.errors import Diagnostic, HubError, InvalidDefinition

__all__ = [
    "console",
    "print_error",
    "print_fault",
    "print_json",
    "print_more",
    "print_table",
    "relative",
    "short_json",
    "when",
]

_PLAIN_WIDTH = 200


def console(*, error: bool = False) -> Console:
    """The terminal. What is piped into another program is not cut at eighty characters."""
    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() else _PLAIN_WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def print_error(error: HubError) -> None:
    """Say on stderr what went wrong; of a definition, every fault with its place."""
    screen = console(error=True)
    if isinstance(error, InvalidDefinition) and error.diagnostics:
        for fault in error.diagnostics:
            print_fault(fault)
        return
    screen.print(f"[bold red]error:[/] {escape(error.message)}", soft_wrap=True)


def print_fault(fault: Diagnostic) -> None:
    """Say on stderr what is wrong with a definition, and where."""
    style = "red" if fault.severity == "error" else "yellow"
    console(error=True).print(escape(str(fault)), style=style, soft_wrap=True)


def print_json(text: str) -> None:
    """Write the hub's own JSON, as it came."""
    sys.stdout.write(text.rstrip("\n") + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], *, none: str) -> None:
    """A table without lines; `none` is said where there are no rows."""
    rows = list(rows)
    if not rows:
        console(error=True).print(escape(none))
        return
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    console().print(table)


def print_more(cursor: str | None) -> None:
    """Say how the rest of a list is had."""
    if cursor:
        console(error=True).print(f"more: --cursor {escape(cursor)}", style="dim", soft_wrap=True)


def parse_time(text: str | None) -> datetime | None:
    """A time of the API's JSON."""
    return None if text is None else datetime.fromisoformat(text)


def when(text: str | None) -> str:
    """A time of the API's JSON in the reader's own zone, to the second."""
    time = parse_time(text)
    return "" if time is None else time.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def relative(text: str | None, now: datetime | None = None) -> str:
    """How far a time is from now: `in 23h 59m`, `3m ago`."""
    time = parse_time(text)
    if time is None:
        return ""
    distance = time - (now or datetime.now(UTC))
    if distance > timedelta(0):
        return f"in {length(distance)}"
    return f"{length(-distance)} ago"


def length(span: timedelta) -> str:
    """A length of time in its two largest units; under ten seconds to the tenth."""
    if span < timedelta(seconds=10):
        return f"{span.total_seconds():.1f}s"
    return " ".join(format_duration(timedelta(seconds=int(span.total_seconds()))).split(" ")[:3])


def short_json(value: Any, limit: int = 100) -> str:
    """A JSON value in one line of at most `limit` characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
