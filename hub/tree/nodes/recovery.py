"""Nodes that put things right after a failure or a cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Annotated, Any, ClassVar

from hub.errors import NodeFailed
from hub.tree.node import SKIPPED, Doc, Node, Run, node

__all__ = ["Saga", "Try"]


@node("try", primary="body")
class Try(Node):
    """Run the body; if it fails, run `catch`; at last run `finally`, whatever has become of them.

    `catch` sees the failure as `error`: `error.code`, `error.message`, `error.path`. The result is
    that of the body, or of `catch`. `finally` also runs when the node is cancelled, to its end; a
    failure of `finally` makes the node fail, except in a cancellation, where it is logged.
    """

    binds: ClassVar[Mapping[str, tuple[str, ...]]] = {"catch": ("error",)}

    body: Annotated[Node, Doc("what may fail")]
    catch: Annotated[Node | None, Doc("what runs if it fails")] = None
    only: Annotated[list[str] | None, Doc("catch failures with these codes alone")] = None
    finally_: Annotated[Node | None, Doc("what runs at last, in every case")] = None

    def check(self, problem: Callable[..., None]) -> None:
        if self.catch is None and self.finally_ is None:
            problem(
                "this `try` catches nothing", suggestion="add `catch:` or `finally:` beside `try:`"
            )
        if self.only is not None and self.catch is None:
            problem("`only` belongs to `catch`, and there is none", field="only")

    async def run(self, run: Run) -> Any:
        try:
            outcome = await self._caught(run)
        except NodeFailed:
            await self._at_last(run)
            raise
        except asyncio.CancelledError:
            if not run.leaving:
                with suppress(NodeFailed):
                    await self._at_last(run)
            raise
        await self._at_last(run)
        return None if outcome is SKIPPED else outcome

    async def _caught(self, run: Run) -> Any:
        try:
            return await run.execute(self.body)
        except NodeFailed as error:
            if self.catch is None or (self.only is not None and error.failure not in self.only):
                raise
            seen = {"code": error.failure, "message": error.message, "path": error.path}
            return await run.scoped(error=seen).execute(self.catch)

    async def _at_last(self, run: Run) -> None:
        if self.finally_ is not None:
            await run.clean_up(self.finally_)


@node("saga", primary="steps")
class Saga(Node):
    """Run the steps in order; if one fails, or the node is cancelled, undo what was done.

    The `undo` parts of the steps run from the last step to the first. A step that has succeeded is
    undone, and so is one of which it is not known that it did nothing: given up while it was at
    work, or failed after it may have reached the other side. So an `undo` must do no harm where
    there is nothing to undo. An `undo` that fails does not keep the others from running. Then the
    saga fails as the step did.
    """

    steps: Annotated[list[Node], Doc("the steps, in order, each with its `undo`")]

    async def run(self, run: Run) -> Any:
        result = None
        try:
            for step in self.steps:
                outcome = await run.execute(step)
                if outcome is not SKIPPED:
                    result = outcome
        except NodeFailed as error:
            failed = await self._undo(run)
            if not failed:
                raise
            raise NodeFailed(
                error.failure, f"{error.message} (and not undone: {failed})", error.path
            ) from None
        except asyncio.CancelledError:
            if not run.leaving:
                await self._undo(run)
            raise
        return result

    async def _undo(self, run: Run) -> str:
        """Undo the steps, last first, whatever comes between. Names those that could not be."""
        failed: list[str] = []
        cancelled: asyncio.CancelledError | None = None
        for step in reversed(self.steps):
            if step.undo is None or not (run.status(step) == "succeeded" or run.touched(step)):
                continue
            try:
                await run.clean_up(step.undo)
            except NodeFailed:
                failed.append(step.label)
            except asyncio.CancelledError as error:
                if run.leaving:
                    raise
                cancelled = error
        if cancelled is not None:
            raise cancelled
        return ", ".join(failed)
