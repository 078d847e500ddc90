"""Runs on Temporal are followed by what the server tells; their worker is asked when there is news."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from hub.errors import NotFound
from hub.run import RunState
from hub.temporal import client
from hub.temporal.client import TemporalRuns
from tests.integration.test_runs import event, start, tree, until


class Follower:
    """What one who follows a run is told."""

    def __init__(self, runs: TemporalRuns, run_id: str) -> None:
        self.states: list[RunState] = []
        self._moved = asyncio.Event()
        self.task = asyncio.create_task(self._follow(runs, run_id))

    async def _follow(self, runs: TemporalRuns, run_id: str) -> None:
        async for state in runs.follow(run_id):
            self.states.append(state)
            self._moved.set()

    async def until(self, done: Callable[[RunState], bool]) -> None:
        async with asyncio.timeout(60):
            while not (self.states and done(self.states[-1])):
                self._moved.clear()
                await self._moved.wait()


async def test_a_run_is_followed_to_its_end(
    runs: TemporalRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    document = TemporalRuns._document

    async def counted(self: TemporalRuns, run_id: str, *more: str) -> RunState | None:
        asked.append(run_id)
        return await document(self, run_id, *more)

    monkeypatch.setattr(TemporalRuns, "_document", counted)
    waiting = tree(
        "followed", "  - wait_for: verified\n    id: one\n  - wait_for: verified\n    id: two\n"
    )
    run_id = await start(runs, waiting, "f1", event("signed_up", "f1"))
    follower = Follower(runs, run_id)
    await follower.until(lambda state: state.waiting_for == ["verified"])
    asked.clear()
    # Longer than any pause: a run that waits is not asked again and again.
    await asyncio.sleep(1.5)
    assert len(asked) <= 1
    await runs.deliver(run_id, event("verified", "f1"))
    await follower.until(lambda state: "one" in state.steps)
    await runs.deliver(run_id, event("verified", "f1"))
    await asyncio.wait_for(follower.task, 60)
    assert follower.states[-1].status == "succeeded"
    assert len(asked) <= 6


async def test_without_a_place_for_an_open_request_it_is_followed_by_looking(
    runs: TemporalRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "_long_polls", asyncio.Semaphore(0))
    waiting = tree("looked-at", "  - wait_for: verified\n    id: one\n")
    run_id = await start(runs, waiting, "f2", event("signed_up", "f2"))
    follower = Follower(runs, run_id)
    await follower.until(lambda state: state.waiting_for == ["verified"])
    await runs.cancel(run_id)
    await asyncio.wait_for(follower.task, 60)
    assert follower.states[-1].status == "cancelled"


async def test_a_run_that_goes_on_in_a_new_part_is_followed_on(runs: TemporalRuns) -> None:
    short = TemporalRuns(runs._client, limits=client.Limits(events=12))
    parts = tree(
        "followed-on", "  - repeat: {times: 12, do: [{delay: 1ms}]}\n  - wait_for: verified\n"
    )
    run_id = await start(short, parts, "f3", event("signed_up", "f3"))
    follower = Follower(short, run_id)
    await follower.until(lambda state: state.waiting_for == ["verified"])
    assert (await until(short, run_id, "running")).part > 1
    await short.deliver(run_id, event("verified", "f3"))
    await asyncio.wait_for(follower.task, 60)
    assert follower.states[-1].status == "succeeded"


async def test_nobody_follows_a_run_that_is_not_there(runs: TemporalRuns) -> None:
    with pytest.raises(NotFound, match="nobody"):
        await anext(aiter(runs.follow("followed/nobody")))
