"""Which node of a changed tree is which node of the tree of before.

A node with an id is the one with that id, wherever it stands. One without is known by its place: below
the same parent, in the same field; in a list, by what is written in it, and where that has changed,
by its type and its turn between neighbours that are known. Where that is not certain it is not known.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

import msgspec

from hub.tree import Node, Tree

__all__ = ["Below", "Matching", "below", "document_of"]


@dataclasses.dataclass(frozen=True)
class Below:
    """The nodes in one field of a node: `name` is the field, with the key of a mapping's entry."""

    name: str
    nodes: Sequence[Node]
    is_list: bool


def below(node: Node) -> Iterator[Below]:
    """The children of a node, field by field, in the order of `Node.children`."""
    for spec in dataclasses.fields(node):
        value = getattr(node, spec.name)
        if isinstance(value, Node):
            yield Below(spec.name, [value], False)
        elif isinstance(value, (list, tuple)) and any(isinstance(item, Node) for item in value):
            yield Below(spec.name, [item for item in value if isinstance(item, Node)], True)
        elif isinstance(value, Mapping):
            for key, item in value.items():
                if isinstance(item, Node):
                    yield Below(f"{spec.name}.{key}", [item], False)


def document_of(tree: Tree, node: Node) -> Any:
    """What is written of a node in the tree's document."""
    found = msgspec.json.decode(tree.document)
    for step in node.place:
        found = found[step]
    return found


class Matching:
    """The pairs of nodes of two trees. `new_of` gives the counterpart of a node of the old one."""

    def __init__(self, old: Tree, new: Tree) -> None:
        self._texts: dict[str, dict[str, str]] = {"old": _texts(old), "new": _texts(new)}
        self._by_path: dict[str, Node] = {}
        self._taken: dict[str, None] = {}
        olds = {node.id: node for node in old.nodes() if node.id is not None}
        news = {node.id: node for node in new.nodes() if node.id is not None}
        self._old_ids, self._new_ids = olds.keys(), news.keys()
        self.retyped: dict[str, Node] = {}
        """Nodes of the new tree that have the id of a node of another type, by its path."""
        named = [(node, news[name]) for name, node in olds.items() if name in news]
        for node, other in named:
            if node.type == other.type:
                self._pair(node, other)
            else:
                self.retyped[node.path] = other
        self._descend(old.do, new.do, is_root=True)
        for node, other in named:
            if self.new_of(node) is other:
                self._below(node, other)

    def new_of(self, node: Node) -> Node | None:
        """The node of the new tree that this node of the old one has become, if any has."""
        return self._by_path.get(node.path)

    def is_new(self, node: Node) -> bool:
        """Has this node of the new tree no counterpart in the old one?"""
        return node.path not in self._taken

    def same_text(self, old: Node, new: Node) -> bool:
        """Is all that is written of the two nodes, and below them, the same?"""
        return self._texts["old"][old.path] == self._texts["new"][new.path]

    def _pair(self, old: Node, new: Node) -> None:
        self._by_path[old.path] = new
        self._taken[new.path] = None

    def _descend(self, old: Node, new: Node, *, is_root: bool = False) -> None:
        if self.new_of(old) is not None or not self.is_new(new):
            return
        if (is_root and old.type == new.type) or self._may_pair(old, new):
            self._pair(old, new)
        else:
            return
        self._below(old, new)

    def _may_pair(self, old: Node, new: Node) -> bool:
        # A node that gets a first id stays what it is; one whose id is another is another.
        if old.id != new.id and old.id is not None:
            return False
        return old.type == new.type and new.id not in (self._old_ids - {old.id})

    def _below(self, old: Node, new: Node) -> None:
        there = {field.name: field for field in below(new)}
        for field in below(old):
            other = there.get(field.name)
            if other is None or field.is_list != other.is_list:
                continue
            if field.is_list:
                self._align(field.nodes, other.nodes)
            else:
                self._descend(field.nodes[0], other.nodes[0])

    def _align(self, olds: Sequence[Node], news: Sequence[Node]) -> None:
        matcher = SequenceMatcher(
            None,
            [self._token("old", node) for node in olds],
            [self._token("new", node) for node in news],
            autojunk=False,
        )
        for tag, i1, i2, j1, j2 in matcher.get_opcodes():
            if tag == "equal":
                for node, other in zip(olds[i1:i2], news[j1:j2], strict=True):
                    self._descend(node, other)
            elif tag == "replace":
                self._by_turn(olds[i1:i2], news[j1:j2])

    def _by_turn(self, olds: Sequence[Node], news: Sequence[Node]) -> None:
        """Between neighbours that are known: the nodes of a type by their turn, if none is more."""
        for kind in dict.fromkeys(node.type for node in olds):
            before = [node for node in olds if node.type == kind]
            after = [node for node in news if node.type == kind]
            if len(before) == len(after):
                for node, other in zip(before, after, strict=True):
                    self._descend(node, other)

    def _token(self, side: str, node: Node) -> str:
        known = self._new_ids if side == "old" else self._old_ids
        if node.id is not None and node.id in known:
            return f"id {node.id} {node.type}"
        return self._texts[side][node.path]


def _texts(tree: Tree) -> dict[str, str]:
    """What is written of each node, by its path."""
    document = msgspec.json.decode(tree.document)
    texts = {}
    for node in tree.nodes():
        found = document
        for step in node.place:
            found = found[step]
        texts[node.path] = msgspec.json.encode(found, order="sorted").decode()
    return texts
