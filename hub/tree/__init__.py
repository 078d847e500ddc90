"""The tree language: nodes, documents, and what is wrong with them."""

from hub.tree.check import check_trees
from hub.tree.node import NODES, SKIPPED, Node, Retry, Run, Span, Subscribed
from hub.tree.read import load_tree, read_tree, tree_from_document
from hub.tree.tree import Deliver, Rerun, StartPolicy, Subscription, Tree, WhenRunning

__all__ = [
    "NODES",
    "SKIPPED",
    "Deliver",
    "Node",
    "Rerun",
    "Retry",
    "Run",
    "Span",
    "StartPolicy",
    "Subscribed",
    "Subscription",
    "Tree",
    "WhenRunning",
    "check_trees",
    "load_tree",
    "read_tree",
    "tree_from_document",
]
