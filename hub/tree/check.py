"""What is wrong with a tree that reads well: it could not do what it says, or not what is meant.

Errors are for what can never work; warnings are for what is allowed and hardly meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from itertools import pairwise
from typing import Any

from hub.connector import Action
from hub.durations import format_duration
from hub.errors import Diagnostic
from hub.expressions.references import references
from hub.tree.arguments import check_literals
from hub.tree.node import Node
from hub.tree.nodes import CallAction, Delay, Fail, Log, Set, WaitFor
from hub.tree.report import Report
from hub.tree.schedules import no_key_of_schedule
from hub.tree.scope import FieldPlaces, check_names, expressions_of
from hub.tree.tree import Tree
from hub.tree.words import Place, did_you_mean, listed

__all__ = ["check_tree", "check_trees"]

_NEVER_FAIL = ("log", "set", "delay", "always", "succeed")
_POINTLESS_RETRY = {
    "log": "writing a line never fails",
    "set": "the same expressions over the same values give the same failure",
    "delay": "a delay never fails",
    "fail": "it fails every time",
    "succeed": "it never fails",
    "always": "it never fails; put the `retry` at the node below it",
}


def check_tree(
    tree: Tree, report: Report, places: FieldPlaces, actions: Mapping[str, Action] | None
) -> None:
    """Note what is wrong with the meaning of one tree."""
    check_names(tree, report, places)
    check = _Check(tree, report, places, actions)
    check.events()
    check.node(tree.do, None, in_saga=False)


class _Check:
    def __init__(
        self,
        tree: Tree,
        report: Report,
        places: FieldPlaces,
        actions: Mapping[str, Action] | None,
    ) -> None:
        self.tree = tree
        self.report = report
        self.places = places
        self.actions = actions
        self.called = set(_callbacks(tree))

    # -- events ---------------------------------------------------------------------------

    def events(self) -> None:
        tree = self.tree
        links = self._may_have_links()
        start = tree.subscriptions.get(tree.start.event)
        waited = [name for name in tree.subscriptions if name in tree.waits]
        for name in waited:
            subscription = tree.subscriptions[name]
            if name == tree.start.event and name not in tree.matched:
                continue
            if subscription.key is None and name in tree.matched:
                self.report.problem(
                    ("events", name),
                    f"waits for {name!r} compare their `match` with its `key`, and it has none",
                    suggestion="add `key:` below it, an expression over `event` that gives the value",
                    code="no_key",
                )
            elif name == tree.start.event or name not in tree.keyed:
                continue
            elif subscription.key is None and name not in self.called:
                self.report.problem(
                    ("events", name),
                    f"no run can ever get the event {name!r}: it has no `key` that says whose it is",
                    suggestion="add `key:` below it, an expression over `event` that gives the "
                    "same value as the key of " + f"{tree.start.event!r}",
                    code="no_key",
                    severity="warning" if links else "error",
                )
            elif start is not None and start.key is None and name not in self.called:
                self.report.problem(
                    ("events", start.name),
                    f"runs of this tree have no key, so the event {name!r} can never find one",
                    suggestion=no_key_of_schedule(start, name)
                    or f"add `key:` to {start.name!r}, an expression over `event` such as "
                    "`event.data.user_id`, or wait by a value that the run learns: "
                    f"`wait_for: {{event: {name}, match: ...}}`",
                    code="no_key",
                    severity="warning" if links else "error",
                )
        for name, subscription in tree.subscriptions.items():
            if subscription.deliver != "all" and name not in tree.matched:
                self.report.warn(
                    ("events", name, "deliver"),
                    "`deliver` changes nothing here: it is for waits with `match`, and an event of "
                    "the run's key is for that run",
                    suggestion="remove it, or add `match` to the waits",
                    code="pointless_deliver",
                )
        for name in tree.subscriptions:
            if name not in (*waited, tree.start.event) and name not in self.called:
                self.report.warn(
                    ("events", name),
                    f"nothing uses the event {name!r}",
                    suggestion=f"add a node `wait_for: {name}`, or remove the event",
                    code="unused_event",
                )

    def _may_have_links(self) -> bool:
        """Can a template outside the tree make a link that delivers an event to the run?"""
        return any(
            isinstance(node, CallAction)
            and (
                self.actions is None
                or (node.action in self.actions and self.actions[node.action].needs_scope)
            )
            for node in self.tree.nodes()
        )

    # -- nodes ----------------------------------------------------------------------------

    def node(self, node: Node, limit: timedelta | None, *, in_saga: bool) -> None:
        """Check a node within the shortest timeout above it, and all that is below it."""
        own = node.timeout.fixed if node.timeout is not None else None
        if own is not None and limit is not None and own > limit:
            self.report.warn(
                (*node.place, "timeout"),
                f"this timeout of {format_duration(own)} never ends anything: a node above has one "
                f"of {format_duration(limit)}",
                suggestion="make this one shorter, or that one longer",
                code="timeout_too_long",
            )
        limit = min((t for t in (own, limit) if t is not None), default=None)
        self._retry(node)
        if isinstance(node, Delay):
            self._delay(node, limit)
        if isinstance(node, WaitFor):
            self._wait(node, limit)
        if isinstance(node, CallAction) and self.actions is not None:
            place = self.places.get((node.place, "arguments"), node.place)
            check_literals(place, node.arguments.source, self.actions[node.action], self.report)
        if getattr(node, "undo", None) is not None and not in_saga:
            self.report.problem(
                (*node.place, "undo"),
                "`undo` has no meaning here: only the steps of a `saga` are taken back",
                suggestion="write `saga:` instead of the list around this node",
                code="undo_outside_saga",
            )
        if node.verb in ("sequence", "saga"):
            self._unreachable(node)
        if node.verb == "fallback":
            self._never_tried(node)
        for child in node.children():
            self.node(child, limit, in_saga=node.verb == "saga")

    def _retry(self, node: Node) -> None:
        if node.retry is None:
            return
        why = _POINTLESS_RETRY.get(node.verb)
        if why is not None:
            self.report.warn(
                (*node.place, "retry"),
                f"trying `{node.type}` again changes nothing: {why}",
                suggestion="remove the `retry`",
                code="pointless_retry",
            )
        elif node.retry.attempts == 1:
            self.report.warn(
                (*node.place, "retry"),
                "with `attempts: 1` nothing is tried again",
                suggestion="attempts count all tries together: write 2 for one more",
                code="pointless_retry",
            )

    def _delay(self, node: Delay, limit: timedelta | None) -> None:
        fixed = node.duration.fixed if node.duration is not None else None
        if fixed is not None and limit is not None and fixed >= limit:
            self.report.warn(
                self.places.get((node.place, "duration"), node.place),
                f"this delay of {format_duration(fixed)} is never over: a timeout of "
                f"{format_duration(limit)} ends it first",
                suggestion="make the delay shorter, or the timeout longer",
                code="timeout_too_short",
            )

    def _wait(self, node: WaitFor, limit: timedelta | None) -> None:
        if node.late != "keep":
            return
        place = self.places.get((node.place, "late"), node.place)
        bounded = limit is not None or any(
            n.timeout is not None and node in n.walk() for n in self.tree.nodes()
        )
        others = [
            n
            for n in self.tree.nodes()
            if isinstance(n, WaitFor) and set(n.awaits()) & set(node.awaits()) and n is not node
        ]
        if not bounded:
            self.report.warn(
                place,
                "`late: keep` changes nothing: without a `timeout` no event is late",
                suggestion="add a `timeout`, or remove `late`",
                code="pointless_late",
            )
        elif not others and not self._in_loop(node):
            self.report.warn(
                place,
                f"`late: keep` keeps the event for a later wait, and nothing else waits for "
                f"{listed(node.awaits())}",
                suggestion="remove `late`",
                code="pointless_late",
            )

    def _in_loop(self, node: Node) -> bool:
        loops = ("while", "repeat", "for_each")
        return any(
            (n.verb in loops or n.retry is not None) and node in n.walk() for n in self.tree.nodes()
        )

    def _unreachable(self, node: Node) -> None:
        children = list(node.children())
        for child, following in pairwise(children):
            if _always_fails(child):
                self.report.warn(
                    following.place,
                    f"this node is never reached: {_spoken(child)} before it always fails",
                    suggestion="remove it, or put an `if` at the node that fails",
                    code="unreachable",
                )
                return

    def _never_tried(self, node: Node) -> None:
        children = list(node.children())
        for child, following in pairwise(children):
            if _always_succeeds(child):
                self.report.warn(
                    following.place,
                    f"this option is never tried: {_spoken(child)} before it always succeeds",
                    suggestion="put it before that one, or remove it",
                    code="unreachable",
                )
                return


def _spoken(node: Node) -> str:
    return f"`{node.id or node.type}`"


def _always_fails(node: Node) -> bool:
    if node.if_ is not None and node.verb != "if":
        return False
    if isinstance(node, Fail):
        return True
    if node.verb in ("sequence", "saga"):
        return any(_always_fails(child) for child in node.children())
    if node.verb in ("fallback", "race"):
        children = list(node.children())
        return bool(children) and all(_always_fails(child) for child in children)
    return False


def _always_succeeds(node: Node) -> bool:
    if (node.if_ is not None and node.verb != "if") or node.timeout is not None:
        return False
    if node.abort_on is not None:
        return False
    if node.verb == "sequence":
        return all(_always_succeeds(child) for child in node.children())
    if isinstance(node, (Log, Set, Delay)):
        # An expression that cannot be evaluated fails its node.
        return not any(references(what) for _, _, what in expressions_of(node))
    return node.verb in _NEVER_FAIL


def _callbacks(tree: Tree) -> Iterator[str]:
    """The events that the tree's own expressions make links for."""
    found: list[Any] = [*tree.vars.values()]
    found += [what for node in tree.nodes() for _, _, what in expressions_of(node)]
    for what in found:
        for reference in references(what):
            if reference.name == "callback" and reference.argument is not None:
                yield reference.argument


