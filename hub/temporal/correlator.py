"""The workflow that a correlator is: see `hub.run.correlation` for what it does.

It ends by itself when nobody waits and nothing is kept. What comes in meanwhile is not lost: the
server lets no workflow end that has not seen all its signals.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec
from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError, FailureError

from hub.run.correlation import Correlator, CorrelatorState, Letter, Refusal, Waiter
from hub.run.runs import Delivery
from hub.run.state import Address
from hub.temporal.run_input import Limits
from hub.tree.concurrency import first_done, spawn

__all__ = ["CORRELATOR", "CorrelatorInput", "CorrelatorWorkflow", "GivenBack"]

_T = TypeVar("_T")

CORRELATOR = "hub.correlator"
"""The type of these workflows; no tree can be called so."""

_AT_ONCE = 50
_MOMENT = timedelta(milliseconds=1)
_PAUSE = timedelta(seconds=5)


class CorrelatorInput(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a correlator is started with. `state` is there when it continues an earlier part."""

    address: Address
    state: CorrelatorState | None = None
    limits: Limits = Limits()


class GivenBack(msgspec.Struct, frozen=True, kw_only=True):
    """The payload of the signal `return`."""

    ticket: str
    delivery: Delivery


@workflow.defn(name=CORRELATOR)
class CorrelatorWorkflow:
    """One correlator, natively on Temporal."""

    @workflow.init
    def __init__(self, given: CorrelatorInput) -> None:
        self._given = given
        self._core = Correlator(given.state or CorrelatorState(address=given.address))
        self._signals = 0
        self._news: asyncio.Future[None] | None = None

    @workflow.run
    async def run(self, given: CorrelatorInput) -> None:
        """Live until nobody waits and nothing is kept."""
        core = self._core
        timer: asyncio.Task[None] | None = None
        until: datetime | None = None
        while True:
            await self._send()
            if core.is_idle(workflow.now()):
                return
            if core.is_quiet and self._is_long():
                workflow.continue_as_new(msgspec.structs.replace(self._given, state=core.state))
            ends = core.ends_at()
            # One timer for the last of what is kept; one that has been set is left to fire.
            if ends is not None and (timer is None or timer.done() or (until and ends < until)):
                until = ends
                timer = spawn(self._sleep(max(ends - workflow.now(), _MOMENT)))
            news = self._news = asyncio.get_running_loop().create_future()
            await first_done([news] if timer is None or timer.done() else [news, timer])

    @staticmethod
    async def _sleep(duration: timedelta) -> None:
        await workflow.sleep(duration, summary="the last of what is kept")

    async def _send(self) -> None:
        """Send the letters, many at once; what runs that are gone do not take makes new ones."""
        while letters := self._core.take_letters(_AT_ONCE):
            reached = await asyncio.gather(*(self._sent(letter) for letter in letters))
            for letter, is_there in zip(letters, reached, strict=True):
                self._core.sent(letter, workflow.now(), reached=is_there)

    async def _sent(self, letter: Letter) -> bool:
        """Signal the run. False when no such run is live."""
        run = workflow.get_external_workflow_handle(letter.waiter.run_id)
        while True:
            try:
                if letter.delivery is not None:
                    await run.signal("event", letter.delivery)
                elif letter.refusal is not None:
                    refusal = Refusal(ticket=letter.waiter.ticket, failure=letter.refusal)
                    await run.signal("refused", refusal)
            except FailureError as error:
                if _is_missing(error):
                    return False
                # The run takes no more signals in this part of it.
                await workflow.sleep(_PAUSE)
            else:
                return True

    def _is_long(self) -> bool:
        info, limits = workflow.info(), self._given.limits
        return (
            info.is_continue_as_new_suggested()
            or info.get_current_history_length() >= limits.events
            or info.get_current_history_size() >= limits.size
            or self._signals >= limits.signals
        )

    # -- what comes in ----------------------------------------------------------------------

    def _heard(self) -> None:
        self._signals += 1
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    @workflow.signal(name="event")
    def event(self, payload: RawValue) -> None:
        """An event that has the correlator's value."""
        delivery = _read(payload, Delivery)
        if delivery is not None:
            self._core.offer(delivery, workflow.now())
        self._heard()

    @workflow.signal(name="subscribe")
    def subscribe(self, payload: RawValue) -> None:
        """A wait of a run has opened."""
        waiter = _read(payload, Waiter)
        if waiter is not None:
            self._core.subscribe(waiter, workflow.now())
        self._heard()

    @workflow.signal(name="unsubscribe")
    def unsubscribe(self, payload: RawValue) -> None:
        """A wait of a run is over."""
        ticket = _read(payload, str)
        if ticket is not None:
            self._core.unsubscribe(ticket)
        self._heard()

    @workflow.signal(name="return")
    def give_back(self, payload: RawValue) -> None:
        """An event came to a run when its wait was over."""
        given = _read(payload, GivenBack)
        if given is not None:
            self._core.give_back(given.ticket, given.delivery, workflow.now())
        self._heard()

    @workflow.query(name="state")
    def state(self) -> CorrelatorState:
        """Who waits, what is kept, and what became of the latest events."""
        return self._core.state


def _read(payload: RawValue, kind: type[_T]) -> _T | None:
    # A signal that cannot be read would otherwise block the correlator for ever.
    try:
        value: _T = workflow.payload_converter().from_payload(payload.payload, kind)
        return value
    except RuntimeError as error:
        workflow.logger.error("a signal does not decode: %s", error)
        return None


def _is_missing(error: FailureError) -> bool:
    kind = error.type if isinstance(error, ApplicationError) else ""
    return "NotFound" in (kind or "") or "not found" in error.message
