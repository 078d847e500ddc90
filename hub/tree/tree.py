"""A tree: the definition that runs are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from hub.errors import Diagnostic
from hub.expressions import Expression, Template
from hub.tree.node import Node
from hub.tree.yaml import Document

if TYPE_CHECKING:
    from hub.tree.flow import Batch, Concurrency, Debounce, Rate

__all__ = [
    "Deliver",
    "Rerun",
    "StartPolicy",
    "Subscription",
    "Tree",
    "WhenRunning",
    "content_hash",
    "encode_document",
]

WhenRunning = Literal["deliver", "ignore", "restart", "parallel"]
Deliver = Literal["all", "one", "reject"]
Rerun = Literal["always", "after_failure", "never"]


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """A named event of a tree: where it comes in, which ones count, and whom they belong to.

    `kind` and `trigger` name the trigger (`webhook: app`). `where` is a filter over `event`;
    `key` gives the correlation key, which makes an event belong to one run. Where the trigger is
    written in the tree itself, `settings` are what is written, and its name is `tree/event`.
    `early` is how long an event is kept that comes before its run exists, or before a run waits for
    its value; None is not at all for the one, and an hour for the other. `deliver` says who gets an
    event that several waits with `match` are open for.
    """

    name: str
    kind: str
    trigger: str
    where: Expression | None = None
    key: Expression | None = None
    settings: Mapping[str, Any] | None = None
    early: timedelta | None = None
    deliver: Deliver = "all"


@dataclass(frozen=True, kw_only=True)
class StartPolicy:
    """Which event starts a run of the tree, and what it does where there is or was one of its key.

    `when_running`: hand it to the live run, ignore it, let the run clean up and begin again, or
    start one more beside it. `rerun`: may a run begin after one that has ended?
    `debounce`, `batch`, `rate` and `concurrency` hold start events back: see `hub.tree.flow`.
    """

    event: str
    when_running: WhenRunning = "deliver"
    rerun: Rerun = "always"
    debounce: Debounce | None = None
    batch: Batch | None = None
    rate: Rate | None = None
    concurrency: Concurrency | None = None

    @property
    def gathers(self) -> bool:
        """Does a run begin with several events?"""
        return self.debounce is not None or self.batch is not None

    @property
    def is_held(self) -> bool:
        """Are its events held back before they start runs?"""
        return self.gathers or self.rate is not None or self.concurrency is not None


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A definition, read and checked.

    `document` is its plain form as JSON, which a run carries with it; `hash` is the name of these
    bytes.
    """

    name: str
    document: bytes
    hash: str
    subscriptions: Mapping[str, Subscription]
    start: StartPolicy
    vars: Mapping[str, Template]
    do: Node
    title: str | None = None
    description: str | None = None
    cancel_on: str | None = None
    """The event that cancels a run when it comes."""
    warnings: Sequence[Diagnostic] = field(default=(), compare=False, repr=False)
    """What is allowed in the definition and hardly meant."""
    written: Document | None = field(default=None, compare=False, repr=False)
    """The text that it was read from, where it was read from one."""

    @cached_property
    def waits(self) -> frozenset[str]:
        """The names of the events that the tree waits for: a node of it, or the whole."""
        names = {str(name) for node in self.nodes() for name in node.awaits()}
        return frozenset(names if self.cancel_on is None else {*names, self.cancel_on})

    @cached_property
    def opens(self) -> tuple[str, ...]:
        """The names of the events that a run waits for as soon as it begins, for sure."""
        return tuple(dict.fromkeys(str(name) for name in self.do.opens()))

    @cached_property
    def trees(self) -> tuple[str, ...]:
        """The names of the trees that its nodes may run."""
        return tuple(dict.fromkeys(name for node in self.nodes() for name in node.trees()))

    @cached_property
    def matched(self) -> frozenset[str]:
        """The names of the events that nodes wait for by a value that the run learns."""
        return frozenset(str(name) for node in self.nodes() for name in node.matched())

    @cached_property
    def keyed(self) -> frozenset[str]:
        """The names of the events that the tree waits for by the run's key."""
        names: set[str] = set() if self.cancel_on is None else {self.cancel_on}
        for node in self.nodes():
            awaited = [str(name) for name in node.awaits()]
            for name in node.matched():
                awaited.remove(str(name))
            names.update(awaited)
        return frozenset(names)

    def nodes(self) -> Iterator[Node]:
        """All nodes, parents first."""
        return self.do.walk()


def encode_document(document: Mapping[str, Any]) -> bytes:
    """A definition as JSON, in the order in which it was written: order has a meaning there."""
    return msgspec.json.encode(document)


def content_hash(encoded: bytes) -> str:
    """The name of a definition: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(encoded).hexdigest()[:16]
