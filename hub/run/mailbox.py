"""The mailbox: the events that a run has received, and the waits that they satisfy."""

from __future__ import annotations

import asyncio
import hashlib
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from hub.errors import NodeFailed
from hub.event import Event
from hub.run.state import Handled, MailboxState, Outcome, Stored

__all__ = [
    "MAX_STORED",
    "MAX_STORED_BYTES",
    "Mailbox",
    "any_value",
    "identity_of_event",
    "with_value",
]

_UNUSED = ("ignored", "late", "buffered", "rejected")
_SEEN = 1000
"""How many event ids a run remembers as used, for recognising a repeated delivery."""
_HANDLED = 200
"""How many events the run can tell the fate of."""
MAX_STORED = 1000
"""How many unused events a run keeps; those beyond it are rejected."""
MAX_STORED_BYTES = 512 * 1024
"""How large unused events may be together, as JSON."""


def with_value(subscription: str, value: str) -> str:
    """The topic of the events of a subscription that have a value, whatever the run's key is."""
    return f"{subscription}[{value}]"


def any_value(subscription: str) -> str:
    """The topic of events that are for a wait of the subscription, whichever value it has."""
    return f"{subscription}[]"


@dataclass(eq=False)
class _Wait:
    path: str
    subscription: str
    late: str
    turn: int
    granted: asyncio.Future[Stored]
    lapsing: bool = False


