"""From an event to the run and the wait that it is meant for, through everything that goes wrong.

Over a real Temporal server; what a crash leaves behind is made by doing what a dispatcher does up to
the moment at which it dies.
"""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from hub.errors import Unreachable
from hub.event import Event
from hub.links import Links
from hub.routing.housekeeping import forget_definitions
from hub.routing.journal import Entry
from hub.routing.router import Router
from hub.run import CALLBACK, Delivery, RunState
from hub.temporal.client import TemporalRuns
from hub.temporal.connect import connect
from hub.temporal.dev_server import DevServer
from hub.temporal.run_input import Limits
from hub.tree import load_tree
from tests.parts import Hub, eventually, hub_of, write_project

EVENTS = """
tree: NAME
events:
  go: {webhook: app, where: event.type == "go", key: event.data.user_id}
  paid: {webhook: app, where: event.type == "paid", key: event.data.user_id}
  packed: {webhook: app, where: event.type == "packed", key: event.data.user_id}
  stop: {webhook: app, where: event.type == "stop", key: event.data.user_id}
start: go
HEAD
do:
"""


def project_of(folder: Path, do: str, head: str = "cancel_on: stop", name: str = "") -> Path:
    name = name or f"correlation-{uuid.uuid4().hex[:8]}"
    text = EVENTS.replace("NAME", name).replace("HEAD", head) + do
    return write_project(folder, correlation=text)


async def sent(hub: Hub, kind: str, key: str = "u1", **options: object) -> Entry:
    return await hub.settled(await hub.send(kind, key, **options))  # type: ignore[arg-type]


# -- cancel_on -------------------------------------------------------------------------------


async def test_an_event_cancels_the_run_which_cleans_up(tmp_path: Path, server: DevServer) -> None:
    do = "  - try: [{wait_for: paid}]\n    finally: [{set: {cleaned: true}}]\n"
    async with hub_of(project_of(tmp_path, do), server.address) as hub:
        await sent(hub, "go")
        await hub.state(hub.run_id("u1"), "running", waiting_for=["paid"])
        stop = await sent(hub, "stop")
        state = await hub.state(hub.run_id("u1"), "cancelled")
        assert state.vars["cleaned"] is True
        assert [h.path for h in state.mailbox.handled if h.id == stop.id] == ["cancel_on"]

        async def listed() -> bool:
            return bool((await hub.runs.list(tree=hub.tree, status="cancelled")).items)

        assert await eventually(listed)


async def test_a_run_is_cancelled_once_and_a_later_run_is_not(
    tmp_path: Path, server: DevServer
) -> None:
    async with hub_of(project_of(tmp_path, "  - wait_for: paid\n"), server.address) as hub:
        await sent(hub, "go")
        for _ in range(2):
            await sent(hub, "stop")
        await hub.state(hub.run_id("u1"), "cancelled")
        await sent(hub, "go")
        await hub.state(hub.run_id("u1"), "running", waiting_for=["paid"])


# -- joins -----------------------------------------------------------------------------------

JOIN = "  - id: both\n    wait_for: {all: [paid, packed], within: 2h}\n"


@pytest.mark.parametrize("order", [("paid", "packed"), ("packed", "paid")])
async def test_all_of_several_events_in_any_order(
    tmp_path: Path, server: DevServer, order: tuple[str, str]
) -> None:
    async with hub_of(project_of(tmp_path, JOIN), server.address) as hub:
        await sent(hub, "go")
        await hub.state(hub.run_id("u1"), "running", waiting_for=["paid", "packed"])
        ids = {order[0]: (await sent(hub, order[0])).id}
        await hub.state(hub.run_id("u1"), "running", waiting_for=[order[1]])
        ids[order[1]] = (await sent(hub, order[1])).id
        state = await hub.state(hub.run_id("u1"), "succeeded")
        assert {name: event["id"] for name, event in state.steps["both"].items()} == ids


