"""One run's life: its state document, its mailbox and its way through the tree."""

from hub.run.home import EMIT, ActionCall, ChildCall, Home
from hub.run.key import key_text
from hub.run.run import Suspended, TreeRun
from hub.run.runs import Delivery, RunPage, Runs, RunSummary, Start, Started
from hub.run.state import Failure, NodeState, RunState

__all__ = [
    "EMIT",
    "ActionCall",
    "ChildCall",
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
    "Suspended",
    "TreeRun",
    "key_text",
]
