"""Every process of a hub is restarted under load: nothing is lost, nothing doubled. See the benchmark."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.rolling import rolling
from hub.temporal.dev_server import DevServer
from tests.kafka import KafkaServer
from tests.postgresql import PostgresqlServer, postgresql_server

__all__ = ["postgresql_server"]


@pytest.mark.timeout(900)
async def test_a_rolling_restart_under_load_loses_and_doubles_nothing(
    kafka: KafkaServer, postgresql_server: PostgresqlServer, server: DevServer, tmp_path: Path
) -> None:
    folder = tmp_path / "rolling"
    folder.mkdir()
    report = await rolling(
        folder,
        kafka=kafka,
        postgresql=postgresql_server,
        temporal=server.address,
        processes={"serve": 2, "worker": 1, "consume": 1},
        rounds=1,
        per_second=4,
    )
    assert report.is_right, report
    assert report.restarts == 4
    assert report.orders > 0
