"""The page of all nodes, from the same classes that trees are read with."""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Literal, get_args, get_origin

import msgspec

from hub.connector import Action, Connector
from hub.durations import format_duration
from hub.expressions import Expression, Template
from hub.tree.events import EVENT_FIELDS, START_FIELDS
from hub.tree.explicit_types import TYPES
from hub.tree.flow import FLOW_KINDS
from hub.tree.node import NODES, Node, Retry, Span, Subscribed
from hub.tree.read import TREE_FIELDS
from hub.tree.spec import FieldSpec, common_fields, node_fields, options_of, struct_fields
from hub.tree.words import listed

__all__ = ["connector_docs", "node_docs"]

_HEAD = """# Nodes

Every node of the language and every action of the connectors that come with the hub. This page is
generated from their classes: `hub schema --docs --out docs/nodes.md`.

A node is a mapping with one **verb**. What the verb's own value means stands first in its table,
in bold; the other fields stand beside the verb, or, with it, below it:

```yaml
- wait_for: verified          # the verb and its value
  timeout: 24h                # a field of every node
- delay: {until: "${{ vars.due }}"}
```

A list of nodes runs in order. Where the tables say *expression*, write it bare
(`event.data.total > 100`); where they say *value*, put `${{ }}` into any text of it; a *duration*
is `90s`, `24h`, `7 days` or `PT24H`.
"""

_WORDS: Mapping[Any, str] = {
    Template: "value",
    Expression: "expression",
    Span: "duration",
    timedelta: "duration",
    Subscribed: "event's name",
    Node: "node or list of nodes",
    Retry: "number, or `attempts`, `backoff`, `factor`, `max`, `unless`",
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Any: "any value",
}


def node_docs(actions: Mapping[str, Action]) -> str:
    """The page as Markdown."""
    parts = [_HEAD]
    parts.append(_section("A tree", "", _pairs(TREE_FIELDS)))
    parts.append(
        _section(
            "An event of a tree",
            "One of `webhook`, `kafka`, `schedule`, ... names the trigger of hub.yaml at which it "
            "comes in, `api: api` means events sent by `hub events send`. Beside it:",
            _pairs(EVENT_FIELDS),
        )
    )
    parts.append(
        _section(
            "The start of a tree",
            "`start: signed_up` names the event. It may say more, as `start: {event: signed_up, "
            "rerun: never}`; docs/semantics.md says what each of these does to events.",
            _pairs(START_FIELDS),
        )
    )
    for name, kind in FLOW_KINDS.items():
        about = inspect.getdoc(kind) or ""
        parts.append(_section(f"`{name}`", about, _fields(struct_fields(kind)), "###"))
    parts.append(_section("Every node", "These stand beside any verb.", _fields(common_fields())))
    parts.append(
        _section("Retry", inspect.getdoc(Retry) or "", _fields(struct_fields(Retry)), "###")
    )
    for title, kinds in _groups():
        parts.append(f"## {title}\n")
        for kind in kinds:
            primary = (kind.primary or "").rstrip("_")
            parts.append(
                _section(
                    f"`{kind.verb}`",
                    inspect.getdoc(kind) or "",
                    _fields(node_fields(kind), primary),
                    "###",
                )
            )
    parts.append("## Actions of connectors\n")
    for name, action in actions.items():
        parts.append(_section(f"`{name}`", action.summary, _arguments(action), "###"))
    parts.append(
        "## The explicit form\n\n"
        "A node may also be written as `{type, id, config, children}` (`props` is read like "
        "`config`), with actions and verbs as types (`email.send`, `WaitFor`), or with one of "
        f"these: {listed(sorted(TYPES))}.\n\n"
        "It is turned into the nodes above before anything else is done with it. Hyphens in ids "
        "become `_`. Numbers as durations are seconds. A file that is one such node, without "
        "`tree:`, is a tree named by its `id`, else by its file; it is started by an event of the "
        "type `<name>.start`: `hub events send --type <name>.start`.\n"
    )
    return "\n".join(parts)


def connector_docs(connectors: Mapping[str, type[Connector]]) -> str:
    """A section for each connector as Markdown: its settings, its actions, what they take and give."""
    parts = []
    for kind in connectors.values():
        first, _, rest = (inspect.getdoc(sys.modules[kind.__module__]) or "").partition("\n")
        about = rest.strip() if first else ""
        parts.append(f"## {kind.name}\n\n{inspect.getdoc(kind)}\n")
        if example := _yaml_of(about):
            parts.append(f"```yaml\n{example}\n```\n")
        title = "Settings of a connection"
        parts.append(_section(title, "", _rows_of(kind.settings_type), "###"))
        for action in kind.actions():
            parts.append(
                _section(f"`{action.name}`", action.summary, _rows_of(action.input), "###")
            )
            parts.append(_section("Gives", "", _rows_of(action.output, gives=True), "####"))
    return "\n".join(parts)


