"""What differs between two definitions of a tree: node by node, as a migration knows them again."""

from __future__ import annotations

import msgspec

from hub.run.matching import Matching
from hub.tree import Node, Tree

__all__ = ["NodeDifference", "TreeDifference", "differences"]


class NodeDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A node that was added, removed, moved or changed; paths are None where there is no such node."""

    what: str
    type: str
    id: str | None
    old_path: str | None
    new_path: str | None


class TreeDifference(msgspec.Struct, frozen=True, kw_only=True):
    """Two definitions side by side."""

    tree: str
    from_hash: str
    to_hash: str
    nodes: list[NodeDifference]
    events: list[str]


def differences(old: Tree, new: Tree) -> TreeDifference:
    """What of the old definition is otherwise in the new one."""
    matching = Matching(old, new)
    found: list[NodeDifference] = []
    for node in old.nodes():
        other = matching.new_of(node)
        if other is None:
            found.append(_difference("removed", node, node.path, None))
        elif other.path != node.path:
            found.append(_difference("moved", other, node.path, other.path))
        if other is not None and _is_leaf(node) and not matching.same_text(node, other):
            found.append(_difference("changed", other, node.path, other.path))
    found += [
        _difference("added", node, None, node.path) for node in new.nodes() if matching.is_new(node)
    ]
    names = [*old.subscriptions, *(n for n in new.subscriptions if n not in old.subscriptions)]
    return TreeDifference(
        tree=new.name,
        from_hash=old.hash,
        to_hash=new.hash,
        nodes=found,
        events=[name for name in names if _written(old, name) != _written(new, name)],
    )


def _difference(what: str, node: Node, old: str | None, new: str | None) -> NodeDifference:
    return NodeDifference(what=what, type=node.type, id=node.id, old_path=old, new_path=new)


def _is_leaf(node: Node) -> bool:
    return next(node.children(), None) is None


def _written(tree: Tree, name: str) -> object:
    return msgspec.json.decode(tree.document).get("events", {}).get(name)
