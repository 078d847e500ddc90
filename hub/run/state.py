"""The state of a run as a document: what `hub runs show`, the page and continue-as-new all use."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from hub.event import Event
from hub.run.decided import DecidedApproval
from hub.tree import Deliver

__all__ = [
    "FORMAT",
    "Address",
    "Errand",
    "Failure",
    "Handled",
    "MailboxState",
    "NodeState",
    "NodeStatus",
    "Outcome",
    "RunState",
    "RunStatus",
    "Stored",
    "Ticket",
    "Tickets",
]

NodeStatus = Literal["pending", "running", "waiting", "succeeded", "failed", "cancelled", "skipped"]
RunStatus = Literal[
    "dormant",
    "running",
    "succeeded",
    "failed",
    "cancelled",
    "terminated",
    "timed_out",
    "expired",
]
Outcome = Literal[
    "started",
    "resumed",
    "buffered",
    "duplicate",
    "late",
    "no_run",
    "ignored",
    "filtered",
    "rejected",
    "failed",
    "delivered",
]


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a node or a run failed: a stable code, a sentence, and the node that it began at."""

    code: str
    message: str
    path: str = ""


class NodeState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One node's part of the document.

    `deadline` is when its wait ends, `expires_at` when its timeout does, `paused_until` when its
    next try begins. `attempt` counts from 1, `iteration` is the round of a loop, from 0. `memory`
    is what the node itself keeps. `given_up` says why its body was stopped, `halted` that it is
    being cancelled for good; both hold while it still cleans up. `called` says that it may have
    done something outside of the run.
    """

    type: str
    id: str | None = None
    status: NodeStatus = "pending"
    started_at: datetime | None = None
    ended_at: datetime | None = None
    deadline: datetime | None = None
    expires_at: datetime | None = None
    paused_until: datetime | None = None
    attempt: int = 0
    iteration: int | None = None
    result: Any = None
    error: Failure | None = None
    memory: Any = None
    given_up: Failure | None = None
    halted: bool = False
    called: bool = False
    abort_turn: int | None = None


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """An event that the run has received and not yet used.

    `subscriptions` are the names it satisfies, in the order of the tree; `number` counts the
    events that the run has received, so that a wait can tell what came before it opened. Before the
    run has started, `expires_at` is until when the event is kept. `ticket` names the wait that a
    correlator has given it to; then `expires_at` is until when the correlator would keep it.
    """

    event: Event
    subscriptions: tuple[str, ...]
    number: int
    expires_at: datetime | None = None
    ticket: str | None = None


class Handled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one event that reached the run."""

    id: str
    type: str
    outcome: Outcome
    at: datetime
    subscription: str | None = None
    path: str | None = None
    reason: str | None = None


class MailboxState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The mailbox as it is carried along: unused events, ids seen, and which waits ended by time.

    `received` counts the events, `turns` the waits that have opened.
    `seen` and `handled` are bounded; the oldest are forgotten first.
    """

    received: int = 0
    turns: int = 0
    stored: list[Stored] = []
    seen: list[str] = []
    handled: list[Handled] = []
    lapsed: list[str] = []


FORMAT = 1
"""The format of the document. It is raised with a change that a release of before cannot live with:
a run of a later format is left to workers that know it. What is only added needs no new one; what a
release does not know it leaves out when the run goes on in a new part."""


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """A correlator: the tree's subscription and the value that its events have, and who gets them."""

    id: str
    tree: str
    subscription: str
    value: str
    deliver: Deliver


class Ticket(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A wait of the run that is open at a correlator: the node, and what it waits for.

    `refused` is why the correlator does not take it.
    """

    path: str
    subscription: str
    value: str
    refused: Failure | None = None


class Errand(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a run has to tell a correlator; telling it twice is the same as once.

    `subscribe`: a wait has opened; `without` are events that are not for it, and `fresh` says that
    it takes none of before. `unsubscribe`: it is over. `return`: an event came when it was over.
    """

    what: Literal["subscribe", "unsubscribe", "return"]
    address: Address
    ticket: str
    run_id: str
    run: str
    fresh: bool = False
    without: list[str] = []
    event: Event | None = None
    trigger: str | None = None
    expires_at: datetime | None = None


class Tickets(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The run's waits at correlators, by their tickets, and what these are still to be told."""

    open: dict[str, Ticket] = {}
    errands: list[Errand] = []
    issued: int = 0


class RunState(msgspec.Struct, kw_only=True):
    """One run, whole. Nodes stand in the order in which they began."""

    id: str
    tree: str
    key: str | None
    hash: str
    status: RunStatus = "dormant"
    started_at: datetime | None = None
    ended_at: datetime | None = None
    waiting_for: list[str] = []
    nodes: dict[str, NodeState] = {}
    event: Event | None = None
    events: list[Event] = []
    """The events that were gathered for its start, the last of which is `event`."""
    vars: dict[str, Any] = {}
    steps: dict[str, Any] = {}
    mailbox: MailboxState = msgspec.field(default_factory=MailboxState)
    decided: list[DecidedApproval] = []
    """The approvals that are over, oldest first; the latest of them only."""
    tickets: Tickets = msgspec.field(default_factory=Tickets)
    result: Any = None
    error: Failure | None = None
    cancelling: bool = False
    """Somebody has asked the run to stop; what is left is its cleaning up."""
    part: int = 1
    """A long run lives in several parts, each of which begins from the state of the one before."""
    calls: int = 0
    """How many actions the run has begun; gives each its idempotency key."""
    nonce: str = ""
    """A secret of the run that marks where signed links go; never shown outside."""
    format: int = 1
    expires_at: datetime | None = None
    """When a dormant run ends unless it is started before."""