def _yaml_of(text: str) -> str:
    """The indented lines of a docstring: its example."""
    lines = text.splitlines()
    kept = [line for line in lines if not line or line.startswith("    ")]
    return textwrap.dedent("\n".join(kept)).strip() if any(kept) else ""


def _groups() -> Iterator[tuple[str, list[type[Node]]]]:
    """The classes by their modules, under the modules' own first lines."""
    modules = list(dict.fromkeys(kind.__module__ for kind in NODES.values()))
    for module in sorted(modules):
        doc = (sys.modules[module].__doc__ or module).strip().splitlines()[0]
        yield doc.rstrip("."), [k for k in NODES.values() if k.__module__ == module]


def _section(title: str, text: str, rows: list[tuple[str, str, str]], level: str = "##") -> str:
    lines = [f"{level} {title}", ""]
    if text:
        lines += [text, ""]
    if rows and not any(takes for _, takes, _ in rows):
        lines += ["| field | meaning |", "|---|---|"]
        lines += [f"| {field} | {meaning} |" for field, _, meaning in rows]
        lines.append("")
    elif rows:
        lines += ["| field | takes | meaning |", "|---|---|---|"]
        lines += [f"| {field} | {takes} | {meaning} |" for field, takes, meaning in rows]
        lines.append("")
    return "\n".join(lines)


def _pairs(fields: Mapping[str, str]) -> list[tuple[str, str, str]]:
    return [(f"`{key}`", "", _cell(text)) for key, text in fields.items()]


def _fields(fields: Mapping[str, FieldSpec], primary: str = "") -> list[tuple[str, str, str]]:
    rows = []
    for key, spec in sorted(fields.items(), key=lambda item: item[0] != primary):
        name = f"**`{key}`**" if key == primary else f"`{key}`"
        takes = " or ".join(dict.fromkeys(_takes(option) for option in options_of(spec.type)))
        meaning = spec.doc or ""
        if spec.required:
            meaning += " (needed)"
        elif spec.default not in (None, ()):
            meaning += f" (default `{_shown(spec.default)}`)"
        rows.append((name, _cell(takes), _cell(meaning)))
    return rows


def _shown(value: Any) -> str:
    if isinstance(value, timedelta):
        return format_duration(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _takes(kind: Any) -> str:
    if kind in _WORDS:
        return _WORDS[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in arguments)
    if origin in (list, tuple):
        inner = "nodes" if arguments[0] is Node else f"{_takes(arguments[0])}s"
        return f"list of {inner}"
    if origin in (dict, Mapping):
        return f"mapping of names to {_takes(arguments[1])}s".replace(
            "nodes or list of nodess", "nodes"
        )
    return "mapping"


def _arguments(action: Action) -> list[tuple[str, str, str]]:
    return _rows_of(action.input)


def _rows_of(kind: Any, *, gives: bool = False) -> list[tuple[str, str, str]]:
    """The fields of a struct; those of the structs within it follow, by their places."""
    components = msgspec.json.schema_components((kind,))[1]

    def rows(schema: Mapping[str, Any], before: str, above: tuple[str, ...]) -> Iterator[Any]:
        needed = schema.get("required", ())
        for key, spec in schema.get("properties", {}).items():
            meaning = spec.get("description", "")
            if gives:
                pass
            elif key in needed:
                meaning += " (needed)"
            elif spec.get("default") not in (None, [], {}, ""):
                meaning += f" (default `{_shown(spec['default'])}`)"
            yield f"`{before}{key}`", _cell(_kinds(spec)), _cell(meaning)
            for name, mark in _inner(spec):
                if name not in above:
                    yield from rows(components[name], f"{before}{key}{mark}.", (*above, name))

    return list(rows(components[kind.__name__], "", (kind.__name__,)))


def _inner(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The structs that a field holds, and how a place within them is written."""
    if "$ref" in spec:
        yield spec["$ref"].rpartition("/")[2], ""
    for option in spec.get("anyOf", ()):
        yield from _inner(option)
    if isinstance(spec.get("items"), Mapping):
        for name, _ in _inner(spec["items"]):
            yield name, "[]"


def _kinds(spec: Mapping[str, Any]) -> str:
    names = {
        "string": "text",
        "integer": "whole number",
        "boolean": "true or false",
        "array": "list",
        "object": "mapping",
        "null": "",
    }
    if "enum" in spec:
        return ", ".join(f"`{choice}`" for choice in spec["enum"])
    if "anyOf" in spec:
        found = [_kinds(option) for option in spec["anyOf"]]
        return " or ".join(dict.fromkeys(name for name in found if name))
    if "$ref" in spec:
        return "mapping"
    return names.get(str(spec.get("type", "")), str(spec.get("type", "any value")))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
