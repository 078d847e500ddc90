"""What a node is, and what it may ask of the run that it is part of.

A node type is one class: its fields with their docs, and `run`. Declaring the class registers it;
reading, validation, the JSON Schema and the docs follow from the fields.
"""

from __future__ import annotations

import asyncio
import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    Literal,
    NewType,
    Protocol,
    TypeVar,
    dataclass_transform,
)

from hub.event import Event
from hub.expressions import Expression, Template

__all__ = [
    "NODES",
    "SKIPPED",
    "Doc",
    "Node",
    "Retry",
    "Run",
    "Span",
    "Subscribed",
    "node",
]


class _Skipped:
    """The outcome of a node whose `if` was false: neither success nor failure."""

    def __repr__(self) -> str:
        return "SKIPPED"


SKIPPED: Final = _Skipped()


@dataclass(frozen=True)
class Doc:
    """The sentence that the docs page, the schema and the builder's form show for a field."""

    text: str


Subscribed = NewType("Subscribed", str)
"""The name of one of the tree's events, checked when the tree is read."""


class Span:
    """A length of time in a tree: a fixed one, or `${{ }}` that gives one when the node begins."""

    __slots__ = ("fixed", "template")

    def __init__(self, *, fixed: timedelta | None = None, template: Template | None = None) -> None:
        self.fixed = fixed
        self.template = template


@dataclass(frozen=True, kw_only=True)
class Retry:
    """How often, and after which pauses, a failed node is tried again.

    `attempts` counts all tries together, 0 is without end. The pause before try n + 1 is
    `backoff * factor ** (n - 1)`, at most `max`. A failure whose code is in `unless` is final.
    """

    attempts: Annotated[int, Doc("all tries together; 0 is without end")] = 3
    backoff: Annotated[timedelta, Doc("the pause before the second try")] = timedelta(seconds=1)
    factor: Annotated[float, Doc("each pause is that many times the one before")] = 2.0
    max: Annotated[timedelta, Doc("the longest pause")] = timedelta(minutes=5)
    unless: Annotated[tuple[str, ...], Doc("codes of failures that are final")] = ()

    def pause(self, attempt: int) -> timedelta:
        """The pause after the given attempt, counted from 1."""
        seconds = self.backoff.total_seconds() * self.factor ** min(attempt - 1, 64)
        # A first pause that is longer than the longest one was meant.
        longest = max(self.max, self.backoff)
        return timedelta(seconds=min(seconds, longest.total_seconds()))


@dataclass(kw_only=True, eq=False)
class Node(ABC):
    """One step of a tree. `path` is its place in the definition (`do[1].fallback[0]`)."""

    verb: ClassVar[str] = ""
    primary: ClassVar[str | None] = None
    """The field that the verb's own value fills; None where the verb takes only named fields."""
    aliases: ClassVar[tuple[str, ...]] = ()
    binds: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """The names that nodes below a field see beside the others: {"do": ("item", "index")}."""
    retried_by_home: ClassVar[bool] = False
    """Does the place where runs live try it again, as for actions, rather than the run itself?"""

    path: str = ""
    place: tuple[str | int, ...] = ()
    id: Annotated[
        str | None, Doc("its name in expressions: `steps.<id>` is its result, once it succeeded")
    ] = None
    name: Annotated[str | None, Doc("what people call it, in pages and logs")] = None
    if_: Annotated[
        Expression | None, Doc("a bare expression; where it is false the node is skipped")
    ] = None
    timeout: Annotated[
        Span | None,
        Doc("how long it may take, all tries together: `24h`, `7 days`; then it fails (`timeout`)"),
    ] = None
    retry: Annotated[
        Retry | None, Doc("how often it is tried again when it fails: `5`, or more exactly")
    ] = None
    abort_on: Annotated[
        Subscribed | None, Doc("an event that stops it when it comes; it fails (`aborted`)")
    ] = None
    undo: Annotated[
        Node | None, Doc("what makes the step of a `saga` undone, when the saga fails after it")
    ] = None

    @abstractmethod
    async def run(self, run: Run) -> Any:
        """Do what the node promises. Returns its result, or raises `NodeFailed`."""

    @property
    def type(self) -> str:
        """The word that states and pages show for it."""
        return self.verb

    @property
    def label(self) -> str:
        """How a person would call this node."""
        return self.name or self.id or self.type

    def children(self) -> Iterator[Node]:
        """The nodes directly below, in the order of the definition."""
        for spec in dataclasses.fields(self):
            yield from _nodes_in(getattr(self, spec.name))

    def awaits(self) -> Sequence[str]:
        """The names of the events that the node itself may use."""
        return () if self.abort_on is None else (self.abort_on,)

    def opens(self) -> Sequence[str]:
        """The names of the events that are waited for as soon as the node begins, for sure."""
        return ()

    def trees(self) -> Sequence[str]:
        """The names of the trees that the node itself may run."""
        return ()

    def matched(self) -> Sequence[str]:
        """Those of them that it waits for by a value, whoever's key that is."""
        return ()

    def walk(self) -> Iterator[Node]:
        """This node and all below it, parents first."""
        yield self
        for child in self.children():
            yield from child.walk()

    def check(self, problem: Callable[..., None]) -> None:
        """Say what is wrong beyond single fields: `problem(message, field=..., suggestion=...)`."""
        return


