"""Nodes whose children run at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

from hub.errors import NodeFailed
from hub.tree.concurrency import first_done, spawn
from hub.tree.node import Doc, Node, Run, node

__all__ = ["Parallel", "Race", "raise_faults"]


@node("parallel", primary="branches")
class Parallel(Node):
    """Run all branches at the same time, and end as soon as the outcome is certain.

    It succeeds when `success` branches have (all of them by default), and fails when `failure`
    have failed or so many successes are out of reach. With `failure` alone it waits for all and
    succeeds if fewer have failed. Branches that still run then are cancelled. The result is the
    list of the branches' results, with null for those that did not succeed; the failure is that of
    the branch which decided. Skipped branches do not count.
    """

    branches: Annotated[list[Node], Doc("what runs at the same time")]
    success: Annotated[int | None, Doc("how many must succeed; all of them by default")] = None
    failure: Annotated[int | None, Doc("so many failures make it fail")] = None

    def check(self, problem: Callable[..., None]) -> None:
        for name, wanted in (("success", self.success), ("failure", self.failure)):
            if wanted is not None and not 1 <= wanted <= len(self.branches):
                problem(
                    f"`{name}` is {wanted}, and there are {len(self.branches)} branches",
                    field=name,
                    suggestion=f"write a number from 1 to {len(self.branches)}",
                )

    async def run(self, run: Run) -> Any:
        ended = await _until(run, self, self.branches, self._decided)
        if not self._succeeded(run, ended):
            failed = [i for i in ended if run.status(self.branches[i]) == "failed"]
            # Its failure stands in the state, and is raised from there.
            await run.execute(self.branches[failed[-1]])
        results = []
        for branch in self.branches:
            done = run.status(branch) == "succeeded"
            results.append(await run.execute(branch) if done else None)
        return results

    def _counts(self, run: Run, ended: list[int]) -> tuple[int, int, int]:
        """How many take part, have succeeded, have failed."""
        statuses = [run.status(self.branches[i]) for i in ended]
        taking_part = len(self.branches) - statuses.count("skipped")
        return taking_part, statuses.count("succeeded"), statuses.count("failed")

    def _decided(self, run: Run, ended: list[int]) -> bool:
        of, succeeded, failed = self._counts(run, ended)
        if succeeded + failed == of or (self.failure is not None and failed >= self.failure):
            return True
        if self.success is None and self.failure is not None:
            return False
        needed = of if self.success is None else min(self.success, of)
        return succeeded >= needed or of - failed < needed

    def _succeeded(self, run: Run, ended: list[int]) -> bool:
        of, succeeded, failed = self._counts(run, ended)
        if failed == 0:
            return True
        if self.failure is not None and failed >= self.failure:
            return False
        if self.success is None:
            return self.failure is not None
        return succeeded >= min(self.success, of)


@node("race", primary="branches")
class Race(Node):
    """Run all branches at the same time; the first that ends decides, the others are cancelled.

    The result, or the failure, is that of the first. Of several that end in the same moment it is
    the one that is written first. Skipped branches do not take part.
    """

    branches: Annotated[list[Node], Doc("what runs at the same time")]

    async def run(self, run: Run) -> Any:
        ended = await _until(run, self, self.branches, self._decided)
        for index in ended:
            if run.status(self.branches[index]) != "skipped":
                return await run.execute(self.branches[index])
        return None

    def _decided(self, run: Run, ended: list[int]) -> bool:
        won = any(run.status(self.branches[i]) != "skipped" for i in ended)
        return won or len(ended) == len(self.branches)


async def _until(
    run: Run,
    parent: Node,
    branches: list[Node],
    decided: Callable[[Run, list[int]], bool],
) -> list[int]:
    """Run the branches until it is decided, then cancel the rest. Gives the order of the ends."""
    ended: list[int] = run.recall(parent) or []
    rest = [i for i in range(len(branches)) if i not in ended]
    tasks = {i: spawn(run.execute(branches[i])) for i in rest if not decided(run, ended)}
    try:
        while not decided(run, ended):
            await first_done(list(tasks.values()))
            for i in [i for i in rest if tasks[i].done()]:
                raise_faults(tasks[i])
                if run.status(branches[i]) == "cancelled":
                    raise asyncio.CancelledError
                rest.remove(i)
                del tasks[i]
                ended.append(i)
                run.remember(parent, ended)
                if decided(run, ended):
                    break
    except (asyncio.CancelledError, Exception):
        await run.give_up([(run, branches[i]) for i in rest], list(tasks.values()))
        raise
    await run.give_up([(run, branches[i]) for i in rest], list(tasks.values()))
    return ended


def raise_faults(task: asyncio.Task[Any]) -> None:
    """What is no outcome of a node is a fault of the program, and must not pass unseen."""
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, NodeFailed):
        raise error