async def test_a_join_that_is_given_up_keeps_what_has_come(
    tmp_path: Path, server: DevServer
) -> None:
    do = (
        "  - fallback:\n"
        "      - wait_for: {all: [paid, packed], within: 2h}\n"
        "      - {id: one, wait_for: paid}\n"
    )
    async with hub_of(project_of(tmp_path, do), server.address) as hub:
        await sent(hub, "go")
        paid = await sent(hub, "paid")
        await hub.state(hub.run_id("u1"), "running", waiting_for=["packed"])
        await hub.runs.forward(hub.run_id("u1"), timedelta(hours=3))
        state = await hub.state(hub.run_id("u1"), "succeeded")
        assert state.steps["one"]["id"] == paid.id


async def test_any_of_several_events(tmp_path: Path, server: DevServer) -> None:
    do = "  - id: first\n    wait_for: {any: [paid, packed]}\n  - {id: other, wait_for: paid}\n"
    async with hub_of(project_of(tmp_path, do), server.address) as hub:
        await sent(hub, "go")
        packed = await sent(hub, "packed")
        state = await hub.state(hub.run_id("u1"), "running", waiting_for=["paid"])
        assert {name: event["id"] for name, event in state.steps["first"].items()} == {
            "packed": packed.id
        }
        await sent(hub, "paid")
        await hub.state(hub.run_id("u1"), "succeeded")


# -- the wait that is meant ------------------------------------------------------------------


async def test_two_waits_on_one_subscription_are_served_in_the_order_they_opened(
    tmp_path: Path, server: DevServer
) -> None:
    do = "  - parallel:\n      - {id: a, wait_for: paid}\n      - {id: b, wait_for: paid}\n"
    async with hub_of(project_of(tmp_path, do), server.address) as hub:
        await sent(hub, "go")
        await hub.state(hub.run_id("u1"), "running", waiting_for=["paid", "paid"])
        ids = [(await sent(hub, "paid")).id for _ in range(2)]
        state = await hub.state(hub.run_id("u1"), "succeeded")
        assert [state.steps["a"]["id"], state.steps["b"]["id"]] == ids


async def test_one_event_satisfies_one_of_two_waits(tmp_path: Path, server: DevServer) -> None:
    do = "  - {id: a, wait_for: paid}\n  - {id: b, wait_for: paid}\n"
    async with hub_of(project_of(tmp_path, do), server.address) as hub:
        await sent(hub, "go")
        first = await sent(hub, "paid")
        state = await hub.state(hub.run_id("u1"), "running", waiting_for=["paid"])
        assert state.steps["a"]["id"] == first.id
        assert "b" not in state.steps


async def test_a_late_event_does_not_satisfy_the_next_wait(
    tmp_path: Path, server: DevServer
) -> None:
    do = (
        "  - fallback:\n"
        "      - {wait_for: paid, timeout: 1h}\n"
        "      - delay: 1h\n"
        "  - {id: again, wait_for: paid}\n"
    )
    async with hub_of(project_of(tmp_path, do), server.address) as hub:
        await sent(hub, "go")
        await hub.state(hub.run_id("u1"), "running", waiting_for=["paid"])
        await hub.runs.forward(hub.run_id("u1"), timedelta(minutes=61))
        await hub.state(hub.run_id("u1"), "running", waiting_for=["delay"])
        late = await sent(hub, "paid")
        await hub.runs.forward(hub.run_id("u1"), timedelta(hours=2))
        state = await hub.state(hub.run_id("u1"), "running", waiting_for=["paid"])
        assert [h.outcome for h in state.mailbox.handled if h.id == late.id] == ["late"]


async def test_one_id_from_two_sources_is_two_events(tmp_path: Path, server: DevServer) -> None:
    do = "  - {id: a, wait_for: paid}\n  - {id: b, wait_for: paid}\n"
    async with hub_of(project_of(tmp_path, do), server.address) as hub:
        await sent(hub, "go")
        for source in ("/one", "/two"):
            event = Event(id="1", source=source, type="paid", data={"user_id": "u1"})
            assert await hub.runs.deliver(
                hub.run_id("u1"), Delivery(event=event, trigger=f"app{source}", subscription="paid")
            )
        await hub.state(hub.run_id("u1"), "succeeded")


# -- duplicates ------------------------------------------------------------------------------


async def test_a_delivery_told_again_during_the_run_counts_once(
    tmp_path: Path, server: DevServer
) -> None:
    do = "  - wait_for: paid\n  - wait_for: paid\n"
    async with hub_of(project_of(tmp_path, do), server.address) as hub:
        await sent(hub, "go")
        paid = await sent(hub, "paid")
        for _ in range(3):
            assert (await hub.attempted(paid)).outcome == "delivered"
        await hub.state(hub.run_id("u1"), "running", waiting_for=["paid"])


