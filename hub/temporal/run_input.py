"""What the workflow of a run is started with."""

from __future__ import annotations

import msgspec

from hub.run import Delivery, RunState
from hub.run.decided import DecidedApproval

__all__ = ["Limits", "RunInput"]


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When a run goes on in a new part: the lengths of its history that are enough for that.

    The run carries them, since a replay must come to the same decisions. Temporal ends a run at
    51,200 events, 50 MiB or 10,000 signals. At `factor` times these lengths the run does not wait
    for a quiet moment any more, but makes one.
    """

    events: int = 4000
    size: int = 4 * 1024 * 1024
    signals: int = 2000
    factor: int = 3


class RunInput(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a run is started with.

    `document` is the pinned definition and `hash` its name, `trees` are the definitions of the trees
    that it may run. `delivery` is the start event where it does not come as a signal; `schedule` is
    the trigger's name where a schedule starts the run, which then makes its start event itself from
    the time that was due. `state` is there when the run continues an earlier part of itself.
    A run that was restarted has the `deliveries` that it begins with, and what the one before it
    had `seen` and `decided`.
    """

    hash: str
    document: msgspec.Raw
    key: str | None = None
    delivery: Delivery | None = None
    schedule: str | None = None
    state: RunState | None = None
    trees: dict[str, msgspec.Raw] = {}
    groups: dict[str, list[str]] = {}
    limits: Limits = Limits()
    deliveries: list[Delivery] = []
    seen: list[str] = []
    decided: list[DecidedApproval] = []
