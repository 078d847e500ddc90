"""Which other trees a tree may run, and whom they may ask for approval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hub.tree.nodes import Approval
from hub.tree.tree import Tree

__all__ = ["needed_groups", "needed_trees"]


def needed_trees(tree: Tree, trees: Mapping[str, Tree]) -> dict[str, bytes]:
    """The definitions of all trees that a run of the tree may run, and those below them, by name.

    They are pinned when a run starts, so that it is not changed under its feet.
    """
    needed: dict[str, bytes] = {}
    open_ = [tree]
    while open_:
        for name in open_.pop().trees:
            if name in trees and name not in needed:
                needed[name] = trees[name].document
                open_.append(trees[name])
    return needed


def needed_groups(
    tree: Tree, trees: Mapping[str, Tree], groups: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """The members of all groups that a run of the tree, and those below it, may ask for approval.

    They are pinned when a run starts: a workflow cannot read the project.
    """
    if not groups:
        return {}
    below = [trees[name] for name in needed_trees(tree, trees)]
    return {
        name: list(groups[name])
        for one in (tree, *below)
        for node in one.nodes()
        if isinstance(node, Approval)
        for name in node.named_groups()
        if name in groups
    }
