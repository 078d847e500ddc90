"""Which names an expression may use, and what is set by the time that it is evaluated.

A walk through the tree in the order in which it runs. At each point a variable or a step's result
is set surely (on every way there), maybe (on some), or not at all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from hub.expressions import Expression, Template
from hub.expressions.references import Reference, references
from hub.tree.node import Node, Span
from hub.tree.nodes import Set
from hub.tree.report import Report
from hub.tree.tree import Tree
from hub.tree.words import Place, did_you_mean, listed

__all__ = ["FieldPlaces", "check_names", "expressions_of"]

FieldPlaces = Mapping[tuple[Place, str], Place]
"""Where a node's field stands, by the node's place and the field's attribute."""

_SCOPE = ("event", "vars", "steps", "run", "callback", "now")
_RUN = ("id", "key", "tree", "started_at")
_EVENT = (
    "id",
    "source",
    "specversion",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "data",
)
_ELSEWHERE = {
    "env": "`env` is known in hub.yaml only; put the value into `vars`, or into a connection",
    "secrets": "secrets stand in hub.yaml, in connections",
    "inputs": "the start event's data are `event.data`",
    "data": "write `event.data`",
    "error": "`error` is known in `catch` only",
    "events": "`events` is known where `start` gathers them, by `debounce` or `batch`",
    "item": "`item` is known in `for_each` only",
    "index": "`index` is known in loops only",
    "true": "write true",
}


@dataclass(frozen=True)
class _Known:
    surely: frozenset[str]
    maybe: frozenset[str]

    def also(self, names: Iterable[str]) -> _Known:
        added = frozenset(names)
        return _Known(self.surely | added, self.maybe | added)

    def perhaps(self, after: _Known) -> _Known:
        """What is known when that after may have come, or not."""
        return _Known(self.surely & after.surely, self.maybe | after.maybe)


def check_names(tree: Tree, report: Report, places: FieldPlaces) -> None:
    """Note every name in an expression that is not there when the expression is evaluated."""
    _Walk(tree, report, places).check()


def expressions_of(node: Node) -> Iterator[tuple[str, Place, Expression | Template]]:
    """A node's own expressions: the field's attribute, the place below the field, and each one."""
    for spec in dataclasses.fields(node):
        for below, found in _expressions_in(getattr(node, spec.name), ()):
            yield spec.name, below, found


