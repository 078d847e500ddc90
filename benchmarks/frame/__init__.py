"""What all benchmarks share: rounds, results, the machine's description, tables, plots."""

from benchmarks.frame.bench import Bench, Side, main
from benchmarks.frame.result import Comparison, Figure, Plot, Result, Table
from benchmarks.frame.spread import percentile, quantiles

__all__ = [
    "Bench",
    "Comparison",
    "Figure",
    "Plot",
    "Result",
    "Side",
    "Table",
    "main",
    "percentile",
    "quantiles",
]
