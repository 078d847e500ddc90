"""Reading the events of a tree, and which of them starts it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from hub.expressions import Expression
from hub.tree.fields import FieldReader
from hub.tree.flow import FLOW_KINDS, check_flow, read_flow
from hub.tree.report import Report
from hub.tree.schedules import is_inline, read_inline
from hub.tree.tree import Deliver, Rerun, StartPolicy, Subscription, Tree, WhenRunning
from hub.tree.words import Place, did_you_mean, kind_of, listed

__all__ = [
    "API",
    "EVENT_FIELDS",
    "EVENT_KINDS",
    "START_FIELDS",
    "START_KINDS",
    "check_start",
    "read_events",
    "read_start",
]

API = "api"
"""The kind and the name of the trigger that every hub has: events sent by `hub events send`."""
EVENT_FIELDS = {
    "where": "a bare expression over `event`: which of the trigger's events are meant",
    "key": "a bare expression over `event` that gives the correlation key",
    "early": "how long an event is kept that comes before its run: `1h`; without it, not at all. For "
    "waits with `match`: how long one is kept that comes before its wait; without it, an hour",
    "deliver": "who gets an event that several waits with `match` are open for: `all` (the default), "
    "`one`, the oldest first, or `reject`: a second wait fails",
}
"""What an event says beside its trigger."""
START_FIELDS = {
    "event": "the event that starts a run",
    "when_running": "what it does while a run of its key is live: `deliver` it to that run (the "
    "default), `ignore` it, `restart` the run, or start another in `parallel`",
    "rerun": "may it start a run after one of its key has ended: `always` (the default), "
    "`after_failure`, or `never`",
    "debounce": "start once no more events of the key have come for a while: `{for: 30s, max: 5m}`; "
    "the run gets all of them as `events`",
    "batch": "start with several events of the key at once: `{size: 100, within: 1m}`; the run gets "
    "all of them as `events`",
    "rate": "start at most so many runs in a time: `{limit: 10, per: 1m, key: event.data.tenant}`; "
    "starts beyond it wait",
    "concurrency": "let at most so many runs be live at once: `{limit: 5, key: event.data.tenant}`; "
    "starts beyond it wait until one ends",
}
"""What `start` says, where it is more than a name."""
EVENT_KINDS: Mapping[str, Any] = {
    "where": Expression,
    "key": Expression,
    "early": timedelta,
    "deliver": Deliver,
}
"""What the fields of an event take."""
START_KINDS: Mapping[str, Any] = {
    "event": str,
    "when_running": WhenRunning,
    "rerun": Rerun,
    **FLOW_KINDS,
}
"""What the fields of `start` take."""
_EXAMPLE = "write `signed_up: {webhook: app, where: ..., key: ...}` below `events:`"


def read_events(
    value: Any, reader: FieldReader, kinds: Iterable[str] | None, tree: str
) -> dict[str, Subscription]:
    """The subscriptions under `events:` of that tree; those with errors are left out."""
    report = reader.report
    if not isinstance(value, dict) or not value:
        report.problem(
            ("events",),
            "a tree names the events that it is about"
            if not value
            else f"`events` is {kind_of(value)}, and must be a mapping of names to events",
            suggestion=_EXAMPLE,
        )
        return {}
    read: dict[str, Subscription] = {}
    reader.declared = frozenset(value)
    for name, spec in value.items():
        place: Place = ("events", name)
        reader.check_id(place, name, "an event's name")
        subscription = _subscription(place, name, spec, reader, kinds, tree)
        if subscription is not None:
            read[name] = subscription
    return read


def _subscription(
    place: Place,
    name: str,
    spec: Any,
    reader: FieldReader,
    kinds: Iterable[str] | None,
    tree: str,
) -> Subscription | None:
    report = reader.report
    if not isinstance(spec, dict):
        report.problem(
            place,
            f"the event {name!r} is {kind_of(spec)}, and says where it comes in",
            suggestion="write `webhook: <trigger>` below it, indented, and `where:` and `key:`",
        )
        return None
    sources = [key for key in spec if key not in EVENT_FIELDS]
    known = None if kinds is None else sorted({*kinds, API})
    if known is not None and len(sources) > 1:
        for key in [key for key in sources if key not in known]:
            sources.remove(key)
            report.problem(
                (*place, key),
                f"an event has no field {key!r}",
                suggestion=did_you_mean(key, EVENT_FIELDS)
                or f"it has a trigger, and {listed(EVENT_FIELDS)}",
                code="unknown_field",
            )
    if len(sources) != 1:
        report.problem(
            place,
            f"an event comes in at one place, not at {listed(sources)}"
            if sources
            else f"the event {name!r} does not say where it comes in",
            suggestion="write one of `webhook: <trigger>`, `kafka: <trigger>`, "
            "`schedule: <trigger>`, `api: api`",
        )
        return None
    kind = sources[0]
    if known is not None and kind not in known:
        report.problem(
            (*place, kind),
            f"{kind!r} is no kind of trigger and no field of an event",
            suggestion=did_you_mean(kind, [*known, *EVENT_FIELDS])
            or f"the kinds of trigger are {listed(known)}; beside one stand {listed(EVENT_FIELDS)}",
        )
    trigger, settings = spec[kind], None
    if isinstance(trigger, dict) and is_inline(kind, kinds):
        settings = read_inline((*place, kind), kind, trigger, kinds, report)
        trigger = f"{tree}/{name}"
    if not isinstance(trigger, str) or not trigger:
        report.problem(
            (*place, kind),
            f"this is {kind_of(trigger)}, and must be the name of a trigger of hub.yaml",
            suggestion=f"write `{kind}: app` where hub.yaml has a trigger `app`",
        )
        return None
    if kind == API and trigger != API:
        report.problem(
            (*place, kind),
            f"the hub's own trigger is called `api`, not {trigger!r}",
            suggestion="write `api: api`; events come in there by `hub events send`",
        )
    return Subscription(
        name=name,
        kind=kind,
        trigger=trigger,
        where=reader.expression((*place, "where"), spec.get("where")),
        key=reader.expression((*place, "key"), spec.get("key")),
        settings=settings,
        early=reader.field((*place, "early"), timedelta, spec.get("early")),
        deliver=reader.field((*place, "deliver"), Deliver, spec.get("deliver")) or "all",
    )


def read_start(value: Any, given: bool, reader: FieldReader) -> StartPolicy | None:
    """Which event starts the tree."""
    place: Place = ("start",)
    policy: dict[str, Any] = {}
    if isinstance(value, dict):
        reader.unknown_keys(place, value, START_FIELDS, "`start`")
        for name, kind in (("when_running", WhenRunning), ("rerun", Rerun)):
            chosen = reader.field((*place, name), kind, value.get(name))
            if chosen is not None:
                policy[name] = chosen
        policy |= read_flow(place, value, reader)
        place, value = ("start", "event"), value.get("event")
    names = list(reader.subscriptions)
    if not isinstance(value, str):
        reader.report.problem(
            place if given else (),
            "a tree is started by one of its events, by name"
            if given
            else "the tree does not say which event starts it",
            suggestion=f"write `start: {names[0] if names else '<name of an event>'}`",
        )
        return None
    event = reader.subscribed(place, value)
    return None if event is None else StartPolicy(event=event, **policy)


def check_start(tree: Tree, report: Report) -> None:
    """Note start policies that could never do what they say."""
    start = tree.start
    early = [s for s in tree.subscriptions.values() if s.early is not None]
    keyed = tree.subscriptions[start.event].key is not None
    check_flow(start, tree.subscriptions[start.event], report)
    _check_held(tree, report)
    if not keyed and (start.when_running != "deliver" or start.rerun != "always"):
        report.problem(
            ("start",),
            f"{start.event!r} has no `key`, so each event starts a run of its own, and there never "
            "is another of its key",
            suggestion=f"add a `key` to {start.event!r}, or leave the policy out",
        )
    if start.when_running == "parallel" and start.rerun != "always":
        report.problem(
            ("start", "rerun"),
            "runs in parallel do not count those that have ended",
            suggestion="leave `rerun` out",
        )
    for subscription in early:
        place: Place = ("events", subscription.name, "early")
        if subscription.name in tree.matched:
            if subscription.name in tree.keyed or subscription.name == start.event:
                report.problem(
                    place,
                    "an event is kept for a wait by the run's key or for one with `match`, and here "
                    "are both",
                    suggestion="write a second event of the same trigger for the waits with `match`",
                )
        elif subscription.name == start.event:
            report.problem(place, "it starts the run, so it is never early", suggestion="remove it")
        elif start.when_running == "parallel" or not keyed:
            report.problem(
                place,
                "an event is kept for the one run of its key, and here there is no such run",
                suggestion="remove `early`, or let the tree have one run per key",
            )
        elif start.rerun == "never":
            report.problem(
                place,
                "an event that was kept for a run that never came would use the key up",
                suggestion="use `rerun: after_failure`, or remove `early`",
            )


def _check_held(tree: Tree, report: Report) -> None:
    """Warn of events that may come for a run while its start is still held back."""
    start = tree.start
    if not start.is_held or start.when_running == "parallel" or start.rerun == "never":
        return
    for name, subscription in tree.subscriptions.items():
        waits = name in tree.waits and subscription.key is not None
        if name != start.event and waits and subscription.early is None:
            report.warn(
                ("events", name),
                f"while a start is held back there is no run of its key, so {name!r} finds none",
                suggestion="add `early: 1h` to it, longer than a start is held back, to have it kept",
                code="held_start",
            )
