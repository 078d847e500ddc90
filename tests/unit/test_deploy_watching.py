"""Dashboards and alerts speak of metrics that there are, and each alert has its runbook."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from ruamel.yaml import YAML

from hub.routing.consumers import ConsumerMetrics, Consumers
from hub.telemetry.metrics import REGISTRY

ROOT = Path(__file__).resolve().parents[2]
RULES: list[dict[str, Any]] = YAML(typ="safe").load(
    (ROOT / "deploy/prometheus/alerts.yaml").read_text()
)["groups"][0]["rules"]
BOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/dashboards/hub.json").read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
# Of Temporal's SDK: https://docs.temporal.io/references/sdk-metrics
SDK = {
    "temporal_workflow_task_schedule_to_start_latency_seconds_bucket",
    "temporal_activity_schedule_to_start_latency_seconds_bucket",
    "temporal_sticky_cache_size",
    "temporal_request_failure_total",
}
SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"], "gauge": [""]}


def known() -> set[str]:
    consumers = CollectorRegistry()
    consumers.register(ConsumerMetrics(Consumers(None)))  # type: ignore[arg-type]
    return SDK | {
        metric.name + suffix
        for registry in (REGISTRY, consumers)
        for metric in registry.collect()
        for suffix in SUFFIXES[metric.type]
    }


@pytest.mark.parametrize(
    "query",
    [rule["expr"] for rule in RULES]
    + [target["expr"] for panel in PANELS for target in panel["targets"]],
)
def test_a_query_names_metrics_that_there_are(query: str) -> None:
    named = set(re.findall(r"\b(?:hub|temporal)_[a-z_]+\b", query))
    assert named
    assert named <= known()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_has_its_runbook(rule: dict[str, Any]) -> None:
    place, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert anchor == rule["alert"].lower()
    assert f"\n## {rule['alert']}\n" in (ROOT / place).read_text()


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
