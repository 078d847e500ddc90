"""Nodes that run their child several times. What a finished round leaves in the state is dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar

from hub.errors import NodeFailed
from hub.expressions import Expression
from hub.tree.concurrency import first_done, spawn
from hub.tree.node import SKIPPED, Doc, Node, Run, node
from hub.tree.nodes.branches import raise_faults

__all__ = ["ForEach", "Repeat", "While"]

_BREATH = 100
"""After so many rounds in one moment, a loop lets others work."""
_MAX_ITEMS = 10_000


class _Pace:
    """Notices a loop that turns without any time passing."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._moment: datetime | None = None
        self._rounds = 0

    async def round(self) -> None:
        now = self._run.now()
        self._rounds = self._rounds + 1 if now == self._moment else 0
        self._moment = now
        if self._rounds >= _BREATH:
            self._rounds = 0
            await self._run.breathe()


async def _rounds(run: Run, loop: Node, child: Node, goes_on: Callable[[Run, int], bool]) -> Any:
    """Run the child for as long as it goes on, which is asked once before each round."""
    done, result = run.recall(loop) or (0, None)
    pace = _Pace(run)
    while True:
        frame = run.frame(loop, done, index=done)
        # A round that has begun goes on, whatever the condition says by now.
        if frame.status(child) == "pending":
            if not goes_on(frame, done):
                return result
            if done:
                run.forget(loop, done - 1)
            run.at_round(loop, done)
        outcome = await frame.execute(child)
        result = None if outcome is SKIPPED else outcome
        done += 1
        run.remember(loop, (done, result))
        await pace.round()


def _too_many(loop: Node, limit: int) -> NodeFailed:
    return NodeFailed(
        "too_many_rounds", f"{loop.label} is not over after {limit} rounds", loop.path
    )


@node("while", primary="condition")
class While(Node):
    """Run `do` again and again, as long as the condition holds before a round.

    `index` counts the rounds from 0. The result is that of the last round.
    """

    binds: ClassVar[Mapping[str, tuple[str, ...]]] = {"do": ("index",), "condition": ("index",)}

    condition: Annotated[Expression, Doc("a bare expression, looked at before each round")]
    do: Annotated[Node, Doc("what one round does")]
    max: Annotated[
        int | None, Doc("after so many rounds it fails (`too_many_rounds`); without, it never does")
    ] = None

    async def run(self, run: Run) -> Any:
        def goes_on(frame: Run, done: int) -> bool:
            if not frame.evaluate(self.condition):
                return False
            if self.max is not None and done >= self.max:
                raise _too_many(self, self.max)
            return True

        return await _rounds(run, self, self.do, goes_on)


@node("repeat", primary="times")
class Repeat(Node):
    """Run `do` a number of times, or until a condition holds after a round, or for ever.

    `index` counts the rounds from 0. The result is that of the last round.
    """

    binds: ClassVar[Mapping[str, tuple[str, ...]]] = {"do": ("index",), "until": ("index",)}

    do: Annotated[Node, Doc("what one round does")]
    times: Annotated[int | Expression | None, Doc("how often; without, there is no end")] = None
    until: Annotated[
        Expression | None, Doc("a bare expression, looked at after each round; true ends it")
    ] = None
    max: Annotated[
        int | None, Doc("after so many rounds it fails (`too_many_rounds`) if `until` is not true")
    ] = None

    def check(self, problem: Callable[..., None]) -> None:
        if isinstance(self.times, int) and self.times < 0:
            problem("`times` is less than 0", field="times", suggestion="write 0 or more")
        if self.max is not None and self.until is None:
            problem(
                "`max` bounds a repeat with `until`, and there is none",
                field="max",
                suggestion="write `times:` for a number of rounds",
            )

    async def run(self, run: Run) -> Any:
        def goes_on(frame: Run, done: int) -> bool:
            if self.until is not None and done:
                if run.evaluate(self.until, index=done - 1):
                    return False
                if self.max is not None and done >= self.max:
                    raise _too_many(self, self.max)
            return self.times is None or done < self._times(run)

        return await _rounds(run, self, self.do, goes_on)

    def _times(self, run: Run) -> int:
        times = self.times if isinstance(self.times, int) else None
        if times is None and isinstance(self.times, Expression):
            given = run.evaluate(self.times)
            if isinstance(given, bool) or not isinstance(given, int):
                raise NodeFailed("invalid_times", f"`times` is no whole number: {given!r}"[:200])
            times = given
        return times or 0


@node("for_each", primary="in_")
class ForEach(Node):
    """Run `do` for each item of a list, at most `concurrency` of them at the same time.

    The result is the list of the results, in the order of the items. The first failure cancels
    those that run, and is the failure.
    """

    binds: ClassVar[Mapping[str, tuple[str, ...]]] = {"do": ("item", "index")}

    in_: Annotated[Expression | list[Any], Doc("a bare expression that gives a list, or the list")]
    do: Annotated[Node, Doc("what is done for one item")]
    as_: Annotated[str, Doc("the name of the item in expressions; `index` counts from 0")] = "item"
    concurrency: Annotated[int, Doc("how many items at the same time")] = 1

    def check(self, problem: Callable[..., None]) -> None:
        if not self.as_.isidentifier():
            problem(
                f"`as` is no name: {self.as_!r}", field="as", suggestion="write a word: `as: order`"
            )
        if self.concurrency < 1:
            problem(
                "`concurrency` is at least 1", field="concurrency", suggestion="write 1 or more"
            )

    async def run(self, run: Run) -> Any:
        memory = run.recall(self)
        if memory is None:
            items = self._items(run)
            memory = {"items": items, "results": [None] * len(items), "ended": []}
            run.remember(self, memory)
        items, ended = memory["items"], memory["ended"]
        waiting = [i for i in range(len(items)) if i not in set(ended)]
        waiting.reverse()
        running: dict[int, tuple[Run, asyncio.Task[Any]]] = {}
        pace = _Pace(run)
        try:
            while waiting or running:
                while waiting and len(running) < self.concurrency:
                    index = waiting.pop()
                    frame = run.frame(self, index, **{self.as_: items[index], "index": index})
                    if frame.status(self.do) == "pending":
                        run.at_round(self, index)
                    running[index] = (frame, spawn(frame.execute(self.do)))
                await first_done([task for _, task in running.values()])
                for index in [i for i, (_, task) in running.items() if task.done()]:
                    frame, task = running.pop(index)
                    raise_faults(task)
                    outcome = await frame.execute(self.do)
                    memory["results"][index] = None if outcome is SKIPPED else outcome
                    ended.append(index)
                    run.forget(self, index)
                    await pace.round()
        except (asyncio.CancelledError, Exception):
            await run.give_up(
                [(frame, self.do) for frame, _ in running.values()],
                [task for _, task in running.values()],
            )
            raise
        return memory["results"]

    def _items(self, run: Run) -> list[Any]:
        if isinstance(self.in_, list):
            return list(self.in_)
        given = run.evaluate(self.in_)
        if not isinstance(given, (list, tuple)):
            raise NodeFailed(
                "invalid_list", f"`in` gives no list, but {type(given).__name__}", self.path
            )
        if len(given) > _MAX_ITEMS:
            raise NodeFailed(
                "invalid_list", f"`in` gives {len(given)} items; at most {_MAX_ITEMS} are taken"
            )
        return list(given)
