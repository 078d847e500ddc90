"""Replaying an event of the journal: what it would do by the trees of now, and doing it."""

from __future__ import annotations

import uuid
from typing import Literal

import msgspec

from hub.errors import Conflict
from hub.event import Event
from hub.routing.journal import Entry
from hub.routing.router import CALLBACK, Match, Router
from hub.trigger import Intake

__all__ = ["REPLAY_OF", "ReplayMode", "Replayed", "original", "plan", "replay", "wanted"]

ReplayMode = Literal["starts", "all"]

REPLAY_OF = "hubreplayof"
_MODE = "hubreplaymode"
_AGAIN = "hubreplayagain"


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """A replay, done or planned: `id` is the journal's new entry, None of a dry run.

    `matches` are the runs that it starts or reaches by the trees of now.
    """

    of: str
    id: str | None
    dry_run: bool
    matches: list[Match]


def plan(entry: Entry, router: Router, mode: ReplayMode) -> list[Match]:
    """What a replay would do: the starts, and with the mode "all" the resumes too."""
    matches = router.route(entry.trigger, entry.event)
    return [m for m in matches if m.outcome == "start" or mode == "all"]


async def replay(entry: Entry, intake: Intake, mode: ReplayMode, *, again: bool) -> str:
    """Hand the event in once more, marked as a replay; returns the id of the new entry.

    Runs recognise what they have already had from it, unless `again` makes it count as a new
    event. Raises `Conflict` for a callback, which is for one use.
    """
    if entry.trigger == CALLBACK:
        raise Conflict("a callback link is for one use; its event cannot be replayed")
    event = original(entry.event)
    copy = msgspec.structs.replace(
        entry.event,
        id=f"{event.id}~replay-{uuid.uuid4().hex[:8]}",
        extensions={**event.extensions, REPLAY_OF: event.id, _MODE: mode, _AGAIN: again},
    )
    (receipt,) = await intake.accept(entry.trigger, [copy])
    return receipt.id


def wanted(event: Event, matches: list[Match]) -> list[Match]:
    """The matches that an event is delivered to: all, or the starts of a replay for starts only."""
    if event.extensions.get(_MODE) != "starts":
        return matches
    return [match for match in matches if match.outcome == "start"]


def original(event: Event) -> Event:
    """The event that runs are to see: of a replay the first one, unless it counts as a new one."""
    extensions = {k: v for k, v in event.extensions.items() if k not in (REPLAY_OF, _MODE, _AGAIN)}
    if len(extensions) == len(event.extensions):
        return event
    first = str(event.extensions.get(REPLAY_OF, event.id))
    identifier = event.id if event.extensions.get(_AGAIN) else first
    return msgspec.structs.replace(event, id=identifier, extensions=extensions)
