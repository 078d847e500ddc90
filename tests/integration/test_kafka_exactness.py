"""Every message has one effect, in the order of its key, whatever breaks. See the benchmark."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.kafka_exactness import exactness
from tests.kafka import KafkaServer


@pytest.mark.timeout(300)
async def test_rebalance_kill_and_broker_restart_lose_and_double_nothing(
    kafka: KafkaServer, tmp_path: Path
) -> None:
    report = await exactness(kafka, tmp_path / "project", 3_000, spread=10)
    assert report.is_exact, report
