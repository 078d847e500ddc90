"""What the rest of the hub may ask of the place where runs live."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from hub.event import Event
from hub.run.state import Address, Outcome, RunState, RunStatus
from hub.tree import Rerun

if TYPE_CHECKING:
    from hub.run.correlation import CorrelatorState, Word
    from hub.run.flow import Fate, Offer

__all__ = ["CALLBACK", "Delivery", "Offered", "RunPage", "RunSummary", "Runs", "Start", "Started"]

CALLBACK = "callback"
"""The trigger of the hub's own signed links: its events name their run themselves."""

Started = Literal["started", "running", "closed"]
Offered = Literal["started", "delivered", "no_run"]


class Delivery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event on its way into one run: the payload of the signal `event`.

    `subscription` is set where the sender has already named the wait (a callback link); otherwise
    the run finds the subscriptions by its own pinned definition. `expires_at` is until when the
    event is kept if it comes before the run has been started, or before a run waits for its value.
    `ticket` names the wait that a `correlator` gives it to. Of a start that was gathered from several
    events, `event` is the last, and `earlier` are those before it.
    """

    event: Event
    trigger: str
    subscription: str | None = None
    expires_at: datetime | None = None
    earlier: Sequence[Event] = ()
    ticket: str | None = None
    correlator: Address | None = None


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """A run to be started: by which event, with which definition pinned.

    `document` is the tree's definition as canonical JSON, `hash` its content hash. `trees` are the
    definitions of the trees that it may run, by name, `groups` the people whom they may ask for
    approval. Starting twice by the same `event.id` is one
    start, also after the run has closed. `rerun` says whether a run of that id that has ended lets
    another begin. A `dormant` run keeps the event and waits for the one that starts it.
    `waiting_for` are the events that it is known to wait for as soon as it begins.
    """

    run_id: str
    tree: str
    key: str | None
    hash: str
    document: bytes
    delivery: Delivery
    trees: Mapping[str, bytes] = {}
    groups: Mapping[str, Sequence[str]] = {}
    rerun: Rerun = "always"
    dormant: bool = False
    waiting_for: Sequence[str] = ()


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A run as lists show it."""

    id: str
    tree: str
    key: str | None
    status: RunStatus
    started_at: datetime | None
    ended_at: datetime | None
    waiting_for: list[str]


class RunPage(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a list of runs; `next` is the cursor of the part that follows, or None."""

    items: Sequence[RunSummary]
    next: str | None = None


class Runs(Protocol):
    """Where runs live. Every method raises `Unreachable` when that place does not answer."""

    async def start(self, start: Start) -> Started:
        """Start the run unless one of that id is running.

        "started" also when this very event had started it before (open or closed by now),
        "running" when another start owns the id, "closed" when a run of that id has ended and
        `rerun` lets no other begin; then nothing was done.
        """

    async def restart(self, start: Start) -> bool:
        """Have the live run clean up and begin again with this start. False when there is none."""

    async def hold(self, gate: str, offer: Offer, start: Start) -> bool:
        """Give a gate a start event to hold back: see `hub.run.flow`.

        `start` is how the gate starts runs from now on. False when it is full: nothing was done.
        """

    async def fate(self, gate: str, event: Event, since: datetime | None = None) -> Fate | None:
        """What became of an event at the gate of that id, or at one that has ended since that time."""

    async def had(self, run_id: str, delivery: Delivery, since: datetime) -> Outcome | None:
        """What became of the event at the run of that id, if that has ended since that time."""

    async def live(self, tree: str, key: str) -> Sequence[str]:
        """The ids of the live runs of a key, as far as the index that is asked knows them yet."""

    async def is_live(self, run_id: str) -> bool:
        """Is there a run of that id which has not ended? It is the run itself that is asked for."""

    async def uses(self, tree: str, hash: str) -> bool:  # noqa: A002
        """May a live run of the tree be pinned to the definition of that hash?"""

    async def deliver(self, run_id: str, delivery: Delivery) -> bool:
        """Hand the event to the live run. False when there is none."""

    async def offer(self, address: Address, delivery: Delivery) -> Offered:
        """Hand the event to a correlator, for the runs that wait for its value.

        "started" where nobody waits and the event is kept until `delivery.expires_at`, "delivered"
        where the correlator exists, which gives or keeps it, and "no_run" where none does and the
        event is not to be kept.
        """

    async def correlator(self, correlator_id: str) -> CorrelatorState | None:
        """Who waits at a correlator and what it keeps; None where there is none, or was none."""

    async def word(self, correlator_id: str, delivery: Delivery, since: datetime) -> Word | None:
        """What became of the event at correlators of that id that have ended since that time."""

    async def list(
        self,
        *,
        tree: str | None = None,
        key: str | None = None,
        text: str | None = None,
        status: str | None = None,
        waiting_for: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> RunPage:
        """Runs, newest first. `text` is how a run's id or its key begins."""

    async def show(self, run_id: str) -> RunState:
        """The state document of a run, open or closed. Raises `NotFound`."""

    def follow(self, run_id: str) -> AsyncIterator[RunState]:
        """The state document of a run now, and again whenever it has changed, until the run ends.

        Of changes in quick succession only the last is told, and one may be told twice. The last
        document is that of the run's end. Raises `NotFound`.
        """

    async def cancel(self, run_id: str) -> None:
        """Ask the run to stop: its `finally` and `undo` parts still run. Raises `NotFound`."""

    async def terminate(self, run_id: str, reason: str) -> None:
        """End the run at once; nothing of it runs any more. Raises `NotFound`."""

    async def forward(self, run_id: str, by: timedelta) -> None:
        """Let the run's own clock jump ahead; a development server only. Raises `Conflict`."""
