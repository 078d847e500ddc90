"""Waits by a value that the run learnt, on a real Temporal server: correlators and their failures."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError

from hub.errors import HubError
from hub.event import Event
from hub.routing.explain import explain, told
from hub.routing.journal import Entry
from hub.routing.router import Router
from hub.run import Delivery, identity_of
from hub.run.correlation import CorrelatorState, address_of
from hub.temporal.client import TemporalRuns
from hub.temporal.dev_server import DevServer
from hub.temporal.run_input import Limits
from hub.tree import load_tree
from tests.parts import Hub, eventually, hub_of, write_project

TREE = """
tree: NAME
events:
  go: {webhook: app, where: event.type == "go", key: event.data.user_id}
  shipped: {webhook: app, where: event.type == "shipped", key: event.data.shipment, MORE}
  stop: {webhook: app, where: event.type == "stop", key: event.data.user_id}
start: go
do:
"""
WAIT = "  - {id: came, wait_for: {event: shipped, match: event.data.shipment}}\n"


def project_of(folder: Path, do: str = WAIT, more: str = "early: 1h") -> Path:
    name = f"match-{uuid.uuid4().hex[:8]}"
    text = TREE.replace("NAME", name).replace("MORE", more) + do
    return write_project(folder, match=text)


def correlator_of(hub: Hub, value: str = "s1") -> str:
    tree = hub.project.trees[hub.tree]
    return address_of(tree.name, tree.subscriptions["shipped"], value).id


async def go(hub: Hub, key: str, shipment: str = "s1") -> Entry:
    return await hub.settled(await hub.send("go", key, shipment=shipment))


async def shipped(hub: Hub, shipment: str = "s1", **options: Any) -> Entry:
    return await hub.settled(await hub.send("shipped", "nobody", shipment=shipment, **options))


async def waiting(hub: Hub, *keys: str, value: str = "s1") -> CorrelatorState:
    """The correlator, once just these runs wait there."""

    async def look() -> CorrelatorState | None:
        state = await hub.runs.correlator(correlator_of(hub, value))
        wanted = sorted(hub.run_id(key) for key in keys)
        return state if state and sorted(w.run_id for w in state.waiters) == wanted else None

    found: CorrelatorState = await eventually(look)
    return found


async def ended(hub: Hub, value: str = "s1") -> None:
    """Return once the correlator has ended by itself."""

    async def look() -> bool:
        handle = hub.runs._client.get_workflow_handle(correlator_of(hub, value))
        status = (await handle.describe()).status
        return status == WorkflowExecutionStatus.COMPLETED

    await eventually(look)


async def came(hub: Hub, key: str) -> str:
    state = await hub.state(hub.run_id(key), "succeeded")
    found: str = state.steps["came"]["id"]
    return found


async def test_an_event_finds_the_run_by_a_value_that_is_not_its_key(
    tmp_path: Path, server: DevServer
) -> None:
    async with hub_of(project_of(tmp_path), server.address) as hub:
        await go(hub, "o1", "s1")
        await go(hub, "o2", "s2")
        await waiting(hub, "o1")
        await waiting(hub, "o2", value="s2")
        entry = await shipped(hub, "s2")
        assert entry.status == "delivered"
        assert await came(hub, "o2") == entry.id
        (delivery,) = (await told(entry, hub.journal, hub.runs)).deliveries
        assert delivery.outcome == "resumed"
        assert delivery.reason == f"{hub.run_id('o2')}: it woke do[0]"
        assert (await hub.runs.show(hub.run_id("o1"))).status == "running"
        assert not (await hub.runs.show(hub.run_id("o2"))).tickets.open


async def test_an_event_before_the_wait_is_kept_for_it(tmp_path: Path, server: DevServer) -> None:
    async with hub_of(project_of(tmp_path), server.address) as hub:
        first = await shipped(hub)
        second = await shipped(hub)
        assert [d.outcome for d in first.deliveries] == ["buffered"]
        await go(hub, "o1")
        assert await came(hub, "o1") == first.id
        # What one has had is kept for others, and each takes the oldest.
        await go(hub, "o2")
        assert await came(hub, "o2") == first.id
        state = await hub.runs.correlator(correlator_of(hub))
        assert state is not None
        assert [k.delivery.event.id for k in state.kept] == [first.id, second.id]


async def test_it_ends_when_the_time_of_what_it_keeps_is_over(
    tmp_path: Path, server: DevServer
) -> None:
    async with hub_of(project_of(tmp_path, more="early: 1s"), server.address) as hub:
        entry = await shipped(hub)
        await ended(hub)
        (delivery,) = (await told(entry, hub.journal, hub.runs)).deliveries
        assert (delivery.outcome, delivery.reason) == (
            "no_run",
            "no run waited for it while it was kept",
        )
        await go(hub, "o1")
        await waiting(hub, "o1")
        later = await shipped(hub)
        assert await came(hub, "o1") == later.id


async def test_nothing_is_kept_where_the_tree_says_so(tmp_path: Path, server: DevServer) -> None:
    async with hub_of(project_of(tmp_path, more="early: 0s"), server.address) as hub:
        entry = await shipped(hub)
        assert entry.status == "unmatched"
        assert [d.outcome for d in entry.deliveries] == ["no_run"]
        assert await hub.runs.correlator(correlator_of(hub)) is None
        await go(hub, "o1")
        await waiting(hub, "o1")
        assert await came_by(hub, "o1")
        await ended(hub)


async def came_by(hub: Hub, key: str) -> bool:
    entry = await shipped(hub)
    return await came(hub, key) == entry.id


async def test_one_run_gets_it_and_a_second_is_rejected_where_the_tree_says_so(
    tmp_path: Path, server: DevServer
) -> None:
    async with hub_of(project_of(tmp_path / "one", more="deliver: one"), server.address) as hub:
        for key in ("o1", "o2"):
            await go(hub, key)
            await eventually(lambda k=key: _waits(hub, k))
        first = await shipped(hub)
        assert await came(hub, "o1") == first.id
        await waiting(hub, "o2")
    reject = project_of(tmp_path / "reject", more="deliver: reject")
    async with hub_of(reject, server.address) as hub:
        await go(hub, "o1")
        await waiting(hub, "o1")
        await go(hub, "o2")
        state = await hub.state(hub.run_id("o2"), "failed")
        assert state.error is not None
        assert state.error.code == "already_awaited"
        assert hub.run_id("o1") in state.error.message
        await came_by(hub, "o1")


async def _waits(hub: Hub, key: str) -> bool:
    state = await hub.runs.correlator(correlator_of(hub))
    return state is not None and hub.run_id(key) in [w.run_id for w in state.waiters]


async def test_a_run_that_is_gone_swallows_nothing(tmp_path: Path, server: DevServer) -> None:
    async with hub_of(project_of(tmp_path, more="deliver: one"), server.address) as hub:
        for key in ("o1", "o2"):
            await go(hub, key)
            await eventually(lambda k=key: _waits(hub, k))
        await hub.runs.terminate(hub.run_id("o1"), "gone")
        entry = await shipped(hub)
        assert await came(hub, "o2") == entry.id


async def test_a_wait_that_is_over_leaves_the_correlator(tmp_path: Path, server: DevServer) -> None:
    """By its timeout, and by the end of its run."""
    do = WAIT.replace("}}", "}, timeout: 2h}")
    async with hub_of(project_of(tmp_path, do, "deliver: one"), server.address) as hub:
        for key in ("o1", "o2", "o3"):
            await go(hub, key)
            await eventually(lambda k=key: _waits(hub, k))
        await hub.runs.forward(hub.run_id("o1"), timedelta(hours=3))
        await hub.state(hub.run_id("o1"), "failed")
        await hub.runs.cancel(hub.run_id("o2"))
        await hub.state(hub.run_id("o2"), "cancelled")
        await waiting(hub, "o3")
        await came_by(hub, "o3")


async def test_an_event_that_comes_when_its_wait_is_over_goes_to_the_next(
    tmp_path: Path, server: DevServer
) -> None:
    """The correlator has sent it already when it hears that the wait is over."""
    do = (
        "  - race:\n    - {wait_for: {event: shipped, match: event.data.shipment}}\n"
        "    - {wait_for: stop}\n  - delay: 1h\n"
    )
    async with hub_of(project_of(tmp_path, do, "deliver: one"), server.address) as hub:
        await go(hub, "o1")
        await waiting(hub, "o1")
        await hub.settled(await hub.send("stop", "o1"))
        state = await hub.state(hub.run_id("o1"), "running", waiting_for=["delay"])
        assert not state.tickets.open
        tree = hub.project.trees[hub.tree]
        event = Event(id=uuid.uuid4().hex, source="/test", type="shipped", data={"shipment": "s1"})
        delivery = Delivery(
            event=event,
            trigger="app",
            expires_at=datetime.now(UTC) + timedelta(hours=1),
            ticket=f"{identity_of('nobody')}-1",
            correlator=address_of(tree.name, tree.subscriptions["shipped"], "s1"),
        )
        assert await hub.runs.deliver(hub.run_id("o1"), delivery)
        await go(hub, "o2")

        async def had() -> bool:
            handled = (await hub.runs.show(hub.run_id("o2"))).mailbox.handled
            return any(h.id == event.id and h.outcome == "resumed" for h in handled)

        assert await eventually(had)


async def test_an_event_told_again_after_the_correlator_ended_is_not_used_again(
    tmp_path: Path, server: DevServer
) -> None:
    async with hub_of(project_of(tmp_path, more="deliver: one"), server.address) as hub:
        await go(hub, "o1")
        await waiting(hub, "o1")
        entry = await shipped(hub)
        assert await came(hub, "o1") == entry.id
        await ended(hub)
        hub.dispatcher._deliverer._began = entry.received_at + timedelta(seconds=1)
        record = await hub.attempted(entry)
        assert record.outcome == "duplicate"
        await go(hub, "o2")
        await waiting(hub, "o2")


async def test_an_event_told_again_while_the_correlator_lives_is_not_used_again(
    tmp_path: Path, server: DevServer
) -> None:
    async with hub_of(project_of(tmp_path, more="deliver: one"), server.address) as hub:
        entry = await shipped(hub)
        await hub.attempted(entry)
        await go(hub, "o1")
        assert await came(hub, "o1") == entry.id
        await go(hub, "o2")
        await waiting(hub, "o2")


async def test_many_events_and_waits_while_it_ends_and_goes_on_in_parts(
    tmp_path: Path, server: DevServer
) -> None:
    """Correlators end and begin all the time here, and go on in new parts: nothing is lost."""
    async with hub_of(project_of(tmp_path, more="deliver: one"), server.address) as hub:
        small = TemporalRuns(
            hub.runs._client, task_queue=hub.runs._task_queue, limits=Limits(events=40, signals=8)
        )
        hub.dispatcher._deliverer._runs = small
        count = 30

        async def events() -> list[str]:
            return [await hub.send("shipped", "nobody", shipment="s1") for _ in range(count)]

        async def runs() -> None:
            for n in range(count):
                await hub.send("go", f"o{n}", shipment="s1")
                await asyncio.sleep(0.01 * (n % 4))

        ids, _ = await asyncio.gather(events(), runs())
        used = [await came(hub, f"o{n}") for n in range(count)]
        assert sorted(used) == sorted(ids)
        await ended(hub)


async def test_a_run_goes_on_in_a_new_part_and_waits_still(
    tmp_path: Path, server: DevServer
) -> None:
    do = (
        "  - parallel:\n"
        "      - {wait_for: {event: shipped, match: event.data.shipment}}\n"
        "      - {repeat: 8, do: [{wait_for: stop}]}\n"
    )
    async with hub_of(project_of(tmp_path, do, "deliver: one"), server.address) as hub:
        hub.runs._limits = Limits(events=20)
        await go(hub, "o1")
        await waiting(hub, "o1")
        for _ in range(8):
            await hub.settled(await hub.send("stop", "o1"))

        async def later() -> bool:
            try:
                state = await hub.runs.show(hub.run_id("o1"))
            except HubError:
                # Between two parts nobody can be asked.
                return False
            return state.part > 1 and state.waiting_for == ["shipped"]

        assert await eventually(later)
        await waiting(hub, "o1")
        entry = await shipped(hub)
        state = await hub.state(hub.run_id("o1"), "succeeded")
        assert state.result[0]["id"] == entry.id


async def test_a_changed_subscription_still_finds_the_runs_of_before(
    tmp_path: Path, server: DevServer
) -> None:
    async with hub_of(project_of(tmp_path), server.address) as hub:
        await go(hub, "o1")
        await waiting(hub, "o1")
        (old,) = hub.project.trees.values()
        text = TREE.replace("NAME", old.name).replace("MORE", "early: 1h") + WAIT
        new = load_tree(text.replace("event.data.shipment,", "event.data.parcel,"))
        router = Router([new], former=[old])
        hub.dispatcher._router = lambda: router
        await go(hub, "o2")
        entry = await shipped(hub, parcel="s1", shipment="s1")
        assert await came(hub, "o1") == entry.id
        assert await came(hub, "o2") == entry.id


async def test_explain_names_the_value_the_correlator_and_who_waits(
    tmp_path: Path, server: DevServer
) -> None:
    async with hub_of(project_of(tmp_path), server.address) as hub:
        await go(hub, "o1")
        await waiting(hub, "o1")
        router = hub.dispatcher._router()
        missed = await shipped(hub, "s2")

        async def near() -> Any:
            return (await explain(missed, router, hub.runs)).near_misses

        (miss,) = await eventually(near)
        assert miss.run_id == hub.run_id("o1")
        assert miss.reason == (
            "it waits for `shipped` with the value 's1' (`match`); the event has 's2'"
        )
        verdict = next(
            v
            for v in (await explain(missed, router, hub.runs)).subscriptions
            if v.subscription == "shipped"
        )
        assert (verdict.outcome, verdict.key) == ("buffered", "s2")
        assert verdict.run_id == correlator_of(hub, "s2")
        assert (verdict.match, verdict.runs) == ("s2", [])
        assert verdict.reason is not None
        assert verdict.reason.endswith("now nobody waits for the value 's2' by `match`")
        reached = await shipped(hub, "s1")
        assert await came(hub, "o1") == reached.id
        verdict = next(
            v
            for v in (await explain(reached, router, hub.runs)).subscriptions
            if v.subscription == "shipped"
        )
        assert verdict.outcome == "resumed"
        assert (verdict.match, verdict.runs) == ("s1", [hub.run_id("o1")])
        assert f"{hub.run_id('o1')}: it woke do[0]" in (verdict.reason or "")


async def test_a_worker_dies_while_it_tells_the_correlator(
    tmp_path: Path, server: DevServer
) -> None:
    """The errand is done again by the next worker; the correlator knows the ticket."""
    async with hub_of(project_of(tmp_path, more="deliver: one"), server.address) as hub:
        await go(hub, "o1")
        state = await waiting(hub, "o1")
        (waiter,) = state.waiters
        handle = hub.runs._client.get_workflow_handle(correlator_of(hub))
        for _ in range(2):
            await handle.signal("subscribe", waiter)
        entry = await shipped(hub)
        assert await came(hub, "o1") == entry.id
        try:
            await handle.signal("subscribe", waiter)
        except RPCError:
            return
        await ended(hub)
