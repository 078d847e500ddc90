"""One run of a tree: from its start event to its end, in as many parts as it takes.

A node whose outcome stands in the state is not run again, so a run can be cut at any moment
when no action is in flight, and taken up from its document.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Literal

import msgspec

from hub.errors import ExpressionError, NodeFailed
from hub.event import Event
from hub.run.approvals import Desk
from hub.run.home import Home
from hub.run.key import key_text
from hub.run.mailbox import MAX_STORED, MAX_STORED_BYTES, Mailbox, any_value, with_value
from hub.run.runs import CALLBACK, Delivery
from hub.run.state import Failure, Outcome, RunState
from hub.run.tickets import TicketOffice
from hub.run.view import View, failure_of
from hub.tree import SKIPPED, Subscription, Tree
from hub.tree.concurrency import first_done, halt, spawn

__all__ = ["MAX_STATE_BYTES", "Suspended", "TreeRun", "identity_of"]

MAX_STATE_BYTES = 1_800_000
"""How large a run's state may be, as JSON, to be carried over; a payload may have 2 MB."""


_CANCEL = "cancel_on"
_MOMENT = timedelta(milliseconds=1)


def identity_of(nonce: str) -> str:
    """What tells a run from others of its key, in all its parts; it may be shown outside."""
    return hashlib.sha256(f"identity:{nonce}".encode()).hexdigest()[:20]


class Suspended(Exception):
    """The run has stopped where it was. It goes on from its state, in a new part."""