async def test_a_delivery_told_again_after_a_continue_as_new_counts_once(
    tmp_path: Path, server: DevServer
) -> None:
    do = "  - repeat: 40\n    do: [{wait_for: paid}]\n"
    async with hub_of(project_of(tmp_path, do), server.address, dispatching=False) as hub:
        client = await connect(server.address)
        queue = f"hub-{tmp_path.name}"
        runs = TemporalRuns(client, task_queue=queue, limits=Limits(signals=10, events=4000))
        hub.dispatcher._deliverer._runs = runs
        await hub.send("go", "u1")
        for number in range(30):
            await hub.send("paid", "u1", id=f"paid-{number}")
        entries = await hub.journal.pending(0, 40, owner="me", lease=timedelta(seconds=30))
        for entry in entries:
            await hub.attempted(entry)

        async def parts() -> bool:
            state = await hub.runs.show(hub.run_id("u1"))
            return state.part > 1 and not state.mailbox.stored and state.mailbox.received == 30

        assert await eventually(parts)
        for entry in entries[1:]:
            assert (await hub.attempted(entry)).outcome == "delivered"

        async def recognised() -> bool:
            state = await hub.runs.show(hub.run_id("u1"))
            return [h.outcome for h in state.mailbox.handled].count("duplicate") == 30

        assert await eventually(recognised)
        state = await hub.runs.show(hub.run_id("u1"))
        assert (state.status, state.mailbox.received) == ("running", 30)


async def test_a_start_event_that_a_closed_run_had_starts_no_other(
    tmp_path: Path, server: DevServer
) -> None:
    """It was handed to the live run, the mark is missing, and that run has closed since.

    The server knows the request ids of starts only, so the closed run itself is asked.
    """
    async with hub_of(project_of(tmp_path, "  - wait_for: paid\n"), server.address) as hub:
        await sent(hub, "go")
        second = await sent(hub, "go")
        assert second.deliveries[0].outcome == "delivered"
        await sent(hub, "paid")
        ended = (await hub.state(hub.run_id("u1"), "succeeded")).ended_at
        # As a dispatcher finds it that has started after the crash.
        hub.dispatcher._deliverer._began = datetime.now(UTC)
        assert (await hub.attempted(second)).outcome == "duplicate"
        assert (await hub.runs.show(hub.run_id("u1"))).ended_at == ended


async def test_what_an_earlier_run_had_does_not_reach_a_later_one(
    tmp_path: Path, server: DevServer
) -> None:
    """It was handed to a run that has closed since, and another of the key has begun."""
    do = "  - wait_for: paid\n  - wait_for: go\n"
    async with hub_of(project_of(tmp_path, do), server.address) as hub:
        await sent(hub, "go")
        second = await sent(hub, "go")
        await sent(hub, "paid")
        await hub.state(hub.run_id("u1"), "succeeded")
        await sent(hub, "go")
        await hub.state(hub.run_id("u1"), "running", waiting_for=["paid"])
        delivery = Delivery(event=second.event, trigger="app")

        async def known() -> bool:
            found = await hub.runs.had(hub.run_id("u1"), delivery, second.received_at)
            return found is not None

        assert await eventually(known)
        hub.dispatcher._deliverer._began = datetime.now(UTC)
        assert (await hub.attempted(second)).outcome == "duplicate"
        assert len((await hub.runs.show(hub.run_id("u1"))).mailbox.handled) == 1


async def test_a_wait_of_a_later_run_does_not_end_on_what_an_earlier_one_had(
    tmp_path: Path, server: DevServer
) -> None:
    """The event ended the run, its mark is missing, and the next run of the key waits for one like it."""
    async with hub_of(project_of(tmp_path, "  - wait_for: paid\n"), server.address) as hub:
        run_id = hub.run_id("u1")
        assert not await hub.runs.is_live(run_id)
        await sent(hub, "go")
        assert await hub.runs.is_live(run_id)
        paid = await sent(hub, "paid")
        await hub.state(run_id, "succeeded")
        assert not await hub.runs.is_live(run_id)
        await sent(hub, "go")
        await hub.state(run_id, "running", waiting_for=["paid"])
        delivery = Delivery(event=paid.event, trigger="app")

        async def known() -> bool:
            return await hub.runs.had(run_id, delivery, paid.received_at) is not None

        assert await eventually(known)
        hub.dispatcher._deliverer._began = datetime.now(UTC)
        assert (await hub.attempted(paid)).outcome == "duplicate"
        assert (await hub.attempted(await sent(hub, "paid"))).outcome == "delivered"


