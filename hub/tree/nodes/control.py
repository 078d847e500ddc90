"""Nodes that decide which of their children run, and in what order."""

from __future__ import annotations

from collections.abc import Sequence as Names
from typing import Annotated, Any

from hub.errors import NodeFailed
from hub.expressions import Expression
from hub.tree.node import SKIPPED, Doc, Node, Run, node

__all__ = ["Always", "Fallback", "If", "Invert", "Sequence", "Switch"]


@node("sequence", primary="steps")
class Sequence(Node):
    """Run the steps in order; fail with the first that fails. The result is the last one's."""

    steps: Annotated[list[Node], Doc("the steps, in order")]

    def opens(self) -> Names[str]:
        return () if self.if_ is not None or not self.steps else self.steps[0].opens()

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

    def opens(self) -> Names[str]:
        return () if self.if_ is not None or not self.options else self.options[0].opens()

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


@node("if", primary="condition")
class If(Node):
    """Run `then` if the condition holds, else `else` where there is one.

    The condition is looked at once. The result is that of the part which ran.
    """

    condition: Annotated[Expression, Doc("a bare expression")]
    then: Annotated[Node, Doc("what runs if it holds")]
    else_: Annotated[Node | None, Doc("what runs if it does not")] = None

    async def run(self, run: Run) -> Any:
        holds = run.recall(self)
        if holds is None:
            holds = bool(run.evaluate(self.condition))
            run.remember(self, holds)
        chosen = self.then if holds else self.else_
        return None if chosen is None else await run.execute(chosen)


@node("switch", primary="value")
class Switch(Node):
    """Run the case whose name is the value, else `default` where there is one.

    The value is looked at once, and compared as text: `true`, `42`, `paid`.
    """

    value: Annotated[Expression, Doc("a bare expression")]
    cases: Annotated[dict[str, Node], Doc("what runs, by the value")]
    default: Annotated[Node | None, Doc("what runs for every other value")] = None

    async def run(self, run: Run) -> Any:
        case = run.recall(self)
        if case is None:
            case = _case(run.evaluate(self.value))
            run.remember(self, case)
        chosen = self.cases.get(case, self.default)
        return None if chosen is None else await run.execute(chosen)


def _case(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


@node("invert", primary="child")
class Invert(Node):
    """Succeed if the child fails, and fail with the code `inverted` if it succeeds."""

    child: Annotated[Node, Doc("the child")]

    async def run(self, run: Run) -> Any:
        try:
            outcome = await run.execute(self.child)
        except NodeFailed:
            return None
        if outcome is SKIPPED:
            return None
        raise NodeFailed("inverted", f"{self.child.label} succeeded, and should not", self.path)


@node("always", primary="child")
class Always(Node):
    """Run the child and succeed, whatever becomes of it. The result is the child's, if it has one."""

    child: Annotated[Node, Doc("the child")]

    async def run(self, run: Run) -> Any:
        try:
            outcome = await run.execute(self.child)
        except NodeFailed:
            return None
        return None if outcome is SKIPPED else outcome
