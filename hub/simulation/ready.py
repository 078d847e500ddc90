"""What a trial needs, loaded: trials are forked from a process that has imported this once."""

from hub.connector import installed_actions
from hub.simulation import trial
from hub.trigger import installed_triggers

__all__ = ["trial"]

installed_actions()
installed_triggers()
