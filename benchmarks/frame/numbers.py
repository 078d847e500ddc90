"""Numbers as people read them, the same on the screen and in the documents."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.frame.spread import median

__all__ = ["number", "plain", "ratio", "spread"]


def plain(value: float) -> str:
    """Three digits that matter, thousands apart."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    if abs(value) >= 1:
        return f"{value:.2f}"
    return f"{value:.3g}"


def number(values: Sequence[float], unit: str) -> str:
    """The median with its unit."""
    if not values:
        return "-"
    return f"{plain(median(values))} {unit}".rstrip()


def ratio(value: float) -> str:
    return f"{value:.2f}"


def spread(values: Sequence[float]) -> str:
    """From the lowest to the highest of the rounds."""
    if len(values) < 2:
        return ""
    return f"{plain(min(values))} – {plain(max(values))}"
