"""What the interpreter is told of how the hub works: an event loop with threads beside it, for long."""

from __future__ import annotations

import asyncio
import gc
import sys
import time

__all__ = ["collect_when_idle", "settle_memory", "switch_quickly"]

_SWITCH_SECONDS = 0.001
_YOUNG = 20_000
"""New objects between two looks at the youngest. A webhook makes a few hundred, and frees them."""


_OLDER = (5, 3)
"""How many looks at the younger ones there are to one at the older: all are looked at when some 1,000
runs have left a worker's memory, which are as many as it keeps."""
_LOOK_SECONDS = 5.0
_IDLE = 0.05
"""The part of a core that a process uses at most when it does nothing but wait."""


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
    gc.set_threshold(_YOUNG, *_OLDER)


async def collect_when_idle() -> None:
    """Look for garbage in moments in which nothing else is done, until cancelled.

    Runs that leave a worker's memory leave cycles behind, the last of which would stay for as long as
    nothing comes.
    """
    seen = _young_collections()
    while True:
        used = time.process_time()
        await asyncio.sleep(_LOOK_SECONDS)
        is_idle = time.process_time() - used < _IDLE * _LOOK_SECONDS
        if is_idle and _young_collections() != seen:
            gc.collect()
            seen = _young_collections()


def _young_collections() -> int:
    """How often so many new objects had come together that the youngest were looked at."""
    return int(gc.get_stats()[0]["collections"])
