"""One run's life: its state document, its mailbox and its way through the tree."""

from hub.run.home import ActionCall, Home
from hub.run.run import TreeRun, key_text
from hub.run.runs import Delivery, RunPage, Runs, RunSummary, Start, Started
from hub.run.state import Failure, NodeState, RunState

__all__ = [
    "ActionCall",
    "Delivery",
    "Failure",
    "Home",
    "NodeState",
    "RunPage",
    "RunState",
    "RunSummary",
    "Runs",
    "Start",
    "Started",
    "TreeRun",
    "key_text",
]
