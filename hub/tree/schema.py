"""The JSON Schema of trees, for completion and hover texts in editors.

It follows from the classes of nodes and from the connectors' input structs. An editor learns from
the verb which fields belong to a node: `if` a verb is there, `then` its schema counts.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Literal, get_args, get_origin

import msgspec

from hub.connector import Action
from hub.expressions import Expression, Template
from hub.tree.events import API, EVENT_FIELDS, START_FIELDS, START_KINDS
from hub.tree.explicit_types import TYPES
from hub.tree.node import NODES, Node, Retry, Span, Subscribed
from hub.tree.read import TREE_FIELDS
from hub.tree.schedules import is_inline
from hub.tree.spec import (
    FieldSpec,
    common_fields,
    is_struct,
    node_fields,
    options_of,
    struct_fields,
)
from hub.tree.tree import Deliver

__all__ = ["json_schema"]

Schema = dict[str, Any]

_ID: Schema = {"type": "string", "pattern": "^[a-z][a-z0-9_]*$"}
_HOLE: Schema = {"type": "string", "pattern": r"\$\{\{"}
_SPAN: Schema = {
    "type": "string",
    "pattern": r"[A-Za-z]|\$\{\{",
    "examples": ["30s", "24h", "7 days", "PT24H"],
}
_FIXED_SPAN: Schema = {"type": "string", "pattern": "[A-Za-z]", "examples": ["1h", "2 days"]}
_EXPRESSION: Schema = {"type": ["string", "boolean", "number"]}
_NODE: Schema = {"$ref": "#/$defs/node"}
_ACTION_PATTERN = r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$"


def json_schema(actions: Mapping[str, Action], kinds: Iterable[str]) -> Schema:
    """The schema (2020-12) of a tree, with these actions and kinds of trigger."""
    definitions: dict[str, Schema] = {"node": _node(actions), "explicit": _explicit(actions)}
    definitions["mapping"] = _mapping(actions)
    for verb in sorted(NODES):
        definitions[f"node.{verb}"] = _verb(verb, NODES[verb])
    for name, action in actions.items():
        definitions[f"action.{name}"] = _call(name, action, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A tree of the hub",
        "description": "What happens after an event: the nodes of a run, in order.",
        "type": "object",
        "if": {"required": ["type"], "not": {"required": ["tree"]}},
        "then": {"$ref": "#/$defs/explicit"},
        "else": {"$ref": "#/$defs/tree"},
        "$defs": {"tree": _tree(kinds), **definitions},
    }


def _tree(kinds: Iterable[str]) -> Schema:
    parts: dict[str, Schema] = {
        "tree": {"type": "string", "pattern": "^[a-z][a-z0-9_-]*$"},
        "title": {"type": "string"},
        "description": {"type": "string"},
        "events": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": _ID,
            "additionalProperties": _event(kinds),
        },
        "start": {"anyOf": [{"type": "string"}, _start()]},
        "cancel_on": {"type": "string"},
        "vars": {"type": ["object", "null"], "propertyNames": _ID},
        "do": _NODE,
    }
    return {
        "type": "object",
        "properties": {
            key: {"description": text, **parts.get(key, {})} for key, text in TREE_FIELDS.items()
        },
        "required": ["tree", "events", "start", "do"],
        "additionalProperties": False,
    }


_EVENT_PARTS: Mapping[str, Schema] = {
    "early": _FIXED_SPAN,
    "deliver": {"enum": list(get_args(Deliver))},
}


def _event(kinds: Iterable[str]) -> Schema:
    sources = sorted({*kinds, API})
    properties: dict[str, Schema] = {
        kind: {
            "type": "string",
            "minLength": 1,
            "description": "the hub's own trigger: events sent by `hub events send`"
            if kind == API
            else f"it comes in at this {kind} trigger of hub.yaml",
        }
        for kind in sources
    }
    for kind in sources:
        if is_inline(kind, kinds):
            named = properties[kind]
            about = named.pop("description")
            properties[kind] = {"description": about, "anyOf": [named, {"type": "object"}]}
    for key, text in EVENT_FIELDS.items():
        properties[key] = {**_EVENT_PARTS.get(key, _EXPRESSION), "description": text}
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "oneOf": [{"required": [kind]} for kind in sources],
    }


def _start() -> Schema:
    return {
        "type": "object",
        "properties": {
            name: {"description": text, **_of(START_KINDS[name])}
            for name, text in START_FIELDS.items()
        },
        "required": ["event"],
        "additionalProperties": False,
    }


def _node(actions: Mapping[str, Action]) -> Schema:
    return {
        "anyOf": [
            {"$ref": "#/$defs/mapping"},
            {"type": "array", "items": _NODE, "minItems": 1},
            {"type": "string", "enum": sorted([*NODES, *actions])},
        ]
    }


def _mapping(actions: Mapping[str, Action]) -> Schema:
    verbs = {verb: f"node.{verb}" for verb in sorted(NODES)}
    verbs |= {name: f"action.{name}" for name in actions}
    described = {verb: {"description": _about(NODES[verb])} for verb in sorted(NODES)}
    described |= {name: {"description": action.summary} for name, action in actions.items()}
    rules: list[Schema] = []
    for verb, name in verbs.items():
        rules.append({"if": {"required": _marks(verb)}, "then": {"$ref": f"#/$defs/{name}"}})
    present: list[Schema] = [{"required": _marks(verb)} for verb in verbs]
    rules.append(
        {
            "if": {"required": ["type"], "not": {"anyOf": present}},
            "then": {"$ref": "#/$defs/explicit"},
        }
    )
    return {
        "type": "object",
        "properties": {
            **described,
            **{key: {"description": spec.doc} for key, spec in common_fields().items()},
        },
        "anyOf": [*present, {"required": ["type"]}],
        "allOf": rules,
    }


def _marks(verb: str) -> list[str]:
    """What tells that a mapping has this verb: `if` alone is a field of every node."""
    return ["if", "then"] if verb == "if" else [verb]


def _common() -> dict[str, Schema]:
    return {key: _field(spec) for key, spec in common_fields().items()}


def _about(kind: type[Any]) -> str:
    return inspect.getdoc(kind) or ""


def _verb(verb: str, kind: type[Node]) -> Schema:
    known = node_fields(kind)
    primary = (kind.primary or "").rstrip("_")
    beside = {key: _field(spec) for key, spec in known.items() if key != primary}
    values: list[Schema] = []
    if primary:
        values.append(_of(known[primary].type))
        if not known[primary].required:
            values.append({"type": "null"})
    values.append(
        {
            "type": "object",
            "properties": {key: _field(spec) for key, spec in known.items()},
            "required": [key for key, spec in known.items() if spec.required],
            "additionalProperties": False,
        }
    )
    doc = known[primary].doc if primary else None
    schema: Schema = {
        "type": "object",
        "description": _about(kind),
        "properties": {
            verb: {"description": "\n\n".join(filter(None, (_about(kind), doc))), "anyOf": values},
            **beside,
            **{key: spec for key, spec in _common().items() if key != verb},
        },
        "additionalProperties": False,
    }
    needed = [key for key, spec in known.items() if spec.required and key != primary]
    if needed and verb != "if":
        inside = {"properties": {verb: {"type": "object", "required": needed}}}
        schema["anyOf"] = [{"required": needed}, {"required": [verb], **inside}]
    return schema


def _call(name: str, action: Action, definitions: dict[str, Schema]) -> Schema:
    (schema,), components = msgspec.json.schema_components(
        (action.input,), ref_template=f"#/$defs/{name}.{{name}}"
    )
    for component, inner in components.items():
        definitions[f"{name}.{component}"] = _loosened(_ecma(inner))
    return {
        "type": "object",
        "description": action.summary,
        "properties": {
            name: {"description": action.summary, "anyOf": [schema, {"type": "null"}]}
            if not _needs(action)
            else {"description": action.summary, **schema},
            "connection": {
                "type": "string",
                "description": "the name of a connection of hub.yaml, where there are several",
            },
            **_common(),
        },
        "additionalProperties": False,
    }


def _needs(action: Action) -> bool:
    return any(spec.required for spec in msgspec.structs.fields(action.input))


def _ecma(schema: Any) -> Any:
    r"""The schema with Python's `\Z` as JavaScript's `$`, the dialect of JSON Schema's patterns."""
    if isinstance(schema, dict):
        return {
            key: item.replace("\\Z", "$")
            if key == "pattern" and isinstance(item, str)
            else _ecma(item)
            for key, item in schema.items()
        }
    return [_ecma(item) for item in schema] if isinstance(schema, list) else schema


