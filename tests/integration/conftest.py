"""What the tests share that need a server: one Temporal server for the session, and runs on it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from hub.connections import Connections
from hub.links import Links
from hub.temporal.client import TemporalRuns
from hub.temporal.connect import connect
from hub.temporal.dev_server import DevServer
from hub.temporal.worker import make_worker


@pytest.fixture(scope="session")
async def server() -> AsyncIterator[DevServer]:
    """A Temporal server, in memory."""
    async with DevServer() as running:
        yield running


@pytest.fixture(scope="session")
async def runs(
    server: DevServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[TemporalRuns]:
    """Runs on that server, and a worker that lives them."""
    client = await connect(server.address)
    connections = Connections(tmp_path_factory.mktemp("project"), {}, {})
    links = Links([b"k" * 32], "http://localhost")
    async with make_worker(client, connections=lambda: connections, links=links):
        yield TemporalRuns(client)
