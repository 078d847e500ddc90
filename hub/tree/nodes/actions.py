"""Nodes that do something: call a connector, set variables, check, log, fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from hub.errors import NodeFailed
from hub.expressions import Expression, Template
from hub.tree.node import Doc, Node, Run, node

__all__ = ["CallAction", "Check", "Emit", "Fail", "Log", "Set", "Succeed"]


@dataclass(kw_only=True, eq=False)
class CallAction(Node):
    """Have a connector do something. Its verb is the action's own name, `email.send`."""

    retried_by_home: ClassVar[bool] = True

    action: str
    arguments: Template
    connection: str | None = None

    @property
    def type(self) -> str:
        return self.action

    async def run(self, run: Run) -> Any:
        arguments = run.evaluate(self.arguments)
        return await run.call(self, self.action, arguments or {}, self.connection)


@node("set", primary="values")
class Set(Node):
    """Set variables of the run, in order; later ones see the earlier ones."""

    values: Annotated[dict[str, Template], Doc("variable: value; `${{ }}` anywhere in a value")]

    async def run(self, run: Run) -> Any:
        for name, value in self.values.items():
            run.set(name, run.evaluate(value))
        return None


@node("check", primary="condition")
class Check(Node):
    """Succeed if the condition holds, fail with the code `check_failed` if it does not."""

    condition: Annotated[Expression, Doc("a bare expression")]
    message: Annotated[Template | None, Doc("what the failure says")] = None

    async def run(self, run: Run) -> Any:
        if run.evaluate(self.condition):
            return True
        said = run.evaluate(self.message) if self.message is not None else None
        raise NodeFailed(
            "check_failed", str(said or f"it does not hold: {self.condition.text}"), self.path
        )


@node("log", primary="message")
class Log(Node):
    """Write a line to the hub's log."""

    message: Annotated[Template, Doc("the text; `${{ }}` allowed")]
    level: Annotated[Literal["debug", "info", "warning", "error"], Doc("how important")] = "info"

    async def run(self, run: Run) -> Any:
        run.log(self.level, str(run.evaluate(self.message)), path=self.path)
        return None


@node("fail", primary="message")
class Fail(Node):
    """Fail, with a message and a code of your own."""

    message: Annotated[Template | None, Doc("what the failure says")] = None
    code: Annotated[str, Doc("the code that `retry.unless` and `catch` compare with")] = "failed"

    async def run(self, run: Run) -> Any:
        said = run.evaluate(self.message) if self.message is not None else None
        raise NodeFailed(self.code, str(said or "the tree says so"), self.path)


@node("succeed", primary="result")
class Succeed(Node):
    """Succeed, with a result of your own."""

    result: Annotated[Template | None, Doc("the result; `${{ }}` anywhere in it")] = None

    async def run(self, run: Run) -> Any:
        return None if self.result is None else run.evaluate(self.result)


@node("emit", primary="type_")
class Emit(Node):
    """Send an event into the hub, as if it had come in at one of the triggers.

    It is in the journal when the node succeeds, and starts and resumes runs like any other.
    """

    retried_by_home: ClassVar[bool] = True

    type_: Annotated[Template, Doc("the event's type: `order.paid`")]
    trigger: Annotated[str, Doc("the name of the trigger at which it comes in")]
    data: Annotated[Template | None, Doc("the event's data; `${{ }}` anywhere in it")] = None
    subject: Annotated[Template | None, Doc("what the event is about")] = None

    async def run(self, run: Run) -> Any:
        event: dict[str, Any] = {"type": str(run.evaluate(self.type_))}
        if self.subject is not None:
            event["subject"] = str(run.evaluate(self.subject))
        if self.data is not None:
            event["data"] = run.evaluate(self.data)
        await run.emit(self, self.trigger, event)
        return event
