"""How nodes wait: for one event of each of several subscriptions, and seen by all as waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from msgspec import convert, to_builtins

from hub.event import Event
from hub.run.state import NodeState, Stored
from hub.tree import Node
from hub.tree.concurrency import first_done, halt, spawn

if TYPE_CHECKING:
    from hub.run.run import TreeRun
    from hub.run.view import View

__all__ = ["Waiting", "join"]


async def join(
    view: View,
    node: Node,
    subscriptions: Sequence[str],
    *,
    count: int,
    since: Literal["start", "wait"],
    late: str,
) -> Mapping[str, Event]:
    """Events of so many of the subscriptions, one of each, by their names."""
    run = view.run
    mailbox = run.mailbox
    memory = view.recall(node)
    if memory is None:
        after = mailbox.state.received if since == "wait" else 0
        memory = {"after": after, "turn": mailbox.turn(), "taken": {}}
        view.remember(node, memory)
    taken = {name: convert(one, Stored) for name, one in memory["taken"].items()}
    waits = {
        name: spawn(
            mailbox.wait(
                view.path(node),
                name,
                after=memory["after"],
                turn=memory["turn"],
                late=late,
                now=run.home.now(),
            )
        )
        for name in subscriptions
        if name not in taken
    }
    try:
        while len(taken) < count:
            with view.marked(node, [*waits], None):
                await first_done([*waits.values()])
            for name in [name for name, wait in waits.items() if wait.done()]:
                stored = waits.pop(name).result()
                if len(taken) == count:
                    mailbox.put_back(stored)
                    continue
                taken[name] = stored
                memory["taken"][name] = to_builtins(stored)
        await _end(run, waits)
    except asyncio.CancelledError:
        await _end(run, waits)
        if not view.leaving:
            for stored in sorted(taken.values(), key=lambda stored: stored.number):
                mailbox.put_back(stored)
        raise
    return {name: taken[name].event for name in subscriptions if name in taken}


async def _end(run: TreeRun, waits: Mapping[str, asyncio.Task[Stored]]) -> None:
    """Give waits up. What they were given in this very turn goes to others."""
    tasks = list(waits.values())
    try:
        await halt(tasks)
    finally:
        for task in tasks:
            if task.done() and not task.cancelled() and task.exception() is None:
                run.mailbox.put_back(task.result())


class Waiting:
    """Marks a node as waiting while the body of `with` runs."""

    def __init__(self, run: TreeRun, state: NodeState, what: Sequence[str]) -> None:
        self._run = run
        self._state = state
        self._what = what

    def __enter__(self) -> None:
        self._state.status = "waiting"
        self._run.state.waiting_for.extend(self._what)
        self._run.home.changed()
        self._run.consider()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is GeneratorExit:
            # The home has dropped the run from its memory; nothing of it happens any more.
            return
        for what in self._what:
            if what in self._run.state.waiting_for:
                self._run.state.waiting_for.remove(what)
        if not self._run.leaving:
            self._state.status = "running"
            self._state.deadline = self._state.expires_at
            self._run.home.changed()
