"""Runs on a real Temporal server: started, resumed, forwarded, killed off."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta

import pytest
from temporalio.api.enums.v1 import EventType

from hub.errors import NotFound, Unreachable
from hub.event import Event
from hub.run import Delivery, RunState, Start
from hub.temporal.client import TemporalRuns
from hub.tree import Tree, load_tree
from tests.parts import eventually

EVENTS = """
events:
  signed_up: {webhook: app, where: event.type == "signed_up", key: event.data.user_id}
  verified: {webhook: app, where: event.type == "verified", key: event.data.user_id}
start: signed_up
"""


def tree(name: str, do: str) -> Tree:
    return load_tree(f"tree: {name}\n{EVENTS}\ndo:\n{do}")


def event(kind: str, user: str, **data: object) -> Delivery:
    identifier = f"{kind}-{uuid.uuid4()}"
    made = Event(id=identifier, source="/test", type=kind, data={"user_id": user, **data})
    return Delivery(event=made, trigger="app")


async def start(runs: TemporalRuns, of: Tree, user: str, delivery: Delivery) -> str:
    run_id = f"{of.name}/{user}"
    wanted = Start(
        run_id=run_id,
        tree=of.name,
        key=user,
        hash=of.hash,
        document=of.document,
        delivery=delivery,
        waiting_for=of.opens,
    )
    try:
        outcome = await runs.start(wanted)
    except Unreachable:
        # A server ends its connections after some minutes. The dispatcher asks again, too.
        outcome = await runs.start(wanted)
    assert outcome in ("started", "running")
    return run_id


async def until(runs: TemporalRuns, run_id: str, *statuses: str) -> RunState:
    async def ended() -> RunState | None:
        state = await runs.show(run_id)
        return state if state.status in statuses else None

    found: RunState = await eventually(ended)
    return found


async def test_a_wait_ends_on_its_event(runs: TemporalRuns) -> None:
    waiting = tree("waiting", "  - wait_for: verified\n    timeout: 24h\n    id: wait\n")
    run_id = await start(runs, waiting, "u1", event("signed_up", "u1"))
    state = await until(runs, run_id, "running")
    assert state.waiting_for == ["verified"]
    assert await runs.deliver(run_id, event("verified", "u1", colour="red"))
    state = await until(runs, run_id, "succeeded")
    assert state.steps["wait"]["data"]["colour"] == "red"


async def test_what_a_run_waits_for_first_is_known_from_its_start(runs: TemporalRuns) -> None:
    opening = tree("opening", "  - wait_for: verified\n    timeout: 24h\n  - wait_for: verified\n")
    run_id = await start(runs, opening, "u1", event("signed_up", "u1"))
    while (await runs.show(run_id)).waiting_for != ["verified"]:
        await asyncio.sleep(0.02)
    while not (await runs.list(tree="opening", waiting_for="verified")).items:
        await asyncio.sleep(0.02)
    history = await runs._client.get_workflow_handle(run_id).fetch_history()
    written = EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES
    assert written not in [one.event_type for one in history.events]


async def test_forward_to_the_timeout(runs: TemporalRuns) -> None:
    waiting = tree(
        "forwarding",
        "  - fallback:\n    - wait_for: verified\n      timeout: 24h\n    - delay: 7 days\n",
    )
    run_id = await start(runs, waiting, "u1", event("signed_up", "u1"))
    await until(runs, run_id, "running")
    await runs.forward(run_id, timedelta(hours=25))
    state = await runs.show(run_id)
    assert state.nodes["do[0].fallback[0]"].status == "failed"
    assert state.waiting_for == ["delay"]
    await runs.forward(run_id, timedelta(days=7))
    state = await until(runs, run_id, "succeeded")
    assert state.ended_at - state.started_at >= timedelta(days=8)


async def test_the_same_start_event_is_one_start(runs: TemporalRuns) -> None:
    quick = tree("quick", "  - log: hello\n")
    first = event("signed_up", "u1")
    one = Start(
        run_id="quick/u1",
        tree="quick",
        key="u1",
        hash=quick.hash,
        document=quick.document,
        delivery=first,
    )
    assert await runs.start(one) == "started"
    before = await until(runs, "quick/u1", "succeeded")
    assert await runs.start(one) == "started"
    assert (await runs.show("quick/u1")).started_at == before.started_at


async def test_no_run(runs: TemporalRuns) -> None:
    assert not await runs.deliver("quick/nobody", event("verified", "nobody"))
    with pytest.raises(NotFound):
        await runs.show("quick/nobody")
