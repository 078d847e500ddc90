"""A result as tables in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from benchmarks.frame.numbers import number, ratio, spread
from benchmarks.frame.result import Result

__all__ = ["show"]


def show(result: Result, console: Console | None = None) -> None:
    """Print all of a result."""
    console = console or Console(highlight=False)
    console.width = max(console.width, 140)
    quick = " (quick: it proves nothing)" if result.quick else ""
    console.print(f"\n[bold]{result.title}[/bold]{quick}, {result.seconds:.0f} s")
    if result.comparisons:
        table = Table(box=None, pad_edge=False)
        for column in ("what", "side", "value", "baseline", "value", "ratio", "spread", "goal"):
            table.add_column(column, justify="right" if column in ("value", "ratio") else "left")
        for one in result.comparisons:
            table.add_row(
                one.title,
                one.side,
                number(one.values, one.unit),
                one.baseline,
                number(one.base_values, one.unit),
                ratio(one.ratio),
                spread(one.ratios),
                _goal(one.goal, one.is_met),
            )
        console.print(table)
    if result.figures:
        table = Table(box=None, pad_edge=False)
        for column in ("what", "value", "spread", "goal"):
            table.add_column(column, justify="right" if column == "value" else "left")
        for figure in result.figures:
            table.add_row(
                figure.title,
                number(figure.values, figure.unit),
                spread(figure.values),
                _goal(figure.goal, figure.is_met),
            )
        console.print(table)
    for shown in result.tables:
        table = Table(title=shown.title, title_justify="left", box=None, pad_edge=False)
        for column in shown.columns:
            table.add_column(column)
        for row in shown.rows:
            table.add_row(*row)
        console.print(table)
    for check in result.checks:
        mark = "[green]holds[/green]" if check.holds else "[red]DOES NOT HOLD[/red]"
        console.print(f"{mark}: {check.what} {check.detail}")
    for name, text in result.facts.items():
        console.print(f"[dim]{name}: {text}[/dim]")
    for text in result.skipped:
        console.print(f"[yellow]left out: {text}[/yellow]")
    if result.error:
        console.print("failed: " + result.error, style="red", markup=False)


def _goal(goal: str | None, met: bool | None) -> str:
    if goal is None:
        return ""
    return f"{goal} [green]met[/green]" if met else f"{goal} [red]missed[/red]"
