"""A tree as a workflow class of its own, for any Temporal worker beside workflows written by hand.

It runs the same as in the hub. It needs nothing of the hub's server side: no search attributes, no
payload converter, no sandbox settings. It is started by its start event's data, and its other
events are signals of their names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec
from temporalio import activity, workflow
from temporalio.common import RawValue, TypedSearchAttributes

from hub.connections import Connections
from hub.errors import ExpressionError, InvalidEvent
from hub.event import Event
from hub.expressions import Expression
from hub.links import Links
from hub.run import EMIT, ActionCall, Delivery, key_text
from hub.run.approvals import OpenApproval
from hub.run.decided import DecidedApproval
from hub.temporal.actions import Actions
from hub.temporal.run_input import RunInput
from hub.temporal.surroundings import Surroundings
from hub.temporal.workflow import TreeWorkflow
from hub.tree import Subscription, Tree
from hub.tree.explicit_node import pascal
from hub.tree.nodes import CallAction

__all__ = ["StandaloneWorkflow", "to_activities", "to_workflow"]

_PART = "hub.run"
"""The key of an input that the hub's own code has written: a child's, or a run's next part."""
_API = "api"


class _Elsewhere(Surroundings):
    """A namespace without the hub's search attributes, a plain converter, and no router.

    Events are signalled to a run by whoever knows it.
    """

    correlates = False

    def sent(self, value: msgspec.Struct) -> Any:
        if isinstance(value, RunInput):
            return {_PART: msgspec.json.encode(value).decode()}
        return msgspec.to_builtins(value)

    def attributes(
        self,
        tree: str,
        key: str | None,
        hash: str,  # noqa: A002
    ) -> TypedSearchAttributes | None:
        return None

    def publish_hash(self, hash: str) -> None:  # noqa: A002
        return

    def publish_waiting(self, waiting: list[str]) -> None:
        return

    def publish_approvals(
        self, approvals: Sequence[OpenApproval], decided: Sequence[DecidedApproval]
    ) -> None:
        return


class StandaloneWorkflow(TreeWorkflow):
    """What all of these classes share; each is of one `tree`, and may run the `known` ones."""

    tree: ClassVar[Tree]
    known: ClassVar[dict[str, msgspec.Raw]]
    around = _Elsewhere()

    def _begin_with(self, start: Any) -> None:
        if isinstance(start, dict) and set(start) == {_PART}:
            self._begin(msgspec.json.decode(start[_PART], type=RunInput))
            return
        tree = self.tree
        try:
            event = _event(start, tree.subscriptions[tree.start.event])
            key = _key(tree, event)
        except InvalidEvent as error:
            # The run must end with this, not be blocked by it for ever.
            self._broken = error.message
            return
        self._begin(
            RunInput(
                hash=tree.hash,
                document=self.known[tree.name],
                key=key,
                delivery=Delivery(event=event, trigger=_API, subscription=tree.start.event),
                trees=self.known,
            )
        )

    @workflow.signal(name="event")
    def event(self, payload: RawValue) -> None:
        """A CloudEvent for this run."""
        self._signalled(None, payload)

    @workflow.signal(dynamic=True)
    def named(self, name: str, args: Sequence[RawValue]) -> None:
        """The data of one of the tree's events."""
        self._signalled(name, args[0] if args else None)

    @workflow.query(name="state")
    def state(self) -> Any:
        """The run's state document."""
        return None if self._broken is not None else msgspec.to_builtins(self._run.state)

    def _signalled(self, name: str | None, payload: RawValue | None) -> None:
        if self._broken is not None:
            return
        self._home.signals += 1
        try:
            converter = workflow.payload_converter()
            value = None if payload is None else converter.from_payload(payload.payload)
            delivery = _delivery(self.tree, name, value)
        except Exception as error:
            # A signal that cannot be read would otherwise block the run for ever.
            workflow.logger.error("a signal is no event: %s", error)
            return
        self._run.deliver(delivery)


