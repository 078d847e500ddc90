"""`/api/language`: the words that trees are written in, as forms and palettes need them."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any, Literal, get_args, get_origin

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler

from hub.api.guards import SIGNED_IN
from hub.connector import Action, installed_actions
from hub.expressions import Expression, Template
from hub.tree.events import EVENT_FIELDS, EVENT_KINDS, START_FIELDS, START_KINDS
from hub.tree.node import NODES, Node, Retry, Span, Subscribed
from hub.tree.spec import (
    FieldSpec,
    common_fields,
    holds_nodes,
    is_struct,
    node_fields,
    options_of,
    struct_fields,
)
from hub.tree.tree import StartPolicy, Subscription

__all__ = ["FieldInfo", "Language", "VerbInfo", "describe_language", "language"]

Kind = Literal[
    "text",
    "expression",
    "template",
    "duration",
    "number",
    "boolean",
    "choice",
    "event",
    "retry",
    "node",
    "nodes",
    "cases",
    "names",
    "mapping",
    "fields",
    "any",
]
_WAITS = frozenset({"delay", "wait_for", "approval"})


class FieldInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One field: the key that trees write, what it takes, and what it is for.

    `choices` are those of a choice, `fields` those of a field that is made of fields.
    """

    key: str
    kind: Kind
    required: bool
    doc: str | None
    choices: list[str] | None = None
    fields: list[FieldInfo] | None = None
    default: Any = None


class VerbInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One verb. `primary` is the field that the value after the verb fills, None where it has none."""

    verb: str
    group: Literal["control", "wait", "action", "connector"]
    doc: str
    primary: str | None
    fields: list[FieldInfo]


class Language(msgspec.Struct, frozen=True, kw_only=True):
    """All verbs: the language's own, and the actions of installed connectors.

    `common` are the fields that every node has, `start` those of a tree's `start` where it is more
    than a name, and `event` those that an event has beside its trigger.
    """

    verbs: list[VerbInfo]
    common: list[FieldInfo]
    start: list[FieldInfo]
    event: list[FieldInfo]


def language() -> list[HTTPRouteHandler]:
    """The route of the language."""

    @get(
        "/api/language",
        opt=SIGNED_IN,
        summary="The verbs of trees with their fields",
        tags=["project"],
    )
    async def show_language() -> Language:
        return describe_language()

    return [show_language]


@cache
def describe_language() -> Language:
    """The language of this process, as its node classes and installed connectors declare it."""
    verbs = [_verb(verb, kind) for verb, kind in NODES.items() if verb]
    verbs += [_action(action) for action in installed_actions().values()]
    return Language(
        verbs=verbs,
        common=_fields(common_fields()),
        start=_fields(_named(START_FIELDS, {**START_KINDS, "event": Subscribed}, StartPolicy)),
        event=_fields(_named(EVENT_FIELDS, EVENT_KINDS, Subscription)),
    )


def _verb(verb: str, kind: type[Node]) -> VerbInfo:
    specs = node_fields(kind)
    is_control = any(holds_nodes(spec.type) for spec in specs.values())
    return VerbInfo(
        verb=verb,
        group="control" if is_control else "wait" if verb in _WAITS else "action",
        doc=(kind.__doc__ or "").strip().partition("\n\n")[0].replace("\n    ", " "),
        primary=None if kind.primary is None else kind.primary.rstrip("_"),
        fields=_fields(specs),
    )


def _action(action: Action) -> VerbInfo:
    return VerbInfo(
        verb=action.name,
        group="connector",
        doc=action.summary.partition("\n\n")[0].replace("\n", " "),
        primary=None,
        fields=_fields(struct_fields(action.input)),
    )


def _named(
    docs: Mapping[str, str], kinds: Mapping[str, Any], declared: type[Any]
) -> Mapping[str, FieldSpec]:
    """Fields by their docs and kinds, with the defaults of the class that they are read into."""
    defaults = {field.name: field.default for field in dataclasses.fields(declared)}
    return {
        key: FieldSpec(
            key=key,
            attribute=key,
            type=kinds[key],
            required=defaults[key] is dataclasses.MISSING,
            default=defaults[key],
            doc=doc,
        )
        for key, doc in docs.items()
    }


def _fields(specs: Mapping[str, FieldSpec]) -> list[FieldInfo]:
    return [_field(spec) for spec in specs.values()]


def _field(spec: FieldSpec) -> FieldInfo:
    kind, choices = _kind(spec.type)
    parts = _fields(struct_fields(options_of(spec.type)[0])) if kind == "fields" else None
    default = spec.default if isinstance(spec.default, (bool, int, float, str)) else None
    return FieldInfo(
        key=spec.key,
        kind=kind,
        required=spec.required,
        doc=spec.doc,
        choices=choices,
        fields=parts,
        default=default,
    )


_PLAIN: Mapping[Any, Kind] = {
    str: "text",
    int: "number",
    float: "number",
    bool: "boolean",
    Expression: "expression",
    Template: "template",
    Span: "duration",
    timedelta: "duration",
    Subscribed: "event",
    Retry: "retry",
    Node: "node",
}


def _kind(declared: Any) -> tuple[Kind, list[str] | None]:
    options = options_of(declared)
    for option in options:
        origin, inner = get_origin(option), get_args(option)
        if origin is Literal:
            return "choice", [str(choice) for choice in inner]
        if isinstance(option, type) and issubclass(option, enum.Enum):
            return "choice", [str(member.value) for member in option]
        if origin is list and holds_nodes(inner[0]):
            return "nodes", None
        if origin is dict and holds_nodes(inner[1]):
            return "cases", None
    if Expression in options:
        return "expression", None
    for option in options:
        if option in _PLAIN:
            return _PLAIN[option], None
    if len(options) == 1 and is_struct(options[0]) and not holds_nodes(options[0]):
        return "fields", None
    origins = {get_origin(option) or option for option in options}
    if origins & {list, tuple}:
        return "names", None
    return ("mapping" if dict in origins else "any"), None
