"""What an expression takes from its scope, for checks that are made before it is evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from jinja2 import nodes

from hub.expressions.expression import Expression
from hub.expressions.syntax import Hole, parse, split
from hub.expressions.template import Template

__all__ = ["Reference", "references"]

_FUNCTIONS = frozenset({"range", "dict"})


class Reference(NamedTuple):
    """One name of the scope, as it is used: `vars.user.email` is `vars` with ("user", "email").

    `attributes` goes as far as they are constant. `lenient` tells that the expression asks whether
    it is there (`is defined`, `default`). `argument` is the first one of a call, if it is a text.
    `place` is where in a template's value the expression stands.
    """

    name: str
    attributes: tuple[str, ...] = ()
    lenient: bool = False
    argument: str | None = None
    place: tuple[str | int, ...] = ()


def references(what: Expression | Template) -> tuple[Reference, ...]:
    """All references, in the order in which they are written, outermost first."""
    if isinstance(what, Expression):
        return _in_text(what.text)
    return tuple(_in_value(what.source, ()))


def _in_value(value: Any, place: tuple[str | int, ...]) -> Iterator[Reference]:
    if isinstance(value, str):
        if "${{" in value:
            for part in split(value):
                if isinstance(part, Hole):
                    for found in _in_text(part.expression.strip()):
                        yield found._replace(place=place)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _in_value(item, (*place, key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _in_value(item, (*place, index))


@lru_cache(maxsize=1024)
def _in_text(text: str) -> tuple[Reference, ...]:
    found = tuple(_walk(parse(text), False))
    asked = {(r.name, r.attributes) for r in found if r.lenient}
    # `x is defined and x > 1` asks first, so the second use is safe too.
    return tuple(
        r._replace(lenient=True)
        if any((r.name, r.attributes[:depth]) in asked for depth in range(len(r.attributes) + 1))
        else r
        for r in found
    )


def _walk(node: nodes.Node, lenient: bool) -> Iterator[Reference]:
    chain = _chain(node)
    if chain is not None:
        name, attributes, rest = chain
        yield Reference(name, attributes, lenient)
        for inner in rest:
            yield from _walk(inner, False)
        return
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name):
        first = node.args[0] if node.args else None
        argument = first.value if isinstance(first, nodes.Const) else None
        if node.node.name not in _FUNCTIONS:
            yield Reference(
                node.node.name, (), lenient, argument if isinstance(argument, str) else None
            )
        for inner in [*node.args, *node.kwargs]:
            yield from _walk(inner, False)
        return
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):
        # A method: what is before its name is data, the name itself is not.
        yield from _walk(node.node.node, lenient)
        for inner in [*node.args, *node.kwargs]:
            yield from _walk(inner, False)
        return
    asks = (isinstance(node, nodes.Test) and node.name in ("defined", "undefined")) or (
        isinstance(node, nodes.Filter) and node.name in ("default", "d")
    )
    for index, inner in enumerate(node.iter_child_nodes()):
        yield from _walk(inner, asks and index == 0)


def _chain(node: nodes.Node) -> tuple[str, tuple[str, ...], list[nodes.Node]] | None:
    """The name that a chain of attributes begins with, its attributes, and what else it reads."""
    attributes: list[str] = []
    rest: list[nodes.Node] = []
    while not isinstance(node, nodes.Name):
        if isinstance(node, nodes.Getattr):
            attributes.append(node.attr)
        elif isinstance(node, nodes.Getitem):
            if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
                attributes.append(node.arg.value)
            else:
                # What comes after an index is known only at run time.
                attributes.clear()
                rest.append(node.arg)
        else:
            return None
        node = node.node
    return node.name, tuple(reversed(attributes)), rest