def _loosened(schema: Schema) -> Schema:
    """The schema with `${{ }}` allowed inside, in the place of every value that is no plain text."""
    loose: Schema = {}
    for key, item in schema.items():
        if key == "properties":
            loose[key] = {name: _or_hole(inner) for name, inner in item.items()}
        elif key in ("items", "additionalProperties") and isinstance(item, dict):
            loose[key] = _or_hole(item)
        elif key in ("prefixItems", "allOf"):
            loose[key] = [_or_hole(inner) for inner in item]
        elif key in ("anyOf", "oneOf"):
            loose[key] = [_loosened(inner) for inner in item]
        else:
            loose[key] = item
    if "properties" in loose:
        loose.setdefault("additionalProperties", False)
    return loose


def _or_hole(schema: Schema) -> Schema:
    loose = _loosened(schema)
    options = loose.get("anyOf", [loose])
    if any(_takes_any_text(option) for option in options):
        return loose
    said: Schema = {k: loose.pop(k) for k in ("title", "description", "default") if k in loose}
    return {**said, "anyOf": [*options, _HOLE] if "anyOf" in loose else [loose, _HOLE]}


def _takes_any_text(schema: Schema) -> bool:
    rules = set(schema) - {"title", "description", "default", "examples"}
    return not rules or (rules == {"type"} and "string" in schema["type"])


