"""What the readers of scenarios share: the tree at hand, what is wrong, and plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from hub.connector import Action, installed_actions
from hub.durations import parse_duration
from hub.errors import InvalidDuration
from hub.routing.router import Router
from hub.run import EMIT
from hub.tree import Tree
from hub.tree.report import Report
from hub.tree.words import Place, did_you_mean, kind_of, listed
from hub.tree.yaml import Document

__all__ = ["Reading"]


class Reading:
    """One scenario file being read. What does not fit is noted, and a harmless value given."""

    def __init__(
        self,
        tree: Tree,
        router: Router,
        actions: Mapping[str, Action] | None,
        document: Document | None,
        file: str | None,
    ) -> None:
        self.tree = tree
        self.router = router
        self.report = Report(document, file)
        self.installed = installed_actions() if actions is None else actions
        used = (n for t in router.trees.values() for n in t.nodes() if hasattr(n, "action"))
        self.actions = sorted({EMIT, *self.installed, *(str(node.action) for node in used)})

    def problem(self, place: Place, message: str, suggestion: str | None = None) -> None:
        """Note what is wrong at a place."""
        self.report.problem(place, message, suggestion=suggestion)

    def mapping(self, place: Place, value: Any, known: Iterable[str], what: str) -> bool:
        """Is it a mapping with known keys? The unknown keys are noted."""
        if not isinstance(value, dict):
            self.problem(place, f"{what} is a mapping, not {kind_of(value)}")
            return False
        for key in value:
            if key not in known:
                self.problem(
                    (*place, key),
                    f"{what} has no field {key!r}",
                    did_you_mean(key, known) or f"its fields: {listed(known)}",
                )
        return True

    def literal(self, place: Place, value: Any) -> None:
        """Note each `${{ }}`: a scenario is not evaluated."""
        if isinstance(value, str) and "${{" in value:
            self.problem(place, "a scenario has plain values, no `${{ }}`", "write the value")
        items: Iterable[tuple[str | int, Any]] = ()
        if isinstance(value, dict):
            items = value.items()
        elif isinstance(value, list):
            items = enumerate(value)
        for key, item in items:
            self.literal((*place, key), item)

    def action(self, place: Place, name: str) -> None:
        """Note a name that no installed connector and no tree has."""
        if name not in self.actions:
            self.problem(
                place,
                f"there is no action {name!r}",
                did_you_mean(name, self.actions) or f"actions: {listed(self.actions)}",
            )

    def choice(self, place: Place, value: Any, choices: Iterable[str]) -> str | None:
        """One of the words, or None."""
        if value is None:
            return None
        if value in choices:
            return str(value)
        self.problem(
            place,
            f"{value!r} is not one of {listed(choices)}",
            did_you_mean(str(value), choices),
        )
        return None

    def span(self, place: Place, value: Any) -> timedelta:
        """A length of time."""
        try:
            return parse_duration(value)
        except InvalidDuration as error:
            self.problem(place, error.message)
            return timedelta(0)

    def time(self, place: Place, value: Any) -> datetime | None:
        """A point in time, in UTC."""
        try:
            time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        except ValueError:
            self.problem(place, f"{value!r} is no time", "write `2030-01-01T09:00:00Z`")
            return None
        if time.tzinfo is None:
            self.problem(place, f"{value!r} has no zone", "add `Z`, or an offset like `+02:00`")
            return None
        return time.astimezone(UTC)
