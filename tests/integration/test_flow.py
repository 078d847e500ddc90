"""Starts that are held back, over a real Temporal server: by a gate that may be killed at any moment."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus

from hub.routing.explain import explain
from hub.routing.journal import Entry
from hub.run import RunState
from hub.temporal.connect import connect
from hub.temporal.dev_server import DevServer
from hub.temporal.gate import GATE
from hub.temporal.run_input import Limits
from tests.parts import Hub, eventually, hub_of, write_project

TREE = """
tree: NAME
events:
  go: {webhook: app, where: event.type == "go", key: event.data.user_id}
  done: {webhook: app, where: event.type == "done", key: event.data.user_id}
start: START
do:
DO
"""
WAIT = "  - wait_for: done"
COUNT = "  - set: {came: \"${{ events | map(attribute='data.n') | list }}\"}"
ONE = "{event: go, concurrency: {limit: 1}}"


def project_of(folder: Path, start: str, do: str = WAIT) -> Path:
    name = f"flow-{uuid.uuid4().hex[:8]}"
    text = TREE.replace("NAME", name).replace("START", start).replace("DO", do)
    return write_project(folder, flow=text)


async def sent(hub: Hub, kind: str, key: str, **options: Any) -> Entry:
    return await hub.settled(await hub.send(kind, key, **options))


async def word(hub: Hub, entry: Entry) -> tuple[str, str | None, str | None]:
    """What `hub events explain` says of the tree's start."""
    told = await explain(await hub.journal.get(entry.id), hub.dispatcher._router(), hub.runs)
    (verdict,) = [v for v in told.subscriptions if v.subscription == "go"]
    return verdict.outcome, verdict.run_id, verdict.reason


async def begun(hub: Hub, run_id: str, *statuses: str, **wanted: Any) -> RunState:
    """The run, once there is one of these statuses."""

    async def look() -> RunState | None:
        page = await hub.runs.list(tree=hub.tree)
        if not any(run.id == run_id for run in page.items):
            return None
        state = await hub.runs.show(run_id)
        fits = all(getattr(state, name) == value for name, value in wanted.items())
        return state if state.status in statuses and fits else None

    found: RunState = await eventually(look)
    return found


async def gate_is(client: Client, gate: str, status: WorkflowExecutionStatus) -> None:
    async def look() -> bool:
        return (await client.get_workflow_handle(gate).describe()).status == status

    await eventually(look)


async def test_a_debounced_start_gets_all_events_in_their_order(
    tmp_path: Path, server: DevServer
) -> None:
    project = project_of(tmp_path, "{event: go, debounce: {for: 1s, max: 1m}}", COUNT)
    async with hub_of(project, server.address) as hub:
        entries = [await sent(hub, "go", "u1", n=n) for n in range(5)]
        other = await sent(hub, "go", "u2", n=7)
        (record,) = entries[0].deliveries
        assert (entries[0].status, record.outcome) == ("delivered", "buffered")
        assert "debounced until none has come for 1s" in str(record.reason)
        state = await begun(hub, hub.run_id("u1"), "succeeded")
        assert state.vars["came"] == [0, 1, 2, 3, 4]
        assert state.event is not None
        assert state.event.id == entries[-1].id
        assert (await begun(hub, hub.run_id("u2"), "succeeded")).vars["came"] == [7]
        for entry in (*entries, other):
            outcome, run_id, _ = await word(hub, entry)
            assert (outcome, run_id) == ("started", record.run_id if entry != other else run_id)
        client = await connect(server.address)
        await gate_is(client, f"~gate/{hub.tree}/u1", WorkflowExecutionStatus.COMPLETED)


