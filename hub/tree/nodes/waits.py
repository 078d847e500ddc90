"""Nodes that wait, for a time or for an event. A waiting run costs nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from hub.errors import NodeFailed
from hub.expressions import Template
from hub.tree.node import Doc, Node, Run, Span, Subscribed, node

__all__ = ["Delay", "WaitFor"]


@node("delay", primary="duration")
class Delay(Node):
    """Wait for a length of time, or until a point in time."""

    duration: Annotated[
        Span | None, Doc("how long: `7 days`, `24h`, `1h30m`, `PT24H`, or `${{ }}` that gives one")
    ] = None
    until: Annotated[
        Template | None, Doc("the time to wait for: RFC 3339 text with a zone, or `${{ }}`")
    ] = None

    def check(self, problem: Any) -> None:
        if (self.duration is None) == (self.until is None):
            problem(
                "a delay has either a length or `until`",
                suggestion="write `delay: 24h` or `delay: {until: 2030-01-01T09:00:00Z}`",
            )

    async def run(self, run: Run) -> Any:
        # The end is fixed once: a run that is resumed waits only for what is left.
        end = run.recall(self)
        if end is None:
            end = self._end(run).isoformat()
            run.remember(self, end)
        await run.sleep_until(self, datetime.fromisoformat(end))
        return None

    def _end(self, run: Run) -> datetime:
        if self.duration is not None:
            return run.now() + run.span(self.duration)
        value = run.evaluate(self.until) if self.until is not None else None
        try:
            end = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        except ValueError:
            raise NodeFailed("invalid_time", f"{str(value)[:60]!r} is no time", self.path) from None
        if end.tzinfo is None:
            raise NodeFailed("invalid_time", f"{end.isoformat()} has no zone; add Z or +02:00")
        return end.astimezone(UTC)


@node("wait_for", primary="event")
class WaitFor(Node):
    """Wait for an event of this run. The result is the event.

    An event that came before the wait opened satisfies it, unless `since: wait`. With a `timeout`
    the node fails with the code `timeout` when the event does not come in time.
    """

    event: Annotated[Subscribed, Doc("the name of one of the tree's events")]
    since: Annotated[
        Literal["start", "wait"],
        Doc("`start`: also an event that came earlier in this run; `wait`: only fresh ones"),
    ] = "start"
    late: Annotated[
        Literal["discard", "keep"],
        Doc("what to do with an event that comes after the timeout: keep it for the next wait?"),
    ] = "discard"

    async def run(self, run: Run) -> Any:
        event = await run.wait(self, self.event, since=self.since, late=self.late)
        return event.to_cloudevent()
