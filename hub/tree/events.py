"""Reading the events of a tree, and which of them starts it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hub.tree.fields import FieldReader
from hub.tree.schedules import is_inline, read_inline
from hub.tree.tree import StartPolicy, Subscription
from hub.tree.words import Place, did_you_mean, kind_of, listed

__all__ = ["API", "EVENT_FIELDS", "read_events", "read_start"]

API = "api"
"""The kind and the name of the trigger that every hub has: events sent by `hub events send`."""
EVENT_FIELDS = {
    "where": "a bare expression over `event`: which of the trigger's events are meant",
    "key": "a bare expression over `event` that gives the correlation key",
}
"""What an event says beside its trigger."""
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
    )


def read_start(value: Any, given: bool, reader: FieldReader) -> StartPolicy | None:
    """Which event starts the tree."""
    place: Place = ("start",)
    if isinstance(value, dict):
        reader.unknown_keys(place, value, ("event",), "`start`")
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
    return None if event is None else StartPolicy(event=event)