async def test_a_batch_starts_when_it_is_full_or_its_time_is_over(
    tmp_path: Path, server: DevServer
) -> None:
    start = "{event: go, when_running: parallel, batch: {size: 3, within: 2s}}"
    async with hub_of(project_of(tmp_path, start, COUNT), server.address) as hub:
        entries = [await sent(hub, "go", "u1", n=n) for n in range(4)]
        assert entries[0].deliveries[0].run_id is None
        full = f"{hub.run_id('u1')}~{entries[0].id}"
        assert (await begun(hub, full, "succeeded")).vars["came"] == [0, 1, 2]
        rest = f"{hub.run_id('u1')}~{entries[3].id}"
        assert (await begun(hub, rest, "succeeded")).vars["came"] == [3]
        assert await word(hub, entries[1]) == ("started", full, "with 2 others")


async def test_starts_beyond_the_rate_wait_for_their_turn(
    tmp_path: Path, server: DevServer
) -> None:
    start = "{event: go, rate: {limit: 2, per: 3s}}"
    async with hub_of(project_of(tmp_path, start, "  - log: hi"), server.address) as hub:
        for n in range(4):
            await sent(hub, "go", f"u{n}")
        states = [await begun(hub, hub.run_id(f"u{n}"), "succeeded") for n in range(4)]
        times = [state.started_at for state in states]
        assert times[0] is not None
        assert times[2] is not None
        # By the server's clock, which is what it counts by.
        assert times[2] - times[0] >= timedelta(seconds=2.9)


async def test_the_next_run_starts_when_one_ends_however_it_ends(
    tmp_path: Path, server: DevServer
) -> None:
    async with hub_of(project_of(tmp_path, ONE), server.address) as hub:
        entries = [await sent(hub, "go", f"u{n}") for n in range(5)]
        ends = [
            lambda: hub.send("done", "u0"),
            lambda: hub.runs.cancel(hub.run_id("u1")),
            lambda: hub.runs.terminate(hub.run_id("u2"), "enough"),
        ]
        for n, end in enumerate(ends):
            await begun(hub, hub.run_id(f"u{n}"), "running", waiting_for=["done"])
            outcome, _, reason = await word(hub, entries[n + 1])
            assert outcome == "buffered", (n, reason)
            assert f"one of the live runs ends: {hub.run_id(f'u{n}')}" in str(reason)
            await end()
        await begun(hub, hub.run_id("u3"), "running", waiting_for=["done"])
        for n in (3, 4):
            await begun(hub, hub.run_id(f"u{n}"), "running", waiting_for=["done"])
            await hub.send("done", f"u{n}")
        client = await connect(server.address)
        await gate_is(client, f"~gate/{hub.tree}", WorkflowExecutionStatus.COMPLETED)


async def test_a_start_whose_run_has_no_use_for_it_waits_for_its_end(
    tmp_path: Path, server: DevServer
) -> None:
    project = project_of(tmp_path, "{event: go, debounce: {for: 300ms}}")
    async with hub_of(project, server.address) as hub:
        await sent(hub, "go", "u1")
        first = await begun(hub, hub.run_id("u1"), "running", waiting_for=["done"])
        second = await sent(hub, "go", "u1")

        async def waiting() -> bool:
            return "to end" in str((await word(hub, second))[2])

        await eventually(waiting)
        await hub.send("done", "u1")

        async def another() -> bool:
            state = await hub.runs.show(hub.run_id("u1"))
            return state.event is not None and state.event.id == second.id

        await eventually(another)
        assert first.event is not None


async def test_a_gate_meets_a_dormant_run_and_a_restart(tmp_path: Path, server: DevServer) -> None:
    start = "{event: go, when_running: restart, debounce: {for: 300ms}}"
    project = project_of(tmp_path, start)
    tree = project / "trees" / "flow.yaml"
    text = tree.read_text().replace('type == "done",', 'type == "done", early: 1h,')
    tree.write_text(text.replace(WAIT, "  - wait_for: done\n  - wait_for: done"))
    async with hub_of(project, server.address) as hub:
        early = await sent(hub, "done", "u1")
        assert early.deliveries[0].outcome == "buffered"
        first = [await sent(hub, "go", "u1", n=n) for n in range(2)]
        state = await begun(hub, hub.run_id("u1"), "running", waiting_for=["done"])
        assert [event.id for event in state.events] == [entry.id for entry in first]
        assert [h.outcome for h in state.mailbox.handled if h.id == early.id][-1] == "resumed"
        again = [await sent(hub, "go", "u1", n=n) for n in range(2)]

        async def begun_again() -> bool:
            now = await hub.runs.show(hub.run_id("u1"))
            return [event.id for event in now.events] == [entry.id for entry in again]

        await eventually(begun_again)


