"""Constructors: trees built in code, from the same classes that read them.

A constructor gives the plain document of a node, the same that YAML gives. So there is one way to
read a tree, and what is built can be written down.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from typing import Any

import msgspec

from hub.connector import Action, installed_actions
from hub.durations import format_duration
from hub.errors import WrongUsage
from hub.tree.explicit_node import pascal
from hub.tree.node import NODES, Node, Retry
from hub.tree.spec import common_fields, node_fields, options_of
from hub.tree.words import did_you_mean, listed

__all__ = [
    "Constructor",
    "NodeDocument",
    "action_constructor",
    "class_name",
    "constructors",
    "installed_constructors",
    "node_constructor",
    "plain",
]


class NodeDocument(dict[str, Any]):
    """The document of one node, as a constructor made it."""


Constructor = Callable[..., NodeDocument]


def constructors(actions: Mapping[str, Action]) -> dict[str, Constructor]:
    """A constructor for every node and action, by its name: `Delay`, `EmailSend`."""
    made = {kind.__name__: node_constructor(kind) for kind in NODES.values()}
    return {**{class_name(n): action_constructor(a) for n, a in actions.items()}, **made}


@cache
def installed_constructors() -> Mapping[str, Constructor]:
    """A constructor for every node and every action of the installed connectors."""
    return constructors(installed_actions())


def class_name(action: str) -> str:
    """What the constructor of an action is called: `email.send` is `EmailSend`."""
    return pascal(action)


def node_constructor(kind: type[Node]) -> Constructor:
    """The constructor of a class of nodes.

    The verb's own value comes first; where it is a list of nodes, they are the positional
    arguments. All other fields are named, with `_` after a name that is a word of Python.
    """
    known = node_fields(kind)
    primary = (kind.primary or "").rstrip("_")
    attributes = {spec.attribute: key for key, spec in known.items()}
    many = primary != "" and any(str(o).startswith("list") for o in options_of(known[primary].type))
    several = many or (primary != "" and Node in options_of(known[primary].type))

    def construct(*value: Any, **fields: Any) -> NodeDocument:
        given: Any = None
        if len(value) > 1 and not several:
            raise WrongUsage(f"{kind.__name__} takes one value, not {len(value)}: name the others")
        if value:
            given = value[0] if len(value) == 1 else list(value)
            if many and len(value) == 1 and isinstance(given, NodeDocument):
                given = [given]
        if primary and known[primary].attribute in fields:
            given = fields.pop(known[primary].attribute)
        document = NodeDocument({kind.verb: plain(given)})
        own = {attributes[name]: fields.pop(name) for name in list(fields) if name in attributes}
        document.update({key: plain(item) for key, item in own.items()})
        return _with_common(document, fields, kind.__name__, attributes)

    construct.__name__ = construct.__qualname__ = kind.__name__
    construct.__doc__ = kind.__doc__
    return construct


def action_constructor(action: Action) -> Constructor:
    """The constructor of an action: its arguments by name, beside the fields of every node."""
    known = {spec.encode_name: spec.name for spec in msgspec.structs.fields(action.input)}
    names = {**{name: key for key, name in known.items()}, **{key: key for key in known}}

    def construct(**fields: Any) -> NodeDocument:
        arguments = {names[name]: plain(fields.pop(name)) for name in list(fields) if name in names}
        document = NodeDocument({action.name: arguments})
        if "connection" in fields:
            document["connection"] = fields.pop("connection")
        return _with_common(document, fields, class_name(action.name), names)

    construct.__name__ = construct.__qualname__ = class_name(action.name)
    construct.__doc__ = action.summary
    return construct


def _with_common(
    document: NodeDocument, fields: Mapping[str, Any], name: str, own: Mapping[str, str]
) -> NodeDocument:
    common = {spec.attribute: key for key, spec in common_fields().items()}
    for attribute, value in fields.items():
        key = common.get(attribute)
        if key is None:
            known = [*own, *common]
            raise WrongUsage(
                f"{name} has no {attribute!r}; "
                + (did_you_mean(attribute, known) or f"it has {listed(known)}")
            )
        if value is not None:
            document[key] = plain(value)
    return document


def plain(value: Any) -> Any:
    """A value as it stands in a document: durations as text, `Retry` as a mapping."""
    if isinstance(value, NodeDocument):
        return value
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, Retry):
        defaults = Retry()
        return {
            spec.name: plain(item)
            for spec in dataclasses.fields(Retry)
            if (item := getattr(value, spec.name)) != getattr(defaults, spec.name)
        } or {"attempts": value.attempts}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
