"""What differs between the places where runs live, as a run sees it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from hub.run.runs import Delivery
from hub.run.state import Errand
from hub.tree.node import Retry

__all__ = ["EMIT", "ActionCall", "ChildCall", "Home"]

EMIT = "hub.emit"
"""The action that sends an event into the hub: `{"trigger": name, "event": {CloudEvents JSON}}`."""


class ActionCall(msgspec.Struct, frozen=True, kw_only=True):
    """One action to be done: what the worker that does it is told.

    `idempotency_key` is the same for every attempt. `nonce` marks the places in `arguments` and
    `scope` where the worker puts signed links, so that no link stands in a history. `scope` is
    there only for actions that ask for it. `traceparent` is the trace that the run's start event is a
    part of, where it is one.
    """

    action: str
    arguments: dict[str, Any]
    path: str
    run_id: str
    tree: str
    key: str | None
    idempotency_key: str
    nonce: str
    connection: str | None = None
    scope: dict[str, Any] | None = None
    label: str | None = None
    traceparent: str | None = None


class ChildCall(msgspec.Struct, frozen=True, kw_only=True):
    """Another tree to be run: its definition as it was pinned, and the event that starts it.

    `trees` are the definitions that it and those below it may run in turn.
    """

    run_id: str
    tree: str
    key: str | None
    hash: str
    document: bytes
    trees: Mapping[str, bytes]
    delivery: Delivery
    path: str
    detach: bool


class Home(Protocol):
    """Where a run lives: its clock, its durable waits, and its hands."""

    def leaving(self) -> bool:
        """Is the home dropping the run from its memory? Then nothing may be cleaned up."""

    def is_long(self, *, very: bool = False) -> bool:
        """Has so much happened that the run should go on in a new part, and very soon?"""

    async def settle(self) -> None:
        """Return once all that has come in at this moment, cancellations too, has been seen."""

    async def child(self, call: ChildCall) -> Any:
        """Start a run and give its result, or its id at once if it is detached.

        Raises `NodeFailed` when it fails or cannot be started, and `asyncio.CancelledError` once a
        run that was cancelled with this one has really ended.
        """

    @property
    def correlates(self) -> bool:
        """Are there correlators? Where there are none, all that has a value comes to the run."""

    async def correlate(self, errand: Errand) -> None:
        """Tell a correlator; it is done when this returns, also if the run is dropped meanwhile.

        Raises `NodeFailed` when that can never be.
        """

    def now(self) -> datetime:
        """The run's clock, in UTC; the same on every replay."""

    def new_id(self) -> str:
        """A fresh id that outsiders cannot guess; the same on every replay."""

    async def sleep(self, duration: timedelta, summary: str) -> None:
        """Wait durably."""

    async def call(self, call: ActionCall, retry: Retry | None) -> Any:
        """Have the action done, tried again as `retry` says, or else as the home's default is.

        Returns its JSON result. Raises `NodeFailed`, or `asyncio.CancelledError` once a
        cancelled action has really ended.
        """

    def wants_scope(self, action: str) -> bool:
        """Does the action ask for the run's scope beside its arguments?"""

    def log(self, level: str, message: str, fields: dict[str, Any]) -> None:
        """Write a line to the log, once."""

    def changed(self) -> None:
        """The state document has changed: show it to those who look at the run from outside."""