async def test_a_start_told_again_counts_once_also_after_its_gate_has_ended(
    tmp_path: Path, server: DevServer
) -> None:
    project = project_of(tmp_path, "{event: go, debounce: {for: 500ms}}", COUNT)
    async with hub_of(project, server.address) as hub:
        first = await sent(hub, "go", "u1", n=1)
        for _ in range(3):
            assert (await hub.attempted(first)).outcome == "buffered"
        ended = (await begun(hub, hub.run_id("u1"), "succeeded", vars={"came": [1]})).ended_at
        client = await connect(server.address)
        await gate_is(client, f"~gate/{hub.tree}/u1", WorkflowExecutionStatus.COMPLETED)
        # As a dispatcher finds it that has started after the crash.
        hub.dispatcher._deliverer._began = datetime.now(UTC)
        again = await hub.attempted(first)
        assert (again.outcome, again.run_id) == ("started", hub.run_id("u1"))
        assert (await hub.runs.show(hub.run_id("u1"))).ended_at == ended
        # And where another gate of the key has come since.
        await sent(hub, "go", "u1", n=2)
        await begun(hub, hub.run_id("u1"), "succeeded", vars={"came": [2]})

        async def known() -> bool:
            return (await hub.attempted(first)).outcome == "started"

        hub.dispatcher._deliverer._began = datetime.now(UTC)
        assert await eventually(known)


async def test_a_gate_goes_on_in_parts_and_loses_nothing(tmp_path: Path, server: DevServer) -> None:
    """Also while its worker keeps nothing in memory, so that each task is a replay."""
    start = "{event: go, when_running: parallel, concurrency: {limit: 2}}"
    project = project_of(tmp_path, start, "  - log: hi")
    limits = Limits(events=60, signals=5)
    async with hub_of(project, server.address, limits=limits, max_cached=0) as hub:
        ids = await asyncio.gather(*(hub.send("go", "u1") for _ in range(15)))
        runs = [f"{hub.run_id('u1')}~{event_id}" for event_id in ids]
        for run_id in runs:
            await begun(hub, run_id, "succeeded")
        client = await connect(server.address)
        await gate_is(client, f"~gate/{hub.tree}", WorkflowExecutionStatus.COMPLETED)
        parts = [
            one
            async for one in client.list_workflows(
                f"WorkflowId = '~gate/{hub.tree}' AND WorkflowType = '{GATE}' "
                "AND ExecutionStatus = 'ContinuedAsNew'"
            )
        ]
        assert len(parts) > 1


async def test_places_are_counted_across_the_parts_of_a_gate(
    tmp_path: Path, server: DevServer
) -> None:
    project = project_of(tmp_path, ONE)
    async with hub_of(project, server.address, limits=Limits(signals=3)) as hub:
        await sent(hub, "go", "u0")
        await begun(hub, hub.run_id("u0"), "running", waiting_for=["done"])
        entries = [await sent(hub, "go", f"u{n}") for n in range(1, 6)]
        client = await connect(server.address)

        async def carried() -> bool:
            described = await client.get_workflow_handle(f"~gate/{hub.tree}").describe()
            return described.run_id != described.raw_info.first_run_id

        assert await eventually(carried)
        assert (await word(hub, entries[0]))[0] == "buffered"
        # The server tells this part of the gate nothing of that run any more.
        await hub.runs.terminate(hub.run_id("u0"), "enough")
        for n in range(1, 6):
            await begun(hub, hub.run_id(f"u{n}"), "running", waiting_for=["done"])
            await hub.send("done", f"u{n}")