def to_workflow(tree: Tree, trees: Iterable[Tree] = ()) -> type:
    """A workflow class under the tree's name. `trees` are those that it may `run`.

    Start it with the data of the start event, or with a whole CloudEvent. Signals are named by the
    tree's events and carry an event's data; the signal `event` carries a whole CloudEvent, which is
    matched by `where` and `key`. The query `state` gives the run's state document.
    """
    name = pascal(tree.name)

    def __init__(self: Any, start: Any = None) -> None:  # noqa: N807
        self._begin_with(start)

    async def run(self: Any, start: Any = None) -> Any:
        return await self._live()

    for function in (__init__, run):
        # Temporal asks where a method was written, and takes no classes within functions.
        function.__qualname__ = f"{name}.{function.__name__}"
    made = type(
        name,
        (StandaloneWorkflow,),
        {
            "__module__": __name__,
            "__doc__": tree.description or tree.title or f"The tree {tree.name}.",
            "__init__": workflow.init(__init__),
            "run": workflow.run(run),
            "tree": tree,
            "known": {other.name: msgspec.Raw(other.document) for other in (tree, *trees)},
        },
    )
    return workflow.defn(name=tree.name, sandboxed=False)(made)


def to_activities(
    trees: Iterable[Tree], connections: Callable[[], Connections], links: Links | None
) -> list[Callable[..., Any]]:
    """An activity for each action that the trees use, under the action's name."""
    used = {
        node.action if isinstance(node, CallAction) else EMIT
        for tree in trees
        for node in tree.nodes()
        if isinstance(node, CallAction) or node.verb == "emit"
    }
    actions = Actions(connections, links)

    def make(name: str) -> Callable[..., Any]:
        @activity.defn(name=name)
        async def do(call: dict[str, Any]) -> Any:
            return await actions.do(msgspec.convert(call, ActionCall))

        return do

    return [make(name) for name in sorted(used)]


def _event(value: Any, subscription: Subscription | None) -> Event:
    """The event that a plain value means: a whole CloudEvent, or the data of one."""
    if isinstance(value, Mapping) and "specversion" in value:
        given = {"id": workflow.uuid4().hex, "source": "/temporal", **value}
        return Event.from_cloudevent(given)
    if subscription is None:
        raise InvalidEvent("the signal `event` carries a CloudEvent, with `specversion` and `type`")
    kind = _literal_type(subscription.where) or subscription.name
    return Event(id=workflow.uuid4().hex, source="/temporal", type=kind, data=value)


def _delivery(tree: Tree, name: str | None, value: Any) -> Delivery:
    """What a signal brings: for one of the tree's events by name, or for those that it fits."""
    if name is not None:
        if name not in tree.subscriptions:
            raise InvalidEvent(f"the tree has no event {name!r}")
        event = _event(value, tree.subscriptions[name])
        return Delivery(event=event, trigger=_API, subscription=name)
    if isinstance(value, Mapping) and "event" in value and "trigger" in value:
        # The hub itself, with an event that came in by a callback link.
        return msgspec.convert(value, Delivery)
    event = _event(value, None)
    return Delivery(event=event, trigger=_trigger(tree, event))


def _trigger(tree: Tree, event: Event) -> str:
    """Where the event would have come in: it is told from what the tree asks of its events."""
    scope = {"event": event.to_cloudevent()}
    for subscription in tree.subscriptions.values():
        try:
            if subscription.where is None or subscription.where.evaluate(scope):
                return subscription.trigger
        except ExpressionError:
            continue
    return _API


def _literal_type(where: Expression | None) -> str | None:
    found = re.match(
        r"""event\.type\s*==\s*(["'])([^"'\\]+)\1""", "" if where is None else where.text
    )
    return found[2] if found else None


def _key(tree: Tree, event: Event) -> str | None:
    subscription = tree.subscriptions[tree.start.event]
    if subscription.key is None:
        return None
    try:
        return key_text(subscription.key.evaluate({"event": event.to_cloudevent()}))
    except ExpressionError as error:
        raise InvalidEvent(f"the start event gives no key: {error.message}") from None
