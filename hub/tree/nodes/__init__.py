"""Every node of the language. Importing this package registers them."""

from hub.tree.nodes.actions import CallAction, Check, Emit, Fail, Log, Set, Succeed
from hub.tree.nodes.approval import Approval
from hub.tree.nodes.branches import Parallel, Race
from hub.tree.nodes.control import Always, Fallback, If, Invert, Sequence, Switch
from hub.tree.nodes.loops import ForEach, Repeat, While
from hub.tree.nodes.recovery import Saga, Try
from hub.tree.nodes.runs import RunTree
from hub.tree.nodes.waits import Delay, WaitFor

__all__ = [
    "Always",
    "Approval",
    "CallAction",
    "Check",
    "Delay",
    "Emit",
    "Fail",
    "Fallback",
    "ForEach",
    "If",
    "Invert",
    "Log",
    "Parallel",
    "Race",
    "Repeat",
    "RunTree",
    "Saga",
    "Sequence",
    "Set",
    "Succeed",
    "Switch",
    "Try",
    "WaitFor",
    "While",
]
