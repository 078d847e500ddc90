"""Group commit: one task that puts the work of many callers into one transaction."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from hub.errors import Busy
from hub.routing.journal.database import (
    Connection,
    Database,
    is_full,
    is_trouble,
    may_pass_at_once,
    refusal,
)
from hub.routing.journal.file import Execution

__all__ = ["Kind", "Limits", "Writer"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much may wait to be written, and how much goes into one transaction (rows, bytes)."""

    queue_rows: int = 10_000
    queue_bytes: int = 64 * 1024 * 1024
    batch_rows: int = 1_000
    batch_bytes: int = 8 * 1024 * 1024


class Kind(ABC, Generic[Item, Result]):
    """One kind of write. All the waiting work of a kind is done by one call of `run`.

    Within a transaction the kinds go in their `order`. `bounded` work is refused when the queue is
    full; other work has its own bounds.
    """

    order: ClassVar[int]
    bounded: ClassVar[bool] = False

    @abstractmethod
    async def run(self, connection: Execution, items: Sequence[Item]) -> Sequence[Result]:
        """Write the items; one result each, in their order. It may be called again for them."""

    def committed(self, results: Sequence[Result]) -> None:
        """Take note of what `run` wrote last, after the commit and before any caller goes on."""
        return


@dataclass(eq=False)
class _Work:
    kind: Kind[Any, Any]
    item: Any
    rows: int
    size: int
    future: asyncio.Future[Any] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Writer:
    """Writes to one database, one transaction at a time, each with all that waits by then.

    A transaction that fails because the database is away or full fails for everybody in it, with
    `Busy`, and the next one tries anew. One that fails because of one caller's work is done again
    in parts, so that only that caller hears of it.
    """

    def __init__(self, database: Database, limits: Limits) -> None:
        self.transactions = 0
        """How many transactions were committed."""
        self._database = database
        self._limits = limits
        self._queue: deque[_Work] = deque()
        self._rows = 0
        self._bytes = 0
        self._wake = asyncio.Event()
        self._closing = False
        self._connection: Connection | None = None
        self._task = asyncio.create_task(self._work(), name="journal writer")

    async def submit(
        self, kind: Kind[Item, Result], item: Item, *, rows: int = 1, size: int = 0
    ) -> Result:
        """Have the item written; returns when it is on disk.

        Raises `Busy` with nothing of it written, and whatever `kind.run` raised for it. A caller
        that is cancelled while it waits does not know whether its item was written.
        """
        if self._closing:
            raise Busy("the hub is shutting down")
        if (
            kind.bounded
            and self._queue
            and (
                self._rows + rows > self._limits.queue_rows
                or self._bytes + size > self._limits.queue_bytes
            )
        ):
            raise Busy("more events come in than the journal can write; try again in a moment")
        work = _Work(kind, item, rows, size)
        self._queue.append(work)
        self._rows += rows
        self._bytes += size
        self._wake.set()
        result: Result = await work.future
        return result

    async def close(self) -> None:
        """Write what waits, then stop."""
        self._closing = True
        self._wake.set()
        await self._task

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            # Callers that the last commit woke come back with more in this turn of the loop.
            await asyncio.sleep(0)
            batch = self._take()
            if batch:
                try:
                    await self._write(batch)
                except Exception as error:
                    # Whatever is wrong with one batch: the next callers need a living writer.
                    for work in batch:
                        _fail(work, error, None)
            elif self._closing:
                break
            else:
                self._wake.clear()
        await self._disconnect()

    def _take(self) -> list[_Work]:
        batch: list[_Work] = []
        rows = size = 0
        while self._queue:
            work = self._queue[0]
            if batch and (
                rows + work.rows > self._limits.batch_rows
                or size + work.size > self._limits.batch_bytes
            ):
                break
            self._queue.popleft()
            self._rows -= work.rows
            self._bytes -= work.size
            if work.future.cancelled():
                continue
            rows += work.rows
            size += work.size
            batch.append(work)
        return batch

    async def _write(self, batch: list[_Work]) -> None:
        try:
            results = await self._transaction(batch)
        except Exception as error:
            if is_trouble(error):
                for work in batch:
                    _fail(work, refusal(error), error)
            elif len(batch) == 1:
                _fail(batch[0], error, None)
            else:
                for work in batch:
                    await self._write([work])
            return
        for works, done in results:
            works[0].kind.committed(done)
        for works, done in results:
            for work, result in zip(works, done, strict=True):
                if not work.future.done():
                    work.future.set_result(result)

    async def _transaction(self, batch: list[_Work]) -> list[tuple[list[_Work], Sequence[Any]]]:
        groups: dict[Kind[Any, Any], list[_Work]] = {}
        for work in batch:
            groups.setdefault(work.kind, []).append(work)
        ordered = sorted(groups.items(), key=lambda group: group[0].order)
        for last_try in (False, True):
            committing = False
            try:
                connection = await self._connect()
                results = [
                    (works, await kind.run(connection, [work.item for work in works]))
                    for kind, works in ordered
                ]
                committing = True
                await connection.commit()
            except BaseException as error:
                await self._undo(is_full(error))
                # After a commit that failed it is open whether it happened: the sender asks again.
                if last_try or committing or not may_pass_at_once(error):
                    raise
            else:
                self.transactions += 1
                return results
        raise AssertionError

    async def _connect(self) -> Connection:
        if self._connection is None:
            self._connection = await self._database.connect()
        return self._connection

    async def _undo(self, keep: bool) -> None:
        """Undo the transaction, where the connection is worth keeping; else throw that away."""
        if keep and self._connection is not None:
            with suppress(Exception):
                await self._connection.rollback()
                return
        await self._disconnect()

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        # It is thrown away because it does not work; that it cannot be closed well is no news.
        with suppress(Exception):
            await connection.invalidate()
        with suppress(Exception):
            await connection.close()


def _fail(work: _Work, error: Exception, cause: Exception | None) -> None:
    if work.future.done():
        return
    error.__cause__ = cause
    work.future.set_exception(error)
