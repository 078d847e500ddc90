"""What a benchmark has found, as it is kept in JSON."""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchmarks.frame.spread import median

__all__ = ["Check", "Comparison", "Figure", "Plot", "Result", "Table", "read"]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One thing, measured of two sides in the same rounds.

    `values` and `base_values` are one each round, `ratios` the quotients within each round. `goal`
    is what the ratio must reach, such as ">= 0.6" or "<= 1.3".
    """

    name: str
    title: str
    side: str
    baseline: str
    unit: str
    values: list[float]
    base_values: list[float]
    goal: str | None = None

    @property
    def ratios(self) -> list[float]:
        """The quotient of each round."""
        return [a / b for a, b in zip(self.values, self.base_values, strict=True) if b]

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return median(self.ratios) if self.ratios else float("nan")

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        return None if self.goal is None else holds(self.ratio, self.goal)


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A number without a baseline: one value each round. `goal` is for the median."""

    name: str
    title: str
    unit: str
    values: list[float]
    goal: str | None = None

    @property
    def value(self) -> float:
        """The median of the rounds."""
        return median(self.values)

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        return None if self.goal is None else holds(self.value, self.goal)


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """Something that must be so, whatever the speed."""

    what: str
    holds: bool
    detail: str = ""


class Plot(msgspec.Struct, frozen=True, kw_only=True):
    """Lines over one x axis. A line has as many values as there are `xs`; None is a gap."""

    name: str
    title: str
    x: str
    y: str
    xs: list[float]
    lines: dict[str, list[float | None]]
    logarithmic: bool = True


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Rows for people, below the figures."""

    title: str
    columns: list[str]
    rows: list[list[str]]


class Result(msgspec.Struct, kw_only=True):
    """All of one run of one benchmark. `seconds` is how long it took."""

    name: str
    title: str
    quick: bool = False
    at: str = ""
    seconds: float = 0
    machine: dict[str, str] = {}
    comparisons: list[Comparison] = []
    figures: list[Figure] = []
    checks: list[Check] = []
    plots: list[Plot] = []
    tables: list[Table] = []
    facts: dict[str, str] = {}
    skipped: list[str] = []
    error: str | None = None

    @property
    def is_sound(self) -> bool:
        """Whether it ran to its end and everything held that must."""
        return self.error is None and all(check.holds for check in self.checks)

    def comparison(self, name: str) -> Comparison:
        """The comparison of that name. Raises `KeyError`."""
        for one in self.comparisons:
            if one.name == name:
                return one
        raise KeyError(f"{self.name}: {name}")

    def figure(self, name: str) -> Figure:
        """The figure of that name. Raises `KeyError`."""
        for one in self.figures:
            if one.name == name:
                return one
        raise KeyError(f"{self.name}: {name}")

    def write(self, path: Path) -> None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")


def read(path: Path) -> Result:
    """A result from its file. Raises `msgspec.MsgspecError`."""
    return msgspec.json.decode(path.read_bytes(), type=Result)


def holds(value: float, goal: str) -> bool:
    """Whether the value is as the goal says: `>=`, `<=`, `<` or `>`, a space, a number."""
    how, _, bound = goal.partition(" ")
    limit = float(bound)
    return {
        ">=": value >= limit,
        "<=": value <= limit,
        "<": value < limit,
        ">": value > limit,
    }[how]
