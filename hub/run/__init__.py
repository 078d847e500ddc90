"""One run's life: its state document, its mailbox and its way through the tree."""

from hub.run.flow import Fate, Flow, GateState, Held, Offer, gate_of, held_because, meets
from hub.run.home import EMIT, ActionCall, ChildCall, Home
from hub.run.key import key_text
from hub.run.policy import allows_another, ended_reason, meeting, run_id_of
from hub.run.run import Suspended, TreeRun, identity_of
from hub.run.runs import CALLBACK, Delivery, Offered, RunPage, Runs, RunSummary, Start, Started
from hub.run.state import Failure, NodeState, RunState

__all__ = [
    "CALLBACK",
    "EMIT",
    "ActionCall",
    "ChildCall",
    "Delivery",
    "Failure",
    "Fate",
    "Flow",
    "GateState",
    "Held",
    "Home",
    "NodeState",
    "Offer",
    "Offered",
    "RunPage",
    "RunState",
    "RunSummary",
    "Runs",
    "Start",
    "Started",
    "Suspended",
    "TreeRun",
    "allows_another",
    "ended_reason",
    "gate_of",
    "held_because",
    "identity_of",
    "key_text",
    "meeting",
    "meets",
    "run_id_of",
]
