"""What the journal holds: entries, their deliveries, definitions; and an event as stored bytes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any, Literal

import msgspec

from hub.errors import InvalidEvent
from hub.event import Event

__all__ = ["Definition", "DeliveryRecord", "Entry", "Outcome", "Page", "Status"]

Status = Literal["accepted", "delivered", "unmatched", "duplicate", "dead"]
Outcome = Literal[
    "started",
    "resumed",
    "buffered",
    "duplicate",
    "late",
    "no_run",
    "ignored",
    "filtered",
    "rejected",
    "failed",
    "delivered",
]


class DeliveryRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one event at one run.

    `delivered` is an outcome for the time being: the event is with the run, whose own word on it
    has not been asked yet.
    """

    tree: str
    subscription: str
    key: str | None = None
    run_id: str | None = None
    outcome: Outcome
    reason: str | None = None
    at: datetime


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One event in the journal. `seq` counts up in the order of commits, with gaps.

    `duplicates` is how many further copies came in, the last of them at `last_duplicate_at`.
    `attempts` is how often it was taken up and not settled, `error` why it was given back, and
    `next_attempt_at` when it is due again.
    """

    seq: int
    id: str
    trigger: str
    event: Event
    received_at: datetime
    status: Status
    attempts: int = 0
    error: str | None = None
    next_attempt_at: datetime | None = None
    duplicates: int = 0
    last_duplicate_at: datetime | None = None
    deliveries: list[DeliveryRecord] = []


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a list, and the cursor of the part that follows it, if any does."""

    items: list[Entry]
    next: str | None


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A tree definition that may still have live runs, by its content hash."""

    hash: str
    tree: str
    document: bytes
    kept_at: datetime


class Stored(msgspec.Struct, frozen=True):
    """An event made ready to be written: itself, its body's bytes, and what it is found by."""

    event: Event
    body: bytes
    digest: bytes


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Event)


def store(event: Event) -> Stored:
    """Encode an event.

    A lone surrogate, which JSON can spell and UTF-8 cannot, becomes its escape as text (backslash,
    `ud800`), so that whatever leaves the journal can be encoded everywhere. Raises `InvalidEvent`
    for what is no JSON.
    """
    try:
        try:
            body = _encoder.encode(event)
        except UnicodeEncodeError:
            event = msgspec.convert(_without_surrogates(msgspec.to_builtins(event)), Event)
            body = _encoder.encode(event)
    except RecursionError:
        raise InvalidEvent("the event's data is nested too deeply") from None
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidEvent(f"the event's data is no JSON: {error}") from None
    return Stored(event, body, digest(event.id))


def load(body: bytes) -> Event:
    return _decoder.decode(body)


def digest(event_id: str) -> bytes:
    """What stands for an event id in the unique index, whose rows PostgreSQL bounds in size."""
    return blake2b(event_id.encode("utf-8", "backslashreplace"), digest_size=20).digest()


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [_without_surrogates(item) for item in value]
    return value
