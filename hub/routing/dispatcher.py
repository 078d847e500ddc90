"""The dispatcher: takes what the journal holds until the place where runs live has accepted it.

Each event is routed to its runs. Deliveries to one run are made one after the other, in the order
in which the journal received the events; those to different runs are made at the same time.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain

import structlog
from structlog.contextvars import bound_contextvars

from hub.errors import ExpressionError, HubError, Undeliverable
from hub.routing.circuit import Circuit
from hub.routing.deliverer import Deliverer, TooSoon
from hub.routing.earlier import Earlier
from hub.routing.journal import DeliveryRecord, Entry, Journal, Status
from hub.routing.pace import Pace
from hub.routing.replay import original, wanted
from hub.routing.router import Match, Router
from hub.routing.turn import Turn, lane_of, record_of
from hub.run import Delivery, Runs, gate_of
from hub.telemetry.metrics import DELIVERIES, DELIVERY_SECONDS, SETTLED
from hub.telemetry.tracing import EXTENSION, span

__all__ = ["Dispatcher"]

_log = structlog.get_logger("hub.dispatcher")
_LEASE = timedelta(seconds=30)
"""How long a process that was killed still holds the events that it had taken up."""
_LOOK_AGAIN = 0.2
"""Seconds between two looks for a start that another process holds; more when many wait."""
_MOST_PARKED = 4096
"""How many events may wait for such starts beside those that are under way."""
_REST = timedelta(seconds=5)
"""How long an event that is one too many stays in the journal before it is taken up again."""
_MOST_REST = timedelta(minutes=1)
_MOST_REST_OF_FAULTY = timedelta(minutes=10)
_WAITS = "it waits for an earlier event that may start its run"
_REACHED = ("started", "delivered", "buffered", "duplicate")


class _GoesBack(Exception):
    """The event is not for now: it stays in the journal, for another process or a later time."""


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
        self._router = router
        self._owner = owner
        self._catch_up = catch_up
        self._limit = in_flight
        self._events: set[asyncio.Task[None]] = set()
        self._lanes: dict[str, asyncio.Task[list[DeliveryRecord]]] = {}
        self._in_line: dict[int, list[Turn]] = {}
        """The turns that have not come yet, by the numbers of their events."""
        self._made: dict[int, set[str]] = {}
        """Of the events under way, by their numbers: the runs to which they have been delivered."""
        self._waiting: set[Turn] = set()
        """The turns that have come too soon."""
        self._earlier = Earlier(journal)
        self._deliverer = Deliverer(journal, runs, is_shared=catch_up is not None)
        self._circuit = Circuit(Pace(in_flight))
        self._draining = asyncio.Event()
        self._room = asyncio.Event()

    @property
    def is_cut_off(self) -> bool:
        """Is the place where runs live taken to be away?"""
        return self._circuit.is_open

    async def run(self) -> None:
        """Dispatch until cancelled. What was under way then stays in the journal."""
        renewing = asyncio.create_task(self._renew())
        try:
            while not self._draining.is_set():
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
        """Take up nothing more, and return once everything that was taken up is settled.

        What waits for a start that another process holds is not waited for: it goes back.
        """
        self._draining.set()
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
        free = self._free()
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
        while self._catch_up is not None and not self._draining.is_set():
            try:
                # After they were taken: the definition that a run is pinned to was kept before the
                # run began, and so before whoever waits for the run could send these.
                await self._catch_up()
                break
            except HubError as error:
                _log.warning("the journal does not answer", error=error.message)
                await asyncio.sleep(1)
        if self._draining.is_set():
            # They go back to the journal, for the next process or the next start of this one.
            return
        for entry in entries:
            self._begin(entry)

    def _free(self) -> int:
        """How many more events may be taken up.

        Those that came too soon are not counted, nor what stands behind them: it may be for their
        starts that there has to be room.
        """
        if not self._waiting:
            return self._limit - len(self._events)
        lanes = {turn.lane for turn in self._waiting}
        turns = chain(self._waiting, *self._in_line.values())
        parked = {turn.entry.seq for turn in turns if turn.lane in lanes}
        if len(parked) >= _MOST_PARKED:
            for turn in heapq.nlargest(self._limit, self._waiting, key=lambda turn: turn.entry.seq):
                turn.goes_back = True
        return self._limit - len(self._events) + min(len(parked), _MOST_PARKED)

    def _begin(self, entry: Entry) -> None:
        """Put the event's deliveries in the lanes of their runs, in the order of the journal."""
        deliveries: list[asyncio.Task[list[DeliveryRecord]]] = []
        failed: list[DeliveryRecord] = []
        targets: dict[tuple[str, bool], list[Match]] = {}
        router = self._router()
        event = original(entry.event)
        for match in wanted(entry.event, router.route(entry.trigger, event)):
            if match.run_id is None:
                failed.append(record_of(match, "failed", match.reason))
            else:
                targets.setdefault((match.run_id, match.every), []).append(match)
        for matches in targets.values():
            # An event that both starts and resumes a run of the same key is one delivery.
            matches.sort(key=lambda match: (match.outcome != "start", match.early is None))
            lane = lane_of(matches[0])
            tree = router.trees.get(matches[0].tree)
            if matches[0].outcome == "start" and tree is not None and tree.start.is_held:
                # Starts that are held back are in the order of their gate, not of their run.
                with suppress(ExpressionError):
                    held = Delivery(event=event, trigger=entry.trigger)
                    lane = gate_of(tree, matches[0].key, held)[0]
            turn = Turn(entry=entry, event=event, matches=matches, router=router, lane=lane)
            self._in_line.setdefault(entry.seq, []).append(turn)
            delivery = asyncio.create_task(self._deliver(self._lanes.get(lane), turn))
            self._lanes[lane] = delivery
            delivery.add_done_callback(partial(self._leave, lane))
            deliveries.append(delivery)
        task = asyncio.create_task(self._settle(entry, deliveries, failed))
        self._events.add(task)
        task.add_done_callback(partial(self._finished, entry))

    def _leave(self, lane: str, task: asyncio.Task[list[DeliveryRecord]]) -> None:
        if self._lanes.get(lane) is task:
            del self._lanes[lane]

    def _finished(self, entry: Entry, task: asyncio.Task[None]) -> None:
        self._events.discard(task)
        self._made.pop(entry.seq, None)
        self._room.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("an event could not be settled", exc_info=error)

    async def _settle(
        self,
        entry: Entry,
        deliveries: list[asyncio.Task[list[DeliveryRecord]]],
        failed: list[DeliveryRecord],
    ) -> None:
        try:
            await asyncio.gather(*deliveries, return_exceptions=True)
            records = [*chain.from_iterable(made.result() for made in deliveries), *failed]
        except _GoesBack:
            again = timedelta() if self._draining.is_set() else _rest(entry, _MOST_REST)
            await self._give_back(entry, _WAITS, again)
            return
        except Exception as error:
            _log.error("an event could not be delivered", exc_info=error)
            again = _rest(entry, _MOST_REST_OF_FAULTY)
            await self._give_back(entry, f"the hub fails at it: {type(error).__name__}", again)
            return
        reached = any(r.outcome in _REACHED for r in records)
        refused = [r for r in records if r.outcome == "failed" and r.run_id is not None]
        if refused and not reached:
            status: Status = "dead"
            why = refused[0].reason or "it was refused"
            mark = partial(self._journal.bury, entry.seq, why, deliveries=records)
        else:
            status = "delivered" if reached else "unmatched"
            mark = partial(self._journal.settle, entry.seq, status, records)
        # Not marked means delivered again later, which the runs recognise.
        await _insist(mark)
        _count(entry, status, records)

    async def _give_back(self, entry: Entry, why: str, again: timedelta) -> None:
        """Leave the event to the journal, for whoever comes first after that time."""
        until = datetime.now(UTC) + again
        await _insist(partial(self._journal.retry_later, entry.seq, entry.attempts + 1, why, until))

    async def _deliver(
        self, before: asyncio.Task[list[DeliveryRecord]] | None, turn: Turn
    ) -> list[DeliveryRecord]:
        try:
            if before is not None:
                await asyncio.wait([before])
        finally:
            in_line = self._in_line[turn.entry.seq]
            in_line.remove(turn)
            if not in_line:
                del self._in_line[turn.entry.seq]
        if turn.records is None:
            if before is not None and _went_back(before):
                # What follows it goes with it, so that their order stays.
                raise _GoesBack
            turn.records = await self._traced(turn)
            self._note(turn)
        return turn.records

    def _note(self, turn: Turn) -> None:
        self._made.setdefault(turn.entry.seq, set()).add(turn.run_id)

    async def _traced(self, turn: Turn) -> list[DeliveryRecord]:
        """Deliver it, after what has to come before it."""
        entry, match = turn.entry, turn.matches[0]
        with (
            span(
                f"deliver {match.tree}",
                parent=turn.event.extensions.get(EXTENSION),
                kind="CONSUMER",
                attributes={
                    "hub.event_id": turn.event.id,
                    "hub.trigger": entry.trigger,
                    "hub.tree": match.tree,
                    "hub.key": match.key,
                    "hub.run_id": match.run_id,
                },
            ) as delivering,
            bound_contextvars(
                event_id=turn.event.id,
                trigger=entry.trigger,
                tree=match.tree,
                run_id=match.run_id,
            ),
        ):
            try:
                records = await self._tried(turn)
            except TooSoon:
                # What waits here is not with Temporal, and keeps nobody from it.
                await self._earlier_start(turn)
                records = await self._tried(turn)
            if delivering is not None:
                delivering.set_attribute("hub.outcome", [record.outcome for record in records])
            return records

    async def _tried(self, turn: Turn) -> list[DeliveryRecord]:
        """Make one delivery until there is an answer to it. Raises `TooSoon`."""
        try:
            return await self._circuit.call(partial(self._deliverer.attempt, turn))
        except Undeliverable as error:
            return [record_of(turn.matches[0], "failed", error.message)]

    async def _earlier_start(self, turn: Turn) -> None:
        """Wait while an earlier event that may start the run has not had its turn.

        It may be with another process: a slow one, or one that died with it, whose lease has to end
        first. Once given back, it may come to this process, and stand in line behind this event.
        """
        turn.has_waited = True
        self._waiting.add(turn)
        self._room.set()
        try:
            while not await self._have_started(turn):
                if self._draining.is_set() or turn.goes_back:
                    raise _GoesBack
                pause = max(_LOOK_AGAIN, len(self._waiting) / 1000)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._draining.wait(), pause)
        finally:
            self._waiting.discard(turn)

    async def _have_started(self, turn: Turn) -> bool:
        """Have all earlier events that may start the run had their turn?"""
        run_id = turn.run_id
        try:
            starts = await self._earlier.starts(turn.entry.seq, run_id, turn.router)
        except HubError as error:
            _log.warning("the journal does not answer", error=error.message)
            return False
        is_over = True
        for seq in starts:
            if run_id in self._made.get(seq, ()):
                continue
            behind = [one for one in self._in_line.get(seq, ()) if one.may_start(run_id)]
            for one in behind:
                if one.records is None:
                    one.records = await self._tried(one)
                    self._note(one)
            is_over = is_over and bool(behind)
        return is_over


async def _insist(mark: Callable[[], Awaitable[None]]) -> None:
    """Have the journal take a mark, however long it is away."""
    while True:
        try:
            return await mark()
        except HubError as error:
            _log.warning("the journal does not take a mark", error=error.message)
            await asyncio.sleep(1)


def _rest(entry: Entry, most: timedelta) -> timedelta:
    """How long it stays in the journal: longer each time."""
    rest: timedelta = _REST * 2 ** min(entry.attempts, 10)
    return min(rest, most)


def _went_back(delivery: asyncio.Task[list[DeliveryRecord]]) -> bool:
    return not delivery.cancelled() and isinstance(delivery.exception(), _GoesBack)


def _count(entry: Entry, status: Status, records: Sequence[DeliveryRecord]) -> None:
    SETTLED.labels(entry.trigger, status).inc()
    waited = (datetime.now(UTC) - entry.received_at).total_seconds()
    DELIVERY_SECONDS.labels(entry.trigger).observe(max(waited, 0.0))
    for record in records:
        DELIVERIES.labels(record.tree, record.outcome).inc()
