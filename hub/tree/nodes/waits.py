"""Nodes that wait, for a time or for an event. A waiting run costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from hub.errors import NodeFailed
from hub.expressions import Expression, Template
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
    the node fails with the code `timeout` when the event does not come in time. With `all` or `any`
    it waits for several events, in any order, and the result is a mapping of their names to them.
    Where it is given up before all have come, those that came are kept for other waits. With
    `match` the event is found by a value that the run has learnt, not by its key: one that came
    before the wait opened is kept for `early` of the event, an hour unless it says so.
    """

    event: Annotated[Subscribed | None, Doc("the name of one of the tree's events")] = None
    match: Annotated[
        Expression | None,
        Doc(
            "a bare expression that gives the value which the event's `key` must give, such as "
            "`steps.shipment.id`; without it that is the run's own key"
        ),
    ] = None
    all: Annotated[
        list[Subscribed], Doc("the names of events of which each must come: `[paid, packed]`")
    ] = field(default_factory=list)
    any: Annotated[
        list[Subscribed], Doc("the names of events of which the first that comes will do")
    ] = field(default_factory=list)
    within: Annotated[
        Span | None, Doc("how long all of it may take; the same as `timeout`, inside the wait")
    ] = None
    since: Annotated[
        Literal["start", "wait"],
        Doc("`start`: also an event that came earlier in this run; `wait`: only fresh ones"),
    ] = "start"
    late: Annotated[
        Literal["discard", "keep"],
        Doc("what to do with an event that comes after the timeout: keep it for the next wait?"),
    ] = "discard"

    def __post_init__(self) -> None:
        if self.within is not None and self.timeout is None:
            self.timeout = self.within

    def awaits(self) -> Sequence[str]:
        named = [] if self.event is None else [self.event]
        return [*named, *self.all, *self.any, *super().awaits()]

    def opens(self) -> Sequence[str]:
        named = [] if self.event is None else [self.event]
        return () if self.if_ is not None else [*named, *self.all, *self.any]

    def matched(self) -> Sequence[str]:
        return [] if self.match is None or self.event is None else [self.event]

    def check(self, problem: Any) -> None:
        if self.match is not None and (self.all or self.any):
            problem(
                "`match` is for a wait for one event",
                field="match",
                suggestion="write `parallel:` or `race:` around waits with a `match` each",
            )
        if self.match is not None and self.late == "keep":
            problem(
                "`late` says nothing here: what comes after a wait with `match` is kept for "
                "whoever waits for its value next, as `early` of the event says",
                field="late",
                suggestion="remove `late`",
            )
        if sum(map(bool, (self.event, self.all, self.any))) != 1:
            problem(
                "a wait is for one event, for `all` of several, or for `any` of them",
                suggestion="write `wait_for: paid`, or `wait_for: {all: [paid, packed]}`",
            )
        for name in ("all", "any"):
            names = getattr(self, name)
            if len(set(names)) < len(names):
                problem(f"`{name}` names an event twice", field=name)
        if self.within is not None and self.timeout is not self.within:
            problem("`within` and `timeout` say the same here", suggestion="write one of the two")

    async def run(self, run: Run) -> Any:
        if self.event is not None and self.match is not None:
            event = await run.match(self, self.event, self.match, since=self.since)
            return event.to_cloudevent()
        if self.event is not None:
            event = await run.wait(self, self.event, since=self.since, late=self.late)
            return event.to_cloudevent()
        names = self.all or self.any
        count = len(self.all) or 1
        events = await run.join(self, names, count=count, since=self.since, late=self.late)
        return {name: event.to_cloudevent() for name, event in events.items()}
