"""Events that come before their run, over a real Temporal server: kept, in order, and for a time."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from pathlib import Path

import msgspec

from hub.routing.journal import Entry
from hub.run import Delivery
from hub.temporal.dev_server import DevServer
from tests.parts import Hub, eventually, hub_of, write_project

_LEASE = timedelta(seconds=30)

TREE = """
tree: NAME
events:
  go: {webhook: app, where: event.type == "go", key: event.data.user_id}
  paid: {webhook: app, where: event.type == "paid", key: event.data.user_id, early: EARLY}
  done: {webhook: app, where: event.type == "done", key: event.data.user_id}
start: START
do:
  - {id: first, wait_for: paid, timeout: 1h}
  - {id: second, wait_for: paid, timeout: 1h}
  - wait_for: done
"""


def project_of(folder: Path, early: str = "2h", start: str = "go") -> Path:
    name = f"early-{uuid.uuid4().hex[:8]}"
    text = TREE.replace("NAME", name).replace("EARLY", early).replace("START", start)
    return write_project(folder, early=text)


async def sent(hub: Hub, kind: str, **options: object) -> Entry:
    return await hub.settled(await hub.send(kind, "u1", **options))  # type: ignore[arg-type]


async def test_events_before_the_run_wait_for_it_in_order(
    tmp_path: Path, server: DevServer
) -> None:
    async with hub_of(project_of(tmp_path), server.address) as hub:
        first = await sent(hub, "paid", number=1)
        assert [d.outcome for d in first.deliveries] == ["buffered"]
        assert (await hub.runs.show(hub.run_id("u1"))).status == "dormant"

        async def listed() -> bool:
            dormant = (await hub.runs.list(tree=hub.tree, status="dormant")).items
            running = (await hub.runs.list(tree=hub.tree, status="running")).items
            return [run.status for run in dormant] == ["dormant"] and not running

        assert await eventually(listed)
        second = await sent(hub, "paid", number=2)
        assert [d.outcome for d in second.deliveries] == ["delivered"]
        await sent(hub, "go")
        state = await hub.state(hub.run_id("u1"), "running", waiting_for=["done"])
        assert state.steps["first"]["id"] == first.id
        assert state.steps["second"]["id"] == second.id

        async def running() -> bool:
            return bool((await hub.runs.list(tree=hub.tree, status="running")).items)

        assert await eventually(running)


async def test_an_early_event_told_twice_is_kept_once(tmp_path: Path, server: DevServer) -> None:
    async with hub_of(project_of(tmp_path), server.address, dispatching=False) as hub:
        await hub.send("paid", "u1", id="paid-1")
        (entry,) = await hub.journal.pending(0, 1, owner="dying", lease=_LEASE)
        words = [(await hub.attempted(entry)).outcome for _ in range(3)]
        assert words == ["buffered", "delivered", "delivered"]
        state = await hub.runs.show(hub.run_id("u1"))
        assert [stored.event.id for stored in state.mailbox.stored] == ["paid-1"]


async def test_a_run_that_nothing_starts_expires(tmp_path: Path, server: DevServer) -> None:
    project = project_of(tmp_path, start="{event: go, rerun: after_failure}")
    async with hub_of(project, server.address) as hub:
        await sent(hub, "paid")
        await hub.state(hub.run_id("u1"), "dormant")
        await hub.runs.forward(hub.run_id("u1"), timedelta(hours=3))
        state = await hub.state(hub.run_id("u1"), "expired")
        assert state.error is not None
        assert state.error.code == "expired"
        assert state.started_at is not None

        async def listed() -> bool:
            expired = (await hub.runs.list(tree=hub.tree, status="expired")).items
            failed = (await hub.runs.list(tree=hub.tree, status="failed")).items
            return [run.status for run in expired] == ["expired"] and not failed

        assert await eventually(listed)
        # It is no run that has ended, and its event is gone with it.
        assert [d.outcome for d in (await sent(hub, "go")).deliveries] == ["started"]
        await hub.state(hub.run_id("u1"), "running", waiting_for=["paid"])


async def test_a_deadline_that_has_passed_counts_though_nobody_swept(
    tmp_path: Path, server: DevServer
) -> None:
    project = project_of(tmp_path, early="1s")
    async with hub_of(project, server.address, working=False) as hub:
        await sent(hub, "paid")
        await sent(hub, "go")
        await asyncio.sleep(1)
    # Nobody could look at the deadline until now; the run begins, and the event is too old for it.
    async with hub_of(project, server.address) as hub:
        state = await hub.state(hub.run_id("u1"), "running", waiting_for=["paid"])
        assert [h.outcome for h in state.mailbox.handled] == ["buffered", "started", "late"]


async def test_an_event_that_is_dispatched_too_late_is_not_early(
    tmp_path: Path, server: DevServer
) -> None:
    async with hub_of(project_of(tmp_path), server.address, dispatching=False) as hub:
        await hub.send("paid", "u1")
        (entry,) = await hub.journal.pending(0, 1, owner="me", lease=_LEASE)
        old = msgspec.structs.replace(entry, received_at=entry.received_at - timedelta(hours=3))
        assert (await hub.attempted(old)).outcome == "no_run"


async def test_a_used_event_makes_no_dormant_run_when_it_is_told_again(
    tmp_path: Path, server: DevServer
) -> None:
    """Temporal took it, the mark is missing, and the run has closed since."""
    async with hub_of(project_of(tmp_path), server.address) as hub:
        await sent(hub, "go")
        paid = await sent(hub, "paid")
        await sent(hub, "paid")
        await sent(hub, "done")
        ended = (await hub.state(hub.run_id("u1"), "succeeded")).ended_at
        # The server knows the request of the signal again, or else the run is asked.
        assert (await hub.attempted(paid)).outcome in ("delivered", "duplicate")
        assert (await hub.runs.show(hub.run_id("u1"))).ended_at == ended
        delivery = Delivery(event=paid.event, trigger="app")
        assert await hub.runs.had(hub.run_id("u1"), delivery, paid.received_at) == "resumed"


async def test_a_dormant_run_can_be_cancelled(tmp_path: Path, server: DevServer) -> None:
    async with hub_of(project_of(tmp_path), server.address) as hub:
        await sent(hub, "paid")
        await hub.runs.cancel(hub.run_id("u1"))
        await hub.state(hub.run_id("u1"), "cancelled")


async def test_ignore_still_wakes_a_dormant_run(tmp_path: Path, server: DevServer) -> None:
    project = project_of(tmp_path, start="{event: go, when_running: ignore}")
    async with hub_of(project, server.address) as hub:
        await sent(hub, "paid")
        await sent(hub, "go")
        await hub.state(hub.run_id("u1"), "running", waiting_for=["paid"])
        await sent(hub, "go")
        state = await hub.state(hub.run_id("u1"), "running")
        outcomes = [h.outcome for h in state.mailbox.handled]
        assert outcomes == ["buffered", "started", "resumed", "ignored"]


async def test_restart_begins_a_dormant_run(tmp_path: Path, server: DevServer) -> None:
    project = project_of(tmp_path, start="{event: go, when_running: restart}")
    async with hub_of(project, server.address) as hub:
        paid = await sent(hub, "paid")
        await sent(hub, "go")
        state = await hub.state(hub.run_id("u1"), "running", waiting_for=["paid"])
        assert state.steps["first"]["id"] == paid.id


async def test_no_event_is_early_for_a_run_that_may_not_come(
    tmp_path: Path, server: DevServer
) -> None:
    project = project_of(tmp_path, start="{event: go, rerun: after_failure}")
    async with hub_of(project, server.address) as hub:
        await sent(hub, "go")
        for kind in ("paid", "paid", "done"):
            await sent(hub, kind)
        await hub.state(hub.run_id("u1"), "succeeded")
        entry = await sent(hub, "paid")
        assert [d.outcome for d in entry.deliveries] == ["no_run"]
        assert "after_failure" in str(entry.deliveries[0].reason)
