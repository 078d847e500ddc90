"""One benchmark at work: it takes notes in rounds and makes a `Result` of them."""

from __future__ import annotations

import argparse
import asyncio
import inspect
import sys
import tempfile
import time
import traceback
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.frame import machine
from benchmarks.frame.result import Check, Comparison, Figure, Plot, Result, Table
from benchmarks.frame.screen import show

__all__ = ["STOPPED", "Bench", "Measure", "Side", "main"]

STOPPED = "it was stopped"


class Side:
    """One side of a comparison in one round."""

    def __init__(self, name: str, round: int, notes: dict[str, list[float]]) -> None:  # noqa: A002
        self.name = name
        self.round = round
        self._notes = notes

    def note(self, what: str, value: float) -> None:
        """Take note of what was measured of this side in this round."""
        self._notes[what].append(value)


class Bench:
    """What a benchmark is given.

    `quick` asks for as little as shows that it works. `folder` is a temporary folder that is
    removed afterwards.
    """

    def __init__(self, result: Result, folder: Path) -> None:
        self.result = result
        self.quick = result.quick
        self.folder = folder
        self._notes: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))

    def say(self, text: str) -> None:
        """One line of progress."""
        print(f"  {self.result.name}: {text}", file=sys.stderr, flush=True)

    async def rounds(self, *sides: str, count: int = 5, quick: int = 1) -> AsyncIterator[Side]:
        """Each side `count` times, in turns: A B, B A, A B ..."""
        for number in range(quick if self.quick else count):
            for name in sides if number % 2 == 0 else reversed(sides):
                self.say(f"round {number + 1}, {name}")
                yield Side(name, number, self._notes[name])

    def values(self, side: str, what: str) -> list[float]:
        """What was noted of a side, one value each round."""
        return self._notes[side][what]

    def compare(
        self,
        what: str,
        *,
        of: str,
        to: str,
        unit: str,
        title: str,
        goal: str | None = None,
        name: str | None = None,
    ) -> Comparison:
        """Set what was noted of one side against what was noted of the other."""
        comparison = Comparison(
            name=name or what,
            title=title,
            side=of,
            baseline=to,
            unit=unit,
            values=self._notes[of][what],
            base_values=self._notes[to][what],
            goal=goal,
        )
        self.result.comparisons.append(comparison)
        return comparison

    def figure(
        self, name: str, values: Sequence[float], *, unit: str, title: str, goal: str | None = None
    ) -> Figure:
        """A number that has no baseline."""
        figure = Figure(name=name, title=title, unit=unit, values=[*values], goal=goal)
        self.result.figures.append(figure)
        return figure

    def check(self, what: str, holds: bool, detail: str = "") -> None:
        """Something that must be so; where it is not, the benchmark has failed."""
        self.result.checks.append(Check(what=what, holds=holds, detail=detail))

    def plot(self, plot: Plot) -> None:
        self.result.plots.append(plot)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        texts = [[str(cell) for cell in row] for row in rows]
        self.result.tables.append(Table(title=title, columns=[*columns], rows=texts))

    def fact(self, name: str, text: str) -> None:
        """Something that whoever reads the figures should know."""
        self.result.facts[name] = text

    def skip(self, text: str) -> None:
        """What was not measured, and why."""
        self.say(f"left out: {text}")
        self.result.skipped.append(text)


Measure = Callable[[Bench], Awaitable[None]]


def main(measure: Measure, arguments: Sequence[str] | None = None) -> int:
    """Run one benchmark as a process: its table to the screen, its JSON to `--json FILE`."""
    module = inspect.getmodule(measure)
    text = inspect.getdoc(module) or ""
    spec = getattr(module, "__spec__", None)
    name = (spec.name if spec else measure.__module__).removesuffix(".__main__").rpartition(".")[2]
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="as little as shows that it works")
    parser.add_argument("--json", type=Path, help="write the result to this file")
    given = parser.parse_args(arguments)
    result = Result(
        name=name,
        title=text.partition("\n")[0].rstrip("."),
        quick=given.quick,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=machine.describe(),
    )
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"hub-bench-{name}-", ignore_cleanup_errors=True) as at:
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(_measured(measure, Bench(result, Path(at))))
        except (KeyboardInterrupt, asyncio.CancelledError):
            result.error = STOPPED
        except Exception as error:
            traceback.print_exc()
            result.error = f"{type(error).__name__}: {error}"
    result.seconds = round(time.monotonic() - began, 1)
    if given.json is not None:
        result.write(given.json)
    show(result)
    return 0 if result.is_sound else 1


async def _measured(measure: Measure, bench: Bench) -> None:
    await measure(bench)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