def _nodes_in(value: Any) -> Iterator[Node]:
    if isinstance(value, Node):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _nodes_in(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _nodes_in(item)


NODES: dict[str, type[Node]] = {}
"""Every node class by its verb."""

_T = TypeVar("_T", bound=Node)


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(field,))
def node(verb: str, *, primary: str | None = None) -> Callable[[type[_T]], type[_T]]:
    """Declare a node class for a verb of the language."""

    def declare(kind: type[_T]) -> type[_T]:
        made = dataclass(kw_only=True, eq=False)(kind)
        made.verb = verb
        made.primary = primary
        NODES[verb] = made
        return made

    return declare


class Run(Protocol):
    """The run as one node sees it. Everything else a node needs is plain asyncio."""

    @property
    def leaving(self) -> bool:
        """Is the run being put away, to go on later? Then nothing is to be cleaned up."""

    def now(self) -> datetime:
        """The run's own clock, in UTC."""

    def evaluate(self, what: Expression | Template, **names: Any) -> Any:
        """The value in this run's scope. Raises `NodeFailed` with the code `expression`."""

    def span(self, span: Span) -> timedelta:
        """The length of time in this run's scope. Raises `NodeFailed`."""

    async def execute(self, node: Node) -> Any:
        """Run a child with its `if`, `timeout`, `retry` and `abort_on`.

        Returns its result, or `SKIPPED`. Raises `NodeFailed`. A child that the state says is done
        already is not run again: its outcome is given at once.
        """

    async def clean_up(self, node: Node) -> Any:
        """Run a child to its end, also when this node is cancelled meanwhile or was before."""

    async def give_up(
        self, children: Sequence[tuple[Run, Node]], tasks: Sequence[asyncio.Task[Any]]
    ) -> None:
        """Cancel the children for good, and wait until each has cleaned up after itself.

        The tasks are those that execute them. Those that are done stay as they are; when the run
        is only being put away, nothing is noted.
        """

    def status(self, node: Node) -> str:
        """How a child stands: `pending` before it begins."""

    def touched(self, node: Node) -> bool:
        """May something outside of the run have been done by the child, or by one below it?"""

    def scoped(self, **names: Any) -> Run:
        """The same run with more names in scope."""

    def frame(self, node: Node, number: int, /, **names: Any) -> Run:
        """The same run for the round of that number of a loop, with more names in scope.

        The results of steps of the round are seen first in the round itself.
        """

    def forget(self, node: Node, index: int | None = None) -> None:
        """Drop the states below a node, or those of one round of it."""

    def recall(self, node: Node) -> Any:
        """What the node remembered before; None at first."""

    def remember(self, node: Node, value: Any) -> None:
        """Keep a JSON value for the node over continue-as-new."""

    def at_round(self, node: Node, index: int) -> None:
        """Show which round of its loop the node is in."""

    async def breathe(self) -> None:
        """Let time pass, however little: what never waits would keep all others from working."""

    async def sleep_until(self, node: Node, until: datetime) -> None:
        """Wait durably until a time."""

    async def wait(
        self, node: Node, subscription: str, *, since: Literal["start", "wait"], late: str
    ) -> Event:
        """Wait durably for an event of the subscription, or take one that came before."""

    async def match(
        self,
        node: Node,
        subscription: str,
        value: Expression,
        *,
        since: Literal["start", "wait"],
    ) -> Event:
        """Wait durably for an event of the subscription whose `key` gives that value.

        The value is taken once, when the wait opens. Raises `NodeFailed` where there is none, or
        where somebody else waits for it already and the subscription takes no second.
        """

    async def join(
        self,
        node: Node,
        subscriptions: Sequence[str],
        *,
        count: int,
        since: Literal["start", "wait"],
        late: str,
    ) -> Mapping[str, Event]:
        """Wait durably for an event each of `count` of the subscriptions; gives them by name.

        Where the wait is given up, the events that it has taken are kept for other waits.
        """

    async def ask(self, node: Node, question: Callable[[], Any]) -> Mapping[str, Any]:
        """Wait durably for what people decide: `hub.tree.nodes.approval.Approval` says on what.

        The question is made once, when the wait opens. Raises `NodeFailed` when nobody may decide.
        """

    async def call(
        self, node: Node, action: str, arguments: dict[str, Any], connection: str | None
    ) -> Any:
        """Have a connector's action done, with the node's `retry`. Raises `NodeFailed`."""

    async def emit(self, node: Node, trigger: str, event: dict[str, Any]) -> None:
        """Send an event into the hub at a trigger. `event` lacks id and source."""

    async def child(
        self, node: Node, tree: str, data: Any, *, key: str | None, detach: bool
    ) -> Any:
        """Run another tree; its result, or its id if it is not waited for."""

    def set(self, name: str, value: Any) -> None:
        """Set a variable of the run."""

    def log(self, level: str, message: str, **fields: Any) -> None:
        """Write a line to the log, once, also when the run is replayed."""
