"""Each kind of node on a real Temporal server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from hub.temporal.dev_server import DevServer
from tests.integration.doing import Place, doing, live
from tests.node_cases import CASES, Case, Doing


@pytest.fixture(scope="module")
async def place(
    server: DevServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    async with doing(server.address, tmp_path_factory.mktemp("nodes")) as made:
        yield made


@pytest.fixture(scope="module")
async def forgetful(
    server: DevServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    """A worker that keeps no run in memory: each is dropped after each of its turns."""
    folder = tmp_path_factory.mktemp("forgetful")
    async with doing(server.address, folder, max_cached=0) as made:
        yield made


async def check(place: Place, case: Case) -> None:
    key = f"k{uuid4().hex}"
    state = await live(place, case, key)
    error = None if state.error is None else state.error.code
    case.check(state.status, state.result, error, state.vars)
    if case.done is not None:
        assert tuple(n for run_id, n in Doing.done if run_id == state.id) == case.done
    if case.others_done is not None:
        while len(done := others_done(state.id, key)) < len(case.others_done):
            await asyncio.sleep(0.02)
        assert done == case.others_done
    assert state.waiting_for == []


def others_done(run_id: str, key: str) -> tuple[int, ...]:
    return tuple(n for other, n in Doing.done if other != run_id and f"/{key}" in other)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_node(place: Place, case: Case) -> None:
    await check(place, case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_run_dropped_from_memory_at_each_turn(
    forgetful: Place, case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        await check(forgetful, case)
    of_runs = [r for r in caplog.records if "activity" not in r.name and r.levelno >= 30]
    assert [r.getMessage() for r in of_runs if not hasattr(r, "run")] == []
