"""Flow control of starts: how start events are held back before they start runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from hub.durations import format_duration
from hub.expressions import Expression
from hub.tree.fields import FieldReader
from hub.tree.node import Doc
from hub.tree.report import Report
from hub.tree.tree import StartPolicy, Subscription
from hub.tree.words import Place

__all__ = [
    "FLOW_KINDS",
    "MAX_GATHERED",
    "MAX_LIVE",
    "MAX_RATE",
    "Batch",
    "Concurrency",
    "Debounce",
    "Rate",
    "check_flow",
    "read_flow",
]

MAX_GATHERED = 1000
"""How many events may be gathered for one run."""
MAX_RATE = 100_000
MAX_LIVE = 1000
"""How many runs may be live at once where their number is limited."""


@dataclass(frozen=True, kw_only=True)
class Debounce:
    """A run starts once no more start events of its key have come for a while.

    It gets all of them: `events`, in their order; `event` is the last. A key's events are gathered
    on their own; without a `key` on the start event, all of the tree's are gathered together.
    """

    for_: Annotated[timedelta, Doc("how long it must be quiet: `30s`")]
    max: Annotated[
        timedelta | None,
        Doc("start at the latest so long after the first of them, quiet or not"),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A run starts with several start events of its key: `events`, in their order."""

    size: Annotated[int, Doc("start as soon as so many have come; at most 1,000")]
    within: Annotated[timedelta, Doc("start at the latest so long after the first of them")]


@dataclass(frozen=True, kw_only=True)
class Rate:
    """At most so many runs start in any stretch of that length. Starts beyond it wait for their turn."""

    limit: Annotated[int, Doc("how many runs may start")]
    per: Annotated[timedelta, Doc("in a stretch of this length: `1m`")]
    key: Annotated[
        Expression | None, Doc("counted on its own for each value of this; else for the tree")
    ] = None


@dataclass(frozen=True, kw_only=True)
class Concurrency:
    """At most so many runs are live at once. Starts beyond it wait until one ends, however it ends."""

    limit: Annotated[int, Doc("how many runs may be live; at most 1,000")]
    key: Annotated[
        Expression | None, Doc("counted on its own for each value of this; else for the tree")
    ] = None


FLOW_KINDS: dict[str, Any] = {
    "debounce": Debounce,
    "batch": Batch,
    "rate": Rate,
    "concurrency": Concurrency,
}
"""What `start` may say of its flow, by the names that it uses."""

_SHORTEST = timedelta(milliseconds=1)
_LONGEST = timedelta(days=366)


def read_flow(place: Place, value: dict[str, Any], reader: FieldReader) -> dict[str, Any]:
    """What `start` says of its flow; what is wrong with it goes to the report."""
    flow: dict[str, Any] = {}
    for name, kind in FLOW_KINDS.items():
        found = reader.field((*place, name), kind, value.get(name))
        if found is not None:
            flow[name] = found
    return flow


def check_flow(start: StartPolicy, subscription: Subscription, report: Report) -> None:
    """Note flow control that could never do what it says."""
    place: Place = ("start",)
    debounce, batch, rate, concurrency = start.debounce, start.batch, start.rate, start.concurrency
    for name, part, spans in (
        ("debounce", "for", [] if debounce is None else [debounce.for_]),
        ("debounce", "max", [] if debounce is None or debounce.max is None else [debounce.max]),
        ("batch", "within", [] if batch is None else [batch.within]),
        ("rate", "per", [] if rate is None else [rate.per]),
    ):
        for span in spans:
            if not _SHORTEST <= span <= _LONGEST:
                report.problem(
                    (*place, name, part),
                    f"{format_duration(span)} is no time to wait",
                    suggestion="write something between a millisecond and a year",
                )
    for name, limit, most in (
        ("batch", None if batch is None else batch.size, MAX_GATHERED),
        ("rate", None if rate is None else rate.limit, MAX_RATE),
        ("concurrency", None if concurrency is None else concurrency.limit, MAX_LIVE),
    ):
        if limit is not None and not 1 <= limit <= most:
            field = "size" if name == "batch" else "limit"
            report.problem(
                (*place, name, field),
                f"`{field}` is {limit}, and must be between 1 and {most:,}",
                suggestion=f"write a number between 1 and {most:,}",
            )
    if debounce is not None and batch is not None:
        report.problem(
            (*place, "batch"),
            "`debounce` and `batch` both say when the gathered events start a run",
            suggestion="keep one of them: `debounce` waits for quiet, `batch` for a number",
        )
    if debounce is not None and debounce.max is not None and debounce.max < debounce.for_:
        report.problem(
            (*place, "debounce", "max"),
            f"the run would start {format_duration(debounce.max)} after the first event, before it "
            f"could have been quiet for {format_duration(debounce.for_)}",
            suggestion="make `max` the longer one",
        )
    if batch is not None and batch.size == 1:
        report.warn(
            (*place, "batch", "size"),
            "a batch of one is no batch: each event starts a run at once",
            suggestion="leave `batch` out, or make `size` larger",
            code="pointless_flow",
        )
    if start.is_held and subscription.kind == "schedule":
        report.problem(
            place,
            "a schedule starts its runs from within Temporal, at its times, and nothing holds them "
            "back",
            suggestion="give the schedule an `overlap`, or leave the flow control out",
            code="schedule_flow",
        )
    if concurrency is not None and start.when_running == "restart" and concurrency.key is not None:
        own = None if subscription.key is None else subscription.key.text
        if concurrency.limit == 1 and concurrency.key.text == own:
            report.warn(
                (*place, "concurrency"),
                "of one key there is one run anyway, and `restart` does not wait for its end",
                suggestion="leave `concurrency` out, or `when_running: restart`",
                code="pointless_flow",
            )
    if start.when_running == "ignore" and start.gathers:
        report.warn(
            (*place, "when_running"),
            "what was gathered while a run of the key is live is thrown away as a whole",
            suggestion="leave `when_running` out: the gathered events then wait until it has ended",
            code="gathered_ignored",
        )
