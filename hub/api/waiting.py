"""`Prefer: wait=N` (RFC 7240): an answer that tells what became of the events, not only their ids."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence

import msgspec

from hub.api.services import Services
from hub.errors import HubError
from hub.routing.explain import told
from hub.routing.journal import DeliveryRecord, Entry
from hub.trigger import Receipt

__all__ = ["EventOutcome", "Outcomes", "outcomes", "wanted_wait"]

_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,4})\"?(?=$|[,;\s])", re.I)
_LONGEST = 30.0
_PACE = 0.02


class EventOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One event and its deliveries; `status` is "accepted" where the time was too short."""

    id: str
    status: str
    duplicate: bool
    deliveries: list[DeliveryRecord]


class Outcomes(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the events that were sent, in their order."""

    events: list[EventOutcome]


def wanted_wait(headers: Mapping[str, str]) -> float | None:
    """The seconds that the sender would wait for the deliveries, at most 30; None: not at all."""
    found = _WAIT.search(headers.get("prefer", ""))
    return None if found is None else min(float(found[1]), _LONGEST)


async def outcomes(
    services: Services, trigger: str, receipts: Sequence[Receipt], seconds: float
) -> list[EventOutcome]:
    """What became of the events within that time, in their order."""
    end = asyncio.get_running_loop().time() + seconds
    return [await _outcome(services, trigger, receipt, end) for receipt in receipts]


async def _outcome(services: Services, trigger: str, receipt: Receipt, end: float) -> EventOutcome:
    loop = asyncio.get_running_loop()
    entry = await services.journal.get(receipt.id, trigger)
    while entry.status == "accepted" and loop.time() < end:
        await asyncio.sleep(_PACE)
        entry = await services.journal.get(receipt.id, trigger)
    if entry.status != "accepted":
        entry = await _told(services, entry)
    return EventOutcome(
        id=receipt.id,
        status=entry.status,
        duplicate=receipt.duplicate,
        deliveries=entry.deliveries,
    )


async def _told(services: Services, entry: Entry) -> Entry:
    try:
        return await told(entry, services.journal, services.runs, services.router())
    except HubError:
        # The event is safe and delivered; only the runs' own word on it is missing.
        return entry
