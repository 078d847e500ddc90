"""The dispatcher: takes what the journal holds until the place where runs live has accepted it.

Each event is routed to its runs. Deliveries to one run are made one after the other, in the order
in which the journal received the events; those to different runs are made at the same time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain

import msgspec
import structlog
from structlog.contextvars import bound_contextvars

from hub.errors import ExpressionError, HubError, Undeliverable
from hub.event import Event
from hub.routing.circuit import Circuit
from hub.routing.earlier import Earlier, may_start
from hub.routing.journal import DeliveryRecord, Entry, Journal, Outcome, Status
from hub.routing.pace import Pace
from hub.routing.replay import original, wanted
from hub.routing.router import Match, Router
from hub.run import (
    CALLBACK,
    Delivery,
    Runs,
    Start,
    ended_reason,
    gate_of,
    held_because,
    meeting,
)
from hub.run.flow import MAX_HELD
from hub.run.state import Address
from hub.telemetry.metrics import DELIVERIES, DELIVERY_SECONDS, SETTLED
from hub.telemetry.tracing import EXTENSION, span
from hub.tree import Tree
from hub.tree.needs import needed_groups, needed_trees
from hub.tree.tree import content_hash

__all__ = ["Dispatcher"]

_log = structlog.get_logger("hub.dispatcher")
_LEASE = timedelta(seconds=30)
_INDEX_LAG = timedelta(minutes=2)
"""How far behind the index of runs may be; far longer than it was ever seen to be."""
_PATIENCE = 2 * _LEASE.total_seconds()
"""Seconds that an event waits for an earlier one that another process holds."""
_LOOK_AGAIN = 0.2
_KEEP_AGAIN = 600.0
"""Seconds after which a definition that is in use is shown to be so again."""
_HAD = "an earlier run of the key had the event already"
_REACHED = ("started", "delivered", "buffered", "duplicate")


class _TooSoon(HubError):
    """No run is live, and an earlier event may be about to start it."""


@dataclass(eq=False)
class _Turn:
    """One event's delivery to one run or key, in its lane."""

    entry: Entry
    event: Event
    matches: Sequence[Match]
    router: Router
    records: list[DeliveryRecord] | None = None
    """What came of it, where a later event had to see to it first."""
    has_waited: bool = False
    """Whether all earlier events that may start its run have had their turn, or long enough."""

    def may_start(self, run_id: str) -> bool:
        return any(match.run_id == run_id and may_start(match) for match in self.matches)