# -- callback links and key reuse ------------------------------------------------------------


async def test_a_link_of_an_earlier_run_does_not_reach_a_later_one(
    tmp_path: Path, server: DevServer
) -> None:
    do = (
        "  - email.send: {to: a@example.com, subject: x, text: \"${{ callback('paid') }}\"}\n"
        "  - wait_for: paid\n"
    )
    async with hub_of(project_of(tmp_path, do), server.address) as hub:
        await sent(hub, "go")
        await hub.state(hub.run_id("u1"), "running", waiting_for=["paid"])
        await sent(hub, "stop")
        await hub.state(hub.run_id("u1"), "cancelled")
        await sent(hub, "go")
        await hub.state(hub.run_id("u1"), "running", waiting_for=["paid"])
        links = Links([b"k" * 32], "http://localhost")
        new, old = [str(mail.text).strip().rpartition("/")[2] for mail in hub.mails()]
        for token in (old, new):
            claims = links.verify(token, datetime.now(UTC))
            assert claims.first_run_id is not None
            event = Event(
                id=claims.token_id,
                source="/callbacks",
                type="hub.callback",
                extensions={
                    "hubrun": claims.run_id,
                    "hubsubscription": claims.subscription,
                    "hubfirstrun": claims.first_run_id,
                },
            )
            await hub.intake.accept(CALLBACK, [event])
            await hub.settled(event.id)
        state = await hub.state(hub.run_id("u1"), "succeeded")
        told = [(h.outcome, h.reason) for h in state.mailbox.handled[-2:]]
        assert [outcome for outcome, _ in told] == ["ignored", "resumed"]
        assert "earlier run" in str(told[0][1])


# -- definitions -----------------------------------------------------------------------------


async def test_a_subscription_that_was_changed_still_finds_the_runs_of_before(
    tmp_path: Path, server: DevServer
) -> None:
    """Renamed, given another key, or removed: a run is pinned to what it began with."""
    name = f"correlation-{uuid.uuid4().hex[:8]}"
    do = "  - wait_for: paid\n"
    async with hub_of(project_of(tmp_path, do, name=name), server.address) as hub:
        for key in ("u1", "u2", "u3"):
            await sent(hub, "go", key)
            await hub.state(hub.run_id(key), "running", waiting_for=["paid"])
        old = hub.project.trees[name]
        renamed = old.document.replace(b'"paid"', b'"settled"')
        rekeyed = old.document.replace(b"event.data.user_id", b"event.data.other")
        trees = [renamed.replace(b'== \\"paid\\"', b'== \\"settled\\"'), rekeyed]
        for key, document in zip(("u1", "u2"), trees, strict=True):
            router = Router([load_tree(document.decode())], [old])
            hub.dispatcher._router = partial(_same, router)
            await sent(hub, "paid", key)
            await hub.state(hub.run_id(key), "succeeded")
        hub.dispatcher._router = lambda: Router([], [old])
        await sent(hub, "paid", "u3")
        await hub.state(hub.run_id("u3"), "succeeded")


def _same(router: Router) -> Router:
    return router


async def test_a_definition_is_dropped_when_no_run_uses_it(
    tmp_path: Path, server: DevServer
) -> None:
    async with hub_of(project_of(tmp_path, "  - wait_for: paid\n"), server.address) as hub:
        await sent(hub, "go")
        tree = hub.project.trees[hub.tree]
        later = datetime.now(UTC) + timedelta(hours=2)

        async def forgotten(current: set[str], now: datetime) -> list[str]:
            return [d.hash for d in await forget_definitions(hub.journal, hub.runs, current, now)]

        async def in_use() -> bool:
            return await hub.runs.uses(hub.tree, tree.hash)

        assert await eventually(in_use)
        assert await forgotten(set(), later) == []
        await sent(hub, "paid")
        await hub.state(hub.run_id("u1"), "succeeded")

        async def unused() -> bool:
            return not await hub.runs.uses(hub.tree, tree.hash)

        assert await eventually(unused)
        # It may be that a run has just been started that the index does not show yet.
        assert await forgotten(set(), datetime.now(UTC)) == []
        assert await forgotten({tree.hash}, later) == []
        assert await forgotten(set(), later) == [tree.hash]
        assert await hub.journal.definitions() == []


