"""What README and docs/benchmarks.md quote is what the kept results say; the frame's arithmetic."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest

from benchmarks import ALL, cluster
from benchmarks.frame import Bench, Comparison, Figure, Result, percentile
from benchmarks.frame.bench import Measure
from benchmarks.frame.result import holds, read
from benchmarks.frame.spread import exponent
from benchmarks.report import PAGE, README, RESULTS, page, readme_with, results
from benchmarks.rivals import __main__ as rivals
from benchmarks.temporal_server import SHARDS, server_config


def test_the_page_says_what_the_kept_results_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(results())


def test_readme_says_what_the_kept_results_say() -> None:
    text = README.read_text(encoding="utf-8")
    assert readme_with(text, results()) == text


def test_every_kept_result_is_sound_and_of_a_real_run() -> None:
    for path in RESULTS.glob("*.json"):
        result = read(path)
        assert (result.name, result.quick) == (path.stem, False)
        assert result.is_sound, result.error
        assert path.stem in ALL


def test_every_benchmark_has_a_title() -> None:
    for name in ALL:
        spec = importlib.util.find_spec(f"benchmarks.{name}")
        if spec is None or spec.origin is None:
            continue
        path = Path(spec.origin)
        if spec.submodule_search_locations:
            path = path.with_name("__main__.py")
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), name


async def test_sides_take_turns_and_are_compared_round_by_round(tmp_path: Path) -> None:
    bench = Bench(Result(name="x", title="X"), tmp_path)
    order = []
    async for side in bench.rounds("a", "b", count=3):
        order.append(side.name)
        side.note("speed", {"a": 10, "b": 5}[side.name] + side.round)
    assert order == ["a", "b", "b", "a", "a", "b"]
    found = bench.compare("speed", of="a", to="b", unit="1/s", title="Speed", goal=">= 1.8")
    assert found.ratios == [10 / 5, 11 / 6, 12 / 7]
    assert found.ratio == 11 / 6
    assert found.is_met


async def test_quick_is_one_round(tmp_path: Path) -> None:
    bench = Bench(Result(name="x", title="X", quick=True), tmp_path)
    assert [side.name async for side in bench.rounds("a", "b", count=9)] == ["a", "b"]


def test_a_check_that_does_not_hold_makes_a_result_unsound(tmp_path: Path) -> None:
    result = Result(name="x", title="X")
    bench = Bench(result, tmp_path)
    bench.check("nothing is lost", True)
    assert result.is_sound
    bench.check("nothing is doubled", False, "3 were")
    assert not result.is_sound


def test_a_result_is_kept_and_read_again(tmp_path: Path) -> None:
    result = Result(name="x", title="X", figures=[_figure(1, 2, 9)])
    result.write(tmp_path / "x.json")
    assert read(tmp_path / "x.json") == result


@pytest.mark.parametrize(
    ("measure", "way_out"),
    [
        (cluster.measure, "python -m benchmarks.cluster --build"),
        (rivals.measure, "python -m benchmarks.rivals --install"),
    ],
)
async def test_what_is_not_built_or_installed_is_left_out_with_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measure: Measure, way_out: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    result = Result(name="cluster", title="X")
    await measure(Bench(result, tmp_path))
    assert result.is_sound
    (said,) = result.skipped
    assert way_out in said
    assert f"Left out: {said}" in page([result])


def test_the_cluster_has_several_shards_on_postgresql_and_listens_on_loopback_alone() -> None:
    config = server_config("postgresql://hub@/postgres?host=/tmp/x", [*range(1, 9)], SHARDS)
    assert config["persistence"]["numHistoryShards"] == SHARDS > 1
    stores = config["persistence"]["datastores"]
    for store, database in (("default", "temporal"), ("visibility", "temporal_visibility")):
        sql = stores[store]["sql"]
        assert (sql["pluginName"], sql["databaseName"]) == ("postgres12_pgx", database)
        assert sql["connectAttributes"] == {"host": "/tmp/x"}
    rpcs = [service["rpc"] for service in config["services"].values()]
    assert {rpc["bindOnIP"] for rpc in rpcs} == {"127.0.0.1"}
    ports = [port for rpc in rpcs for port in (rpc["grpcPort"], rpc["membershipPort"])]
    assert sorted(ports) == [*range(1, 9)]


def test_a_page_of_a_result_names_its_figures_and_goals() -> None:
    comparison = Comparison(
        name="starts",
        title="starts of a tree",
        side="hub",
        baseline="by hand",
        unit="1/s",
        values=[80, 90],
        base_values=[100, 100],
        goal=">= 0.8",
    )
    result = Result(
        name="starts",
        title="X",
        at="2026-01-01T00:00:00",
        machine={"processor": "p"},
        comparisons=[comparison],
        figures=[_figure(1, 2, 9)],
        skipped=["something"],
    )
    text = page([result])
    assert "| [starts of a tree](#starts) | by hand | 0.85 | ≥ 0.8 ✓ |" in text
    assert "| [a figure](#starts) | | 2.00 ms | < 2 missed |" in text
    assert "Left out: something" in text


def test_readme_keeps_what_is_around_the_figures() -> None:
    text = README.read_text(encoding="utf-8")
    result = Result(name="cli", title="X", machine={"processor": "p"}, figures=[_figure(1, 2, 9)])
    written = readme_with(text, [result])
    assert "a figure" in written
    assert readme_with(written, results()) == text


def test_percentiles_are_values_that_were_seen() -> None:
    assert [percentile(range(1, 101), p) for p in (50, 99, 99.9)] == [50, 99, 100]
    assert percentile([7], 50) == 7


@pytest.mark.parametrize(("costs", "k"), [([5, 5, 5], 0), ([1, 10, 100], 1), ([1, 100, 10_000], 2)])
def test_the_exponent_of_a_growth(costs: list[float], k: float) -> None:
    assert exponent([10, 100, 1000], costs) == pytest.approx(k)


@pytest.mark.parametrize(
    ("value", "goal", "met"),
    [(0.6, ">= 0.6", True), (0.59, ">= 0.6", False), (1.3, "<= 1.3", True), (50, "< 50", False)],
)
def test_goals(value: float, goal: str, met: bool) -> None:
    assert holds(value, goal) is met


def _figure(*values: float) -> Figure:
    return Figure(name="f", title="a figure", unit="ms", values=[*values], goal="< 2")
