"""A correlator: where runs wait for events by a value that they learnt on their way.

There is one for each subscription of a tree and each value. It keeps what comes before anybody
waits for it, and gives it to those who wait. It is a state machine without a clock and without I/O:
what is to be sent stands in `letters`, and who sends says by `sent` what came of it.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

import msgspec

from hub.event import Event
from hub.run.mailbox import identity_of_event
from hub.run.runs import Delivery
from hub.run.state import Address, Failure, Outcome
from hub.tree import Subscription

__all__ = [
    "KEPT_FOR",
    "MAX_KEPT",
    "MAX_WAITERS",
    "Correlator",
    "CorrelatorState",
    "Kept",
    "Letter",
    "Refusal",
    "Waiter",
    "Word",
    "address_of",
    "is_correlator",
    "kept_for",
]

KEPT_FOR = timedelta(hours=1)
"""How long an event is kept for a wait to come, unless the subscription says so by `early`."""
MAX_KEPT = 200
"""How many events one correlator keeps; those beyond it are rejected."""
MAX_KEPT_BYTES = 512 * 1024
MAX_WAITERS = 1000
"""How many waits may be open at one correlator; one beyond it fails."""

_PREFIX = "~match/"
_REMEMBERED = 1000
_WORDS = 100
_MOST_NAMED = 20
_LONGEST_VALUE = 200


def kept_for(subscription: Subscription) -> timedelta:
    """How long an event of the subscription is kept for a wait that opens later."""
    return KEPT_FOR if subscription.early is None else subscription.early


def address_of(tree: str, subscription: Subscription, value: str) -> Address:
    """Where runs of the tree wait for events of the subscription that have the value.

    What the subscription says of its events is part of the address: runs whose definition says
    otherwise wait elsewhere, and the router tells both places.
    """
    where, key = subscription.where, subscription.key
    said = (
        subscription.trigger,
        None if where is None else where.text,
        None if key is None else key.text,
        subscription.deliver,
    )
    version = hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:10]
    encoded = value.encode("utf-8", "surrogatepass")
    last = value if len(encoded) <= _LONGEST_VALUE else f"~{hashlib.sha256(encoded).hexdigest()}"
    return Address(
        id=f"{_PREFIX}{tree}/{subscription.name}-{version}/{last}",
        tree=tree,
        subscription=subscription.name,
        value=value,
        deliver=subscription.deliver,
    )


def is_correlator(identifier: str) -> bool:
    """Is it the id of a correlator, and not that of a run?"""
    return identifier.startswith(_PREFIX)


class Waiter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One open wait: the payload of the signal `subscribe`.

    `ticket` names the wait, and `run` the very run, which others of its id are not. `fresh` is one
    that takes only what comes from now on. `without` are the events that are not for it.
    """

    ticket: str
    run_id: str
    run: str
    fresh: bool = False
    without: list[str] = []


class Kept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event that is kept until its delivery's `expires_at`, and the runs that have had it."""

    delivery: Delivery
    number: int
    given: list[str] = []


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why the wait of a ticket is not taken: the payload of a run's signal `refused`."""

    ticket: str
    failure: Failure


