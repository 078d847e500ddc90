"""Which other trees a tree may run."""

from __future__ import annotations

from collections.abc import Mapping

from hub.tree.nodes import RunTree
from hub.tree.tree import Tree

__all__ = ["needed_trees"]


def needed_trees(tree: Tree, trees: Mapping[str, Tree]) -> dict[str, bytes]:
    """The definitions of all trees that a run of the tree may run, and those below them, by name.

    They are pinned when a run starts, so that it is not changed under its feet.
    """
    needed: dict[str, bytes] = {}
    open_ = [tree]
    while open_:
        for node in open_.pop().nodes():
            if isinstance(node, RunTree) and node.tree in trees and node.tree not in needed:
                needed[node.tree] = trees[node.tree].document
                open_.append(trees[node.tree])
    return needed
