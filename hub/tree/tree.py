"""A tree: the definition that runs are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec

from hub.errors import Diagnostic
from hub.expressions import Expression, Template
from hub.tree.node import Node
from hub.tree.yaml import Document

__all__ = ["StartPolicy", "Subscription", "Tree", "content_hash", "encode_document"]


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """A named event of a tree: where it comes in, which ones count, and whom they belong to.

    `kind` and `trigger` name the trigger (`webhook: app`). `where` is a filter over `event`;
    `key` gives the correlation key, which makes an event belong to one run. Where the trigger is
    written in the tree itself, `settings` are what is written, and its name is `tree/event`.
    """

    name: str
    kind: str
    trigger: str
    where: Expression | None = None
    key: Expression | None = None
    settings: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class StartPolicy:
    """Which event starts a run of the tree."""

    event: str


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
    warnings: Sequence[Diagnostic] = field(default=(), compare=False, repr=False)
    """What is allowed in the definition and hardly meant."""
    written: Document | None = field(default=None, compare=False, repr=False)
    """The text that it was read from, where it was read from one."""

    @cached_property
    def waits(self) -> frozenset[str]:
        """The names of the events that some node of the tree waits for."""
        return frozenset(
            str(node.event)  # type: ignore[attr-defined]
            for node in self.nodes()
            if node.verb == "wait_for"
        ) | frozenset(str(node.abort_on) for node in self.nodes() if node.abort_on)

    def nodes(self) -> Iterator[Node]:
        """All nodes, parents first."""
        return self.do.walk()


def encode_document(document: Mapping[str, Any]) -> bytes:
    """A definition as JSON, in the order in which it was written: order has a meaning there."""
    return msgspec.json.encode(document)


def content_hash(encoded: bytes) -> str:
    """The name of a definition: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(encoded).hexdigest()[:16]
