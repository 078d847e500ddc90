"""The mailbox: the events that a run has received, and the waits that they satisfy."""

from __future__ import annotations

import asyncio
import hashlib
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from hub.event import Event
from hub.run.state import Handled, MailboxState, Outcome, Stored

__all__ = ["MAX_STORED", "MAX_STORED_BYTES", "Mailbox"]

_SEEN = 1000
"""How many event ids a run remembers as used, for recognising a repeated delivery."""
_HANDLED = 200
"""How many events the run can tell the fate of."""
MAX_STORED = 1000
"""How many unused events a run keeps; those beyond it are rejected."""
MAX_STORED_BYTES = 512 * 1024
"""How large unused events may be together, as JSON."""


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
    they first opened, also in a later part of the run.
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
    ) -> Outcome:
        """Take in an event that satisfies the given subscriptions; say what became of it."""
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
        )
        for wait in self._waits:
            if wait.subscription in subscriptions and not wait.granted.done():
                wait.granted.set_result(stored)
                self._note(event, "resumed", now, wait.subscription, wait.path)
                return "resumed"
        if all(name in self.state.lapsed for name in subscriptions):
            self._note(event, "late", now, subscriptions[0])
            return "late"
        size = _size(stored)
        if len(self.state.stored) >= MAX_STORED or self._bytes + size > MAX_STORED_BYTES:
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
        left_out = {_identity(event) for event in events}
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
            if subscription in stored.subscriptions and stored.number > after:
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
                self.put_back(wait.granted.result())
            elif wait.lapsing and wait.late != "keep" and subscription not in self.state.lapsed:
                self.state.lapsed.append(subscription)
            raise
        finally:
            self._waits.remove(wait)

    def put_back(self, stored: Stored) -> None:
        """Give an event to another wait after all: what had taken it was given up."""
        for wait in self._waits:
            if wait.subscription in stored.subscriptions and not wait.granted.done():
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
        identity = _identity(event)
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
                subscription=subscription,
                path=path,
                reason=reason,
            )
        )
        if len(handled) > _HANDLED:
            del handled[0]


def _identity(event: Event) -> str:
    """What stands for an event among those seen: source and id together are its identity."""
    text = f"{event.source}\0{event.id}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=12).hexdigest()


def _size(stored: Stored) -> int:
    return len(msgspec.json.encode(stored.event))


def _under(path: str, parent: str) -> bool:
    rest = path[len(parent) :]
    return path.startswith(parent) and (not rest or rest[0] in ".[#")