class Dispatcher:
    """Dispatches for one process. `owner` names it among those that share a journal.

    `router` is asked for each event, so that a reload of the project counts from the next one on.
    `catch_up` is given where the journal is shared, and awaited before new events are routed:
    processes may have different versions of the project, and what one has started by a newer one
    the others must route for as well.
    `in_flight` bounds how many events are under way at once; how many of them are with Temporal at the
    same time follows how soon it answers.
    """

    def __init__(
        self,
        journal: Journal,
        runs: Runs,
        router: Callable[[], Router],
        *,
        owner: str,
        catch_up: Callable[[], Awaitable[None]] | None = None,
        in_flight: int = 256,
    ) -> None:
        self._journal = journal
        self._runs = runs
        self._router = router
        self._owner = owner
        self._catch_up = catch_up
        self._limit = in_flight
        self._events: set[asyncio.Task[None]] = set()
        self._lanes: dict[str, asyncio.Task[list[DeliveryRecord]]] = {}
        self._in_line: dict[_Turn, None] = {}
        """The turns that have not come yet, in the order in which the events were taken up."""
        self._begun: dict[int, set[str]] = {}
        """Of the events under way, by their numbers: the runs at which their turn has come."""
        self._earlier = Earlier(journal)
        self._kept: dict[str, float] = {}
        self._parallel: dict[str, dict[str, None]] = {}
        self._circuit = Circuit(Pace(in_flight))
        self._draining = False
        self._began = datetime.now(UTC)
        self._room = asyncio.Event()

    @property
    def is_cut_off(self) -> bool:
        """Is the place where runs live taken to be away?"""
        return self._circuit.is_open

    async def run(self) -> None:
        """Dispatch until cancelled. What was under way then stays in the journal."""
        renewing = asyncio.create_task(self._renew())
        try:
            while not self._draining:
                await self._take()
            await asyncio.Event().wait()
        finally:
            for task in (renewing, *self._events, *self._lanes.values()):
                task.cancel()
            await asyncio.gather(
                renewing, *self._events, *self._lanes.values(), return_exceptions=True
            )
            with suppress(HubError):
                await self._journal.release(self._owner)

    async def drain(self) -> None:
        """Take up nothing more, and return once everything that was taken up is settled."""
        self._draining = True
        while self._events:
            await asyncio.wait(list(self._events))

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_LEASE.total_seconds() / 3)
            try:
                await self._journal.renew(self._owner, _LEASE)
            except HubError as error:
                _log.warning("the journal does not renew the lease", error=error.message)

    async def _take(self) -> None:
        free = self._limit - len(self._events)
        if free <= 0:
            self._room.clear()
            await self._room.wait()
            return
        self._journal.appended.clear()
        try:
            entries = await self._journal.pending(0, free, owner=self._owner, lease=_LEASE)
        except HubError as error:
            _log.warning("the journal does not answer", error=error.message)
            await asyncio.sleep(1)
            return
        if not entries:
            await self._journal.appended.wait()
            return
        while self._catch_up is not None and not self._draining:
            try:
                # After they were taken: the definition that a run is pinned to was kept before the
                # run began, and so before whoever waits for the run could send these.
                await self._catch_up()
                break
            except HubError as error:
                _log.warning("the journal does not answer", error=error.message)
                await asyncio.sleep(1)
        if self._draining:
            # They go back to the journal, for the next process or the next start of this one.
            return
        for entry in entries:
            self._begin(entry)

    def _begin(self, entry: Entry) -> None:
        """Put the event's deliveries in the lanes of their runs, in the order of the journal."""
        deliveries: list[asyncio.Task[list[DeliveryRecord]]] = []
        failed: list[DeliveryRecord] = []
        targets: dict[tuple[str, bool], list[Match]] = {}
        router = self._router()
        event = original(entry.event)
        for match in wanted(entry.event, router.route(entry.trigger, event)):
            if match.run_id is None:
                failed.append(_record(match, "failed", match.reason))
            else:
                targets.setdefault((match.run_id, match.every), []).append(match)
        for matches in targets.values():
            # An event that both starts and resumes a run of the same key is one delivery.
            matches.sort(key=lambda match: (match.outcome != "start", match.early is None))
            name = _lane(matches[0])
            tree = router.trees.get(matches[0].tree)
            if matches[0].outcome == "start" and tree is not None and tree.start.is_held:
                # Starts that are held back are in the order of their gate, not of their run.
                with suppress(ExpressionError):
                    held = Delivery(event=event, trigger=entry.trigger)
                    name = gate_of(tree, matches[0].key, held)[0]
            turn = _Turn(entry, event, matches, router)
            self._in_line[turn] = None
            lane = asyncio.create_task(self._deliver(self._lanes.get(name), turn))
            self._lanes[name] = lane
            lane.add_done_callback(partial(self._leave, name))
            deliveries.append(lane)
        task = asyncio.create_task(self._settle(entry, deliveries, failed))
        self._events.add(task)
        task.add_done_callback(partial(self._finished, entry))

    def _leave(self, name: str, task: asyncio.Task[list[DeliveryRecord]]) -> None:
        if self._lanes.get(name) is task:
            del self._lanes[name]

    def _finished(self, entry: Entry, task: asyncio.Task[None]) -> None:
        self._events.discard(task)
        self._begun.pop(entry.seq, None)
        self._room.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("an event could not be settled", exc_info=error)

    async def _settle(
        self,
        entry: Entry,
        deliveries: list[asyncio.Task[list[DeliveryRecord]]],
        failed: list[DeliveryRecord],
    ) -> None:
        records = [*chain.from_iterable(await asyncio.gather(*deliveries)), *failed]
        reached = any(r.outcome in _REACHED for r in records)
        refused = [r for r in records if r.outcome == "failed" and r.run_id is not None]
        while True:
            try:
                status: Status = "dead"
                if refused and not reached:
                    await self._journal.bury(
                        entry.seq, refused[0].reason or "it was refused", deliveries=records
                    )
                else:
                    status = "delivered" if reached else "unmatched"
                    await self._journal.settle(entry.seq, status, records)
                _count(entry, status, records)
                return
            except HubError as error:
                # Not marked means delivered again later, which the runs recognise.
                _log.warning("the journal does not take a mark", error=error.message)
                await asyncio.sleep(1)

    async def _deliver(
        self, before: asyncio.Task[list[DeliveryRecord]] | None, turn: _Turn
    ) -> list[DeliveryRecord]:
        try:
            if before is not None:
                await asyncio.wait([before])
        finally:
            self._in_line.pop(turn, None)
        self._begun.setdefault(turn.entry.seq, set()).add(turn.matches[0].run_id or "")
        if turn.records is not None:
            return turn.records
        entry, event, match = turn.entry, turn.event, turn.matches[0]
        with (
            span(
                f"deliver {match.tree}",
                parent=event.extensions.get(EXTENSION),
                kind="CONSUMER",
                attributes={
                    "hub.event_id": event.id,
                    "hub.trigger": entry.trigger,
                    "hub.tree": match.tree,
                    "hub.key": match.key,
                    "hub.run_id": match.run_id,
                },
            ) as delivering,
            bound_contextvars(
                event_id=event.id, trigger=entry.trigger, tree=match.tree, run_id=match.run_id
            ),
        ):
            try:
                records = await self._tried(turn)
            except _TooSoon:
                # What waits here is not with Temporal, and keeps nobody from it.
                await self._earlier_start(turn)
                records = await self._tried(turn)
            if delivering is not None:
                delivering.set_attribute("hub.outcome", [record.outcome for record in records])
            return records

    async def _tried(self, turn: _Turn) -> list[DeliveryRecord]:
        """Make one delivery until there is an answer to it. Raises `_TooSoon`."""
        try:
            return await self._circuit.call(partial(self._attempt, turn))
        except Undeliverable as error:
            return [_record(turn.matches[0], "failed", error.message)]

    async def _attempt(self, turn: _Turn) -> list[DeliveryRecord]:
        """Make one delivery; every step of it may be made again. Raises `Unreachable`."""
        entry, event, matches, router = turn.entry, turn.event, turn.matches, turn.router
        match = matches[0]
        assert match.run_id is not None
        delivery = Delivery(
            event=event,
            trigger=entry.trigger,
            subscription=match.subscription if entry.trigger == CALLBACK else None,
            expires_at=None if match.early is None else entry.received_at + match.early,
        )
        if match.at is not None:
            return [await self._offer(match, match.at, delivery, entry)]
        if match.every:
            return await self._to_every(match, delivery)
        if match.outcome == "resume":
            return [await self._resume(match, delivery, turn)]
        return [await self._start(match, delivery, entry, router, resumes=len(matches) > 1)]

    async def _start(
        self, match: Match, delivery: Delivery, entry: Entry, router: Router, *, resumes: bool
    ) -> DeliveryRecord:
        tree = router.trees[match.tree]
        run_id = match.run_id
        assert run_id is not None
        if self._may_be_repeated(entry) and not tree.start.is_held:
            had = await self._runs.had(run_id, delivery, entry.received_at)
            if had is not None:
                # The server has forgotten its own requests of a run that went on in a new part.
                return _record(match, "started" if had == "started" else "duplicate", _HAD)
        start = await self._prepared(match, tree, delivery, router)
        if tree.start.is_held:
            return await self._hold(match, tree, start, entry, resumes=resumes)
        # Each step is atomic on the server, and a run that closes between two of them sends us
        # round again, so the event is never lost and never used twice.
        while True:
            started = await self._runs.start(start)
            if started == "started":
                self._remember_parallel(match, tree)
                return _record(match, "started")
            if started == "closed":
                return _record(match, "rejected", ended_reason(tree, run_id))
            what = meeting(tree, resumes=resumes)
            if what == "ignore":
                reason = f"the run {run_id} is live, and `when_running` is ignore"
                return _record(match, "ignored", reason)
            if what == "restart":
                if await self._runs.restart(start):
                    return _record(match, "started", "the run before it cleans up first")
            elif await self._runs.deliver(run_id, delivery):
                return _record(match, "delivered")

    async def _hold(
        self, match: Match, tree: Tree, start: Start, entry: Entry, *, resumes: bool
    ) -> DeliveryRecord:
        """Give a start event to the gate that holds it back."""
        delivery = start.delivery
        try:
            gate, offer = gate_of(tree, match.key, delivery)
        except ExpressionError as error:
            return _record(msgspec.structs.replace(match, run_id=None), "failed", error.message)
        if self._may_be_repeated(entry):
            fate = await self._runs.fate(gate, delivery.event, entry.received_at)
            if fate is not None:
                match = msgspec.structs.replace(match, run_id=fate.run_id)
                return _record(match, fate.outcome, fate.reason)
        if resumes and await self._runs.deliver(start.run_id, delivery):
            return _record(match, "delivered")
        if not await self._runs.hold(gate, offer, start):
            reason = f"its gate is full: {MAX_HELD} start events or more are held back"
            return _record(match, "rejected", reason)
        if tree.start.gathers and start.run_id != f"{tree.name}/{match.key}":
            # The run is called after the first of the gathered events, which only the gate knows.
            match = msgspec.structs.replace(match, run_id=None)
        return _record(match, "buffered", held_because(tree))

    async def _resume(self, match: Match, delivery: Delivery, turn: _Turn) -> DeliveryRecord:
        entry, router, run_id = turn.entry, turn.router, match.run_id
        assert run_id is not None
        if await self._runs.deliver(run_id, delivery):
            return _record(match, "delivered")
        if delivery.expires_at is None:
            if self._catch_up is not None and not turn.has_waited:
                raise _TooSoon(f"no run {run_id} is live yet")
            return _record(match, "no_run", f"no run {run_id} is live")
        if delivery.expires_at <= datetime.now(UTC):
            return _record(match, "no_run", f"no run {run_id} came while the event was kept")
        if await self._runs.had(run_id, delivery, entry.received_at) is not None:
            return _record(match, "duplicate", _HAD)
        tree = router.trees[match.tree]
        start = await self._prepared(match, tree, delivery, router, dormant=True)
        while True:
            started = await self._runs.start(start)
            if started == "started":
                until = delivery.expires_at.isoformat(timespec="seconds")
                return _record(match, "buffered", f"it is kept for the run to come, until {until}")
            if started == "closed":
                return _record(match, "no_run", ended_reason(tree, run_id))
            if await self._runs.deliver(run_id, delivery):
                return _record(match, "delivered")

    async def _earlier_start(self, turn: _Turn) -> None:
        """Wait while an earlier event that may start the run has not had its turn.

        It may be with another process: a slow one, or one that died with it, whose lease has to end
        first. Once given back, it may come to this process, and stand in line behind this event.
        """
        turn.has_waited = True
        run_id = turn.matches[0].run_id or ""
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        while asyncio.get_running_loop().time() < deadline:
            try:
                found = await self._earlier.starts(turn.entry.seq, run_id, turn.router)
            except HubError as error:
                _log.warning("the journal does not answer", error=error.message)
                await asyncio.sleep(1)
                continue
            starts = {seq for seq in found if run_id not in self._begun.get(seq, ())}
            behind = [t for t in self._in_line if t.entry.seq in starts and t.may_start(run_id)]
            for one in behind:
                if one.records is None:
                    one.records = await self._tried(one)
            if starts <= {one.entry.seq for one in behind}:
                return
            await asyncio.sleep(_LOOK_AGAIN)

    async def _offer(
        self, match: Match, address: Address, delivery: Delivery, entry: Entry
    ) -> DeliveryRecord:
        """Hand the event to the correlator where runs wait for its value."""
        if self._may_be_repeated(entry):
            word = await self._runs.word(address.id, delivery, entry.received_at)
            if word is not None:
                # It has ended since, and remembers nothing.
                had = word.outcome == "delivered"
                return _record(
                    match, "duplicate" if had else word.outcome, _HAD if had else word.reason
                )
        offered = await self._runs.offer(address, delivery)
        if offered == "no_run":
            return _record(match, "no_run", f"no run waits for the value {address.value[:80]!r}")
        if offered == "delivered" or delivery.expires_at is None:
            return _record(match, "delivered")
        until = delivery.expires_at.isoformat(timespec="seconds")
        return _record(match, "buffered", f"it is kept for a wait to come, until {until}")

    async def _to_every(self, match: Match, delivery: Delivery) -> list[DeliveryRecord]:
        """Deliver to all live runs of a key that run in parallel."""
        assert match.key is not None
        found = dict.fromkeys(await self._runs.live(match.tree, match.key))
        # The index lags behind, so what was started just now is added: by this process, and by others.
        found |= self._parallel.get(_lane(match), {})
        since = datetime.now(UTC) - _INDEX_LAG
        page = await self._journal.list(key=match.key, since=since, limit=1000)
        for record in chain.from_iterable(entry.deliveries for entry in reversed(page.items)):
            if (record.tree, record.key) != (match.tree, match.key):
                continue
            # What was held back may have started since.
            if record.outcome in ("started", "buffered"):
                found[record.run_id or ""] = None
        records = [
            _record(msgspec.structs.replace(match, run_id=run_id), "delivered")
            for run_id in found
            if run_id and await self._runs.deliver(run_id, delivery)
        ]
        return records or [_record(match, "no_run", f"no run of the key {match.key!r} is live")]

    def _remember_parallel(self, match: Match, tree: Tree) -> None:
        if tree.start.when_running != "parallel" or match.key is None or match.run_id is None:
            return
        name, run_id = _lane(match), match.run_id
        of_key = self._parallel.setdefault(name, {})
        of_key[run_id] = None

        def forget() -> None:
            of_key.pop(run_id, None)
            if not of_key and self._parallel.get(name) is of_key:
                del self._parallel[name]

        asyncio.get_running_loop().call_later(_INDEX_LAG.total_seconds(), forget)

    def _may_be_repeated(self, entry: Entry) -> bool:
        """May a process have died between the server's yes to this event and the journal's mark?"""
        now = datetime.now(UTC)
        return entry.received_at < self._began or now - entry.received_at > _LEASE / 2

    async def _prepared(
        self,
        match: Match,
        tree: Tree,
        delivery: Delivery,
        router: Router,
        *,
        dormant: bool = False,
    ) -> Start:
        trees = needed_trees(tree, router.trees)
        for name, document in {tree.name: tree.document, **trees}.items():
            await self._keep(name, document)
        assert match.run_id is not None
        return Start(
            run_id=match.run_id,
            tree=tree.name,
            key=match.key,
            hash=tree.hash,
            document=tree.document,
            delivery=delivery,
            trees=trees,
            groups=needed_groups(tree, router.trees, router.groups),
            rerun=tree.start.rerun,
            dormant=dormant,
            waiting_for=() if dormant else tree.opens,
        )

    async def _keep(self, name: str, document: bytes) -> None:
        """Keep a definition for the runs that are pinned to it, and show again that it is in use."""
        hash_ = content_hash(document)
        now = asyncio.get_running_loop().time()
        if now - self._kept.get(hash_, -_KEEP_AGAIN) >= _KEEP_AGAIN:
            await self._journal.keep_definition(hash_, name, document)
            self._kept[hash_] = now


def _lane(match: Match) -> str:
    """What is delivered one after the other: that to one run, or to the runs of one key."""
    assert match.run_id is not None
    if match.key is None or match.at is not None:
        return match.run_id
    return f"{match.tree}/{match.key}"


def _count(entry: Entry, status: Status, records: Sequence[DeliveryRecord]) -> None:
    SETTLED.labels(entry.trigger, status).inc()
    waited = (datetime.now(UTC) - entry.received_at).total_seconds()
    DELIVERY_SECONDS.labels(entry.trigger).observe(max(waited, 0.0))
    for record in records:
        DELIVERIES.labels(record.tree, record.outcome).inc()


def _record(match: Match, outcome: Outcome, reason: str | None = None) -> DeliveryRecord:
    return DeliveryRecord(
        tree=match.tree,
        subscription=match.subscription,
        key=match.key,
        run_id=match.run_id,
        outcome=outcome,
        reason=reason,
        at=datetime.now(UTC),
    )
