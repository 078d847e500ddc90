"""The audit log's words: who changed what, how they were known, and what became of it.

Whoever changes something for a person writes it down, before it is done and after:

    async with audit.change(actor, "run.cancel", run_id) as change:
        await runs.cancel(run_id)
        change.after = {"status": "cancelling"}      # where there is something to say

The entry is on disk as `begun` before the block runs, and is `done` at its end; `refused` where the
block raises an error that is the caller's (`HubError` under 500), `failed` for any other. An entry
that stays `begun` is that of a process that died in between: it may have been done or not. What has
happened already, such as a sign-in, is written by `audit.note(...)`. An approval's decision is
`approval.approve` or `approval.reject` with the run and the node's path as its object; by a link or
a chat button, the actor's `how` says so.

Actions are `<thing>.<verb>`. `before` and `after` are JSON values; secrets that the process knows are
taken out of them, and what is larger than 64 KiB is kept as its size and its SHA-256.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

__all__ = ["Actor", "Audit", "AuditOutcome", "AuditPage", "AuditRecord", "Change", "How"]

How = Literal["session", "token", "link", "chat", "cli", "development", "anonymous"]
"""How the hub knew who it was: signed in on the page, by an API token, by a signed link, by a button
in a chat, by a command on the journal itself, as the local user of `hub dev`, or not at all."""

AuditOutcome = Literal["begun", "done", "refused", "failed"]


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who does something. `credential` is what of a token may be shown, `address` the caller's."""

    who: str
    how: How
    credential: str | None = None
    address: str | None = None


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the audit log."""

    id: int
    at: datetime
    who: str
    how: How
    credential: str | None
    address: str | None
    action: str
    object: str
    outcome: AuditOutcome
    reason: str | None
    before: Any
    after: Any


class AuditPage(msgspec.Struct, frozen=True, kw_only=True):
    """Entries, newest first; `next` is the cursor of the rest."""

    items: list[AuditRecord]
    next: str | None


class Change:
    """A change under way. What is set here while it is done stands in its entry."""

    def __init__(self) -> None:
        self.before: Any = None
        self.after: Any = None


class Audit(Protocol):
    """Where changes are written down."""

    def change(
        self,
        actor: Actor,
        action: str,
        object: str,  # noqa: A002
        *,
        before: Any = None,
        after: Any = None,
    ) -> AbstractAsyncContextManager[Change]:
        """Write down what the block is about to do, and then what became of it.

        Raises `Busy`, before the block, where it cannot be written: nothing is changed unseen.
        """
        ...

    async def note(
        self,
        actor: Actor,
        action: str,
        object: str,  # noqa: A002
        *,
        outcome: AuditOutcome = "done",
        reason: str | None = None,
        before: Any = None,
        after: Any = None,
    ) -> None:
        """Write down what has happened. Raises `Busy`."""

    async def list(
        self,
        *,
        who: str | None = None,
        action: str | None = None,
        object: str | None = None,  # noqa: A002
        outcome: AuditOutcome | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> AuditPage:
        """Entries, newest first. An `action` without a verb (`run`) stands for all of that thing.

        Raises `BadRequest` for a text that is no cursor.
        """
        ...