# -- several trees ------------------------------------------------------------------------------


def check_trees(trees: Iterable[Tree], files: Mapping[str, str] | None = None) -> list[Diagnostic]:
    """What is wrong between trees: runs of trees that do not exist, or that start each other.

    `files` are the trees' files by their names, for the places.
    """
    known = {tree.name: tree for tree in trees}
    found: list[Diagnostic] = []
    for tree in known.values():
        report = Report(tree.written, (files or {}).get(tree.name))
        for node, name in _runs(tree):
            if name not in known:
                report.problem(
                    _run_place(node),
                    f"there is no tree {name!r}",
                    suggestion=did_you_mean(name, known) or f"the trees are {listed(known)}",
                    code="unknown_tree",
                )
            elif (
                not getattr(node, "detach", False)
                and (way := _way(name, tree.name, known)) is not None
            ):
                report.problem(
                    _run_place(node),
                    f"the tree starts itself again, without end: {' → '.join([tree.name, *way])}",
                    suggestion="break the circle: use `repeat` for rounds, or `detach: true` with "
                    "an `if` at one of these nodes",
                    code="tree_cycle",
                )
        found += report.diagnostics
    return found


def _runs(tree: Tree) -> Iterator[tuple[Node, str]]:
    """The nodes that run another tree and are not conditional, with its name."""
    for node in tree.nodes():
        if node.verb != "run":
            continue
        name = getattr(node, "tree", None)
        name = getattr(name, "source", name)
        if isinstance(name, str) and "${{" not in name:
            yield node, name


def _run_place(node: Node) -> Place:
    return (*node.place, "run")


def _way(begin: str, end: str, trees: Mapping[str, Tree]) -> list[str] | None:
    """The names on a way from one tree to another along runs that are waited for."""
    rest: list[list[str]] = [[begin]]
    seen = {begin}
    while rest:
        way = rest.pop(0)
        if way[-1] == end:
            return way
        tree = trees.get(way[-1])
        for node, name in _runs(tree) if tree is not None else ():
            if name not in seen and not getattr(node, "detach", False):
                seen.add(name)
                rest.append([*way, name])
    return None
