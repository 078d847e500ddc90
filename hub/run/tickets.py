"""A run's waits at correlators: what they are told, and what they send."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

import msgspec

from hub.errors import NodeFailed
from hub.event import Event
from hub.run.correlation import address_of
from hub.run.mailbox import identity_of_event, with_value
from hub.run.runs import Delivery
from hub.run.state import Errand, Failure, Outcome, Stored, Ticket
from hub.tree.concurrency import first_done, halt, spawn

if TYPE_CHECKING:
    from hub.run.run import TreeRun

__all__ = ["TicketOffice"]

_ERRAND = "#correlator"


class TicketOffice:
    """Keeps the tickets of one run, and does its errands one after the other.

    A ticket is for one event. An event that comes for a ticket which is over goes back where it
    was for this wait alone, so that another gets it.
    """

    def __init__(self, run: TreeRun) -> None:
        self._run = run
        self._task: asyncio.Task[None] | None = None
        self._doing: Errand | None = None

    # -- waits ----------------------------------------------------------------------------

    async def wait(
        self, path: str, subscription: str, value: str, *, after: int, turn: int, fresh: bool
    ) -> Stored:
        """Take an event of that value which the run has already, or wait for one.

        Raises `NodeFailed` when the correlator refuses the wait.
        """
        run = self._run
        topic = with_value(subscription, value)
        stored = run.mailbox.take(path, topic, after=after, now=run.home.now())
        if stored is None:
            number = self._of(path)
            if number is None:
                self._open(Ticket(path=path, subscription=subscription, value=value), fresh=fresh)
            elif (refused := self._open_tickets[number].refused) is not None:
                del self._open_tickets[number]
                raise NodeFailed(refused.code, refused.message, path)
            try:
                stored = await run.mailbox.wait(
                    path, topic, after=after, turn=turn, late="keep", now=run.home.now()
                )
            except NodeFailed:
                self._open_tickets.pop(self._of(path) or "", None)
                raise
            except asyncio.CancelledError:
                if not run.leaving:
                    self.give_up(path)
                raise
        self._satisfied(path, stored)
        return stored

    def awaits(self, subscription: str, value: str) -> bool:
        """Is a wait open for that value?"""
        return any(
            (ticket.subscription, ticket.value) == (subscription, value)
            for ticket in self._open_tickets.values()
        )

    def give_up(self, path: str) -> None:
        """The node waits no more. What had come for it alone goes back."""
        number = self._of(path)
        if number is None:
            return
        ticket = self._open_tickets.pop(number)
        exclusive = self._run.tree.subscriptions[ticket.subscription].deliver != "all"
        stored = self._run.mailbox.withdraw(number) if exclusive else None
        if stored is not None:
            self._send(
                msgspec.structs.replace(
                    self._errand("return", number, ticket),
                    event=stored.event,
                    trigger=self._run.tree.subscriptions[ticket.subscription].trigger,
                    expires_at=stored.expires_at,
                )
            )
        elif ticket.refused is None:
            self._close(number, ticket)

    def _satisfied(self, path: str, stored: Stored) -> None:
        open_, number = self._open_tickets, self._of(path)
        given = stored.ticket if stored.ticket in open_ else None
        if number is not None and given is not None and given != number:
            # It had come for another wait on the same value, which goes on with this one's ticket.
            open_[number] = msgspec.structs.replace(open_[number], path=open_[given].path)
            del open_[given]
        elif number is not None and given == number:
            del open_[number]
        elif number is not None:
            self._close(number, open_.pop(number))
        elif given is not None:
            self._reopen(given, stored.event)

    def _of(self, path: str) -> str | None:
        for number, ticket in self._open_tickets.items():
            if ticket.path == path:
                return number
        return None

    @property
    def _open_tickets(self) -> dict[str, Ticket]:
        return self._run.state.tickets.open

    def _open(self, ticket: Ticket, *, fresh: bool = False, without: str | None = None) -> None:
        tickets = self._run.state.tickets
        tickets.issued += 1
        number = f"{self._run.identity}-{tickets.issued}"
        tickets.open[number] = ticket
        errand = self._errand("subscribe", number, ticket)
        self._send(
            msgspec.structs.replace(errand, fresh=fresh, without=[without] if without else [])
        )

    def _close(self, number: str, ticket: Ticket) -> None:
        errands = self._run.state.tickets.errands
        for errand in errands:
            if errand.ticket == number and errand is not self._doing:
                # It was never told that the wait opened.
                errands.remove(errand)
                return
        self._send(self._errand("unsubscribe", number, ticket))

    def _reopen(self, number: str, event: Event) -> None:
        """The wait goes on: what came for it has been used by another wait of the run."""
        self._open(self._open_tickets.pop(number), without=identity_of_event(event))

    # -- what correlators send ------------------------------------------------------------

    def deliver(self, delivery: Delivery) -> Outcome:
        """Take in an event that a correlator gives to a wait of this run."""
        run = self._run
        number = delivery.ticket
        assert number is not None
        ticket = self._open_tickets.get(number)
        if ticket is None:
            self._give_back(delivery)
            return "ignored"
        outcome = run.mailbox.offer(
            delivery.event,
            [with_value(ticket.subscription, ticket.value)],
            run.home.now(),
            expires_at=delivery.expires_at,
            ticket=number,
        )
        if outcome == "duplicate":
            self._reopen(number, delivery.event)
        run.consider()
        return outcome

    def refuse(self, number: str, refusal: Failure) -> None:
        """The correlator does not take the wait."""
        ticket = self._open_tickets.get(number)
        if ticket is None:
            return
        # Kept until the node has heard of it, also where the run goes on in a new part before.
        self._open_tickets[number] = msgspec.structs.replace(ticket, refused=refusal)
        self._run.mailbox.refuse(
            ticket.path, NodeFailed(refusal.code, refusal.message, ticket.path)
        )

    def _give_back(self, delivery: Delivery) -> None:
        """The wait is over that the event was for: the correlator has it for another."""
        address = delivery.correlator
        if address is not None and address.deliver != "all" and delivery.ticket is not None:
            self._send(
                Errand(
                    what="return",
                    address=address,
                    ticket=delivery.ticket,
                    run_id=self._run.state.id,
                    run=self._run.identity,
                    event=delivery.event,
                    trigger=delivery.trigger,
                    expires_at=delivery.expires_at,
                )
            )

    # -- errands --------------------------------------------------------------------------

    def resume(self) -> None:
        """Do what an earlier part of the run has left to do."""
        state = self._run.state.tickets
        if state.errands and (self._task is None or self._task.done()) and not self._run.leaving:
            self._task = spawn(self._work())

    async def pause(self) -> None:
        """Stop where it is; what is left is done by the next part of the run."""
        if self._task is not None:
            await halt([self._task])

    async def finish(self) -> None:
        """The run is over: end all its waits, and return once the correlators know."""
        for ticket in list(self._open_tickets.values()):
            self.give_up(ticket.path)
        while self._task is not None and not self._task.done():
            try:
                await first_done([self._task])
            except asyncio.CancelledError:
                # It is over already, whoever asks it to stop; but it may be dropped from memory.
                if self._run.leaving:
                    await halt([self._task])
                    raise
        self._task = None

    def _send(self, errand: Errand) -> None:
        self._run.state.tickets.errands.append(errand)
        self.resume()

    async def _work(self) -> None:
        run = self._run
        errands = run.state.tickets.errands
        while errands:
            await run.admit(_ERRAND)
            # What was to be told may have come to nothing meanwhile.
            if not errands:
                run.landed(_ERRAND)
                return
            errand = self._doing = errands[0]
            try:
                await run.home.correlate(errand)
            except NodeFailed as error:
                # Temporal does not take it, now or later.
                self.refuse(errand.ticket, Failure(code=error.failure, message=error.message))
            finally:
                self._doing = None
                run.landed(_ERRAND)
            errands.remove(errand)

    def _errand(
        self, what: Literal["subscribe", "unsubscribe", "return"], number: str, ticket: Ticket
    ) -> Errand:
        run = self._run
        subscription = run.tree.subscriptions[ticket.subscription]
        return Errand(
            what=what,
            address=address_of(run.tree.name, subscription, ticket.value),
            ticket=number,
            run_id=run.state.id,
            run=run.identity,
        )