class Mailbox:
    """Events of one run: each satisfies one wait at most, in the order of arrival.

    Waits that are open on the same subscription are served by their turns: in the order in which
    they first opened, also in a later part of the run. A wait with `match` is on a topic of its own:
    what is said here of subscriptions holds for topics.
    """

    def __init__(self, state: MailboxState) -> None:
        self.state = state
        self._seen = dict.fromkeys(state.seen)
        self._waits: list[_Wait] = []
        self._bytes = sum(map(_size, state.stored))

    def offer(
        self,
        event: Event,
        subscriptions: Sequence[str],
        now: datetime,
        *,
        expires_at: datetime | None = None,
        ticket: str | None = None,
    ) -> Outcome:
        """Take in an event that satisfies the given subscriptions; say what became of it.

        With a `ticket` it was given to a wait of this run, so it is always taken, also where the
        run has seen it and had no use for it then.
        """
        if ticket is not None and self._is_unused(event):
            self.forget(event)
        if not self._is_new(event, now):
            return "duplicate"
        if not subscriptions:
            self._note(event, "ignored", now)
            return "ignored"
        self.state.received += 1
        stored = Stored(
            event=event,
            subscriptions=tuple(subscriptions),
            number=self.state.received,
            expires_at=expires_at,
            ticket=ticket,
        )
        for wait in self._waits:
            if _fits(wait.subscription, subscriptions) and not wait.granted.done():
                wait.granted.set_result(stored)
                self._note(event, "resumed", now, wait.subscription, wait.path)
                return "resumed"
        if all(name in self.state.lapsed for name in subscriptions):
            self._note(event, "late", now, subscriptions[0])
            return "late"
        size = _size(stored)
        is_full = len(self.state.stored) >= MAX_STORED or self._bytes + size > MAX_STORED_BYTES
        if is_full and ticket is None:
            self._note(event, "rejected", now, subscriptions[0])
            return "rejected"
        self._bytes += size
        self.state.stored.append(stored)
        self._note(event, "buffered", now, subscriptions[0])
        return "buffered"

    def used(
        self,
        event: Event,
        outcome: Outcome,
        now: datetime,
        *,
        subscription: str | None = None,
        path: str | None = None,
        reason: str | None = None,
    ) -> bool:
        """Note an event that is used without a wait, such as the start. False if it was before."""
        if not self._is_new(event, now):
            return False
        self._note(event, outcome, now, subscription, path, reason)
        return True

    def recognise(self, seen: Sequence[str]) -> None:
        """Take these as seen, as `seen_without` gave them."""
        for identity in seen:
            self._remember(identity)

    def seen_without(self, events: Sequence[Event]) -> list[str]:
        """What the run has seen, these events left out: for the run that follows it."""
        left_out = {identity_of_event(event) for event in events}
        return [seen for seen in self.state.seen if seen not in left_out]

    def wake(self, now: datetime) -> None:
        """The run begins: of what came early, that whose time is over is dropped."""
        kept: list[Stored] = []
        for stored in self.state.stored:
            if stored.expires_at is None or now < stored.expires_at:
                kept.append(msgspec.structs.replace(stored, expires_at=None))
                continue
            self._bytes -= _size(stored)
            reason = "it came early, and was kept no longer when the run began"
            self._note(stored.event, "late", now, stored.subscriptions[0], None, reason)
        self.state.stored[:] = kept

    def take(self, path: str, subscription: str, *, after: int = 0, now: datetime) -> Stored | None:
        """Take the oldest stored event of the subscription that came after that number."""
        for stored in self.state.stored:
            if _fits(subscription, stored.subscriptions) and stored.number > after:
                self.state.stored.remove(stored)
                self._bytes -= _size(stored)
                self._note(stored.event, "resumed", now, subscription, path)
                return stored
        return None

    def turn(self) -> int:
        """A turn for a wait that opens now."""
        self.state.turns += 1
        return self.state.turns

    async def wait(
        self, path: str, subscription: str, *, after: int, turn: int, late: str, now: datetime
    ) -> Stored:
        """Take the oldest stored event of the subscription, or wait for the next one.

        Events that were received as number `after` or before are passed over.
        """
        if subscription in self.state.lapsed:
            self.state.lapsed.remove(subscription)
        stored = self.take(path, subscription, after=after, now=now)
        if stored is not None:
            return stored
        wait = _Wait(path, subscription, late, turn, asyncio.get_running_loop().create_future())
        insort(self._waits, wait, key=lambda w: w.turn)
        try:
            return await wait.granted
        except asyncio.CancelledError:
            if wait.granted.done() and not wait.granted.cancelled():
                # The wait was given up in the very turn that satisfied it: nothing is lost.
                if wait.granted.exception() is None:
                    self.put_back(wait.granted.result())
            elif wait.lapsing and wait.late != "keep" and subscription not in self.state.lapsed:
                self.state.lapsed.append(subscription)
            raise
        finally:
            self._waits.remove(wait)

    def put_back(self, stored: Stored) -> None:
        """Give an event to another wait after all: what had taken it was given up."""
        for wait in self._waits:
            if _fits(wait.subscription, stored.subscriptions) and not wait.granted.done():
                wait.granted.set_result(stored)
                return
        later = [s for s in self.state.stored if s.number > stored.number]
        index = self.state.stored.index(later[0]) if later else len(self.state.stored)
        self.state.stored.insert(index, stored)
        self._bytes += _size(stored)
        for place, handled in reversed(list(enumerate(self.state.handled))):
            if handled.id == stored.event.id and handled.outcome == "resumed":
                self.state.handled[place] = msgspec.structs.replace(
                    handled, outcome="buffered", path=None
                )
                break

    def refuse(self, path: str, error: NodeFailed) -> None:
        """Let the wait at the path fail."""
        for wait in self._waits:
            if wait.path == path and not wait.granted.done():
                wait.granted.set_exception(error)

    def withdraw(self, ticket: str) -> Stored | None:
        """Take out, as if it had never come, what was given to the wait of that ticket."""
        for stored in self.state.stored:
            if stored.ticket == ticket:
                self.state.stored.remove(stored)
                self._bytes -= _size(stored)
                self.forget(stored.event)
                return stored
        return None

    def forget(self, event: Event) -> None:
        """The run has not had the event: it may come again."""
        identity = identity_of_event(event)
        if identity in self._seen:
            del self._seen[identity]
            self.state.seen.remove(identity)
        for stored in [s for s in self.state.stored if identity_of_event(s.event) == identity]:
            self.state.stored.remove(stored)
            self._bytes -= _size(stored)

    def _is_unused(self, event: Event) -> bool:
        """Is it one that the run has seen, and had no use for?"""
        words = [h.outcome for h in self.state.handled if h.id == event.id]
        return next((w for w in reversed(words) if w != "duplicate"), None) in _UNUSED

    def lapse(self, path: str) -> None:
        """The waits at or below a path are about to be given up because their time is over."""
        for wait in self._waits:
            if _under(wait.path, path):
                wait.lapsing = True

    def granting(self, path: str) -> bool:
        """Has a wait at or below the path been given an event that it has not yet taken?"""
        return any(w.granted.done() for w in self._waits if _under(w.path, path))

    def _is_new(self, event: Event, now: datetime) -> bool:
        """Has the run never had the event before? It has from now on."""
        identity = identity_of_event(event)
        if identity in self._seen:
            self._note(event, "duplicate", now)
            return False
        self._remember(identity)
        return True

    def _remember(self, identity: str) -> None:
        self._seen[identity] = None
        self.state.seen.append(identity)
        while len(self.state.seen) > _SEEN:
            del self._seen[self.state.seen.pop(0)]

    def _note(
        self,
        event: Event,
        outcome: Outcome,
        now: datetime,
        subscription: str | None = None,
        path: str | None = None,
        reason: str | None = None,
    ) -> None:
        handled = self.state.handled
        handled.append(
            Handled(
                id=event.id,
                type=event.type,
                outcome=outcome,
                at=now,
                subscription=None if subscription is None else subscription.partition("[")[0],
                path=path,
                reason=reason,
            )
        )
        if len(handled) > _HANDLED:
            del handled[0]


def identity_of_event(event: Event) -> str:
    """What stands for an event among those seen: source and id together are its identity."""
    text = f"{event.source}\0{event.id}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=12).hexdigest()


def _fits(topic: str, topics: Sequence[str]) -> bool:
    """Does a wait on the topic take an event of these topics?"""
    return topic in topics or ("[" in topic and any_value(topic.partition("[")[0]) in topics)


def _size(stored: Stored) -> int:
    return len(msgspec.json.encode(stored.event))


def _under(path: str, parent: str) -> bool:
    rest = path[len(parent) :]
    return path.startswith(parent) and (not rest or rest[0] in ".[#")
