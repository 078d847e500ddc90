"""What differs between the places where runs live, as a run sees it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from hub.tree.node import Retry

__all__ = ["ActionCall", "Home"]


class ActionCall(msgspec.Struct, frozen=True, kw_only=True):
    """One action to be done: what the worker that does it is told.

    `idempotency_key` is the same for every attempt. `nonce` marks the places in `arguments` and
    `scope` where the worker puts signed links, so that no link stands in a history. `scope` is
    there only for actions that ask for it.
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


class Home(Protocol):
    """Where a run lives: its clock, its durable waits, and its hands."""

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
