"""The explicit form, `{type, id, config|props, children}`, turned into the form with verbs.

The document is translated before it is read, so both forms mean the same nodes, have the same paths
and run the same. For each part of the new document the translation knows where it came from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.tree.events import API
from hub.tree.explicit_node import Explicit, identifier, pascal, words
from hub.tree.explicit_types import TYPES, generic
from hub.tree.node import NODES
from hub.tree.report import Report
from hub.tree.spec import common_fields, holds_nodes, node_fields
from hub.tree.verbs import ACTION
from hub.tree.words import Place, did_you_mean, kind_of, listed

__all__ = ["Translation", "is_explicit", "translate"]

_PARTS = ("type", "id", "name", "title", "description", "config", "props", "children", "child")


@dataclass
class Translation:
    """The document in the form with verbs, and where each of its parts came from."""

    value: Any
    origins: dict[Place, Place] = field(default_factory=dict)

    def origin(self, place: Place) -> Place:
        """The place in the text of a part of the translated document."""
        for length in range(len(place), -1, -1):
            found = self.origins.get(place[:length])
            if found is not None:
                return (*found, *place[length:])
        return place


def is_explicit(value: Any) -> bool:
    """Is it a node, or a tree, in the explicit form?"""
    return isinstance(value, dict) and isinstance(value.get("type"), str) and "tree" not in value


def translate(value: Any, report: Report, *, name: str | None = None) -> Translation:
    """The document with every explicit node turned into one with a verb.

    A bare root node becomes a tree named by its id, else by `name`, that is started by an event
    of its own. What cannot be kept goes to the report.
    """
    translator = Translator(report)
    report.origin = Translation(None, translator.origins).origin
    if is_explicit(value):
        return translator.root(value, name)
    if not isinstance(value, dict) or "do" not in value or not _has_explicit(value["do"]):
        return Translation(value)
    document = dict(value)
    document["do"] = translator.anything(("do",), ("do",), value["do"])
    return Translation(document, translator.origins)


def _has_explicit(value: Any) -> bool:
    if isinstance(value, dict):
        if is_explicit(value) and (_known(value["type"])):
            return True
        return any(_has_explicit(item) for item in value.values())
    return isinstance(value, list) and any(_has_explicit(item) for item in value)


class Translator:
    def __init__(self, report: Report) -> None:
        self.report = report
        self.origins: dict[Place, Place] = {}

    # -- the tree -------------------------------------------------------------------------

    def root(self, value: dict[str, Any], name: str | None) -> Translation:
        tree = value.get("id") or value.get("name") or name or words(value["type"], "-")
        tree = re.sub(r"[^a-z0-9_-]+", "-", str(tree).lower()).strip("-")
        start = {API: API, "where": f'event.type == "{tree}.start"'}
        document: dict[str, Any] = {"tree": tree or "tree"}
        for key in ("title", "description"):
            if isinstance(value.get(key), str):
                document[key] = value[key]
        document["events"] = {"start": start}
        document["start"] = "start"
        document["do"] = self.node((), ("do",), value)
        self.origins |= {(): (), ("tree",): ("id",) if "id" in value else ("type",)}
        for key in ("events", "start"):
            self.origins[(key,)] = ()
        return Translation(document, self.origins)

    # -- nodes ----------------------------------------------------------------------------

    def anything(self, source: Place, target: Place, value: Any) -> Any:
        """What stands where a node may stand: explicit ones are translated, at any depth."""
        self.origins[target] = source
        if isinstance(value, list):
            return [
                self.anything((*source, index), (*target, index), item)
                for index, item in enumerate(value)
            ]
        if is_explicit(value) and not any(map(_is_verb, value)):
            return self.node(source, target, value)
        if not isinstance(value, dict):
            return value
        return {
            key: self.anything((*source, key), (*target, key), item)
            if self._holds(key, value)
            else item
            for key, item in value.items()
        }

    def _holds(self, key: str, node: Mapping[str, Any]) -> bool:
        if key in NODES:
            primary = NODES[key].primary
            specs = node_fields(NODES[key])
            return primary is not None and holds_nodes(specs[primary.rstrip("_")].type)
        for verb in node:
            if verb in NODES and key in node_fields(NODES[verb]):
                return holds_nodes(node_fields(NODES[verb])[key].type)
        return key in common_fields() and holds_nodes(common_fields()[key].type)

    def node(self, source: Place, target: Place, value: dict[str, Any]) -> Any:
        """One explicit node as a mapping with a verb."""
        self.origins[target] = source
        written = value["type"]
        explicit = self._open(source, target, value)
        self._common(value, explicit)
        make = TYPES.get(written) or TYPES.get(pascal(written)) or generic(written)
        if make is None:
            self.say(
                explicit,
                ("type",),
                f"there is no node of the type {written!r}",
                suggestion=did_you_mean(pascal(written), TYPES)
                or f"the types are {listed(sorted(TYPES))}; an action is like email.send",
                code="unknown_node",
            )
            return {"log": written}
        make(self, explicit)
        for key in explicit.settings:
            self.say(
                explicit,
                (explicit.settings_key, key),
                f"`{written}` has no setting {key!r}",
                suggestion=did_you_mean(key, explicit.asked)
                or (
                    f"it has {listed(dict.fromkeys(explicit.asked))}"
                    if explicit.asked
                    else "it has none: remove it"
                ),
                code="unknown_field",
            )
        return explicit.node

    def _open(self, source: Place, target: Place, value: dict[str, Any]) -> Explicit:
        settings: dict[str, Any] = {}
        key = "props" if "props" in value else "config"
        for part in ("config", "props"):
            given = value.get(part)
            if isinstance(given, dict):
                settings |= given
            elif given is not None:
                self._place(target, (*source, part))
                self.report.problem(
                    (*target, part),
                    f"`{part}` is {kind_of(given)}, and must be a mapping",
                    suggestion="write each setting as `name: value` on a line of its own",
                )
        children: list[tuple[Any, Place]] = []
        if value.get("child") is not None:
            children.append((value["child"], (*source, "child")))
        below = value.get("children")
        if isinstance(below, list):
            children += [(c, (*source, "children", i)) for i, c in enumerate(below)]
        elif below is not None:
            children.append((below, (*source, "children")))
        return Explicit(
            type=str(value["type"]),
            source=source,
            target=target,
            settings=settings,
            settings_key=key,
            children=children,
        )

    def _place(self, target: Place, source: Place) -> None:
        self.origins[(*target, source[-1])] = source

    def _say(self, node: Explicit, below: Place, message: str, **more: Any) -> None:
        place = (*node.target, *below)
        self.origins[place] = (*node.source, *below)
        self.report.problem(place, message, **more)

    def _common(self, value: dict[str, Any], node: Explicit) -> None:
        """The id, the name, and the fields that every node has."""
        if value.get("id") is not None:
            node.node["id"] = identifier(value["id"])
            self._place(node.target, (*node.source, "id"))
        for key in ("name", "title"):
            if value.get(key) is not None and "name" not in node.node:
                node.node["name"] = value[key]
                self.origins[(*node.target, "name")] = (*node.source, key)
        for key in ("retry", "if", "timeout", "abort_on"):
            if key in value:
                node.node[key] = value[key]
                self._place(node.target, (*node.source, key))
        for key in value:
            if key not in (*_PARTS, "retry", "if", "timeout", "abort_on", "undo"):
                self.say(
                    node,
                    (key,),
                    f"a node in the explicit form has no part {key!r}",
                    suggestion=did_you_mean(key, _PARTS) or f"its parts: {listed(_PARTS)}",
                    code="unknown_field",
                )

    # -- what the types are made with -------------------------------------------------------

    def say(self, node: Explicit, below: Place, message: str, **more: Any) -> None:
        """Note what is wrong at a part of the written node."""
        place = (*node.target, *below)
        self.origins[place] = (*node.source, *below)
        self.report.problem(place, message, **more)

    def differs(self, node: Explicit, how: str, instead: str) -> None:
        """Note that the node means something else here."""
        self.say(node, ("type",), how, suggestion=instead, code="differs", severity="warning")

    def put(self, node: Explicit, below: Place, value: Any, came_from: Place = ()) -> None:
        """Set a part of the new node; note which part of the written one it came from."""
        at: Any = node.node
        for key in below[:-1]:
            at = at.setdefault(key, {}) if isinstance(at, dict) else at[key]
        at[below[-1]] = value
        self.origins[(*node.target, *below)] = (*node.source, *came_from)

    def move(self, node: Explicit, key: str, *names: str) -> bool:
        """Move a setting, by any of its names, into a field. False if it is not there."""
        found = node.take(*names)
        if found is not None:
            self.put(node, (key,), found.value, found.place)
        return found is not None

    def below(self, node: Explicit, *place: str | int) -> list[Any]:
        """All children, translated, as a list that will stand at that place of the new node."""
        self.origins[(*node.target, *place)] = node.source
        return [
            self.anything(origin, (*node.target, *place, index), child)
            for index, (child, origin) in enumerate(node.children)
        ]

    def one(self, node: Explicit, *place: str | int, at: int | None = None) -> Any:
        """One child, translated; or all of them as a list, if there are several and `at` is None."""
        if at is None and len(node.children) != 1:
            return self.below(node, *place)
        child, origin = node.children[at or 0]
        return self.anything(origin, (*node.target, *place), child)


def _is_verb(key: str) -> bool:
    return (key in NODES and key not in common_fields()) or bool(ACTION.fullmatch(key))


def _known(written: str) -> bool:
    return written in TYPES or pascal(written) in TYPES or generic(written) is not None
