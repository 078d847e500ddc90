"""Live runs are moved to a changed definition by themselves, at a quiet moment, and lose nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from temporalio.worker import Worker

from hub.connections import Connections
from hub.errors import NotFound
from hub.links import Links
from hub.run import RunState
from hub.run.migration import Definition, Migration
from hub.temporal.client import TemporalRuns
from hub.temporal.connect import connect
from hub.temporal.dev_server import DevServer
from hub.temporal.migrations import TemporalMigrations
from hub.temporal.worker import make_worker
from hub.tree import Tree
from tests.integration.test_runs import event, start, tree, until

OLD = """
  - {log: begun}
  - if: event.data.odd
    then: [{wait_for: verified, id: odd_wait}]
    else: [{wait_for: verified, id: wait, timeout: 24h}]
  - {succeed: old}
"""
NEW = """
  - {log: begun}
  - {set: {passed: true}}
  - if: event.data.odd
    then: [{log: nothing to wait for}]
    else: [{wait_for: verified, id: wait, timeout: 24h}]
  - {wait_for: verified, id: again}
  - {succeed: new}
"""


@pytest.fixture
async def migrations(runs: TemporalRuns) -> TemporalMigrations:
    return TemporalMigrations(runs._client)


def target(of: Tree) -> Definition:
    return Definition(hash=of.hash, document=of.document)


async def waiting(runs: TemporalRuns, run_id: str) -> RunState:
    while True:
        state = await runs.show(run_id)
        if state.waiting_for:
            return state
        await asyncio.sleep(0.02)


@pytest.mark.timeout(300)
async def test_200_waiting_runs_are_moved_and_10_say_why_not(
    runs: TemporalRuns, migrations: TemporalMigrations
) -> None:
    old, new = tree("moving", OLD), tree("moving", NEW)
    users = [f"u{number}" for number in range(200)]
    odd = set(users[::20])

    ids = [f"moving/{user}" for user in users]
    for number in range(0, 200, 10):
        some = users[number : number + 10]
        begun = [start(runs, old, u, event("signed_up", u, odd=u in odd)) for u in some]
        await asyncio.gather(*begun)
    while True:
        page = await runs.list(tree="moving", waiting_for="verified", limit=200)
        if len(page.items) == 200:
            break
        await asyncio.sleep(0.1)

    async def move(some: list[str], *, dry_run: bool) -> list[Migration]:
        found: list[Migration] = []
        for n in range(0, len(some), 8):
            asked = [migrations.migrate(i, target(new), dry_run=dry_run) for i in some[n : n + 8]]
            found += await asyncio.gather(*asked)
        return found

    looked = await move(ids[:41], dry_run=True)
    assert Counter(one.outcome for one in looked) == {"would_migrate": 38, "refused": 3}
    assert {(await runs.show(run_id)).hash for run_id in ids[:5]} == {old.hash}
    # A first attempt that was stopped in the middle, and another from the beginning.
    await move(ids[:40], dry_run=False)
    moved = await move(ids, dry_run=False)
    assert Counter(one.outcome for one in moved) == {"already": 38, "migrated": 152, "refused": 10}
    refused = [one for one in moved if one.outcome == "refused"]
    assert {one.id for one in refused} == {f"moving/{user}" for user in odd}
    for one in refused:
        assert "(odd_wait) waits, and the new definition has no node 'odd_wait'" in one.reasons[0]
    assert {tuple(one.skipped) for one in moved if one.outcome == "migrated"} == {("do[1]",)}
    # They wait as before; those that were refused too.
    for run_id in ids[:21]:
        state = await runs.show(run_id)
        user = run_id.partition("/")[2]
        assert state.waiting_for == ["verified"]
        assert state.hash == (old.hash if user in odd else new.hash)
        await runs.deliver(run_id, event("verified", user))
        if user not in odd:
            await runs.deliver(run_id, event("verified", user))
        ended = await until(runs, run_id, "succeeded")
        assert ended.result == ("old" if user in odd else "new")
        assert "passed" not in ended.vars
    # The router goes on to cover the definition of those that were refused.
    assert await runs.uses("moving", old.hash)


async def test_what_comes_while_a_run_is_moved_is_not_lost(
    runs: TemporalRuns, migrations: TemporalMigrations
) -> None:
    old, new = tree("moved-meanwhile", OLD), tree("moved-meanwhile", NEW)

    async def one(user: str) -> str:
        run_id = await start(runs, old, user, event("signed_up", user, odd=False))
        await waiting(runs, run_id)
        _, *delivered = await asyncio.gather(
            migrations.migrate(run_id, target(new), dry_run=False),
            runs.deliver(run_id, event("verified", user)),
            runs.deliver(run_id, event("verified", user)),
        )
        assert delivered == [True, True]
        return str((await until(runs, run_id, "succeeded")).result)

    results = await asyncio.gather(*(one(f"m{number}") for number in range(10)))
    assert set(results) <= {"old", "new"}


async def test_a_run_is_moved_twice_and_back_and_asked_twice_at_once(
    runs: TemporalRuns, migrations: TemporalMigrations
) -> None:
    old, new = tree("moved-back", OLD), tree("moved-back", NEW)
    run_id = await start(runs, old, "b1", event("signed_up", "b1", odd=False))
    await waiting(runs, run_id)
    both = await asyncio.gather(
        *(migrations.migrate(run_id, target(new), dry_run=False) for _ in range(3))
    )
    assert {one.outcome for one in both} <= {"migrated", "already"}
    assert (await runs.show(run_id)).hash == new.hash
    back = await migrations.migrate(run_id, target(old), dry_run=False)
    assert (back.outcome, back.from_hash, back.gone) == ("migrated", new.hash, [])
    await runs.deliver(run_id, event("verified", "b1"))
    assert (await until(runs, run_id, "succeeded")).result == "old"
    for dry_run in (True, False):
        over = await migrations.migrate(run_id, target(new), dry_run=dry_run)
        assert (over.outcome, over.reasons) == ("refused", ["it has ended"])
    with pytest.raises(NotFound):
        await migrations.migrate("moved-back/nobody", target(new), dry_run=False)


async def test_a_worker_that_dies_meanwhile_moves_it_all_the_same(
    server: DevServer, tmp_path: Path
) -> None:
    client = await connect(server.address)
    connections = Connections(tmp_path, {}, {})
    runs = TemporalRuns(client, task_queue="moving-alone")
    old, new = tree("moved-later", OLD), tree("moved-later", NEW)

    def worker() -> Worker:
        return make_worker(
            client,
            connections=lambda: connections,
            links=Links([b"k" * 32], "http://localhost"),
            task_queue="moving-alone",
        )

    async with worker():
        run_id = await start(runs, old, "l1", event("signed_up", "l1", odd=False))
        await waiting(runs, run_id)
    moving = asyncio.create_task(
        TemporalMigrations(client).migrate(run_id, target(new), dry_run=False)
    )
    await asyncio.sleep(0.2)
    async with worker():
        moved = await asyncio.wait_for(moving, 60)
        assert (moved.outcome, moved.reasons) == ("migrated", [])
        assert (await runs.show(run_id)).hash == new.hash
