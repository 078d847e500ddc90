"""Flow control of starts: what holds start events back, and when which of them start runs.

A gate holds the start events of one tree, or of one value of the keys by which its starts are
limited. `Flow` is its state machine, the same in every home: it decides, and the home starts runs
and says how they have ended. What is held is bounded; beyond that an event is rejected.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, Literal

import msgspec

from hub.durations import format_duration
from hub.errors import ExpressionError
from hub.event import Event
from hub.expressions import Expression
from hub.run.key import key_text
from hub.run.policy import run_id_of
from hub.run.runs import Delivery
from hub.run.state import Outcome
from hub.tree import Tree
from hub.tree.flow import MAX_GATHERED

__all__ = [
    "MAX_HELD",
    "MAX_HELD_BYTES",
    "Fate",
    "Flow",
    "GateState",
    "Held",
    "Offer",
    "gate_of",
    "held_because",
    "meets",
]

MAX_HELD = 5000
"""How many events a gate holds; those beyond it are rejected."""
MAX_HELD_BYTES = 1_000_000
"""How large they may be together, as JSON: a gate that goes on takes them along."""
_GATHERED_BYTES = 400_000
_SEEN = 5000
"""How many events a gate recognises when they come again."""
_FATES = 500
"""Of how many events a gate can tell what became of them."""
_MOMENTS = 256
"""How many moments of starts are kept for one key; beyond that, neighbours are counted as one."""

Meets = Literal["deliver", "ignore", "restart", "wait"]


class Offer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A start event for a gate. `key` is the run's, `rate` and `place` what its start counts to."""

    delivery: Delivery
    key: str | None = None
    rate: str = ""
    place: str = ""


