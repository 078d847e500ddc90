"""The short way from an append to this process's own dispatcher, without asking the database."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from hub.routing.journal.entry import Entry

__all__ = ["Handoff"]

_ROWS = 10_000
_BYTES = 64 * 1024 * 1024


class Handoff:
    """Entries that were written as already leased to the owner in this process.

    It is used only while nothing in the database waits that the owner has not seen, so that
    entries reach it in the order of their numbers. When it is full, or the owner's lease has run
    out, entries are written without an owner and found in the database.
    """

    def __init__(self) -> None:
        self.owner: str | None = None
        self._behind = True
        self._until = 0.0
        self._entries: deque[tuple[Entry, int]] = deque()
        self._bytes = 0

    @property
    def behind(self) -> bool:
        """Whether the database may hold entries that the owner has not seen."""
        return self._behind

    def renewed(self, owner: str, until: float) -> None:
        """The owner lives until that time of the loop's clock."""
        self.owner = owner
        self._until = until

    def caught_up(self) -> None:
        """The owner has been given all that waits in the database."""
        self._behind = False

    def fall_behind(self) -> None:
        """Something in the database waits for the owner."""
        self._behind = True

    def leave(self) -> None:
        """The owner is gone, or others hold its entries by now."""
        self.owner = None
        self._behind = True
        self._entries.clear()
        self._bytes = 0

    def claim(self, rows: int, size: int) -> str | None:
        """The owner to write on that many new entries, or None if they have to be found later."""
        if self.owner is None or self._behind:
            return None
        if self.expired or len(self._entries) + rows > _ROWS or self._bytes + size > _BYTES:
            self._behind = True
            return None
        return self.owner

    @property
    def expired(self) -> bool:
        return asyncio.get_running_loop().time() >= self._until

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, entries: Sequence[tuple[Entry, int]]) -> None:
        """Entries that were committed for the owner, with their sizes in bytes."""
        self._entries.extend(entries)
        self._bytes += sum(size for _, size in entries)

    def take(self, after_seq: int, limit: int) -> list[Entry]:
        """Hand entries to the owner: the lowest numbers first."""
        taken: list[Entry] = []
        passed: list[tuple[Entry, int]] = []
        while self._entries and len(taken) < limit:
            entry, size = self._entries.popleft()
            if entry.seq > after_seq:
                taken.append(entry)
                self._bytes -= size
            else:
                passed.append((entry, size))
        self._entries.extendleft(reversed(passed))
        return taken