class TreeRun:
    """A run at work. `deliver` may be called at any time, also before `main` begins.

    `trees` are the definitions of the trees that it may run, by name; `groups` are the people whom
    approvals may ask, as they were when the run began.
    """

    def __init__(
        self,
        tree: Tree,
        state: RunState,
        home: Home,
        trees: Mapping[str, bytes] | None = None,
        groups: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.tree = tree
        self.state = state
        self.home = home
        self.trees = trees or {}
        self.groups = groups or {}
        self.desk = Desk(self)
        self.mailbox = Mailbox(state.mailbox)
        self.suspending = False
        self._awake: asyncio.Future[None] = loop.create_future()
        self._in_flight: dict[str, None] = {}
        self._stopping = False
        self._long: asyncio.Future[None] = loop.create_future()
        self._quiet: asyncio.Future[None] = loop.create_future()
        self._admission: asyncio.Future[None] = loop.create_future()
        self._stop: asyncio.Future[None] = loop.create_future()
        self._too_large: NodeFailed | None = None
        self.successor: list[Delivery] = []
        """What begins this run again once it has cleaned up, and the events that follow it."""
        if not state.nonce:
            state.nonce = home.new_id()
        self.identity = identity_of(state.nonce)
        self.tickets = TicketOffice(self)
        if state.event is not None:
            self._awake.set_result(None)

    @cached_property
    def event(self) -> dict[str, Any]:
        """The start event as expressions see it."""
        assert self.state.event is not None
        return self.state.event.to_cloudevent()

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """The events that were gathered for its start, as expressions see them."""
        return [event.to_cloudevent() for event in self.state.events] or [self.event]

    @property
    def leaving(self) -> bool:
        """Is the run put away, to go on later? Then its state stays as it is."""
        return self.suspending or self.home.leaving()

    # -- its life -------------------------------------------------------------------------

    async def main(self) -> Any:
        """Live the run from its start event, or from where its state says, to its end.

        A dormant run that nothing starts in time fails with the code `expired`. Returns the tree's result. Raises `NodeFailed` when the tree fails and
        `asyncio.CancelledError` when the run is cancelled and has cleaned up; the state says so in
        each case. To cancel it, cancel the task; to do so again while it cleans up changes nothing.
        Raises `Suspended` when it has become so long that it should go on in a new part.
        """
        state = self.state
        try:
            await self._wakened()
        except asyncio.CancelledError:
            if not self.leaving:
                self._end("cancelled")
            raise
        if state.started_at is None:
            state.started_at = self.home.now()
        state.status = "running"
        self.home.changed()
        view = View(self, halted=state.cancelling)
        try:
            result = await self._seen_out(view)
        except NodeFailed as error:
            self._end("failed", error=failure_of(error))
            raise
        except asyncio.CancelledError:
            if self.leaving:
                raise
            if self._too_large is not None:
                self._end("failed", error=failure_of(self._too_large))
                raise self._too_large from None
            self._end("cancelled")
            raise
        state.result = None if result is SKIPPED else result
        self._end("succeeded")
        return state.result

    async def _wakened(self) -> None:
        """Return once the start event is there. Raises `NodeFailed` when it does not come in time."""
        while not self._awake.done():
            deadline = self.state.expires_at
            timers: list[asyncio.Task[None]] = []
            if deadline is not None:
                left = max(deadline - self.home.now(), _MOMENT)
                timers.append(spawn(self.home.sleep(left, "dormant until its start event")))
            try:
                await first_done([self._awake, self._long, *timers])
            except asyncio.CancelledError:
                await halt(timers)
                raise
            await halt(timers)
            if self._awake.done():
                return
            if self._long.done():
                await self.home.settle()
                if not self._awake.done():
                    self.suspending = True
                    raise Suspended
            elif deadline == self.state.expires_at:
                error = NodeFailed("expired", "the event that starts the run did not come in time")
                self._end("expired", error=failure_of(error))
                raise error

    async def _seen_out(self, view: View) -> Any:
        """Live the tree to its end, and let no correlator think that the run still waits."""
        self.tickets.resume()
        try:
            result = await self._watched(view)
        except (NodeFailed, asyncio.CancelledError):
            await self._leave_correlators()
            raise
        except Suspended:
            await self.tickets.pause()
            raise
        await self._leave_correlators()
        return result

    async def _leave_correlators(self) -> None:
        if not self.leaving:
            self._admit_again()
            await self.tickets.finish()

    async def _live(self, view: View) -> Any:
        for name, template in self.tree.vars.items():
            if name not in self.state.vars:
                self.state.vars[name] = view.evaluate(template)
        return await view.execute(self.tree.do)

    async def _watched(self, view: View) -> Any:
        """Live the tree, and meanwhile heed who cancels the run, and its length."""
        work = spawn(self._live(view))
        self.consider()
        while not work.done():
            # The cleaning up of a cancelled run is lived to its end in one part.
            watched = [work] if self.state.cancelling else [work, self._stop, self._long]
            try:
                await first_done(watched)
                if not work.done() and self._stop.done():
                    self._cancel(work)
                elif not work.done() and not self.state.cancelling:
                    await self._cut(work)
            except asyncio.CancelledError:
                if self.leaving:
                    await halt([work])
                    raise
                self._cancel(work)
        if work.cancelled():
            # Work that was cancelled before it began has not cleaned up what earlier parts did.
            await view.settle(self.tree.do)
        return work.result()

    def _cancel(self, work: asyncio.Task[Any]) -> None:
        if not self.state.cancelling:
            self.state.cancelling = True
            self._admit_again()
            work.cancel()

    def _end(
        self,
        status: Literal["succeeded", "failed", "cancelled", "expired"],
        error: Failure | None = None,
    ) -> None:
        self.state.status = status
        self.state.error = error
        self.state.ended_at = self.home.now()
        self.state.waiting_for = []
        self.home.changed()

    # -- parts ----------------------------------------------------------------------------

    def consider(self) -> None:
        """Something has happened: is the run to go on in a new part?"""
        if not self._long.done() and self.home.is_long():
            self._long.set_result(None)

    @property
    def in_flight(self) -> list[str]:
        """The paths of the nodes that are doing something outside of the run."""
        return list(self._in_flight)

    def go_on(self) -> None:
        """Go on in a new part as soon as nothing is in flight."""
        if not self._long.done():
            self._long.set_result(None)

    @property
    def is_ending(self) -> bool:
        """Has somebody asked the run to stop, or to begin again?"""
        return self._stop.done() or bool(self.successor) or self.state.cancelling

    async def admit(self, path: str) -> None:
        """Return when the node may do something outside of the run, and count it as in flight.

        A run that is to go on in a new part begins nothing while it could be cut, and nothing at
        all when it has become very long.
        """
        while self._stopping and (not self._in_flight or self.home.is_long(very=True)):
            await first_done([self._admission])
        self._in_flight[path] = None

    def landed(self, path: str) -> None:
        """What the node has done is over, and its outcome stands in the state."""
        self._in_flight.pop(path, None)
        if not self._in_flight and not self._quiet.done():
            self._quiet.set_result(None)

    async def _cut(self, work: asyncio.Task[Any]) -> None:
        """Stop the run where it is, once nothing is in flight. Raises `Suspended`."""
        self._stopping = True
        while self._in_flight:
            self._quiet = asyncio.get_running_loop().create_future()
            await first_done([work, self._stop, self._quiet])
            if work.done() or self._stop.done():
                return
        await self.home.settle()
        if work.done() or self._stop.done() or self._in_flight:
            return
        if len(msgspec.json.encode(self.state)) > MAX_STATE_BYTES:
            self._too_large = NodeFailed(
                "state_too_large",
                f"the run's state has become larger than {MAX_STATE_BYTES:,} bytes, so it cannot go "
                "on: keep less in variables and results",
            )
            self._cancel(work)
            return
        self.suspending = True
        try:
            await halt([work])
        except asyncio.CancelledError:
            # Cancelled in the very turn: the next part begins with that.
            self.state.cancelling = True
        if work.cancelled():
            raise Suspended
        # It came to its end in the very turn.
        self.suspending = False

    def _admit_again(self) -> None:
        self._stopping = False
        if not self._admission.done():
            self._admission.set_result(None)

    # -- events ---------------------------------------------------------------------------

    def deliver(self, delivery: Delivery) -> Outcome:
        """Take in one event; say what became of it. Never raises for what an event contains."""
        now, mailbox, event = self.home.now(), self.mailbox, delivery.event
        if delivery.ticket is not None:
            return self.tickets.deliver(delivery)
        if self.successor:
            # What comes after the event that begins the run again is for the run that it begins.
            return self._hand_on(delivery)
        if self._is_of_another(delivery):
            reason = "its link was sent by an earlier run of the same key"
            return "ignored" if mailbox.used(event, "ignored", now, reason=reason) else "duplicate"
        if delivery.earlier and self._awake.done():
            # Gathered for a start; a run that is live already takes each for itself.
            for one in delivery.earlier:
                self.deliver(msgspec.structs.replace(delivery, event=one, earlier=()))
        names = self._subscriptions(delivery)
        start = self.tree.start
        if not self._awake.done():
            if start.event in names:
                return self._wake(event, now, delivery.earlier)
            if delivery.expires_at is not None:
                latest = self.state.expires_at or delivery.expires_at
                self.state.expires_at = max(latest, delivery.expires_at)
        elif start.event in names and start.when_running != "deliver":
            names.remove(start.event)
            if not names:
                reason = f"the run is live, and `when_running` is {start.when_running}"
                new = mailbox.used(event, "ignored", now, reason=reason)
                return "ignored" if new else "duplicate"
        if self._awake.done() and self.tree.cancel_on in names:
            assert self.tree.cancel_on is not None
            if not mailbox.used(
                event, "resumed", now, subscription=self.tree.cancel_on, path=_CANCEL
            ):
                return "duplicate"
            self._request_end()
            return "resumed"
        outcome = mailbox.offer(
            event,
            self._topics(delivery, names),
            now,
            expires_at=None if self._awake.done() else delivery.expires_at,
        )
        self.consider()
        return outcome

    def restart(self, delivery: Delivery) -> Outcome:
        """Clean up and end, to begin again with this event; a dormant run just begins.

        The events that come until then are kept in `successor`, for the run that follows.
        """
        if not self._awake.done():
            return self.deliver(delivery)
        now = self.home.now()
        reason = "the run cleans up, and begins again with this event"
        fresh = [
            event
            for event in (*delivery.earlier, delivery.event)
            if self.mailbox.used(event, "started", now, reason=reason)
        ]
        if not fresh:
            return "duplicate"
        delivery = msgspec.structs.replace(delivery, event=fresh[-1], earlier=fresh[:-1])
        # Of several such events in a row the last one counts.
        self.successor = [delivery]
        self._request_end()
        return "started"

    def follow(self, deliveries: Sequence[Delivery], seen: Sequence[str]) -> None:
        """Begin as the run that follows another of its key, which has seen some events already."""
        self.mailbox.recognise(seen)
        for delivery in deliveries:
            self.deliver(delivery)

    def seen_for_successor(self) -> list[str]:
        """The events that the run which follows must recognise as used."""
        return self.mailbox.seen_without(
            [event for one in self.successor for event in (*one.earlier, one.event)]
        )

    def _hand_on(self, delivery: Delivery) -> Outcome:
        now, handed = self.home.now(), self.successor
        if len(handed) > MAX_STORED or sum(_size(one) for one in handed) > MAX_STORED_BYTES:
            return "rejected" if self.mailbox.used(delivery.event, "rejected", now) else "duplicate"
        reason = "it is for the run that follows this one"
        if not self.mailbox.used(delivery.event, "buffered", now, reason=reason):
            return "duplicate"
        handed.append(delivery)
        return "buffered"

    def _request_end(self) -> None:
        if not self._stop.done():
            self._stop.set_result(None)

    def _is_of_another(self, delivery: Delivery) -> bool:
        """Does a callback link belong to another run of this key?"""
        first = delivery.event.extensions.get("hubfirstrun")
        return delivery.trigger == CALLBACK and first is not None and first != self.identity

    def _wake(self, event: Event, now: datetime, earlier: Sequence[Event] = ()) -> Outcome:
        start = self.tree.start
        gathered = [
            one
            for one in (*earlier, event)
            if self.mailbox.used(one, "started", now, subscription=start.event)
        ]
        if not gathered:
            return "duplicate"
        event = gathered[-1]
        if start.gathers:
            self.state.events = gathered
        self.mailbox.wake(now)
        self.state.expires_at = None
        self.state.event = event
        self._awake.set_result(None)
        cancel_on = self.tree.cancel_on
        if cancel_on is not None and self.mailbox.take(_CANCEL, cancel_on, now=now):
            self._request_end()
        return "started"

    def _subscriptions(self, delivery: Delivery) -> list[str]:
        """Which of the tree's events this one is, by the definition that this run is pinned to."""
        if delivery.subscription is not None:
            return (
                [delivery.subscription] if delivery.subscription in self.tree.subscriptions else []
            )
        event = delivery.event.to_cloudevent()
        return [
            s.name
            for s in self.tree.subscriptions.values()
            if s.trigger == delivery.trigger and self._matches(s, event)
        ]

    def _topics(self, delivery: Delivery, names: Sequence[str]) -> list[str]:
        """What waits of the tree listen to that may use an event of these subscriptions."""
        tree = self.tree
        topics = [name for name in names if name in tree.keyed]
        for name, subscription in tree.subscriptions.items():
            if name not in tree.matched or delivery.subscription not in (None, name):
                continue
            if delivery.trigger == CALLBACK:
                # A link is for this very run, whatever it waits for.
                topics.append(any_value(name))
            elif name in names or delivery.subscription is None:
                value = self._value(subscription, delivery)
                # Elsewhere a correlator keeps it, and sends it once it is waited for.
                if value is not None and (
                    not self.home.correlates or self.tickets.awaits(name, value)
                ):
                    topics.append(with_value(name, value))
        return topics

    @staticmethod
    def _value(subscription: Subscription, delivery: Delivery) -> str | None:
        """The value that an event has for waits with `match`; None where it is not meant."""
        scope = {"event": delivery.event.to_cloudevent()}
        named = delivery.subscription == subscription.name
        if not named and subscription.trigger != delivery.trigger:
            return None
        try:
            where, key = subscription.where, subscription.key
            if not named and where is not None and not where.evaluate(scope):
                return None
            return None if key is None else key_text(key.evaluate(scope))
        except ExpressionError:
            return None

    def _matches(self, subscription: Subscription, event: dict[str, Any]) -> bool:
        scope = {"event": event}
        try:
            if subscription.where is not None and not subscription.where.evaluate(scope):
                return False
            if subscription.key is None:
                return subscription.name == self.tree.start.event
            return (
                self.state.key is not None
                and key_text(subscription.key.evaluate(scope)) == self.state.key
            )
        except ExpressionError:
            return False


def _size(delivery: Delivery) -> int:
    return len(msgspec.json.encode(delivery.event))
