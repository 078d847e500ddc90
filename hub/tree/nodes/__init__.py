"""Every node of the language. Importing this package registers them."""

from hub.tree.nodes.actions import CallAction, Check, Fail, Log, Set
from hub.tree.nodes.control import Fallback, Sequence
from hub.tree.nodes.waits import Delay, WaitFor

__all__ = [
    "CallAction",
    "Check",
    "Delay",
    "Fail",
    "Fallback",
    "Log",
    "Sequence",
    "Set",
    "WaitFor",
]
