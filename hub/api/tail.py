"""The journal's tail: entries as they come in, and again when it is known what became of them."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

import msgspec
import structlog

from hub.api.problems import problem_of
from hub.api.streams import frame
from hub.errors import BadRequest, HubError
from hub.routing.journal import Entry, Journal
from hub.routing.journal.tail import Mark, TailReader, mark_of

__all__ = ["Tail", "TailStream"]

_KEPT = 2000
_KEPT_BYTES = 16 * 1024 * 1024
_PAGE = 200
_MOST_OPEN = 10_000
_LOOK_AT_ONCE = 500
_TICK = 0.05
_TICKS_BETWEEN = 20
_ID = re.compile(r"(\d{1,18})\.(\d{1,18})")
_log = structlog.get_logger("hub.api")


class Told(msgspec.Struct, frozen=True):
    """One thing that was told of an entry, ready to be sent."""

    number: int
    body: bytes
    trigger: str | None = None
    type: str | None = None


class Tail:
    """The tail that all who listen share: one reader, and the last things that it has told.

    An entry is told of when it comes in, and again with every change until it is settled. The id
    of each telling is `newest.oldest`: the highest number of an entry read so far, and the lowest
    of which more is to be told. Who goes on from there misses nothing, and may hear things twice.
    Of more than 10,000 unsettled entries at a time, what becomes of the further ones is not told.
    """

    def __init__(self, journal: Journal, encode: Callable[[Entry], bytes]) -> None:
        self.reader: TailReader = journal.tail()
        self.moved = asyncio.Event()
        self.told: deque[Told] = deque()
        self.number = 0
        self._journal = journal
        self._encode = encode
        self._bytes = 0
        self._open: dict[int, Mark] = {}
        self._look_from = 0
        self._newest = 0
        self._lookers = 0
        self._starting = asyncio.Lock()
        self._reading: asyncio.Task[None] | None = None
        self._away = False

    async def open(
        self,
        last_id: str | None,
        *,
        trigger: str | None = None,
        type: str | None = None,  # noqa: A002
    ) -> TailStream:
        """A stream of what comes from now on, or from where the client was.

        Raises `Unreachable`, and `BadRequest` for an id that is none of this stream.
        """
        match = None if not last_id else _ID.fullmatch(last_id)
        if last_id and match is None:
            raise BadRequest("Last-Event-ID is none that this stream gave; leave it out")
        self._lookers += 1
        try:
            async with self._starting:
                if self._reading is None:
                    await self._start()
        except BaseException:
            self._leave()
            raise
        behind = match is not None
        place = (self._newest, self._oldest) if match is None else (int(match[1]), int(match[2]))
        return TailStream(self, self._leave, place, behind=behind, trigger=trigger, type=type)

    def frame(self, entry: Entry, newest: int, oldest: int) -> bytes:
        """An entry as it is told."""
        return frame("event", self._encode(entry), id=f"{newest}.{oldest}")

    def since(self, number: int) -> Sequence[Told] | None:
        """What was told after that number; None when some of it is not kept any more."""
        missed = self.number - number
        if missed > len(self.told):
            return None
        return list(islice(self.told, len(self.told) - missed, None))

    async def _start(self) -> None:
        self._newest = await self.reader.newest()
        self._open = dict(await self.reader.unsettled(self._newest, _MOST_OPEN))
        self._reading = asyncio.create_task(self._read(), name="journal tail")

    @property
    def _oldest(self) -> int:
        return next(iter(self._open), self._newest + 1)

    def _leave(self) -> None:
        self._lookers -= 1

    async def _read(self) -> None:
        """Read for as long as anybody looks. Not cancelled: that could lose a connection."""
        seen = -1
        ticks = 0
        while self._lookers:
            # What this process writes is told at once, what others write within a second.
            ticks += 1
            if self._journal.transactions != seen or ticks >= _TICKS_BETWEEN:
                seen, ticks = self._journal.transactions, 0
                try:
                    await self._look()
                    self._away = False
                except HubError as error:
                    self._say_away(error)
                except Exception as error:
                    self._say_away(HubError(problem_of(error)[0].detail))
            await asyncio.sleep(_TICK)
        self.told.clear()
        self._bytes = 0
        self._reading = None

    async def _look(self) -> None:
        while True:
            new = await self.reader.after(self._newest, _PAGE)
            for entry in new:
                self._newest = entry.seq
                if entry.status == "accepted" and len(self._open) < _MOST_OPEN:
                    self._open[entry.seq] = mark_of(entry)
                self._tell(entry)
            if len(new) < _PAGE:
                break
        waiting = [seq for seq in self._open if seq > self._look_from][:_LOOK_AT_ONCE]
        self._look_from = waiting[-1] if len(waiting) == _LOOK_AT_ONCE else 0
        if not waiting:
            return
        for found in await self.reader.changed({seq: self._open[seq] for seq in waiting}):
            if isinstance(found, int):
                del self._open[found]
                continue
            if found.status == "accepted":
                self._open[found.seq] = mark_of(found)
            else:
                del self._open[found.seq]
            self._tell(found)

    def _tell(self, entry: Entry) -> None:
        body = self.frame(entry, self._newest, self._oldest)
        self._add(body, entry.trigger, entry.event.type)

    def _say_away(self, error: HubError) -> None:
        if not self._away:
            self._away = True
            _log.warning("the journal's tail cannot be read", error=error.message)
            self._add(frame("problem", msgspec.json.encode(problem_of(error)[0])), None, None)

    def _add(self, body: bytes, trigger: str | None, type: str | None) -> None:  # noqa: A002
        self.number += 1
        self.told.append(Told(self.number, body, trigger, type))
        self._bytes += len(body)
        while len(self.told) > _KEPT or (self._bytes > _KEPT_BYTES and len(self.told) > 1):
            self._bytes -= len(self.told.popleft().body)
        self.moved.set()
        self.moved = asyncio.Event()


class TailStream:
    """What one client is sent of the tail. One that is far behind reads the journal by itself."""

    def __init__(
        self,
        tail: Tail,
        leave: Callable[[], None],
        place: tuple[int, int],
        *,
        behind: bool,
        trigger: str | None,
        type: str | None,  # noqa: A002
    ) -> None:
        self._tail = tail
        self._leave: Callable[[], None] | None = leave
        self._trigger = trigger
        self._type = type
        self._number = tail.number
        self._newest, self._oldest = place
        self._behind = behind
        self._first_open: int | None = None
        self._page: asyncio.Task[Sequence[Entry]] | None = None
        self._ready: list[bytes] = []

    async def next(self) -> bytes:
        while True:
            if self._behind:
                await self._catch_up()
            else:
                told = self._tail.since(self._number)
                if told is None:
                    self._fall_behind()
                    continue
                if not told:
                    await self._tail.moved.wait()
                    continue
                self._take(told)
            if self._ready:
                body = b"".join(self._ready)
                self._ready.clear()
                return body

    def close(self) -> None:
        if self._leave is not None:
            self._leave()
            self._leave = None

    def _take(self, told: Sequence[Told]) -> None:
        self._number = told[-1].number
        self._ready += [one.body for one in told if self._wants(one.trigger, one.type)]
        for one in reversed(told):
            if (place := _place(one.body)) is not None:
                self._newest, self._oldest = place
                break

    def _fall_behind(self) -> None:
        self._behind = True
        self._first_open = None
        self._number = self._tail.number

    async def _catch_up(self) -> None:
        """Read the next entries from the journal; be in step when there are no more.

        What is told meanwhile comes once more after that, rather than not at all.
        """
        if self._page is None:
            # A read that is given up could lose its connection; the next call goes on with it.
            self._page = asyncio.create_task(self._tail.reader.after(self._oldest - 1, _PAGE))
        try:
            found = await asyncio.shield(self._page)
        finally:
            if self._page.done():
                self._page = None
        for entry in found:
            if entry.status == "accepted" and self._first_open is None:
                self._first_open = entry.seq
            self._newest = max(self._newest, entry.seq)
            self._oldest = entry.seq + 1
            if self._wants(entry.trigger, entry.event.type):
                oldest = min(self._first_open or self._oldest, self._oldest)
                self._ready.append(self._tail.frame(entry, self._newest, oldest))
        if len(found) < _PAGE:
            self._oldest = min(self._first_open or self._oldest, self._oldest)
            self._behind = False

    def _wants(self, trigger: str | None, type: str | None) -> bool:  # noqa: A002
        if trigger is None:
            return True
        return self._trigger in (None, trigger) and self._type in (None, type)


def _place(body: bytes) -> tuple[int, int] | None:
    match = re.match(rb"id: (\d+)\.(\d+)\n", body)
    return None if match is None else (int(match[1]), int(match[2]))
