"""What a connector is: a kind of outbound action, and what an action is given while it runs.

A connector is found by the entry point group `hub.connectors`, in this package or in any other.
"""

from __future__ import annotations

import inspect
from abc import ABC
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, get_type_hints

import msgspec

__all__ = [
    "Action",
    "Call",
    "Connector",
    "RunRef",
    "action",
    "installed_actions",
    "installed_connectors",
]

_MARK = "__hub_action__"
_F = TypeVar("_F", bound=Callable[..., Awaitable[Any]])


class RunRef(msgspec.Struct, frozen=True, kw_only=True):
    """The run that an action works for. `id` is `tree/key`."""

    id: str
    tree: str
    key: str | None = None
    url: str | None = None


class Call(Protocol):
    """One attempt of one action, as the connector sees it.

    `idempotency_key` is the same for every attempt of the same step of the same run, and for no
    other. `scope` holds the run's `event`, `vars`, `steps` and `run`, for templates.
    """

    run: RunRef
    path: str
    attempt: int
    idempotency_key: str
    scope: Mapping[str, Any]
    project: Path

    def callback(self, subscription: str, *, expires: timedelta | None = None) -> str:
        """A signed link that delivers an event of this subscription to this run."""

    def heartbeat(self) -> None:
        """Say that a long call is still alive. Raises when the run has cancelled it."""


@dataclass(frozen=True, kw_only=True)
class Action:
    """One action of a connector, described: `name` is `connector.action`, as trees write it.

    `timeout` bounds one attempt. `needs_scope` asks for the run's `event` and `vars` beside the
    arguments; it costs their size in the run's history, so only templating actions set it.
    """

    name: str
    method: str
    input: type[msgspec.Struct]
    output: Any
    summary: str
    timeout: timedelta
    needs_scope: bool


def action(
    *, timeout: timedelta = timedelta(seconds=30), needs_scope: bool = False
) -> Callable[[_F], _F]:
    """Mark a method `async def name(self, input: Struct, call: Call) -> Output` as an action."""

    def mark(function: _F) -> _F:
        setattr(function, _MARK, {"timeout": timeout, "needs_scope": needs_scope})
        return function

    return mark


class Connector(ABC):
    """One configured account of a kind of outbound action.

    Subclasses name themselves, name their settings struct and mark their actions. One instance
    lives per connection and worker process; `close` is awaited when the worker stops.
    """

    name: ClassVar[str]
    settings_type: ClassVar[type[msgspec.Struct]]

    def __init__(self, settings: Any, project: Path) -> None:
        self.settings = settings
        self.project = project

    async def close(self) -> None:
        """Give back what the connector holds: pools, sessions."""
        return

    def address(self) -> str | None:
        """Where the other side is, for people to read: without secrets, None where there is none."""
        return None

    async def check(self) -> str | None:
        """Ask the other side for a sign of life, at little cost and without any effect.

        Says in a few words what answered; None where nothing can be asked like that. Raises
        `ActionFailed`, as actions do.
        """
        return None

    @classmethod
    def actions(cls) -> Iterator[Action]:
        """The actions that this class offers, in the order in which they are written."""
        for method, function in vars(cls).items():
            options = getattr(function, _MARK, None)
            if options is None:
                continue
            hints = get_type_hints(function)
            parameter = list(inspect.signature(function).parameters)[1]
            yield Action(
                name=f"{cls.name}.{method.rstrip('_')}",
                method=method,
                input=hints[parameter],
                output=hints.get("return", Any),
                summary=inspect.getdoc(function) or "",
                **options,
            )


@cache
def installed_connectors() -> Mapping[str, type[Connector]]:
    """Every installed connector by its name."""
    found = [point.load() for point in entry_points(group="hub.connectors")]
    return {kind.name: kind for kind in sorted(found, key=lambda kind: str(kind.name))}


@cache
def installed_actions() -> Mapping[str, Action]:
    """Every action of every installed connector, by the name that trees use."""
    return {a.name: a for kind in installed_connectors().values() for a in kind.actions()}