def _field(spec: FieldSpec) -> Schema:
    schema = _of(spec.type)
    if spec.key == "id":
        schema = {**_ID}
    if spec.doc:
        schema = {"description": spec.doc, **schema}
    if isinstance(spec.default, (str, int, float, bool)):
        schema = {**schema, "default": spec.default}
    return schema


def _of(kind: Any) -> Schema:
    """The schema of one type that a class of nodes declares."""
    options = [_of_one(option) for option in options_of(kind)]
    if len(options) == 1:
        return options[0]
    return {} if {} in options else {"anyOf": options}


_PLAIN: Mapping[Any, Schema] = {
    Template: {},
    Any: {},
    Expression: _EXPRESSION,
    Span: _SPAN,
    timedelta: _SPAN,
    Subscribed: _ID,
    Node: _NODE,
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
}


def _of_one(kind: Any) -> Schema:
    if kind in _PLAIN:
        return dict(_PLAIN[kind])
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (list, tuple):
        items: Schema = {"type": "array", "items": _of(arguments[0])}
        return {**items, "minItems": 1} if arguments[0] is Node else items
    if origin in (dict, Mapping):
        names: Schema = {"propertyNames": _ID} if arguments[1] is Template else {}
        return {"type": "object", "additionalProperties": _of(arguments[1]), **names}
    if is_struct(kind):
        return _struct(kind)
    return {}


def _struct(kind: Any) -> Schema:
    known = struct_fields(kind)
    schema: Schema = {
        "type": "object",
        "properties": {key: _field(spec) for key, spec in known.items()},
        "required": [key for key, spec in known.items() if spec.required],
        "additionalProperties": False,
    }
    if kind is not Retry:
        return schema
    unless = {"anyOf": [{"type": "string"}, schema["properties"]["unless"]]}
    schema["properties"]["unless"] = {
        "description": schema["properties"]["unless"].pop("description", ""),
        **unless,
    }
    return {"anyOf": [{"type": "integer", "minimum": 0}, schema]}


def _explicit(actions: Mapping[str, Action]) -> Schema:
    child: Schema = {"$ref": "#/$defs/node"}
    return {
        "type": "object",
        "description": "A node in the explicit form",
        "properties": {
            "type": {
                "description": "what the node is",
                "anyOf": [
                    {"enum": sorted([*TYPES, *actions])},
                    {"type": "string", "pattern": _ACTION_PATTERN},
                    {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_-]*$"},
                ],
            },
            "id": {"type": "string", "description": "its name; hyphens are read as _"},
            "name": {"type": "string", "description": "what people call it"},
            "config": {"type": "object", "description": "its settings"},
            "props": {"type": "object", "description": "its settings; the same as `config`"},
            "children": {"type": "array", "items": child, "description": "the nodes below it"},
            "child": child,
        },
        "required": ["type"],
    }
