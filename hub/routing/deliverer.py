"""How one delivery is made: a start, a signal, an offer to a gate or to a correlator."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import chain

import msgspec
import structlog

from hub.errors import Busy, ExpressionError, HubError, Unreachable
from hub.routing.journal import DeliveryRecord, Journal
from hub.routing.router import Match, Router
from hub.routing.turn import Turn, lane_of, record_of
from hub.run import CALLBACK, Delivery, Runs, Start, ended_reason, gate_of, held_because, meeting
from hub.run.flow import MAX_HELD
from hub.run.state import Address
from hub.tree import Tree
from hub.tree.needs import needed_groups, needed_trees
from hub.tree.tree import content_hash

__all__ = ["Deliverer", "TooSoon"]

_log = structlog.get_logger("hub.dispatcher")
_INDEX_LAG = timedelta(minutes=2)
"""How far behind the index of runs may be; far longer than it was ever seen to be."""
_KEEP_AGAIN = 600.0
"""Seconds after which a definition that is in use is shown to be so again."""
_HAD = "an earlier run of the key had the event already"


class TooSoon(HubError):
    """No run is live, and an earlier event may be about to start it."""


class Deliverer:
    """Makes deliveries for one process. `is_shared`: others start runs from the same journal."""

    def __init__(self, journal: Journal, runs: Runs, *, is_shared: bool) -> None:
        self._journal = journal
        self._runs = runs
        self._is_shared = is_shared
        self._kept: dict[str, float] = {}
        self._parallel: dict[str, dict[str, None]] = {}
        self._began = datetime.now(UTC)

    async def attempt(self, turn: Turn) -> list[DeliveryRecord]:
        """Make one delivery; every step of it may be made again.

        Raises `Unreachable`, `Undeliverable` and `TooSoon`.
        """
        try:
            return await self._attempt(turn)
        except Unreachable:
            turn.is_unsure = True
            raise
        except Busy as error:
            raise Unreachable(error.message) from error

    async def _attempt(self, turn: Turn) -> list[DeliveryRecord]:
        entry, match = turn.entry, turn.matches[0]
        assert match.run_id is not None
        delivery = Delivery(
            event=turn.event,
            trigger=entry.trigger,
            subscription=match.subscription if entry.trigger == CALLBACK else None,
            expires_at=None if match.early is None else entry.received_at + match.early,
        )
        if match.at is not None:
            return [await self._offer(match, match.at, delivery, turn)]
        if match.every:
            return await self._to_every(match, delivery)
        if match.outcome == "resume":
            return [await self._resume(match, delivery, turn)]
        return [await self._start(match, delivery, turn)]

    async def _start(self, match: Match, delivery: Delivery, turn: Turn) -> DeliveryRecord:
        entry, router, run_id = turn.entry, turn.router, match.run_id
        tree, resumes = router.trees[match.tree], len(turn.matches) > 1
        assert run_id is not None
        if self._may_be_repeated(turn) and not tree.start.is_held:
            had = await self._runs.had(run_id, delivery, entry.received_at)
            if had is not None:
                # The server has forgotten its own requests of a run that went on in a new part.
                return record_of(match, "started" if had == "started" else "duplicate", _HAD)
        start = await self._prepared(match, tree, delivery, router)
        if tree.start.is_held:
            return await self._hold(match, tree, start, turn)
        # Each step is atomic on the server, and a run that closes between two of them sends us
        # round again, so the event is never lost and never used twice.
        while True:
            started = await self._runs.start(start)
            if started == "started":
                self._remember_parallel(match, tree)
                return record_of(match, "started")
            if started == "closed":
                return record_of(match, "rejected", ended_reason(tree, run_id))
            what = meeting(tree, resumes=resumes)
            if what == "ignore":
                reason = f"the run {run_id} is live, and `when_running` is ignore"
                return record_of(match, "ignored", reason)
            if what == "restart":
                if await self._runs.restart(start):
                    return record_of(match, "started", "the run before it cleans up first")
            elif await self._runs.deliver(run_id, delivery):
                return record_of(match, "delivered")

    async def _hold(self, match: Match, tree: Tree, start: Start, turn: Turn) -> DeliveryRecord:
        """Give a start event to the gate that holds it back."""
        entry, delivery, resumes = turn.entry, start.delivery, len(turn.matches) > 1
        try:
            gate, offer = gate_of(tree, match.key, delivery)
        except ExpressionError as error:
            return record_of(msgspec.structs.replace(match, run_id=None), "failed", error.message)
        if self._may_be_repeated(turn):
            fate = await self._runs.fate(gate, delivery.event, entry.received_at)
            if fate is not None:
                match = msgspec.structs.replace(match, run_id=fate.run_id)
                return record_of(match, fate.outcome, fate.reason)
        if resumes and await self._runs.deliver(start.run_id, delivery):
            return record_of(match, "delivered")
        if not await self._runs.hold(gate, offer, start):
            reason = f"its gate is full: {MAX_HELD} start events or more are held back"
            return record_of(match, "rejected", reason)
        if tree.start.gathers and start.run_id != f"{tree.name}/{match.key}":
            # The run is called after the first of the gathered events, which only the gate knows.
            match = msgspec.structs.replace(match, run_id=None)
        return record_of(match, "buffered", held_because(tree))

    async def _resume(self, match: Match, delivery: Delivery, turn: Turn) -> DeliveryRecord:
        entry, router, run_id = turn.entry, turn.router, match.run_id
        assert run_id is not None
        if (
            self._may_be_repeated(turn)
            and await self._runs.had(run_id, delivery, entry.received_at) is not None
        ):
            # A later run of the key may be live by now.
            return record_of(match, "duplicate", _HAD)
        if await self._runs.deliver(run_id, delivery):
            return record_of(match, "delivered")
        if delivery.expires_at is None and self._is_shared and not turn.has_waited:
            raise TooSoon(f"no run {run_id} is live yet")
        if delivery.expires_at is None:
            if self._is_shared and await self._runs.is_live(run_id):
                # Another process has started it since, or the server was mistaken.
                _log.warning("a run is live that was not there for an event")
                raise Unreachable(f"the run {run_id} has only just come")
            return record_of(match, "no_run", f"no run {run_id} is live")
        if delivery.expires_at <= datetime.now(UTC):
            return record_of(match, "no_run", f"no run {run_id} came while the event was kept")
        if await self._runs.had(run_id, delivery, entry.received_at) is not None:
            return record_of(match, "duplicate", _HAD)
        tree = router.trees[match.tree]
        start = await self._prepared(match, tree, delivery, router, dormant=True)
        while True:
            started = await self._runs.start(start)
            if started == "started":
                until = delivery.expires_at.isoformat(timespec="seconds")
                return record_of(
                    match, "buffered", f"it is kept for the run to come, until {until}"
                )
            if started == "closed":
                return record_of(match, "no_run", ended_reason(tree, run_id))
            if await self._runs.deliver(run_id, delivery):
                return record_of(match, "delivered")

    async def _offer(
        self, match: Match, address: Address, delivery: Delivery, turn: Turn
    ) -> DeliveryRecord:
        """Hand the event to the correlator where runs wait for its value."""
        if self._may_be_repeated(turn):
            since = turn.entry.received_at
            word = await self._runs.word(address.id, delivery, since)
            if word is not None:
                # It has ended since, and remembers nothing.
                had = word.outcome == "delivered"
                return record_of(
                    match, "duplicate" if had else word.outcome, _HAD if had else word.reason
                )
        offered = await self._runs.offer(address, delivery)
        if offered == "no_run":
            return record_of(match, "no_run", f"no run waits for the value {address.value[:80]!r}")
        if offered == "delivered" or delivery.expires_at is None:
            return record_of(match, "delivered")
        until = delivery.expires_at.isoformat(timespec="seconds")
        return record_of(match, "buffered", f"it is kept for a wait to come, until {until}")

    async def _to_every(self, match: Match, delivery: Delivery) -> list[DeliveryRecord]:
        """Deliver to all live runs of a key that run in parallel."""
        assert match.key is not None
        found = dict.fromkeys(await self._runs.live(match.tree, match.key))
        # The index lags behind, so what was started just now is added: by this process, and by others.
        found |= self._parallel.get(lane_of(match), {})
        since = datetime.now(UTC) - _INDEX_LAG
        page = await self._journal.list(key=match.key, since=since, limit=1000)
        for record in chain.from_iterable(entry.deliveries for entry in reversed(page.items)):
            if (record.tree, record.key) != (match.tree, match.key):
                continue
            # What was held back may have started since.
            if record.outcome in ("started", "buffered"):
                found[record.run_id or ""] = None
        records = [
            record_of(msgspec.structs.replace(match, run_id=run_id), "delivered")
            for run_id in found
            if run_id and await self._runs.deliver(run_id, delivery)
        ]
        return records or [record_of(match, "no_run", f"no run of the key {match.key!r} is live")]

    def _remember_parallel(self, match: Match, tree: Tree) -> None:
        if tree.start.when_running != "parallel" or match.key is None or match.run_id is None:
            return
        name, run_id = lane_of(match), match.run_id
        of_key = self._parallel.setdefault(name, {})
        of_key[run_id] = None

        def forget() -> None:
            of_key.pop(run_id, None)
            if not of_key and self._parallel.get(name) is of_key:
                del self._parallel[name]

        asyncio.get_running_loop().call_later(_INDEX_LAG.total_seconds(), forget)

    def _may_be_repeated(self, turn: Turn) -> bool:
        """May the server have said yes to this event before, and the journal have no mark of it?"""
        entry = turn.entry
        return turn.is_unsure or entry.attempts > 0 or entry.received_at < self._began

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
