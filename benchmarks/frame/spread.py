"""Medians, percentiles and the exponent of a growth: the little statistics that results need."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

__all__ = ["exponent", "median", "percentile", "quantiles"]


def percentile(values: Sequence[float], p: float) -> float:
    """The value below which `p` percent of them are (nearest rank). `values` need not be sorted."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * p / 100) - 1)]


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """`p50`, `p99` and `p99.9` of the values."""
    return {f"p{p:g}": percentile(values, p) for p in (50, 99, 99.9)}


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The exponent k of the best fit of cost ~ size^k: 0 is flat, 1 is linear."""
    xs = [math.log(size) for size in sizes]
    ys = [math.log(max(cost, 1e-12)) for cost in costs]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    above = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    return above / sum((x - mean_x) ** 2 for x in xs)
