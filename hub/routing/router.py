"""The router: which runs an event is for, by the subscriptions of all trees. Pure and compiled once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import msgspec

from hub.errors import ExpressionError
from hub.event import Event
from hub.expressions import Expression
from hub.run import CALLBACK, key_text, run_id_of
from hub.run.correlation import address_of, kept_for
from hub.run.state import Address
from hub.tree import Subscription, Tree

__all__ = ["CALLBACK", "Match", "Router"]

_LITERAL_TYPE = re.compile(
    r"""\s*event\.type\s*==\s*(?:"([^"\\]*)"|'([^'\\]*)')\s*(?:and\b(.*))?""", re.S
)
_LOOSENS = re.compile(r"\b(or|if|else)\b")


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """What one subscription makes of an event.

    "start" and "resume" have a `run_id`; "filtered" means that `where` does not hold; "failed"
    that `where` or `key` could not be evaluated, or gave no key, with the reason. Where `every`
    is set, all live runs of the key are meant, which run in parallel. `early` is how long the
    event is kept where it is before its run. `at` is the correlator where runs wait for an event with
    that key, whatever theirs is; then `run_id` is the correlator's id.
    """

    tree: str
    subscription: str
    outcome: Literal["start", "resume", "filtered", "failed"]
    key: str | None = None
    run_id: str | None = None
    reason: str | None = None
    every: bool = False
    early: timedelta | None = None
    at: Address | None = None


@dataclass(frozen=True)
class _Entry:
    tree: Tree
    subscription: Subscription
    starts: bool
    current: bool
    type: str | None


class Router:
    """Routes events by the given trees.

    `former` are definitions that are no more current but may have live runs: their events still
    find these runs, and start none. `groups` are the people whom runs may ask for approval.
    """

    def __init__(
        self,
        trees: Iterable[Tree],
        former: Iterable[Tree] = (),
        groups: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.trees = {tree.name: tree for tree in trees}
        self.groups = groups or {}
        self._entries: dict[str, list[_Entry]] = {}
        self._by_type: dict[str, dict[str | None, list[_Entry]]] = {}
        current = {tree.hash for tree in self.trees.values()}
        for tree in self.trees.values():
            self._add(tree, starts=True)
        for tree in former:
            if tree.hash not in current:
                self._add(tree, starts=False)

    def _add(self, tree: Tree, *, starts: bool) -> None:
        for subscription in tree.subscriptions.values():
            entry = _Entry(
                tree,
                subscription,
                starts and subscription.name == tree.start.event,
                starts,
                _literal_type(subscription.where),
            )
            self._entries.setdefault(subscription.trigger, []).append(entry)
            by_type = self._by_type.setdefault(subscription.trigger, {})
            by_type.setdefault(entry.type, []).append(entry)

    def route(self, trigger: str, event: Event) -> list[Match]:
        """The matches and failures of an event; what is filtered out is left out."""
        if trigger == CALLBACK:
            return _addressed(event)
        by_type = self._by_type.get(trigger)
        if by_type is None:
            return []
        entries = [*by_type.get(event.type, ()), *by_type.get(None, ())]
        return self._matches(entries, event, filtered=False)

    def explain(self, trigger: str, event: Event) -> list[Match]:
        """What every subscription of the trigger makes of an event."""
        if trigger == CALLBACK:
            return _addressed(event)
        return self._matches(self._entries.get(trigger, []), event, filtered=True)

    def _matches(self, entries: list[_Entry], event: Event, *, filtered: bool) -> list[Match]:
        scope: dict[str, Any] = {"event": event.to_cloudevent()}
        found = (match for entry in entries for match in _match(entry, event, scope))
        return [match for match in found if filtered or match.outcome != "filtered"]


def _match(entry: _Entry, event: Event, scope: dict[str, Any]) -> list[Match]:
    """What a subscription makes of an event: by the run's key, by a value that runs know, or both."""
    name = entry.subscription.name
    if name not in entry.tree.matched:
        return [_by_key(entry, event, scope)]
    match = _by_key(entry, event, scope)
    if match.key is None:
        return [match]
    address = address_of(entry.tree.name, entry.subscription, match.key)
    by_value = Match(
        tree=match.tree,
        subscription=name,
        outcome="resume",
        key=match.key,
        run_id=address.id,
        early=kept_for(entry.subscription),
        at=address,
    )
    return [match, by_value] if entry.starts or name in entry.tree.keyed else [by_value]


def _by_key(entry: _Entry, event: Event, scope: dict[str, Any]) -> Match:
    tree, subscription = entry.tree.name, entry.subscription

    def outcome(what: Literal["filtered", "failed"], reason: str) -> Match:
        return Match(tree=tree, subscription=subscription.name, outcome=what, reason=reason)

    try:
        if subscription.where is not None and not subscription.where.evaluate(scope):
            return outcome("filtered", f"`where` does not hold: {subscription.where.text}")
    except ExpressionError as error:
        return outcome("failed", f"`where`: {error.message}")
    if subscription.key is None:
        if not entry.starts:
            return outcome("failed", "it has no `key`, so no run can be told from it")
        return Match(
            tree=tree,
            subscription=subscription.name,
            outcome="start",
            run_id=run_id_of(entry.tree, None, event.id),
        )
    try:
        value = subscription.key.evaluate(scope)
    except ExpressionError as error:
        return outcome("failed", f"`key`: {error.message}")
    key = key_text(value)
    if key is None:
        kind = "null" if value is None else type(value).__name__
        return outcome("failed", f"`key` gave {kind}; a key is a text or a number")
    if entry.starts:
        run_id = run_id_of(entry.tree, key, event.id)
        return Match(
            tree=tree, subscription=subscription.name, outcome="start", key=key, run_id=run_id
        )
    return Match(
        tree=tree,
        subscription=subscription.name,
        outcome="resume",
        key=key,
        run_id=f"{tree}/{key}",
        every=entry.tree.start.when_running == "parallel",
        early=subscription.early if entry.current else None,
    )


def _addressed(event: Event) -> list[Match]:
    run_id = str(event.extensions.get("hubrun", ""))
    tree, _, key = run_id.partition("/")
    return [
        Match(
            tree=tree,
            subscription=str(event.extensions.get("hubsubscription", "")),
            outcome="resume",
            key=None if key.startswith("~") else key,
            run_id=run_id,
        )
    ]


def _literal_type(where: Expression | None) -> str | None:
    """The type that an event must have for `where` to hold, where the text says so plainly."""
    if where is None:
        return None
    found = _LITERAL_TYPE.fullmatch(where.text)
    if found is None or (found[3] and _LOOSENS.search(found[3])):
        return None
    return found[1] if found[1] is not None else found[2]
