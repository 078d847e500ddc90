"""Nodes that decide which of their children run, and in what order."""

from __future__ import annotations

from typing import Annotated, Any

from hub.errors import NodeFailed
from hub.tree.node import SKIPPED, Doc, Node, Run, node

__all__ = ["Fallback", "Sequence"]


@node("sequence", primary="steps")
class Sequence(Node):
    """Run the steps in order; fail with the first that fails. The result is the last one's."""

    steps: Annotated[list[Node], Doc("the steps, in order")]

    async def run(self, run: Run) -> Any:
        result = None
        for step in self.steps:
            outcome = await run.execute(step)
            if outcome is not SKIPPED:
                result = outcome
        return result


@node("fallback", primary="options")
class Fallback(Node):
    """Try the children in order until one succeeds; fail with the last one's failure."""

    options: Annotated[list[Node], Doc("what to try, in order")]

    async def run(self, run: Run) -> Any:
        failure: NodeFailed | None = None
        for option in self.options:
            try:
                outcome = await run.execute(option)
            except NodeFailed as error:
                failure = error
                continue
            if outcome is not SKIPPED:
                return outcome
        if failure is not None:
            raise failure
        return None