async def test_a_gate_outlives_the_worker_and_the_hub(tmp_path: Path, server: DevServer) -> None:
    project = project_of(tmp_path, "{event: go, debounce: {for: 1s}}", COUNT)
    async with hub_of(project, server.address) as hub:
        await sent(hub, "go", "u1", n=1)
    # Nobody is there when it is due.
    async with hub_of(project, server.address, dispatching=False, working=False) as hub:
        await hub.send("go", "u1", n=2)
        await asyncio.sleep(1.5)
    async with hub_of(project, server.address) as hub:
        client = await connect(server.address)
        came: list[int] = []

        async def both() -> bool:
            came[:] = [
                n
                async for one in client.list_workflows(f"WorkflowId = '{hub.run_id('u1')}'")
                for n in (await _vars(client, one.id, one.run_id)).get("came", [])
            ]
            return sorted(came) == [1, 2]

        assert await eventually(both)


async def _vars(client: Client, workflow_id: str, run_id: str) -> dict[str, Any]:
    state = await client.get_workflow_handle(workflow_id, run_id=run_id).query("state")
    found: dict[str, Any] = state["vars"]
    return found


async def test_a_full_gate_rejects_and_says_so(
    tmp_path: Path, server: DevServer, monkeypatch: Any
) -> None:
    monkeypatch.setattr("hub.run.flow.MAX_HELD", 10)
    monkeypatch.setattr("hub.temporal.gates._KEPT", 2)
    monkeypatch.setattr("hub.temporal.gates._STRIDE", 1)
    async with hub_of(project_of(tmp_path, ONE), server.address) as hub:
        entries = [await sent(hub, "go", f"u{n}") for n in range(14)]
        outcomes = [entry.deliveries[0].outcome for entry in entries]
        refused = outcomes.index("rejected")
        assert 8 <= refused <= 11
        assert set(outcomes[refused:]) == {"rejected"}
        assert entries[refused].status == "unmatched"
        assert "full" in str(entries[refused].deliveries[0].reason)
        for n in range(refused):
            await begun(hub, hub.run_id(f"u{n}"), "running", waiting_for=["done"])
            await hub.send("done", f"u{n}")


async def test_a_new_definition_counts_from_the_next_start_on(
    tmp_path: Path, server: DevServer
) -> None:
    project = project_of(tmp_path, "{event: go, concurrency: {limit: 1}}")
    async with hub_of(project, server.address) as hub:
        await sent(hub, "go", "u0")
        await begun(hub, hub.run_id("u0"), "running", waiting_for=["done"])
        name = hub.tree
        tree = project / "trees" / "flow.yaml"
        tree.write_text(tree.read_text().replace("limit: 1", "limit: 2"))
        async with hub_of(project, server.address, working=False) as newer:
            assert newer.tree == name
            await sent(newer, "go", "u1")
        state = await begun(hub, hub.run_id("u1"), "running", waiting_for=["done"])
        assert state.hash != (await hub.runs.show(hub.run_id("u0"))).hash
        assert await hub.runs.uses(name, state.hash)


async def test_the_clock_of_a_run_that_was_held_back_jumps_as_any_other(
    tmp_path: Path, server: DevServer
) -> None:
    project = project_of(tmp_path, ONE, "  - delay: 7 days")
    async with hub_of(project, server.address) as hub:
        for n in range(2):
            await sent(hub, "go", f"u{n}")
        for n in range(2):
            await begun(hub, hub.run_id(f"u{n}"), "running", waiting_for=["delay"])
            await hub.runs.forward(hub.run_id(f"u{n}"), timedelta(days=7))
            await hub.state(hub.run_id(f"u{n}"), "succeeded")
