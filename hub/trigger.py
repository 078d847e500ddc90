"""What a trigger is: a place where events come in.

A kind of trigger is found by the entry point group `hub.triggers`, in this package or any other.
Three shapes exist: `HttpTrigger` answers HTTP requests, `ConsumerTrigger` consumes by itself, and
`ScheduleTrigger` is a timetable that the place where runs live keeps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib.metadata import entry_points
from typing import Any, ClassVar, Literal, Protocol

import msgspec

from hub.errors import Diagnostic
from hub.event import Event
from hub.fitting import fit
from hub.timetable import Timetable

__all__ = [
    "ConsumerIntake",
    "ConsumerState",
    "ConsumerStatus",
    "ConsumerTrigger",
    "HttpTrigger",
    "Intake",
    "PartitionStatus",
    "Receipt",
    "Received",
    "Request",
    "Response",
    "Said",
    "ScheduleTrigger",
    "Trigger",
    "installed_triggers",
]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request as it came: header names in lower case, the body's bytes untouched.

    `query_string` is the query as it was sent, without "?". `base_url` is what the hub's own public
    addresses begin with, without a slash at its end.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    received_at: datetime
    client: str | None = None
    query_string: str = ""
    base_url: str = ""


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """What the sender is answered instead of the hub's own 202."""

    status: int = 200
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says, somewhere else, to a question that the hub has asked there.

    `token` is what the hub gave out with the question. `account` is the person's name there and
    `who` the person that this is here, None where nobody is known by it. `id` is the same for the
    same word, said again. `reply_to` is what the trigger needs to answer them.
    """

    id: str
    token: str
    decision: Literal["approve", "reject"]
    account: str
    who: str | None
    reply_to: Any = None


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What a request meant: the events in it, and the answer where the sender needs its own.

    With no events (a provider's handshake) only the answer counts. `said` is what people have said
    by it to the hub's own questions.
    """

    events: Sequence[Event] = ()
    response: Response | None = None
    said: Sequence[Said] = ()


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What the journal says of one event that was handed in: durable now, and whether it was new."""

    id: str
    duplicate: bool


class Intake(Protocol):
    """The way into the hub for events, whoever brings them."""

    async def accept(self, trigger: str, events: Sequence[Event]) -> Sequence[Receipt]:
        """Make the events durable and hand them on to be routed.

        Returns when all of them are on disk. Raises `Busy` when the hub is full, with nothing of
        the batch kept.
        """


class ConsumerIntake(Intake, Protocol):
    """The way into the hub for those who fetch their events themselves.

    They have no sender to refuse, so what they cannot read is kept all the same.
    """

    async def bury(self, trigger: str, event: Event, error: str) -> Receipt:
        """Keep something that is no event among the dead letters, where nothing routes it.

        It is durable when this returns. Raises `Busy`.
        """


class Trigger(ABC):
    """One configured place where events come in. `name` is what trees call it by."""

    kind: ClassVar[str]
    settings_type: ClassVar[type[msgspec.Struct]]
    per_event: ClassVar[frozenset[str]] = frozenset({"id", "type", "subject", "time", "data"})
    """The settings whose `${{ }}` are evaluated for each event, not when the project is read."""

    def __init__(self, name: str, settings: Any) -> None:
        self.name = name
        self.settings = settings

    @classmethod
    def read_settings(cls, value: Any, path: str) -> tuple[Any, list[Diagnostic]]:
        """The settings as this kind knows them, or None and everything that does not fit."""
        return fit(value, cls.settings_type, path)


class HttpTrigger(Trigger):
    """A trigger that is called over HTTP at `/hooks/<name>`."""

    way: str = "chat"
    """How it is called where it says how people decided who said so here."""
    max_body: int = 1024 * 1024
    """The largest body it takes, in bytes; a larger one is refused before it is read whole."""

    @abstractmethod
    async def receive(self, request: Request) -> Received:
        """Verify the request on its raw bytes, then read its events.

        Raises `BadSignature`, `BadRequest` or another `Refused`; then nothing of it is kept.
        """

    async def reply(self, said: Said, text: str, *, is_over: bool) -> None:
        """Tell a person what came of what they said; `is_over` says that the question is decided.

        Never raises for what the other side does: the person asks again, or looks.
        """
        return


ConsumerState = Literal["starting", "waiting", "consuming", "paused", "away", "stopped"]
"""What a consumer does: `waiting` for something that is not there yet to read from, `paused` while
the hub is full, `away` while the other side does not answer."""


class PartitionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One ordered part of what a consumer reads, and how many messages it is behind.

    `lag` is None while it is not known.
    """

    topic: str
    partition: int
    position: int
    lag: int | None = None


class ConsumerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a consumer does. The numbers count since the process began.

    `accepted` are messages that became new events, `duplicates` those that were there already,
    `dead` those that could not be read.
    """

    trigger: str
    state: ConsumerState
    detail: str | None = None
    partitions: Sequence[PartitionStatus] = ()
    accepted: int = 0
    duplicates: int = 0
    dead: int = 0

    @property
    def lag(self) -> int:
        """How many messages it is behind, as far as that is known."""
        return sum(partition.lag or 0 for partition in self.partitions)


class ConsumerTrigger(Trigger):
    """A trigger that consumes by itself, in whichever process runs it."""

    @abstractmethod
    async def run(self, intake: ConsumerIntake) -> None:
        """Consume until cancelled, whatever the other side does meanwhile.

        A message counts as consumed once the intake has it. When cancelled, it gives back what it
        holds, so that another process can go on where it stopped.
        """

    @abstractmethod
    def status(self) -> ConsumerStatus:
        """How it does just now."""


class ScheduleTrigger(Trigger):
    """A trigger that is due at set times, and starts trees also when no process of the hub runs.

    It may be written in a tree itself, in the place of a trigger's name.
    """

    @property
    @abstractmethod
    def timetable(self) -> Timetable:
        """When it is due."""


@cache
def installed_triggers() -> Mapping[str, type[Trigger]]:
    """Every installed kind of trigger by its name."""
    found = [point.load() for point in entry_points(group="hub.triggers")]
    return {kind.kind: kind for kind in sorted(found, key=lambda kind: str(kind.kind))}
