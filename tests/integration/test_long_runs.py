"""Long runs go on in new parts, and nothing that comes in meanwhile is lost or used twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.client import WorkflowExecutionStatus

from hub.errors import Unreachable
from hub.run import Delivery
from hub.temporal.dev_server import DevServer
from hub.temporal.run_input import Limits
from hub.tree import load_tree
from tests.integration.doing import Place, doing
from tests.node_cases import Doing, delivery

ROUNDS = 500
EVENTS = """
events:
  begin: {webhook: app, where: event.type == "begin", key: event.data.user_id}
  tick: {webhook: app, where: event.type == "tick", key: event.data.user_id}
  stop: {webhook: app, where: event.type == "stop", key: event.data.user_id}
start: begin
"""
COUNTING = f"""
tree: counting
{EVENTS}
vars: {{came: []}}
do:
- repeat: {ROUNDS}
  do:
  - id: tick
    wait_for: tick
  - set: {{came: "${{{{ vars.came + [steps.tick.id] }}}}"}}
- wait_for: stop
"""
STEPS = f"""
tree: steps
{EVENTS}
do:
- try:
  - parallel:
    - repeat: 60
      do: {{test.do: {{n: 1}}}}
    - repeat: 60
      do: {{test.do: {{n: 2}}}}
  - wait_for: stop
  finally: {{test.do: {{n: 3}}}}
"""


@pytest.fixture(scope="module")
async def place(
    server: DevServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    limits = Limits(events=120, signals=60, factor=2)
    async with doing(server.address, tmp_path_factory.mktemp("long"), limits=limits) as made:
        yield made


async def deliver(place: Place, run_id: str, given: Delivery) -> None:
    """As the dispatcher does: a run that just goes on is asked again a moment later."""
    while True:
        try:
            assert await place.runs.deliver(run_id, given)
            return
        except Unreachable:
            await asyncio.sleep(0.02)


async def test_signals_all_the_while(place: Place) -> None:
    tree = load_tree(COUNTING)
    key = f"k{uuid4().hex}"
    run_id = await place.start({"counting": tree}, "counting", key)
    sent = 0

    async def send() -> None:
        nonlocal sent
        while sent < ROUNDS:
            sent += 1
            await deliver(place, run_id, delivery("tick", key, f"{sent}"))

    await asyncio.gather(*(send() for _ in range(6)))
    # Again what was sent before: a part knows what the earlier ones have used.
    for number in (1, 2, ROUNDS - 1):
        await deliver(place, run_id, delivery("tick", key, f"{number}"))
    await place.until_waiting(run_id)
    await deliver(place, run_id, delivery("stop", key, "stop"))
    state = await place.until_ended(run_id)
    assert state.status == "succeeded"
    assert state.part > 2
    assert len(state.nodes) < 10
    came = state.vars["came"]
    assert len(came) == ROUNDS
    assert sorted(came) == sorted(f"{key}-{number}" for number in range(1, ROUNDS + 1))
    listed = await place.runs.list(tree="counting", key=key)
    while len(listed.items) != 1 or listed.items[0].status != "succeeded":
        await asyncio.sleep(0.05)
        listed = await place.runs.list(tree="counting", key=key)


async def test_actions_are_done_once_each(place: Place) -> None:
    tree = load_tree(STEPS)
    key = f"k{uuid4().hex}"
    run_id = await place.start({"steps": tree}, "steps", key)
    while (state := await place.runs.show(run_id)).waiting_for != ["stop"]:
        await asyncio.sleep(0.05)
    assert state.part > 2
    done = [n for run, n in Doing.done if run == run_id]
    assert (done.count(1), done.count(2), done.count(3)) == (60, 60, 0)
    await place.runs.cancel(run_id)
    state = await place.until_ended(run_id)
    assert state.status == "cancelled"
    assert [n for run, n in Doing.done if run == run_id].count(3) == 1


async def test_cancelled_while_it_goes_on(place: Place) -> None:
    """The cancellation comes at any moment of many; it is never lost, and `finally` runs once."""
    tree = load_tree(STEPS)
    keys = [f"k{uuid4().hex}" for _ in range(12)]

    async def one(number: int, key: str) -> None:
        run_id = await place.start({"steps": tree}, "steps", key)
        while (await place.runs.show(run_id)).calls < 20 + 3 * number:
            await asyncio.sleep(0.01)
        await place.runs.cancel(run_id)
        state = await place.until_ended(run_id)
        assert state.status == "cancelled"
        assert [n for run, n in Doing.done if run == run_id].count(3) == 1

    for n in range(0, len(keys), 4):
        await asyncio.gather(*(one(n + i, key) for i, key in enumerate(keys[n : n + 4])))


async def test_deadlines_go_along(place: Place) -> None:
    text = f"""
tree: deadlines
{EVENTS}
do:
- fallback:
  - timeout: 3 days
    parallel:
    - delay: 10 days
    - repeat: 100
      do: {{wait_for: tick}}
  - log: over
- delay: 1 day
"""
    key = f"k{uuid4().hex}"
    run_id = await place.start({"deadlines": load_tree(text)}, "deadlines", key)
    for number in range(70):
        await deliver(place, run_id, delivery("tick", key, f"{number}"))
    while (state := await place.runs.show(run_id)).part < 2:
        await asyncio.sleep(0.02)
    await place.forward(run_id, timedelta(days=2))
    state = await place.runs.show(run_id)
    assert state.nodes["do[0].fallback[0]"].status == "running"
    await place.forward(run_id)
    state = await place.until_ended(run_id)
    assert state.status == "succeeded"
    assert state.started_at is not None
    assert state.ended_at is not None
    lasted = state.ended_at - state.started_at
    assert timedelta(days=4) <= lasted < timedelta(days=4, hours=1)
    handle = place.client.get_workflow_handle(run_id)
    assert (await handle.describe()).status == WorkflowExecutionStatus.COMPLETED
