"""What the interpreter is told of how the hub works: an event loop with threads beside it, for long."""

from __future__ import annotations

import gc
import sys

__all__ = ["settle_memory", "switch_quickly"]

_SWITCH_SECONDS = 0.001
_YOUNG = 20_000
"""New objects between two looks at the youngest. A webhook makes a few hundred, and frees them."""


def switch_quickly() -> None:
    """Let a thread that comes back from the disk wait no longer than this for a busy event loop."""
    sys.setswitchinterval(_SWITCH_SECONDS)


def settle_memory() -> None:
    """Call it when all parts are up: what is there by now is no longer looked at for garbage.

    That is some hundred thousand objects, of modules and the project, at each of which a full
    collection would look: a stop of 0.2 s in the midst of requests.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 10, 10)