class Held(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One start that is held back, with the events that it begins with.

    `due` is when its gathering ends; without one it waits in the queue for its turn. Once it is
    under way, `counted` says that it counts as a start, `met` that its run was known to be live.
    """

    run_id: str
    number: int
    deliveries: list[Delivery]
    first_at: datetime
    due: datetime | None = None
    key: str | None = None
    rate: str = ""
    place: str = ""
    counted: bool = False
    met: bool = False

    def delivery(self, subscription: str | None = None) -> Delivery:
        """All of its events as one delivery."""
        *earlier, last = self.deliveries
        return msgspec.structs.replace(
            last, subscription=subscription, earlier=[one.event for one in earlier]
        )


class Fate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of an event at a gate."""

    id: str
    outcome: Outcome
    at: datetime
    run_id: str | None = None
    reason: str | None = None


class Starts(msgspec.Struct, kw_only=True):
    """So many starts, the last of which was at that moment."""

    at: datetime
    count: int = 1


class GateState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A gate, whole. `live` are the runs that take a place, by their ids, with the place's key."""

    numbers: int = 0
    gathering: list[Held] = []
    queue: list[Held] = []
    going: list[Held] = []
    starts: dict[str, list[Starts]] = {}
    live: dict[str, str] = {}
    seen: list[str] = []
    fates: list[Fate] = []


def gate_of(tree: Tree, key: str | None, delivery: Delivery) -> tuple[str, Offer]:
    """The id of the gate that holds a start event, and what is offered to it.

    A gate is of one value of what its tree counts by, so that many values are many gates. Where
    rate and concurrency count by different expressions, one gate counts for the whole tree. Raises
    `ExpressionError` when an expression gives no key.
    """
    start = tree.start
    scope: dict[str, Any] = {"event": delivery.event.to_cloudevent()}
    keys: list[Expression | None] = []
    values: list[str] = []
    for name, limit in (("rate", start.rate), ("concurrency", start.concurrency)):
        value = "" if limit is None else _counted(name, limit.key, scope)
        if limit is not None:
            keys.append(limit.key)
        values.append(value)
    offer = Offer(delivery=delivery, key=key, rate=values[0], place=values[1])
    texts = {None if one is None else one.text for one in keys}
    if not keys:
        part = key
    elif len(texts) == 1 and texts != {None}:
        part = values[0] or values[1]
    else:
        part = None
    return f"~gate/{tree.name}" if part is None else f"~gate/{tree.name}/{part}", offer


def _counted_runs(limit: int) -> str:
    return "1 run" if limit == 1 else f"{limit} runs"


def _counted(name: str, key: Expression | None, scope: dict[str, Any]) -> str:
    if key is None:
        return ""
    try:
        value = key.evaluate(scope)
    except ExpressionError as error:
        raise ExpressionError(f"`{name}.key`: {error.message}") from None
    text = key_text(value)
    if text is None:
        kind = "null" if value is None else type(value).__name__
        raise ExpressionError(f"`{name}.key` gave {kind}; a key is a text or a number")
    return text


def held_because(tree: Tree) -> str:
    """Why a start event of the tree is held back, in words."""
    start, said = tree.start, []
    if start.debounce is not None:
        quiet, longest = start.debounce.for_, start.debounce.max
        said.append(
            f"debounced until none has come for {format_duration(quiet)}"
            + (f", at the latest {format_duration(longest)} after the first" if longest else "")
        )
    if start.batch is not None:
        said.append(
            f"gathered until {start.batch.size} have come, at the latest "
            f"{format_duration(start.batch.within)} after the first"
        )
    limits = []
    if start.rate is not None:
        per = format_duration(start.rate.per)
        limits.append(f"at most {_counted_runs(start.rate.limit)} in {per}")
    if start.concurrency is not None:
        limits.append(f"at most {_counted_runs(start.concurrency.limit)} at once")
    if limits:
        said.append(f"it waits for its turn: {', and '.join(limits)}")
    return "; ".join(said)


def meets(tree: Tree) -> Meets:
    """What is done with a start whose run is live already.

    Without a node that waits for it the live run has no use for it: then it waits for that run's end.
    """
    policy = tree.start.when_running
    if policy in ("ignore", "restart"):
        return policy
    return "deliver" if tree.start.event in tree.waits else "wait"


class Flow:
    """A gate at work, over its state. `tree` is the newest definition that it knows."""

    def __init__(self, tree: Tree, state: GateState) -> None:
        self.tree = tree
        self.state = state
        self._seen = dict.fromkeys(state.seen)
        # Under way when an earlier part ended: never so, but nothing would be lost.
        state.queue[:0] = state.going
        state.going = []
        held = [*state.gathering, *state.queue]
        self._count = sum(len(one.deliveries) for one in held)
        self._bytes = sum(map(_size, (d for one in held for d in one.deliveries)))

    # -- what comes in --------------------------------------------------------------------

    def offer(self, offer: Offer, now: datetime) -> Outcome:
        """Take in a start event: "buffered", "duplicate", or "rejected" where the gate is full."""
        identity = _identity(offer.delivery.event)
        if identity in self._seen:
            return "duplicate"
        self._seen[identity] = None
        self.state.seen.append(identity)
        while len(self.state.seen) > _SEEN:
            del self._seen[self.state.seen.pop(0)]
        size = _size(offer.delivery)
        if self._count and (self._count >= MAX_HELD or self._bytes + size > MAX_HELD_BYTES):
            reason = f"{self._count} start events are held back, and there is no room for more"
            self._tell(Fate(id=identity, outcome="rejected", at=now, reason=reason))
            return "rejected"
        self._count += 1
        self._bytes += size
        if not self._gather(offer, now, size):
            self.state.queue.append(self._held(offer, now))
        return "buffered"

    def _held(self, offer: Offer, now: datetime) -> Held:
        self.state.numbers += 1
        return Held(
            run_id=run_id_of(self.tree, offer.key, offer.delivery.event.id),
            number=self.state.numbers,
            deliveries=[offer.delivery],
            first_at=now,
            key=offer.key,
            rate=offer.rate,
            place=offer.place,
        )

    def _gather(self, offer: Offer, now: datetime, size: int) -> bool:
        start = self.tree.start
        if not start.gathers:
            return False
        group = (offer.key, offer.rate, offer.place)
        found = [g for g in self.state.gathering if (g.key, g.rate, g.place) == group]
        # One whose time is over by now, or that has no room, takes no more.
        gathering = next((g for g in found if g.due is None or now < g.due), None)
        if gathering is not None and _sizes(gathering) + size > _GATHERED_BYTES:
            gathering.due = now
            gathering = None
        if gathering is None:
            gathering = self._held(offer, now)
            self.state.gathering.append(gathering)
        else:
            gathering.deliveries.append(offer.delivery)
        most = MAX_GATHERED
        if start.debounce is not None:
            due = now + start.debounce.for_
            if start.debounce.max is not None:
                due = min(due, gathering.first_at + start.debounce.max)
        else:
            assert start.batch is not None
            due = gathering.first_at + start.batch.within
            most = start.batch.size
        gathering.due = now if len(gathering.deliveries) >= most else due
        return True

    # -- what goes out --------------------------------------------------------------------

    def take(self, now: datetime) -> list[Held]:
        """The starts whose turn it is now. Each is under way until `settle` says what came of it."""
        self._end_gatherings(now)
        passed: dict[str, None] = {one.run_id: None for one in self.state.going}
        full: dict[tuple[str, str], None] = {}
        taken: list[Held] = []
        left: list[Held] = []
        for held in self.state.queue:
            if held.run_id not in passed and self._may_go(held, now, full):
                taken.append(held)
            else:
                left.append(held)
            # Starts of one run keep their order.
            passed[held.run_id] = None
        self.state.queue[:] = left
        self.state.going += taken
        return taken

    def _end_gatherings(self, now: datetime) -> None:
        over = [g for g in self.state.gathering if g.due is None or g.due <= now]
        for held in sorted(over, key=lambda one: (one.due or now, one.number)):
            self.state.gathering.remove(held)
            held.due = None
            self.state.queue.append(held)

    def _may_go(self, held: Held, now: datetime, full: dict[tuple[str, str], None]) -> bool:
        known = held.run_id in self.state.live
        what = meets(self.tree) if known else None
        if what == "wait":
            return False
        held.met, held.counted = known, False
        rate, place = ("rate", held.rate), ("place", held.place)
        if what in ("deliver", "ignore"):
            return True
        if rate in full or (place in full and not known):
            return False
        if not self._has_rate(held.rate, now):
            full[rate] = None
            return False
        concurrency = self.tree.start.concurrency
        if not known:
            if concurrency is not None and self._living(held.place) >= concurrency.limit:
                full[place] = None
                return False
            self.state.live[held.run_id] = held.place
        self._count_start(held.rate, now)
        held.counted = True
        return True

    def _living(self, place: str) -> int:
        return sum(1 for one in self.state.live.values() if one == place)

    def settle(
        self,
        held: Held,
        outcome: Literal["started", "delivered", "ignored", "rejected", "live", "gone"],
        now: datetime,
        reason: str | None = None,
    ) -> None:
        """Say what came of a start that was taken.

        "live": its run lives, so it waits for its end. "gone": it was taken for a live run that is
        not there any more, so it is looked at once more.
        """
        self.state.going.remove(held)
        if outcome != "started" and held.counted:
            self._count_back(held.rate)
        if outcome in ("rejected", "gone"):
            self.state.live.pop(held.run_id, None)
        elif outcome in ("started", "live") or self.tree.start.concurrency is not None:
            self.state.live.setdefault(held.run_id, held.place)
        if outcome == "live" or outcome == "gone":
            later = [at for at, one in enumerate(self.state.queue) if one.number > held.number]
            self.state.queue.insert(later[0] if later else len(self.state.queue), held)
            return
        for delivery in held.deliveries:
            self._count -= 1
            self._bytes -= _size(delivery)
            self._tell(
                Fate(
                    id=_identity(delivery.event),
                    outcome=outcome,
                    at=now,
                    run_id=held.run_id,
                    reason=reason,
                )
            )

    def ended(self, run_id: str) -> None:
        """A run has ended: its place is free, and what waited for its end waits no more."""
        self.state.live.pop(run_id, None)

    def _tell(self, fate: Fate) -> None:
        self.state.fates.append(fate)
        if len(self.state.fates) > _FATES:
            del self.state.fates[0]

    # -- rate -----------------------------------------------------------------------------

    def _recent(self, key: str, now: datetime) -> list[Starts]:
        """The starts that still count, oldest first."""
        rate = self.tree.start.rate
        starts = self.state.starts.get(key, [])
        if rate is None:
            return []
        while starts and starts[0].at + rate.per <= now:
            del starts[0]
        if not starts:
            self.state.starts.pop(key, None)
        return starts

    def _has_rate(self, key: str, now: datetime) -> bool:
        rate = self.tree.start.rate
        return rate is None or sum(one.count for one in self._recent(key, now)) < rate.limit

    def _count_start(self, key: str, now: datetime) -> None:
        if self.tree.start.rate is None:
            return
        starts = self.state.starts.setdefault(key, [])
        if starts and starts[-1].at == now:
            starts[-1].count += 1
        else:
            starts.append(Starts(at=now))
        if len(starts) > _MOMENTS:
            # Counted a little longer than they need be, never shorter.
            pairs = zip(starts[::2], starts[1::2], strict=False)
            merged = [Starts(at=b.at, count=a.count + b.count) for a, b in pairs]
            starts[:] = merged if len(starts) % 2 == 0 else [*merged, starts[-1]]

    def _count_back(self, key: str) -> None:
        starts = self.state.starts.get(key)
        if starts:
            starts[-1].count -= 1
            if not starts[-1].count:
                del starts[-1]

    def _free_at(self, key: str, now: datetime) -> datetime:
        """When one more start of that key may come, where none may now."""
        rate = self.tree.start.rate
        assert rate is not None
        recent = self._recent(key, now)
        counted = sum(one.count for one in recent)
        for one in recent:
            counted -= one.count
            if counted < rate.limit:
                return one.at + rate.per
        return now

    # -- what is to come ------------------------------------------------------------------

    def wake_at(self, now: datetime) -> datetime | None:
        """When the next thing happens of itself; None when only something from outside can do it."""
        moments = [g.due for g in self.state.gathering if g.due is not None]
        if self.tree.start.rate is not None:
            waiting = dict.fromkeys(
                held.rate for held in self.state.queue if not self._has_rate(held.rate, now)
            )
            moments += [self._free_at(key, now) for key in waiting]
            if not moments and not self.is_holding:
                # Until its starts do not count any more, the gate must remember them.
                recent = [self._recent(key, now) for key in list(self.state.starts)]
                moments += [starts[-1].at + self.tree.start.rate.per for starts in recent if starts]
        return min(moments, default=None)

    @property
    def is_holding(self) -> bool:
        """Is any event held back, or on its way?"""
        state = self.state
        return bool(state.gathering or state.queue or state.going)

    def is_idle(self, now: datetime) -> bool:
        """Is there nothing that the gate must remember?"""
        if self.is_holding or (self.state.live and self.tree.start.concurrency is not None):
            return False
        return not any(self._recent(key, now) for key in list(self.state.starts))

    def watched(self) -> list[str]:
        """The live runs whose end something waits for."""
        waiting = {held.run_id: None for held in self.state.queue}
        places = {held.place: None for held in self.state.queue}
        limited = self.tree.start.concurrency is not None
        return [
            run_id
            for run_id, place in self.state.live.items()
            if run_id in waiting or (limited and place in places)
        ]

    @property
    def room(self) -> tuple[int, int]:
        """For how many more events there is room, and for how many bytes of them."""
        return MAX_HELD - self._count, MAX_HELD_BYTES - self._bytes

    def left_behind(self) -> GateState:
        """The state as the next part of the gate takes it along."""
        kept = self.state.live
        if self.tree.start.concurrency is None:
            watched = self.watched()
            kept = {run_id: place for run_id, place in kept.items() if run_id in watched}
        return msgspec.structs.replace(self.state, live=kept)

    def fate(self, event: Event, now: datetime) -> Fate | None:
        """What has become of an event that came to this gate."""
        identity = _identity(event)
        for fate in reversed(self.state.fates):
            if fate.id == identity:
                return fate
        for held in (*self.state.gathering, *self.state.queue, *self.state.going):
            if any(_identity(one.event) == identity for one in held.deliveries):
                return Fate(
                    id=identity,
                    outcome="buffered",
                    at=now,
                    run_id=held.run_id,
                    reason=self._why(held, now),
                )
        if identity in self._seen:
            return Fate(
                id=identity, outcome="duplicate", at=now, reason="it came to its gate before"
            )
        return None

    def _why(self, held: Held, now: datetime) -> str:
        if held.due is not None:
            others = len(held.deliveries) - 1
            among = f", with {others} other{'s' * (others != 1)}" if others else ""
            return f"it is gathered until {_moment(held.due)}{among}"
        if held.run_id in self.state.live and meets(self.tree) == "wait":
            return f"it waits for the run {held.run_id} to end"
        before = sum(1 for one in self.state.queue if one.number < held.number)
        place = f"it waits for its turn, {before} before it"
        if not self._has_rate(held.rate, now):
            return f"{place}; the next start is at {_moment(self._free_at(held.rate, now))}"
        concurrency = self.tree.start.concurrency
        if concurrency is not None and self._living(held.place) >= concurrency.limit:
            runs = [run for run, where in self.state.live.items() if where == held.place]
            shown = ", ".join(runs[:3]) + (" ..." if len(runs) > 3 else "")
            return f"{place}; the next start is when one of the live runs ends: {shown}"
        return place


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def _identity(event: Event) -> str:
    """What stands for an event among those seen: source and id together are its identity."""
    text = f"{event.source}\0{event.id}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def _size(delivery: Delivery) -> int:
    return len(msgspec.json.encode(delivery.event))


def _sizes(held: Held) -> int:
    return sum(_size(one) for one in held.deliveries)
