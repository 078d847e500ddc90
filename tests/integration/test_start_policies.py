"""Start policies over a real Temporal server: what a start event does where there is a run already."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub.routing.journal import Entry
from hub.temporal.dev_server import DevServer
from tests.parts import Hub, eventually, hub_of, write_project

_LEASE = timedelta(seconds=30)

TREE = """
tree: NAME
events:
  go: {webhook: app, where: event.type == "go", key: event.data.user_id}
  done: {webhook: app, where: event.type == "done", key: event.data.user_id}
start: START
do:
  - try:
      - wait_for: done
        id: work
      - if: steps.work.data.fails | default(false)
        then: {fail: {code: broken, message: told to}}
    finally:
      - set: {cleaned: true}
"""


def project_of(folder: Path, start: str) -> Path:
    """A project with one tree of its own name: all tests share one Temporal server."""
    name = f"policy-{uuid.uuid4().hex[:8]}"
    return write_project(folder, policy=TREE.replace("NAME", name).replace("START", start))


def outcomes(entry: Entry) -> list[str]:
    return [delivery.outcome for delivery in entry.deliveries]


async def sent(hub: Hub, kind: str, key: str = "u1", **options: object) -> Entry:
    return await hub.settled(await hub.send(kind, key, **options))  # type: ignore[arg-type]


async def test_deliver_hands_a_second_start_event_to_the_live_run(
    tmp_path: Path, server: DevServer
) -> None:
    async with hub_of(project_of(tmp_path, "go"), server.address) as hub:
        assert outcomes(await sent(hub, "go")) == ["started"]
        assert outcomes(await sent(hub, "go")) == ["delivered"]
        state = await hub.state(hub.run_id("u1"), "running", waiting_for=["done"])
        assert [handled.outcome for handled in state.mailbox.handled] == ["started", "ignored"]


async def test_ignore_keeps_a_second_start_event_from_the_live_run(
    tmp_path: Path, server: DevServer
) -> None:
    project = project_of(tmp_path, "{event: go, when_running: ignore}")
    async with hub_of(project, server.address) as hub:
        await sent(hub, "go")
        entry = await sent(hub, "go")
        assert (entry.status, outcomes(entry)) == ("unmatched", ["ignored"])
        state = await hub.state(hub.run_id("u1"), "running", waiting_for=["done"])
        assert len(state.mailbox.handled) == 1
        # What is not a start is not ignored.
        await sent(hub, "done")
        await hub.state(hub.run_id("u1"), "succeeded")


async def test_restart_cleans_up_and_begins_again(tmp_path: Path, server: DevServer) -> None:
    project = project_of(tmp_path, "{event: go, when_running: restart}")
    async with hub_of(project, server.address) as hub:
        await sent(hub, "go", step=1)
        before = await hub.state(hub.run_id("u1"), "running", waiting_for=["done"])
        second = await sent(hub, "go", step=2)
        assert outcomes(second) == ["started"]

        async def begun_again() -> bool:
            state = await hub.runs.show(hub.run_id("u1"))
            return state.event is not None and state.event.id == second.id

        assert await eventually(begun_again)
        state = await hub.state(hub.run_id("u1"), "running", waiting_for=["done"])
        assert "cleaned" not in state.vars
        assert before.event is not None
        await sent(hub, "done")
        state = await hub.state(hub.run_id("u1"), "succeeded")
        assert state.vars["cleaned"] is True


async def test_restart_runs_finally_and_keeps_what_follows(
    tmp_path: Path, server: DevServer
) -> None:
    """The new run gets the events that came after its start event, while the old one cleans up."""
    name = f"policy-{uuid.uuid4().hex[:8]}"
    tree = TREE.replace("NAME", name).replace("START", "{event: go, when_running: restart}")
    tree = tree.replace(
        "      - set: {cleaned: true}", "      - delay: 300ms\n      - email.send: MAIL"
    )
    mail = '{to: a@example.com, subject: "after ${{ event.data.step }}", text: x}'
    project = write_project(tmp_path, policy=tree.replace("MAIL", mail))
    async with hub_of(project, server.address) as hub:
        await sent(hub, "go", step=1)
        await hub.state(hub.run_id("u1"), "running", waiting_for=["done"])
        await sent(hub, "go", step=2)
        await sent(hub, "done")
        state = await hub.state(hub.run_id("u1"), "succeeded")
        assert state.event is not None
        assert state.event.data["step"] == 2
        assert [m.subject for m in reversed(hub.mails())] == ["after 1", "after 2"]


async def test_a_restart_told_twice_is_one_restart(tmp_path: Path, server: DevServer) -> None:
    project = project_of(tmp_path, "{event: go, when_running: restart}")
    async with hub_of(project, server.address, dispatching=False) as hub:
        for step in (1, 2):
            await hub.send("go", "u1", id=f"go-{step}", step=step)
        first, second = await hub.journal.pending(0, 2, owner="me", lease=_LEASE)
        for entry in (first, second, second):
            record = await hub.attempted(entry)
            assert record.outcome == "started"

        async def begun_again() -> bool:
            state = await hub.runs.show(hub.run_id("u1"))
            return state.event is not None and state.event.id == "go-2"

        await eventually(begun_again)
        await hub.attempted(second)

        async def told() -> list[str]:
            state = await hub.runs.show(hub.run_id("u1"))
            words = [str(h.outcome) for h in state.mailbox.handled]
            return words if "duplicate" in words else []

        assert await eventually(told) == ["started", "duplicate"]


async def test_parallel_runs_are_all_reached_by_their_key(
    tmp_path: Path, server: DevServer
) -> None:
    project = project_of(tmp_path, "{event: go, when_running: parallel}")
    async with hub_of(project, server.address) as hub:
        ids = [await hub.send("go", "u1") for _ in range(3)]
        other = await hub.send("go", "u2")
        for event_id in [*ids, other]:
            assert outcomes(await hub.settled(event_id)) == ["started"]
        entry = await sent(hub, "done")
        runs = sorted(f"{hub.run_id('u1')}~{event_id}" for event_id in ids)
        assert sorted(d.run_id or "" for d in entry.deliveries) == runs
        for run_id in runs:
            await hub.state(run_id, "succeeded")
        await hub.state(f"{hub.run_id('u2')}~{other}", "running", waiting_for=["done"])
        assert outcomes(await sent(hub, "done")) == ["no_run"]


async def test_a_parallel_start_told_twice_is_one_run(tmp_path: Path, server: DevServer) -> None:
    project = project_of(tmp_path, "{event: go, when_running: parallel}")
    async with hub_of(project, server.address) as hub:
        for _ in range(3):
            await hub.send("go", "u1", id="go-1")
        assert outcomes(await hub.settled("go-1")) == ["started"]
        entry = await sent(hub, "done")
        assert [d.run_id for d in entry.deliveries] == [f"{hub.run_id('u1')}~go-1"]


@pytest.mark.parametrize(
    ("rerun", "fails", "outcome"),
    [
        ("always", False, "started"),
        ("after_failure", False, "rejected"),
        ("after_failure", True, "started"),
        ("never", False, "rejected"),
        ("never", True, "rejected"),
    ],
)
async def test_rerun_after_a_run_has_ended(
    tmp_path: Path, server: DevServer, rerun: str, fails: bool, outcome: str
) -> None:
    project = project_of(tmp_path, f"{{event: go, rerun: {rerun}}}")
    async with hub_of(project, server.address) as hub:
        await sent(hub, "go", id="go-1")
        await sent(hub, "done", fails=fails)
        await hub.state(hub.run_id("u1"), "failed" if fails else "succeeded")
        entry = await sent(hub, "go")
        assert outcomes(entry) == [outcome]
        if outcome == "rejected":
            assert rerun in str(entry.deliveries[0].reason)


@pytest.mark.parametrize("rerun", ["always", "after_failure", "never"])
async def test_a_start_that_is_told_again_after_its_run_ended_starts_nothing(
    tmp_path: Path, server: DevServer, rerun: str
) -> None:
    project = project_of(tmp_path, f"{{event: go, rerun: {rerun}}}")
    async with hub_of(project, server.address) as hub:
        entry = await sent(hub, "go", id="go-1")
        await sent(hub, "done")
        ended = (await hub.state(hub.run_id("u1"), "succeeded")).ended_at
        record = await hub.attempted(entry)
        assert record.outcome == "started"
        assert (await hub.runs.show(hub.run_id("u1"))).ended_at == ended


async def test_starts_that_race_make_one_run(tmp_path: Path, server: DevServer) -> None:
    project = project_of(tmp_path, "{event: go, when_running: ignore, rerun: never}")
    async with hub_of(project, server.address) as hub:
        ids = await asyncio.gather(*(hub.send("go", "u1") for _ in range(10)))
        entries = [await hub.settled(event_id) for event_id in ids]
        assert sorted(outcomes(entry)[0] for entry in entries) == ["ignored"] * 9 + ["started"]


async def test_a_restart_that_is_told_again_after_its_run_ended_starts_nothing(
    tmp_path: Path, server: DevServer
) -> None:
    """The run that was restarted goes on as another to the server, which forgets what began it."""
    project = project_of(tmp_path, "{event: go, when_running: restart}")
    async with hub_of(project, server.address) as hub:
        await sent(hub, "go")
        await hub.state(hub.run_id("u1"), "running", waiting_for=["done"])
        second = await sent(hub, "go")

        async def begun_again() -> bool:
            event = (await hub.runs.show(hub.run_id("u1"))).event
            return event is not None and event.id == second.id

        await eventually(begun_again)
        await sent(hub, "done")
        ended = (await hub.state(hub.run_id("u1"), "succeeded")).ended_at
        # As a dispatcher finds it that has started after the crash.
        hub.dispatcher._deliverer._began = datetime.now(UTC)
        record = await hub.attempted(second)
        assert record.outcome == "started"
        assert (await hub.runs.show(hub.run_id("u1"))).ended_at == ended
