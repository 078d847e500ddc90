"""The events of a scenario: what comes from outside, and whether any tree takes it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, get_args

from hub.errors import InvalidEvent
from hub.event import Event
from hub.routing.router import CALLBACK, Match
from hub.run.state import Outcome
from hub.simulation.reading import Reading
from hub.simulation.scenario import Happening
from hub.simulation.simulation import START_TIME
from hub.tree.words import Place, did_you_mean, kind_of, listed

__all__ = ["EventReader"]

_ATTRIBUTES = ("type", "data", "id", "source", "subject", "time", "extensions")
_EVENT = (*_ATTRIBUTES, "after", "at", "trigger", "callback", "cancel", "outcome")
_START = (*_ATTRIBUTES, "at", "trigger", "outcome")
_OUTCOMES = (*get_args(Outcome), "unmatched")
_TYPE = re.compile(r"""event\.type\s*==\s*["']([^"']+)["']""")


class EventReader:
    """Reads the start event and the list of events."""

    def __init__(self, reading: Reading) -> None:
        self._read = reading
        self._types = sorted(
            {
                found
                for t in reading.router.trees.values()
                for s in t.subscriptions.values()
                if s.where is not None
                for found in _TYPE.findall(s.where.text)
            }
        )

    def start(self, place: Place, value: Any) -> tuple[datetime, Happening | None, str | None]:
        """When the scenario begins, its start event, and the run that it starts."""
        if not self._read.mapping(place, value, _START, "a start event"):
            return START_TIME, None, None
        began = START_TIME
        if "at" in value:
            began = self._read.time((*place, "at"), value["at"]) or START_TIME
        event = self._event(place, value, "start", began)
        subscription = self._read.tree.subscriptions.get(self._read.tree.start.event)
        trigger = value.get("trigger") or (subscription.trigger if subscription else "")
        if event is None:
            return began, None, None
        matches = self._read.router.explain(str(trigger), event)
        start = [
            m for m in matches
            if (m.tree, m.subscription) == (self._read.tree.name, self._read.tree.start.event)
        ]  # fmt: skip
        if not start or start[0].outcome != "start":
            reason = (start[0].reason if start else None) or f"it comes in by {trigger!r}"
            self._read.problem(
                (*place, "type"),
                f"this event does not start the tree: {reason}",
                did_you_mean(event.type, [t for t in self._types if t != event.type]),
            )
            return began, None, None
        outcome = self._read.choice((*place, "outcome"), value.get("outcome"), _OUTCOMES)
        happening = Happening(event=event, trigger=str(trigger), outcome=outcome)
        return began, happening, start[0].run_id

    def events(
        self, place: Place, value: Any, began: datetime, run_id: str | None
    ) -> list[Happening]:
        """What comes after the start."""
        if value is None:
            return []
        if not isinstance(value, list):
            self._read.problem(place, f"`events` is a list, not {kind_of(value)}")
            return []
        found = (
            self._happening((*place, index), item, index + 1, began, run_id)
            for index, item in enumerate(value)
        )
        return [happening for happening in found if happening is not None]

    def _happening(
        self, place: Place, value: Any, number: int, began: datetime, run_id: str | None
    ) -> Happening | None:
        if not self._read.mapping(place, value, _EVENT, "an event"):
            return None
        after = self._after(place, value, began)
        outcome = self._read.choice((*place, "outcome"), value.get("outcome"), _OUTCOMES)
        kinds = [key for key in ("type", "callback", "cancel") if key in value]
        if len(kinds) != 1:
            self._read.problem(
                place,
                "an event says what comes" if not kinds else f"it is one of {listed(kinds)}",
                "write `type:` of an event, `callback:` for a followed link, or `cancel: true`",
            )
            return None
        if kinds == ["cancel"]:
            return Happening(after=after)
        if kinds == ["callback"]:
            name = self._subscription((*place, "callback"), value["callback"])
            extensions = {"hubrun": run_id or "", "hubsubscription": name}
            value = {"type": "hub.callback", "data": {}, **value, "extensions": extensions}
        event = self._event(place, value, f"event-{number}", began + after)
        if event is None:
            return None
        if kinds == ["callback"]:
            return Happening(after=after, event=event, trigger=CALLBACK, outcome=outcome)
        trigger = self._trigger(place, value, event)
        if trigger is None:
            if outcome != "unmatched":
                self._unknown_event((*place, "type"), event, value.get("trigger"))
            trigger = str(value.get("trigger") or self._triggers()[0])
        return Happening(after=after, event=event, trigger=trigger, outcome=outcome)

    def _after(self, place: Place, value: dict[str, Any], began: datetime) -> timedelta:
        if "after" in value and "at" in value:
            self._read.problem((*place, "at"), "an event has either `after` or `at`")
        if "at" in value:
            at = self._read.time((*place, "at"), value["at"])
            if at is not None and at < began:
                self._read.problem((*place, "at"), f"this is before the start, {began.isoformat()}")
            return timedelta(0) if at is None else max(at - began, timedelta(0))
        if "after" not in value:
            self._read.problem(place, "an event says when it comes", "write `after: 2h`")
            return timedelta(0)
        return self._read.span((*place, "after"), value["after"])

    def _event(
        self, place: Place, value: dict[str, Any], identifier: str, time: datetime
    ) -> Event | None:
        document: dict[str, Any] = {
            "specversion": "1.0",
            "id": identifier,
            "source": "/scenario",
            "time": time.isoformat(),
        }
        extensions = value.get("extensions") or {}
        if not isinstance(extensions, dict):
            self._read.problem((*place, "extensions"), "`extensions` is a mapping")
            extensions = {}
        given = {key: value[key] for key in _ATTRIBUTES if key in value and key != "extensions"}
        if not isinstance(given.get("type"), str):
            self._read.problem(place, "an event has a type", "write `type: user.signed_up`")
            return None
        try:
            return Event.from_cloudevent({**document, **given, **extensions})
        except InvalidEvent as error:
            self._read.problem(place, error.message)
            return None

    def _triggers(self) -> list[str]:
        """The tree's triggers, the one of its start first."""
        subscriptions = self._read.tree.subscriptions
        first = subscriptions.get(self._read.tree.start.event)
        return list(
            dict.fromkeys([first.trigger] if first else [])
            | dict.fromkeys(s.trigger for s in subscriptions.values())
        )

    def _trigger(self, place: Place, value: dict[str, Any], event: Event) -> str | None:
        """The trigger by which some tree takes the event; None when none does."""
        given = value.get("trigger")
        if given is not None:
            matches = self._read.router.explain(str(given), event)
            return str(given) if any(m.run_id for m in matches) else None
        for trigger in self._triggers():
            if any(m.run_id for m in self._read.router.explain(trigger, event)):
                return trigger
        return None

    def _unknown_event(self, place: Place, event: Event, trigger: Any) -> None:
        triggers = self._triggers() if trigger is None else [str(trigger)]
        matches = [m for t in triggers for m in self._read.router.explain(t, event)]
        self._read.problem(
            place,
            f"no tree takes this event{_why(matches)}",
            did_you_mean(event.type, [t for t in self._types if t != event.type])
            or "add `outcome: unmatched` if that is what the scenario shows",
        )

    def _subscription(self, place: Place, value: Any) -> str:
        known = self._read.tree.subscriptions
        if value not in known:
            self._read.problem(
                place,
                f"the tree has no event {value!r}",
                did_you_mean(str(value), known) or f"its events: {listed(known)}",
            )
        return str(value)


def _why(matches: Iterable[Match]) -> str:
    reasons = [f"{m.tree}.{m.subscription}: {m.reason}" for m in matches if m.reason]
    if not reasons:
        return ""
    more = f" (and {len(reasons) - 3} more)" if len(reasons) > 3 else ""
    return " (" + "; ".join(reasons[:3]) + ")" + more
