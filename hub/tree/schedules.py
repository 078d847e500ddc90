"""Schedules among the events of a tree: written in the tree itself, and what they cannot do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from hub.tree.report import Report
from hub.tree.tree import Subscription, Tree
from hub.tree.words import Place
from hub.trigger import ScheduleTrigger

__all__ = ["check_schedules", "is_inline", "no_key_of_schedule", "read_inline"]

_KIND = "schedule"
_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


def is_inline(kind: str, kinds: Iterable[str] | None) -> bool:
    """May a trigger of that kind be written in the tree, in the place of its name?"""
    if isinstance(kinds, Mapping):
        found = kinds.get(kind)
        return isinstance(found, type) and issubclass(found, ScheduleTrigger)
    # Without the installed kinds it is a tree that was checked before.
    return kinds is None or kind == _KIND


def read_inline(
    place: Place,
    kind: str,
    value: Mapping[str, Any],
    kinds: Iterable[str] | None,
    report: Report,
) -> Mapping[str, Any]:
    """The settings as they are written; what is wrong with them goes to the report."""
    if isinstance(kinds, Mapping):
        _, problems = kinds[kind].read_settings(value, "")
        for problem in problems:
            report.problem(
                (*place, *_steps(problem.path)),
                problem.message,
                suggestion=problem.suggestion,
                code=problem.code,
                severity=problem.severity,
            )
    return value


def check_schedules(tree: Tree, report: Report, kinds: Iterable[str] | None) -> None:
    """Note what a schedule is asked that it cannot do.

    It starts its tree from within Temporal, where no hub stands by: so it starts runs and does
    nothing else, all of its times count, and a run is told from the others by its time.
    """
    for subscription in tree.subscriptions.values():
        if not is_inline(subscription.kind, (_KIND,) if kinds is None else kinds):
            continue
        place: Place = ("events", subscription.name)
        if subscription.name != tree.start.event:
            report.problem(
                (*place, subscription.kind),
                f"a schedule starts its tree, and {subscription.name!r} is not what starts this one",
                suggestion="to wait for a time write `delay: {until: ...}`; a tree that has two "
                "starts is two trees, of which one runs the other",
                code="schedule_not_start",
            )
        if subscription.where is not None:
            report.problem(
                (*place, "where"),
                "a schedule is due at each of its times, so it has no `where`",
                suggestion="say the times in `cron` or `calendars`, or put an `if` at the first node",
                code="schedule_where",
            )
        if subscription.key is not None:
            report.problem(
                (*place, "key"),
                "a run that a schedule starts has no key: it is called after its time",
                suggestion="remove `key`; where other events must find the run, let this tree run "
                "another one that has a key, or send a `callback(...)` link",
                code="schedule_key",
            )


def no_key_of_schedule(start: Subscription, event: str) -> str | None:
    """The way out for an event that looks for a run of a schedule by its key."""
    if start.kind != _KIND:
        return None
    return (
        f"a schedule gives no key: reach the run by a link, `${{{{ callback('{event}') }}}}`, or wait "
        f"by a value that the run learns: `wait_for: {{event: {event}, match: ...}}`"
    )


def _steps(path: str) -> Iterable[str | int]:
    return [int(index) if index else name for index, name in _STEP.findall(path)]