def _expressions_in(value: Any, place: Place) -> Iterator[tuple[Place, Expression | Template]]:
    if isinstance(value, (Expression, Template)):
        yield place, value
    elif isinstance(value, Span):
        if value.template is not None:
            yield place, value.template
    elif isinstance(value, Node) or value is None or isinstance(value, (str, int, float)):
        return
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _expressions_in(item, (*place, key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _expressions_in(item, (*place, index))
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _expressions_in(getattr(value, name), (*place, name.rstrip("_")))
    elif dataclasses.is_dataclass(value):
        for spec in dataclasses.fields(value):
            yield from _expressions_in(getattr(value, spec.name), (*place, spec.name.rstrip("_")))


class _Walk:
    def __init__(self, tree: Tree, report: Report, places: FieldPlaces) -> None:
        self.tree = tree
        self.report = report
        self.places = places
        self.variables = {*tree.vars}
        self.given = frozenset(f"vars.{name}" for name in tree.vars)
        self.ids = {node.id for node in tree.nodes() if node.id is not None}
        for node in tree.nodes():
            if isinstance(node, Set):
                self.variables |= {*node.values}
        self.said: set[tuple[Place, str]] = set()

    def check(self) -> None:
        for subscription in self.tree.subscriptions.values():
            for part in ("where", "key"):
                expression = getattr(subscription, part)
                if expression is not None:
                    self._of_event(("events", subscription.name, part), expression)
        for part in ("rate", "concurrency"):
            limit = getattr(self.tree.start, part)
            if limit is not None and limit.key is not None:
                self._of_event(("start", part, "key"), limit.key)
        known = _Known(frozenset(), frozenset())
        names = ("events",) if self.tree.start.gathers else ()
        for name, template in self.tree.vars.items():
            self._references(("vars", name), template, known, names)
            known = known.also([f"vars.{name}"])
        self._node(self.tree.do, known, names)

    # -- one expression -------------------------------------------------------------------

    def _of_event(self, place: Place, expression: Expression) -> None:
        for reference in references(expression):
            if reference.name != "event":
                self._say(
                    place,
                    f"there is no {reference.name!r} here: only `event` is known before there is "
                    "a run",
                    suggestion=f"write `event.data.{reference.name}`?"
                    if reference.name not in _SCOPE
                    else "compare with a part of `event`, such as `event.data.user_id`",
                    code="unknown_name",
                )
            else:
                self._event_part(place, reference)

    def _references(
        self, place: Place, what: Expression | Template, known: _Known, names: tuple[str, ...]
    ) -> None:
        for reference in references(what):
            at = (*place, *reference.place)
            if reference.name in ("vars", "steps") and reference.name not in names:
                self._value(at, reference, known)
            elif reference.name not in (*_SCOPE, *names):
                self._unknown(at, reference.name, names)
            elif reference.name == "callback":
                self._callback(at, reference)
            elif reference.name == "event" and "event" not in names:
                self._event_part(at, reference)
            elif reference.name == "run" and reference.attributes:
                self._run_part(at, reference)

    def _unknown(self, place: Place, name: str, names: tuple[str, ...]) -> None:
        if name in self.variables:
            hint: str | None = f"write `vars.{name}`"
        elif name in self.ids:
            hint = f"write `steps.{name}`"
        else:
            hint = _ELSEWHERE.get(name) or did_you_mean(name, [*_SCOPE, *names])
        self._say(
            place,
            f"there is no {name!r} in this expression's scope",
            suggestion=hint or f"the names are {listed([*_SCOPE, *names])}",
            code="unknown_name",
        )

    def _value(self, place: Place, reference: Reference, known: _Known) -> None:
        if not reference.attributes:
            return
        kind, name = reference.name, reference.attributes[0]
        full = f"{kind}.{name}"
        defined = self.variables if kind == "vars" else self.ids
        if full in known.surely or (reference.lenient and name in defined):
            return
        severity = "warning" if reference.lenient else "error"
        if name not in defined:
            self._say(
                place,
                f"no node has the id {name!r}"
                if kind == "steps"
                else f"no variable {name!r} is set",
                suggestion=did_you_mean(name, defined)
                or (
                    (f"the ids are {listed(sorted(defined))}" if defined else None)
                    or f"write `id: {name}` at the node whose result you mean"
                    if kind == "steps"
                    else f"set it under `vars:` at the top, or by a node `set: {{{name}: ...}}`"
                ),
                code="unknown_name",
                severity=severity,
            )
        elif full in known.maybe:
            self._say(
                place,
                f"`{full}` is not set on every way that leads here",
                suggestion=f"write `{full} | default(none)`, or ask `{full} is defined` first",
                code="maybe_unset",
                severity="warning",
            )
        else:
            self._say(
                place,
                f"`{full}` is used before it is set",
                suggestion="move the node that sets it before this one"
                if kind == "steps"
                else f"set {name!r} earlier, or under `vars:` at the top",
                code="used_before_set",
            )

    def _callback(self, place: Place, reference: Reference) -> None:
        name = reference.argument
        if name is not None and name not in self.tree.subscriptions:
            self._say(
                place,
                f"callback: the tree has no event {name!r}",
                suggestion=did_you_mean(name, self.tree.subscriptions)
                or f"its events: {listed(self.tree.subscriptions)}",
                code="unknown_event",
            )

    def _event_part(self, place: Place, reference: Reference) -> None:
        # Extensions of CloudEvents may be called anything, so this is no error.
        if reference.attributes and reference.attributes[0] not in _EVENT and not reference.lenient:
            part = reference.attributes[0]
            self._say(
                place,
                f"an event has no part {part!r} of its own",
                suggestion=did_you_mean(part, _EVENT)
                or f"what the sender wrote is in `event.data`: `event.data.{part}`; if {part!r} is "
                f"an extension of CloudEvents, ask `event.{part} is defined` first",
                code="unknown_name",
                severity="warning",
            )

    def _run_part(self, place: Place, reference: Reference) -> None:
        part = reference.attributes[0]
        if part not in _RUN:
            self._say(
                place,
                f"`run` has no {part!r}",
                suggestion=did_you_mean(part, _RUN) or f"it has {listed(_RUN)}",
                code="unknown_name",
            )

    def _say(self, place: Place, message: str, **more: Any) -> None:
        # A loop's body is walked twice; what is wrong there is said once.
        if (place, message) not in self.said:
            self.said.add((place, message))
            self.report.problem(place, message, **more)

    # -- the walk -------------------------------------------------------------------------

    def _node(self, node: Node, known: _Known, names: tuple[str, ...]) -> _Known:
        """Check a node and all below it; what is known once it has succeeded."""
        after = self._body(node, known, names)
        if node.id is not None:
            after = after.also([f"steps.{node.id}"])
        if node.if_ is not None and node.verb != "if":
            after = known.perhaps(after)
        return after

    def _own(self, node: Node, known: _Known, names: tuple[str, ...], *late: str) -> None:
        """Check the node's own expressions but those of the fields in `late`."""
        for attribute, below, what in expressions_of(node):
            if attribute not in late:
                self._field(node, attribute, below, what, known, names)

    def _field(
        self,
        node: Node,
        attribute: str,
        below: Place,
        what: Expression | Template,
        known: _Known,
        names: tuple[str, ...],
    ) -> None:
        place = self.places.get((node.place, attribute), node.place)
        bound = (*names, *_bound(node, attribute.rstrip("_")))
        self._references((*place, *below), what, known, bound)

    def _late(self, node: Node, known: _Known, names: tuple[str, ...], *late: str) -> None:
        for attribute, below, what in expressions_of(node):
            if attribute in late:
                self._field(node, attribute, below, what, known, names)

    def _body(self, node: Node, known: _Known, names: tuple[str, ...]) -> _Known:
        walk: Callable[..., _Known] | None = getattr(self, f"_{node.verb}", None)
        if isinstance(node, Set):
            return self._set(node, known, names)
        if walk is not None:
            return walk(node, known, names)
        self._own(node, known, names)
        after = known
        for child, inner in self._parts(node, names):
            after = after.perhaps(self._node(child, after, inner))
        return after

    def _parts(
        self, node: Node, names: tuple[str, ...], *only: str
    ) -> Iterator[tuple[Node, tuple[str, ...]]]:
        """The node's children with the names that each sees; of some fields, or of all."""
        for spec in dataclasses.fields(node):
            key = spec.name.rstrip("_")
            # What takes a step back is no part of the step.
            if key == "undo" or (only and key not in only):
                continue
            bound = (*names, *_bound(node, key))
            for child in _nodes_in(getattr(node, spec.name)):
                yield child, bound

    def _set(self, node: Set, known: _Known, names: tuple[str, ...]) -> _Known:
        self._own(node, known, names, "values")
        place = self.places.get((node.place, "values"), node.place)
        for name, template in node.values.items():
            self._references((*place, name), template, known, names)
            known = known.also([f"vars.{name}"])
        return known

    def _in_order(self, node: Node, known: _Known, names: tuple[str, ...]) -> _Known:
        self._own(node, known, names)
        for child, inner in self._parts(node, names):
            known = self._node(child, known, inner)
        return known

    def _sequence(self, node: Node, known: _Known, names: tuple[str, ...]) -> _Known:
        after = self._in_order(node, known, names)
        self._undos(node, after, names)
        return after

    _saga = _sequence

    def _undos(self, node: Node, after: _Known, names: tuple[str, ...]) -> None:
        """What takes a step back may run when only a part of what follows has."""
        for child, inner in self._parts(node, names):
            for undo in _nodes_in(getattr(child, "undo", None)):
                self._node(undo, _Known(self.given, after.maybe), inner)

    def _fallback(self, node: Node, known: _Known, names: tuple[str, ...]) -> _Known:
        self._own(node, known, names)
        ends: list[_Known] = []
        begin = known
        for child, inner in self._parts(node, names):
            end = self._node(child, begin, inner)
            ends.append(end)
            begin = _Known(begin.surely, begin.maybe | end.maybe)
        return _any_of(ends, known)

    def _race(self, node: Node, known: _Known, names: tuple[str, ...]) -> _Known:
        self._own(node, known, names)
        children = list(self._parts(node, names))
        ends = [self._node(child, known, inner) for child, inner in children]
        return _any_of(ends, known)

    def _parallel(self, node: Node, known: _Known, names: tuple[str, ...]) -> _Known:
        self._own(node, known, names)
        ends = [self._node(child, known, inner) for child, inner in self._parts(node, names)]
        maybe = known.maybe.union(*(end.maybe for end in ends))
        if getattr(node, "success", None) is None and getattr(node, "failure", None) is None:
            return _Known(known.surely.union(*(end.surely for end in ends)), maybe)
        return _Known(known.surely, maybe)

    def _if(self, node: Node, known: _Known, names: tuple[str, ...]) -> _Known:
        self._own(node, known, names)
        ends = [self._node(child, known, inner) for child, inner in self._parts(node, names)]
        if getattr(node, "else_", None) is None:
            ends.append(known)
        return _any_of(ends, known)

    def _switch(self, node: Node, known: _Known, names: tuple[str, ...]) -> _Known:
        self._own(node, known, names)
        ends = [self._node(child, known, inner) for child, inner in self._parts(node, names)]
        if getattr(node, "default", None) is None:
            ends.append(known)
        return _any_of(ends, known)

    def _while(self, node: Node, known: _Known, names: tuple[str, ...]) -> _Known:
        self._own(node, known, names, "condition")
        self._late(node, _Known(known.surely, known.maybe | _set_below(node)), names, "condition")
        return known.perhaps(self._rounds(node, known, names))

    def _for_each(self, node: Node, known: _Known, names: tuple[str, ...]) -> _Known:
        self._own(node, known, names)
        return known.perhaps(self._rounds(node, known, names))

    def _repeat(self, node: Node, known: _Known, names: tuple[str, ...]) -> _Known:
        self._own(node, known, names, "until")
        after = self._rounds(node, known, names)
        self._late(node, after, names, "until")
        times = getattr(node, "times", None)
        at_least_once = times is None or (isinstance(times, int) and times > 0)
        return after if at_least_once else known.perhaps(after)

    def _rounds(self, node: Node, known: _Known, names: tuple[str, ...]) -> _Known:
        """The body of a loop: a round sees what the rounds before it have set."""
        known = _Known(known.surely, known.maybe | _set_below(node))
        for child, inner in self._parts(node, names):
            known = self._node(child, known, inner)
        return known

    def _try(self, node: Node, known: _Known, names: tuple[str, ...]) -> _Known:
        self._own(node, known, names)
        keys = [spec.name.rstrip("_") for spec in dataclasses.fields(node)]
        body = [key for key in keys if key not in ("catch", "finally")]
        done = known
        for child, inner in self._parts(node, names, *body):
            done = self._node(child, done, inner)
        ends = [done]
        failed = _Known(known.surely, known.maybe | done.maybe)
        for child, inner in self._parts(node, names, "catch"):
            ends.append(self._node(child, failed, inner))
        after = _any_of(ends, known)
        begin = _Known(known.surely, known.maybe.union(*(end.maybe for end in ends)))
        for child, inner in self._parts(node, names, "finally"):
            end = self._node(child, begin, inner)
            after = _Known(after.surely | end.surely, after.maybe | end.maybe)
        return after


def _bound(node: Node, key: str) -> tuple[str, ...]:
    """The names that one field of a node sees beside the others."""
    bound = node.binds.get(key, ())
    item = getattr(node, "as_", None)
    return tuple(item if item and name == "item" else name for name in bound)


def _set_below(node: Node) -> frozenset[str]:
    """All that the nodes below may set."""
    found: set[str] = set()
    for child in node.walk():
        if child is not node and child.id is not None:
            found.add(f"steps.{child.id}")
        if isinstance(child, Set):
            found |= {f"vars.{name}" for name in child.values}
    return frozenset(found)


def _any_of(ends: list[_Known], known: _Known) -> _Known:
    """What is known after one of several ways."""
    if not ends:
        return known
    return _Known(
        frozenset.intersection(*(end.surely for end in ends)),
        frozenset.union(*(end.maybe for end in ends)),
    )


def _nodes_in(value: Any) -> Iterator[Node]:
    if isinstance(value, Node):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _nodes_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _nodes_in(item)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _nodes_in(getattr(value, name))
