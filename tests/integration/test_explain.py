"""Why an event did or did not wake what, asked of real runs; and events replayed."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from hub.errors import Conflict
from hub.routing.explain import explain, told
from hub.routing.replay import plan, replay
from hub.routing.router import Router
from hub.temporal.dev_server import DevServer
from tests.parts import Hub, eventually, hub_of, write_project

TREE = """
tree: NAME
events:
  ordered: {webhook: app, where: event.type == "ordered", key: event.data.user_id}
  paid: {webhook: app, where: event.type == "paid" and event.data.amount > 10, key: event.data.user_id}
start: ordered
do:
  - wait_for: paid
    timeout: 24h
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path, order=TREE.replace("NAME", f"order-{uuid.uuid4().hex[:8]}"))


async def waiting(hub: Hub, key: str) -> str:
    event_id = await hub.send("ordered", key)
    await hub.settled(event_id)
    await hub.state(hub.run_id(key), "running", waiting_for=["paid"])

    async def listed() -> bool:
        page = await hub.runs.list(tree=hub.tree, key=key, waiting_for="paid")
        return len(page.items) == 1

    await eventually(listed)
    return event_id


def router(hub: Hub) -> Router:
    return Router(hub.project.trees.values())


async def test_a_near_miss_names_the_run_and_the_key_that_it_waits_for(
    project: Path, server: DevServer
) -> None:
    async with hub_of(project, server.address) as hub:
        await waiting(hub, "u1")
        entry = await hub.settled(await hub.send("paid", "u2", amount=20))
        said = await explain(entry, router(hub), hub.runs)
        (verdict,) = [v for v in said.subscriptions if v.subscription == "paid"]
        assert (verdict.outcome, verdict.key) == ("no_run", "u2")
        (miss,) = said.near_misses
        assert (miss.run_id, miss.key, miss.subscription) == (hub.run_id("u1"), "u1", "paid")
        assert "'u1'" in miss.reason
        assert "'u2'" in miss.reason


async def test_what_is_filtered_out_shows_the_values(project: Path, server: DevServer) -> None:
    async with hub_of(project, server.address) as hub:
        await waiting(hub, "u1")
        entry = await hub.settled(await hub.send("paid", "u1", amount=5))
        said = await explain(entry, router(hub), hub.runs)
        (verdict,) = [v for v in said.subscriptions if v.subscription == "paid"]
        assert verdict.outcome == "filtered"
        assert verdict.values["event.data.amount"] == 5
        assert [miss.run_id for miss in said.near_misses] == [hub.run_id("u1")]


async def test_the_runs_own_word(project: Path, server: DevServer) -> None:
    async with hub_of(project, server.address) as hub:
        started = await waiting(hub, "u1")
        said = await explain(await hub.journal.get(started), router(hub), hub.runs)
        assert (
            next(v for v in said.subscriptions if v.subscription == "ordered").outcome == "started"
        )
        paid = await hub.settled(await hub.send("paid", "u1", amount=20))
        said = await explain(paid, router(hub), hub.runs)
        (verdict,) = [v for v in said.subscriptions if v.subscription == "paid"]
        assert (verdict.outcome, verdict.woke) == ("resumed", "do[0]")
        await told(paid, hub.journal, hub.runs)
        assert [d.outcome for d in (await hub.journal.get(paid.id)).deliveries] == ["resumed"]


async def test_a_replay_repeats_nothing_unless_it_counts_as_new(
    project: Path, server: DevServer
) -> None:
    async with hub_of(project, server.address) as hub:
        first = await hub.journal.get(await waiting(hub, "u1"))
        assert [m.outcome for m in plan(first, router(hub), "starts")] == ["start"]
        again = await hub.settled(await replay(first, hub.intake, "all", again=False))
        state = await hub.runs.show(hub.run_id("u1"))
        assert state.status == "running"
        assert again.event.extensions["hubreplayof"] == first.id
        await hub.settled(await hub.send("paid", "u1", amount=20))
        ended = (await hub.state(hub.run_id("u1"), "succeeded")).ended_at
        # Recognised by Temporal although the run has closed.
        await hub.settled(await replay(first, hub.intake, "starts", again=False))
        assert (await hub.runs.show(hub.run_id("u1"))).ended_at == ended
        await hub.settled(await replay(first, hub.intake, "starts", again=True))
        await hub.state(hub.run_id("u1"), "running", waiting_for=["paid"])


async def test_a_callback_is_not_replayed(project: Path, server: DevServer) -> None:
    async with hub_of(project, server.address, dispatching=False, working=False) as hub:
        event_id = await hub.send("hub.callback", "u1")
        entry = await hub.journal.get(event_id)
        callback = type(entry)(
            **{f: getattr(entry, f) for f in entry.__struct_fields__} | {"trigger": "callback"}
        )
        with pytest.raises(Conflict):
            await replay(callback, hub.intake, "all", again=True)