# -- many, and out of order ------------------------------------------------------------------


async def test_1000_signals_to_one_run(tmp_path: Path, server: DevServer) -> None:
    """A reduced form of 20,000: over several parts of the run, none is lost and none counts twice."""
    count = 1000
    do = f"  - repeat: {count}\n    do: [{{wait_for: paid}}]\n"
    limits = Limits(signals=200)
    async with hub_of(project_of(tmp_path, do), server.address, limits=limits) as hub:
        await sent(hub, "go")
        for begin in range(0, count, 500):
            events = [
                Event(id=f"p-{n}", source="/test", type="paid", data={"user_id": "u1"})
                for n in range(begin, begin + 500)
            ]
            await hub.intake.accept("app", events)

        async def done() -> RunState | None:
            # Asking for the state of so busy a run takes its worker's time.
            await asyncio.sleep(0.5)
            try:
                state = await hub.runs.show(hub.run_id("u1"))
            except Unreachable:
                return None
            return state if state.status == "succeeded" else None

        state = await eventually(done, patience=240)
        assert state.part > 2
        assert state.mailbox.received == count


async def test_events_in_another_order_than_the_tree_has_them(
    tmp_path: Path, server: DevServer
) -> None:
    do = "  - {id: a, wait_for: paid}\n  - {id: b, wait_for: packed}\n"
    async with hub_of(project_of(tmp_path, do), server.address) as hub:
        await sent(hub, "go")
        packed = await sent(hub, "packed")
        paid = await sent(hub, "paid")
        state = await hub.state(hub.run_id("u1"), "succeeded")
        assert [state.steps["a"]["id"], state.steps["b"]["id"]] == [paid.id, packed.id]


async def test_a_filter_that_fails_is_an_outcome_and_blocks_nobody(
    tmp_path: Path, server: DevServer
) -> None:
    name = f"correlation-{uuid.uuid4().hex[:8]}"
    text = EVENTS.replace("NAME", name).replace("HEAD", "cancel_on: stop") + JOIN
    text = text.replace('event.type == "packed"', "event.data.weight > 3")
    project = write_project(tmp_path, correlation=text)
    async with hub_of(project, server.address) as hub:
        await sent(hub, "go")
        entry = await sent(hub, "paid")
        outcomes = {d.subscription: d.outcome for d in entry.deliveries}
        assert outcomes == {"paid": "delivered", "packed": "failed"}
        await sent(hub, "packed", weight=4)
        await hub.state(hub.run_id("u1"), "succeeded")


async def test_other_keys_go_on_while_one_run_cannot_be_reached(
    tmp_path: Path, server: DevServer
) -> None:
    """What fails for one run alone keeps nobody else waiting."""
    async with hub_of(project_of(tmp_path, "  - wait_for: paid\n"), server.address) as hub:
        stuck = hub.run_id("stuck")
        hub.dispatcher._deliverer._runs = _Stuck(hub.runs, stuck)  # type: ignore[assignment]
        stuck_id = await hub.send("go", "stuck")
        for number in range(20):
            entry = await sent(hub, "go", f"u{number}")
            assert entry.deliveries[0].outcome == "started"
        assert (await hub.journal.get(stuck_id)).status == "accepted"


class _Stuck:
    """Runs of which one is out of reach."""

    def __init__(self, runs: TemporalRuns, run_id: str) -> None:
        self._runs = runs
        self._run_id = run_id

    def __getattr__(self, name: str) -> object:
        return getattr(self._runs, name)

    async def start(self, start: object) -> str:
        if start.run_id == self._run_id:  # type: ignore[attr-defined]
            await asyncio.sleep(0)
            raise Unreachable("this one does not answer")
        return await self._runs.start(start)  # type: ignore[arg-type]
