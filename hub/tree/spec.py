"""What the classes of nodes declare: their fields by the keys that trees write.

Reading, checking, the JSON Schema, the docs and the constructors all follow from these.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args, get_origin

import msgspec

from hub.tree.node import Doc, Node

__all__ = [
    "FieldSpec",
    "common_fields",
    "holds_nodes",
    "is_struct",
    "node_fields",
    "options_of",
    "struct_fields",
]

_PLACES = ("path", "place")


@dataclass(frozen=True)
class FieldSpec:
    """One field: the key in a tree, the attribute in its class, and what it takes."""

    key: str
    attribute: str
    type: Any
    required: bool
    default: Any
    doc: str | None


@cache
def node_fields(kind: type[Node]) -> Mapping[str, FieldSpec]:
    """A node class's own fields by their keys, without those that every node has."""
    inherited = {spec.name for spec in dataclasses.fields(Node)}
    return {k: s for k, s in struct_fields(kind).items() if s.attribute not in inherited}


@cache
def common_fields() -> Mapping[str, FieldSpec]:
    """The fields that every node has, by their keys."""
    return {k: s for k, s in struct_fields(Node).items() if s.attribute not in _PLACES}


@cache
def struct_fields(kind: type[Any]) -> Mapping[str, FieldSpec]:
    """The fields of a dataclass or a msgspec struct by their keys."""
    hints = typing.get_type_hints(kind, include_extras=True)
    read: dict[str, FieldSpec] = {}
    for name, key, default, required in _declared(kind):
        hint, doc = hints[name], None
        if get_origin(hint) is typing.Annotated:
            hint, *marks = get_args(hint)
            doc = next((m.text for m in marks if isinstance(m, Doc)), None) or next(
                (m.description for m in marks if isinstance(m, msgspec.Meta)), None
            )
        read[key] = FieldSpec(key, name, hint, required, default, doc)
    return read


def _declared(kind: type[Any]) -> list[tuple[str, str, Any, bool]]:
    if issubclass(kind, msgspec.Struct):
        return [
            (f.name, f.encode_name.rstrip("_"), None if f.required else f.default, f.required)
            for f in msgspec.structs.fields(kind)
        ]
    return [
        (
            f.name,
            f.name.rstrip("_"),
            None if f.default is dataclasses.MISSING else f.default,
            f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING,
        )
        for f in dataclasses.fields(kind)
        if f.init
    ]


def options_of(kind: Any) -> tuple[Any, ...]:
    """The types that a field takes, without None: one, or the members of a union."""
    origin = get_origin(kind)
    if origin is typing.Annotated:
        return options_of(get_args(kind)[0])
    if origin is types.UnionType or origin is typing.Union:
        members = (options_of(m) for m in get_args(kind) if m is not type(None))
        return tuple(option for found in members for option in found)
    return (kind,)


def is_struct(kind: Any) -> bool:
    """Is it a class whose fields are read one by one?"""
    return isinstance(kind, type) and (
        issubclass(kind, msgspec.Struct) or dataclasses.is_dataclass(kind)
    )


def holds_nodes(kind: Any) -> bool:
    """Does a field of this type hold nodes, at any depth?"""
    for option in options_of(kind):
        if option is Node:
            return True
        if get_origin(option) is not None:
            if any(holds_nodes(inner) for inner in get_args(option) if inner is not Ellipsis):
                return True
        elif (
            is_struct(option)
            and not issubclass(option, Node)
            and any(holds_nodes(spec.type) for spec in struct_fields(option).values())
        ):
            return True
    return False
