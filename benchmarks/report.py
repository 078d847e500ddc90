"""docs/benchmarks.md and README's figures, written from the results of real runs."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator, Sequence
from math import log10
from pathlib import Path

from rich.console import Console

from benchmarks import ALL
from benchmarks.frame.numbers import number, ratio, spread
from benchmarks.frame.result import Comparison, Figure, Plot, Result, read

__all__ = ["PAGE", "README", "RESULTS", "page", "readme_with", "results", "write_documents"]

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
NOTES = ROOT / "benchmarks" / "notes"
PAGE = ROOT / "docs" / "benchmarks.md"
README = ROOT / "README.md"
_PLOTS = ROOT / "docs" / "benchmarks"
_BEGIN = "<!-- figures: written by `python -m benchmarks report` -->"
_END = "<!-- figures: end -->"
_HEAD = """# Benchmarks

Written by `python -m benchmarks report` from [`benchmarks/results`](../benchmarks/results), the
results of a real run. Repeat them with `make bench`, or parts of them with `make bench ARGS=resume`.
`make bench` leaves `cluster` and `rivals` out: they need programs that are built or installed once, by
`python -m benchmarks.cluster --build` and `python -m benchmarks.rivals --install`, and then run by
`python -m benchmarks cluster rivals`.

Each figure is a ratio to a named baseline that was measured **in the same run**, in interleaved
rounds (A B, B A, A B, ...), so that what else the machine did meanwhile met both sides. A ratio is the
median of the rounds' ratios, and the spread is their lowest and highest. Absolute numbers belong to
the machine that is named with them.
"""


def write_documents(latest: Path) -> int:
    """Keep the sound results of the last full runs, and write all documents anew."""
    console = Console(highlight=False)
    RESULTS.mkdir(exist_ok=True)
    for path in sorted(latest.glob("*.json")):
        if path.name.endswith(".quick.json"):
            continue
        result = read(path)
        if not result.is_sound:
            console.print(f"{result.name}: not taken, it failed: {result.error or 'a check'}")
            continue
        result.write(RESULTS / path.name)
    found = results()
    PAGE.write_text(page(found), encoding="utf-8")
    README.write_text(readme_with(README.read_text(encoding="utf-8"), found), encoding="utf-8")
    _PLOTS.mkdir(exist_ok=True)
    for old in _PLOTS.glob("*.svg"):
        old.unlink()
    for result in found:
        for plot in result.plots:
            (_PLOTS / _plot_name(result, plot)).write_bytes(_drawn(plot))
    console.print(f"{PAGE.relative_to(ROOT)} and README.md tell of {len(found)} benchmarks")
    return 0


def results() -> list[Result]:
    """The kept results, in the order of the benchmarks."""
    found = {path.stem: read(path) for path in RESULTS.glob("*.json")}
    return [found[name] for name in ALL if name in found]


def page(found: Sequence[Result]) -> str:
    """The text of docs/benchmarks.md."""
    parts = [_HEAD, "## The goals\n", *_goals(found, "#"), ""]
    for result in found:
        parts += [*_section(result), ""]
    return "\n".join(parts).rstrip() + "\n"


def readme_with(text: str, found: Sequence[Result]) -> str:
    """README's text with the figures between its marks."""
    before, _, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    assert end, "README.md has lost its marks for the figures"
    machine = found[0].machine["processor"] if found else ""
    said = f"Measured on: {machine}. [All figures, and how to repeat them](docs/benchmarks.md)."
    body = "\n".join([*_goals(found, "docs/benchmarks.md#"), "", said]) if found else ""
    return f"{before}{_BEGIN}\n\n{body}\n\n{_END}{after}"


def _goals(found: Sequence[Result], place: str) -> Iterator[str]:
    yield "| what | against | ratio | goal |"
    yield "|---|---|---|---|"
    for result in found:
        for one in result.comparisons:
            if one.goal is not None:
                what = f"[{one.title}]({place}{_anchor(result)})"
                yield f"| {what} | {one.baseline} | {ratio(one.ratio)} | {_goal(one)} |"
        for figure in result.figures:
            if figure.goal is not None:
                what = f"[{figure.title}]({place}{_anchor(result)})"
                value = number(figure.values, figure.unit)
                yield f"| {what} | | {value} | {_goal(figure)} |"


