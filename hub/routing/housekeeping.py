"""Forgetting definitions that no run uses any more."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from hub.routing.journal import Definition, Journal
from hub.run import Runs

__all__ = ["forget_definitions"]

_KEPT = timedelta(hours=1)
"""How long a definition is kept after it was last used to start a run.

The index of runs lags behind, and other processes may still have an older version of the project.
"""


async def forget_definitions(
    journal: Journal, runs: Runs, current: Collection[str], now: datetime
) -> list[Definition]:
    """Drop the definitions that are not `current` (hashes) and that no live run is pinned to.

    Returns those that were dropped. Raises `Unreachable`; what was not looked at then stays.
    """
    dropped = []
    for definition in await journal.definitions():
        if definition.hash in current or now - definition.kept_at < _KEPT:
            continue
        if not await runs.uses(definition.tree, definition.hash):
            await journal.drop_definition(definition.hash)
            dropped.append(definition)
    return dropped
