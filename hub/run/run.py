"""One run of a tree: from its start event to its end, in as many parts as it takes.

A node whose outcome stands in the state is not run again, so a run can be cut at any moment
when no action is in flight, and taken up from its document.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

import msgspec

from hub.errors import ExpressionError, NodeFailed
from hub.run.home import Home
from hub.run.key import key_text
from hub.run.mailbox import Mailbox
from hub.run.runs import Delivery
from hub.run.state import Failure, Outcome, RunState
from hub.run.view import View, failure_of
from hub.tree import SKIPPED, Subscription, Tree
from hub.tree.concurrency import first_done, halt, spawn

__all__ = ["MAX_STATE_BYTES", "Suspended", "TreeRun"]

MAX_STATE_BYTES = 1_800_000
"""How large a run's state may be, as JSON, to be carried over; a payload may have 2 MB."""


class Suspended(Exception):
    """The run has stopped where it was. It goes on from its state, in a new part."""


class TreeRun:
    """A run at work. `deliver` may be called at any time, also before `main` begins.

    `trees` are the definitions of the trees that it may run, by name.
    """

    def __init__(
        self, tree: Tree, state: RunState, home: Home, trees: Mapping[str, bytes] | None = None
    ) -> None:
        loop = asyncio.get_running_loop()
        self.tree = tree
        self.state = state
        self.home = home
        self.trees = trees or {}
        self.mailbox = Mailbox(state.mailbox)
        self.suspending = False
        self._awake: asyncio.Future[None] = loop.create_future()
        self._in_flight: dict[str, None] = {}
        self._stopping = False
        self._long: asyncio.Future[None] = loop.create_future()
        self._quiet: asyncio.Future[None] = loop.create_future()
        self._admission: asyncio.Future[None] = loop.create_future()
        self._too_large: NodeFailed | None = None
        if not state.nonce:
            state.nonce = home.new_id()
        if state.event is not None:
            self._awake.set_result(None)

    @cached_property
    def event(self) -> dict[str, Any]:
        """The start event as expressions see it."""
        assert self.state.event is not None
        return self.state.event.to_cloudevent()

    @property
    def leaving(self) -> bool:
        """Is the run put away, to go on later? Then its state stays as it is."""
        return self.suspending or self.home.leaving()

    # -- its life -------------------------------------------------------------------------

    async def main(self) -> Any:
        """Live the run from its start event, or from where its state says, to its end.

        Returns the tree's result. Raises `NodeFailed` when the tree fails and
        `asyncio.CancelledError` when the run is cancelled and has cleaned up; the state says so in
        each case. To cancel it, cancel the task; to do so again while it cleans up changes nothing.
        Raises `Suspended` when it has become so long that it should go on in a new part.
        """
        state = self.state
        try:
            await first_done([self._awake])
        except asyncio.CancelledError:
            if not self.leaving:
                self._end("cancelled")
            raise
        if state.started_at is None:
            state.started_at = self.home.now()
        state.status = "running"
        view = View(self, halted=state.cancelling)
        try:
            result = await self._watched(view)
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
            watched = [work] if self.state.cancelling else [work, self._long]
            try:
                await first_done(watched)
                if not work.done() and not self.state.cancelling:
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
        self, status: Literal["succeeded", "failed", "cancelled"], error: Failure | None = None
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
            await first_done([work, self._quiet])
            if work.done():
                return
        await self.home.settle()
        if work.done() or self._in_flight:
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
        now = self.home.now()
        names = self._subscriptions(delivery)
        if not self._awake.done() and self.tree.start.event in names:
            if not self.mailbox.used(delivery.event, "started", now):
                return "duplicate"
            self.state.event = delivery.event
            self._awake.set_result(None)
            return "started"
        outcome = self.mailbox.offer(
            delivery.event, [name for name in names if name in self.tree.waits], now
        )
        self.consider()
        return outcome

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