class Word(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What became of one event; `runs` are the ids of those that were given it, the first 20."""

    id: str
    outcome: Outcome
    at: datetime
    runs: list[str] = []
    reason: str | None = None


class CorrelatorState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A correlator as it is carried along. All of it is bounded; the oldest is forgotten first.

    `lent` are the events that were given to one wait alone, by whose ticket, with their numbers:
    the wait may give them back. `served` are tickets that are of no use any more.
    """

    address: Address
    waiters: list[Waiter] = []
    kept: list[Kept] = []
    received: int = 0
    seen: list[str] = []
    served: list[str] = []
    lent: dict[str, tuple[str, int]] = {}
    words: list[Word] = []


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be sent to a run: an event for a wait of it, or why the wait is refused."""

    waiter: Waiter
    delivery: Delivery | None = None
    number: int = 0
    refusal: Failure | None = None


class Correlator:
    """One correlator at work."""

    def __init__(self, state: CorrelatorState) -> None:
        self.state = state
        self.letters: list[Letter] = []
        """What is to be sent, in this order, and was not yet taken by `take_letters`."""
        self._under_way = 0
        self._seen = dict.fromkeys(state.seen)
        self._served = dict.fromkeys(state.served)

    @property
    def exclusive(self) -> bool:
        """Is each event for one wait alone?"""
        return self.state.address.deliver != "all"

    # -- what comes in --------------------------------------------------------------------

    def offer(self, delivery: Delivery, now: datetime) -> Outcome:
        """Take in an event; say what became of it."""
        identity = identity_of_event(delivery.event)
        if identity in self._seen:
            return "duplicate"
        _remember(self._seen, self.state.seen, identity)
        self.state.received += 1
        return self._place(Kept(delivery=delivery, number=self.state.received), now)

    def subscribe(self, waiter: Waiter, now: datetime) -> None:
        """A wait opens: it gets what is kept for it, or stands in line. Saying so again is nothing."""
        state = self.state
        if waiter.ticket in self._served or any(w.ticket == waiter.ticket for w in state.waiters):
            return
        self.expire(now)
        if state.address.deliver == "reject" and state.waiters:
            other = state.waiters[0].run_id
            self._refuse(
                waiter, "already_awaited", f"the run {other} waits for {self._what()} already"
            )
            return
        if len(state.waiters) >= MAX_WAITERS:
            said = f"{MAX_WAITERS:,} waits for {self._what()} are open already"
            self._refuse(waiter, "too_many_waits", said)
            return
        state.waiters.append(waiter)
        if waiter.fresh:
            return
        for kept in state.kept:
            if _suits(waiter, kept):
                if self.exclusive:
                    state.kept.remove(kept)
                self._give(kept, waiter)
                return

    def unsubscribe(self, ticket: str) -> None:
        """A wait is over. Where an event is on its way to it, the run gives it back."""
        _remember(self._served, self.state.served, ticket)
        self.state.waiters[:] = [w for w in self.state.waiters if w.ticket != ticket]

    def give_back(self, ticket: str, delivery: Delivery, now: datetime) -> None:
        """An event that came when its wait was over: it is for the next one, or is kept again."""
        identity = identity_of_event(delivery.event)
        _remember(self._served, self.state.served, ticket)
        lent = self.state.lent.get(identity)
        if lent is not None and lent[0] == ticket:
            del self.state.lent[identity]
            self._place(Kept(delivery=delivery, number=lent[1]), now)
        elif identity not in self._seen:
            # It was given by a correlator of this address that has ended since.
            self.offer(delivery, now)

    # -- what goes out --------------------------------------------------------------------

    def take_letters(self, most: int) -> list[Letter]:
        """The next letters, at most so many; `sent` is to be called for each."""
        taken, self.letters = self.letters[:most], self.letters[most:]
        self._under_way += len(taken)
        return taken

    def sent(self, letter: Letter, now: datetime, *, reached: bool) -> None:
        """The letter reached its run, or no such run is live."""
        self._under_way -= 1
        delivery = letter.delivery
        if delivery is None:
            return
        if reached:
            word = self.word(delivery.event)
            if word is not None:
                word.outcome, word.reason = "delivered", None
                if len(word.runs) < _MOST_NAMED:
                    word.runs.append(letter.waiter.run_id)
            return
        if self.exclusive:
            self.state.lent.pop(identity_of_event(delivery.event), None)
            self._place(Kept(delivery=delivery, number=letter.number), now)

    # -- its life -------------------------------------------------------------------------

    def expire(self, now: datetime) -> None:
        """Forget what is kept no longer."""
        for kept in [kept for kept in self.state.kept if not _lives(kept.delivery, now)]:
            self.state.kept.remove(kept)
            word = self.word(kept.delivery.event)
            if word is not None and word.outcome == "buffered":
                word.outcome, word.reason = "no_run", "no run waited for it while it was kept"

    @property
    def is_quiet(self) -> bool:
        """Is nothing on its way to a run?"""
        return not self.letters and not self._under_way

    def is_idle(self, now: datetime) -> bool:
        """Is there nothing left to do, until something comes in?"""
        self.expire(now)
        return self.is_quiet and not self.state.waiters and not self.state.kept

    def ends_at(self) -> datetime | None:
        """When it is idle if nothing comes in; None where that is open, or now."""
        if self.state.waiters:
            return None
        ends = [kept.delivery.expires_at for kept in self.state.kept]
        return max((end for end in ends if end is not None), default=None)

    # -- within ---------------------------------------------------------------------------

    def _what(self) -> str:
        address = self.state.address
        return f"{address.subscription!r} with the value {address.value[:80]!r}"

    def _place(self, kept: Kept, now: datetime) -> Outcome:
        """Give the event to those who wait, and keep it if there may be others."""
        self.expire(now)
        takers: list[Waiter] = []
        for waiter in self.state.waiters:
            # Several waits of one run: an event is for one of them.
            if _suits(waiter, kept) and all(waiter.run != taker.run for taker in takers):
                takers.append(waiter)
        if self.exclusive:
            takers = takers[:1]
        for waiter in takers:
            self._give(kept, waiter)
        event = kept.delivery.event
        if takers:
            self._note(event, "delivered", now)
            if not self.exclusive and _lives(kept.delivery, now):
                self._keep(kept)
            return "delivered"
        if not _lives(kept.delivery, now):
            return self._note(event, "no_run", now, "no run waits for it")
        if not self._keep(kept):
            return self._note(event, "rejected", now, "too many events are kept for waits to come")
        assert kept.delivery.expires_at is not None
        until = kept.delivery.expires_at.isoformat(timespec="seconds")
        return self._note(event, "buffered", now, f"it is kept for a wait to come, until {until}")

    def _keep(self, kept: Kept) -> bool:
        stored = self.state.kept
        size = sum(_size(one) for one in (*stored, kept))
        if len(stored) >= MAX_KEPT or size > MAX_KEPT_BYTES:
            return False
        stored.append(kept)
        stored.sort(key=lambda one: one.number)
        return True

    def _give(self, kept: Kept, waiter: Waiter) -> None:
        state = self.state
        state.waiters.remove(waiter)
        _remember(self._served, state.served, waiter.ticket)
        kept.given.append(waiter.run)
        if self.exclusive:
            state.lent[identity_of_event(kept.delivery.event)] = (waiter.ticket, kept.number)
            while len(state.lent) > _REMEMBERED:
                del state.lent[next(iter(state.lent))]
        delivery = msgspec.structs.replace(
            kept.delivery, ticket=waiter.ticket, correlator=state.address
        )
        self.letters.append(Letter(waiter=waiter, delivery=delivery, number=kept.number))

    def _refuse(self, waiter: Waiter, code: str, message: str) -> None:
        _remember(self._served, self.state.served, waiter.ticket)
        self.letters.append(Letter(waiter=waiter, refusal=Failure(code=code, message=message)))

    def word(self, event: Event) -> Word | None:
        """What became of the event, where that is still known."""
        return next((f for f in reversed(self.state.words) if f.id == event.id), None)

    def _note(
        self, event: Event, outcome: Outcome, now: datetime, reason: str | None = None
    ) -> Outcome:
        word = self.word(event)
        if word is None:
            word = Word(id=event.id, outcome=outcome, at=now)
            self.state.words.append(word)
            del self.state.words[:-_WORDS]
        word.outcome, word.reason = outcome, reason
        return outcome


def _suits(waiter: Waiter, kept: Kept) -> bool:
    return (
        waiter.run not in kept.given
        and identity_of_event(kept.delivery.event) not in waiter.without
    )


def _lives(delivery: Delivery, now: datetime) -> bool:
    return delivery.expires_at is not None and now < delivery.expires_at


def _size(kept: Kept) -> int:
    return len(msgspec.json.encode(kept.delivery.event))


def _remember(known: dict[str, None], order: list[str], what: str) -> None:
    if what in known:
        return
    known[what] = None
    order.append(what)
    while len(order) > _REMEMBERED:
        del known[order.pop(0)]
