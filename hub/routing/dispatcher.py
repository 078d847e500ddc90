"""The dispatcher: takes what the journal holds until the place where runs live has accepted it.

Each event is routed to its runs. Deliveries to one run are made one after the other, in the order
in which the journal received the events; those to different runs are made at the same time.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from hub.errors import HubError, Undeliverable, Unreachable
from hub.routing.journal import DeliveryRecord, Entry, Journal, Outcome
from hub.routing.replay import original, wanted
from hub.routing.router import CALLBACK, Match, Router
from hub.run import Delivery, Runs, Start
from hub.tree.needs import needed_trees

__all__ = ["Dispatcher"]

_log = structlog.get_logger("hub.dispatcher")
_LEASE = timedelta(seconds=30)
_LONGEST_PAUSE = 5.0


class Dispatcher:
    """Dispatches for one process. `owner` names it among those that share a journal.

    `router` is asked for each event, so that a reload of the project counts from the next one on.
    `in_flight` bounds how many events are under way at once.
    """

    def __init__(
        self,
        journal: Journal,
        runs: Runs,
        router: Callable[[], Router],
        *,
        owner: str,
        in_flight: int = 256,
    ) -> None:
        self._journal = journal
        self._runs = runs
        self._router = router
        self._owner = owner
        self._limit = in_flight
        self._events: set[asyncio.Task[None]] = set()
        self._lanes: dict[str, asyncio.Task[DeliveryRecord]] = {}
        self._kept: set[str] = set()
        self._failures = 0
        self._room = asyncio.Event()

    async def run(self) -> None:
        """Dispatch until cancelled. What was under way then stays in the journal."""
        renewing = asyncio.create_task(self._renew())
        try:
            while True:
                await self._take()
        finally:
            for task in (renewing, *self._events, *self._lanes.values()):
                task.cancel()
            await asyncio.gather(
                renewing, *self._events, *self._lanes.values(), return_exceptions=True
            )
            with suppress(HubError):
                await self._journal.release(self._owner)

    async def drain(self) -> None:
        """Return once everything that was taken up is settled."""
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
        for entry in entries:
            self._begin(entry)

    def _begin(self, entry: Entry) -> None:
        """Put the event's deliveries in the lanes of their runs, in the order of the journal."""
        deliveries: list[asyncio.Task[DeliveryRecord]] = []
        failed: list[DeliveryRecord] = []
        targets: dict[str, Match] = {}
        router = self._router()
        for match in wanted(entry.event, router.route(entry.trigger, entry.event)):
            if match.run_id is None:
                failed.append(_record(match, "failed", match.reason))
            # An event that both starts and resumes a run of the same key is one delivery.
            elif match.run_id not in targets or match.outcome == "start":
                targets[match.run_id] = match
        for run_id, match in targets.items():
            lane = asyncio.create_task(self._deliver(self._lanes.get(run_id), entry, match, router))
            self._lanes[run_id] = lane
            lane.add_done_callback(partial(self._leave, run_id))
            deliveries.append(lane)
        task = asyncio.create_task(self._settle(entry, deliveries, failed))
        self._events.add(task)
        task.add_done_callback(self._finished)

    def _leave(self, run_id: str, task: asyncio.Task[DeliveryRecord]) -> None:
        if self._lanes.get(run_id) is task:
            del self._lanes[run_id]

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._events.discard(task)
        self._room.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("an event could not be settled", exc_info=error)

    async def _settle(
        self,
        entry: Entry,
        deliveries: list[asyncio.Task[DeliveryRecord]],
        failed: list[DeliveryRecord],
    ) -> None:
        records = [*(await asyncio.gather(*deliveries)), *failed]
        reached = any(r.outcome in ("started", "delivered") for r in records)
        refused = [r for r in records if r.outcome == "failed" and r.run_id is not None]
        while True:
            try:
                if refused and not reached:
                    await self._journal.bury(
                        entry.seq, refused[0].reason or "it was refused", deliveries=records
                    )
                else:
                    await self._journal.settle(
                        entry.seq, "delivered" if reached else "unmatched", records
                    )
                return
            except HubError as error:
                # Not marked means delivered again later, which the runs recognise.
                _log.warning("the journal does not take a mark", error=error.message)
                await asyncio.sleep(1)

    async def _deliver(
        self,
        before: asyncio.Task[DeliveryRecord] | None,
        entry: Entry,
        match: Match,
        router: Router,
    ) -> DeliveryRecord:
        if before is not None:
            await asyncio.wait([before])
        while True:
            try:
                record = await self._attempt(entry, match, router)
            except Unreachable as error:
                self._failures += 1
                if self._failures == 1:
                    _log.warning("events wait in the journal", error=error.message)
                await asyncio.sleep(self._pause())
                continue
            except Undeliverable as error:
                return _record(match, "failed", error.message)
            if self._failures:
                self._failures = 0
                _log.info("events are delivered again")
            return record

    def _pause(self) -> float:
        return min(0.05 * 2.0 ** min(self._failures, 10), _LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311

    async def _attempt(self, entry: Entry, match: Match, router: Router) -> DeliveryRecord:
        run_id = match.run_id
        assert run_id is not None
        delivery = Delivery(
            event=original(entry.event),
            trigger=entry.trigger,
            subscription=match.subscription if entry.trigger == CALLBACK else None,
        )
        if match.outcome == "resume":
            if await self._runs.deliver(run_id, delivery):
                return _record(match, "delivered")
            return _record(match, "no_run", f"no run {run_id} is live")
        tree = router.trees[match.tree]
        if tree.hash not in self._kept:
            await self._journal.keep_definition(tree.hash, tree.name, tree.document)
            self._kept.add(tree.hash)
        start = Start(
            run_id=run_id,
            tree=tree.name,
            key=match.key,
            hash=tree.hash,
            document=tree.document,
            delivery=delivery,
            trees=needed_trees(tree, router.trees),
        )
        # Start or deliver: each step is atomic on the server, and a run that closes between the
        # two sends us round again, so the event is never lost and never used twice.
        while True:
            if await self._runs.start(start) == "started":
                return _record(match, "started")
            if await self._runs.deliver(run_id, delivery):
                return _record(match, "delivered")


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
