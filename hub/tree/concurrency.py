"""Waiting for several tasks in an order that is the same on every replay.

`asyncio.wait`, `as_completed` and `TaskGroup` keep their tasks in sets, whose order differs from
process to process. Here tasks stand in lists, and a task that is cancelled is awaited to its end.

None of these is awaited in a `finally`: a run that its home drops from memory is closed there, and
must not wait for anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

__all__ = ["first_done", "halt", "spawn"]

_T = TypeVar("_T")


def spawn(work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
    """A task for the work. The work is closed where no task can be had any more."""
    try:
        return asyncio.get_running_loop().create_task(work)
    except BaseException:
        work.close()
        raise


async def first_done(tasks: Sequence[asyncio.Future[Any]]) -> None:
    """Return as soon as one of the tasks is done; at once if one is already."""
    if any(task.done() for task in tasks):
        return
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake(_: asyncio.Future[Any]) -> None:
        if not waiter.done():
            waiter.set_result(None)

    for task in tasks:
        task.add_done_callback(wake)
    try:
        await waiter
    finally:
        for task in tasks:
            task.remove_done_callback(wake)


async def halt(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel the tasks and wait until each has ended, also when the caller is cancelled meanwhile."""
    for task in tasks:
        task.cancel()
    cancelled: asyncio.CancelledError | None = None
    for task in tasks:
        while not task.done():
            try:
                await first_done([task])
            except asyncio.CancelledError as error:
                cancelled = error
        if not task.cancelled():
            task.exception()
    if cancelled is not None:
        raise cancelled