def _section(result: Result) -> Iterator[str]:
    yield f"## {result.name}\n"
    text = _description(result.name)
    if text:
        yield text + "\n"
    if result.comparisons:
        yield "| what | side | value | baseline | value | ratio | spread | goal |"
        yield "|---|---|---|---|---|---|---|---|"
        for one in result.comparisons:
            yield (
                f"| {one.title} | {one.side} | {number(one.values, one.unit)} | {one.baseline} "
                f"| {number(one.base_values, one.unit)} | **{ratio(one.ratio)}** "
                f"| {spread(one.ratios)} | {_goal(one)} |"
            )
        yield ""
    if result.figures:
        yield "| what | value | spread | goal |"
        yield "|---|---|---|---|"
        for figure in result.figures:
            yield (
                f"| {figure.title} | {number(figure.values, figure.unit)} "
                f"| {spread(figure.values)} | {_goal(figure)} |"
            )
        yield ""
    for table in result.tables:
        yield f"{table.title}:\n"
        yield "| " + " | ".join(table.columns) + " |"
        yield "|" + "---|" * len(table.columns)
        for row in table.rows:
            yield "| " + " | ".join(row) + " |"
        yield ""
    for plot in result.plots:
        yield f"![{plot.title}](benchmarks/{_plot_name(result, plot)})\n"
    for check in result.checks:
        yield f"- {'Holds' if check.holds else '**Does not hold**'}: {check.what} {check.detail}".rstrip()
    for name, text in result.facts.items():
        yield f"- {name}: {text}"
    for text in result.skipped:
        yield f"- Left out: {text}"
    yield f"- Measured {result.at[:10]} in {result.seconds:.0f} s on {_machine(result)}"
    yield f"- Repeat it: `python -m benchmarks {result.name}`"
    notes = NOTES / f"{result.name}.md"
    if notes.is_file():
        yield ""
        yield notes.read_text(encoding="utf-8").rstrip()


def _anchor(result: Result) -> str:
    return re.sub(r"[^a-z0-9-]", "", result.name.lower().replace(" ", "-"))


def _goal(one: Comparison | Figure) -> str:
    if one.goal is None:
        return ""
    how, _, bound = one.goal.partition(" ")
    sign = {">=": "≥", "<=": "≤"}.get(how, how)
    return f"{sign} {bound} {'✓' if one.is_met else 'missed'}"


def _machine(result: Result) -> str:
    return "; ".join(f"{name}: {text}" for name, text in result.machine.items())


def _plot_name(result: Result, plot: Plot) -> str:
    return f"{result.name}-{plot.name}.svg"


def _description(name: str) -> str:
    """What the benchmark's own docstring says, its title as the first sentence."""
    spec = importlib.util.find_spec(f"benchmarks.{name}")
    if spec is None or spec.origin is None:
        return ""
    path = Path(spec.origin)
    main = path.with_name("__main__.py")
    if spec.submodule_search_locations and main.is_file():
        path = main
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def _drawn(plot: Plot) -> bytes:
    import pygal
    from pygal.style import CleanStyle

    chart = pygal.XY(
        title=plot.title,
        x_title=plot.x,
        y_title=plot.y,
        logarithmic=plot.logarithmic,
        style=CleanStyle(background="#ffffff", plot_background="#ffffff"),
        js=(),
        no_prefix=True,
        width=800,
        height=450,
        legend_at_bottom=True,
        dots_size=3,
        show_x_guides=True,
        truncate_legend=-1,
    )
    if plot.logarithmic:
        # The chart's own logarithmic scale is for the y axis alone.
        chart.x_value_formatter = lambda x: f"{10**x:,.0f}"
        chart.x_labels = [log10(x) for x in plot.xs]
        xs: list[float] = [log10(x) for x in plot.xs]
    else:
        xs = plot.xs
    for name, ys in plot.lines.items():
        chart.add(name, [(x, y) for x, y in zip(xs, ys, strict=True) if y is not None])
    drawn: bytes = chart.render()
    # What a picture in a document shows needs no script.
    return re.sub(rb"<script.*?</script>", b"", drawn, flags=re.S)
