"""What integration tests share: one Temporal server for the session, and runs that live on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.connections import Connections
from hub.links import Links
from hub.temporal.client import TemporalRuns
from hub.temporal.connect import connect
from hub.temporal.dev_server import DevServer
from hub.temporal.worker import make_worker
from tests.kafka import apache_kafka, kafka

__all__ = ["apache_kafka", "kafka"]


@pytest.fixture(scope="session")
async def server() -> AsyncIterator[DevServer]:
    """One Temporal server, in memory, for all tests."""
    async with DevServer() as running:
        yield running


@pytest.fixture(scope="session")
async def runs(
    server: DevServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[TemporalRuns]:
    """Runs on that server, with a worker that lives them."""
    client = await connect(server.address)
    project: Path = tmp_path_factory.mktemp("project")
    connections = Connections(project, {}, {})
    worker = make_worker(
        client, connections=lambda: connections, links=Links([b"k" * 32], "http://localhost")
    )
    async with worker:
        yield TemporalRuns(client)
