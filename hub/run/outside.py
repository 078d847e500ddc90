"""What a run asks of its home to be done outside of it: actions, events, other runs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from hub.errors import ExpressionError, HubError, NodeFailed
from hub.event import Event
from hub.run.home import EMIT, ActionCall, ChildCall
from hub.run.key import key_text
from hub.run.runs import Delivery
from hub.run.state import RunState
from hub.tree import Node, Tree, tree_from_document

__all__ = ["child_call", "emit_call", "make_call"]

_TRACE = "traceparent"


def _idempotency_key(state: RunState) -> str:
    """One for each thing that the run begins; it tells outsiders nothing of the nonce."""
    state.calls += 1
    return hashlib.sha256(f"{state.nonce}:{state.calls}".encode()).hexdigest()[:32]


def make_call(
    state: RunState,
    node: Node,
    path: str,
    action: str,
    arguments: dict[str, Any],
    *,
    connection: str | None = None,
    scope: dict[str, Any] | None = None,
) -> ActionCall:
    """An action to be done for a node of the run."""
    return ActionCall(
        action=action,
        arguments=arguments,
        path=path,
        run_id=state.id,
        tree=state.tree,
        key=state.key,
        idempotency_key=_idempotency_key(state),
        nonce=state.nonce,
        connection=connection,
        scope=scope,
        label=node.name or node.id,
        traceparent=_trace(state).get(_TRACE),
    )


def emit_call(
    state: RunState, node: Node, path: str, trigger: str, event: dict[str, Any]
) -> ActionCall:
    """An event to be sent into the hub. Its id is the same however often it is tried."""
    call = make_call(state, node, path, EMIT, {})
    document = {"specversion": "1.0", "id": call.idempotency_key, "source": _source(state), **event}
    call.arguments.update(trigger=trigger, event=document)
    return call


def child_call(
    state: RunState,
    trees: Mapping[str, bytes],
    path: str,
    name: str,
    data: Any,
    *,
    key: str | None,
    detach: bool,
) -> ChildCall:
    """Another tree to be run, by the definition that was pinned when this run began.

    Raises `NodeFailed` when there is none, or when it gets no correlation key.
    """
    document = trees.get(name)
    if document is None:
        raise NodeFailed(
            "unknown_tree",
            f"the project had no tree {name!r} when the run began",
            path,
            harmless=True,
        )
    try:
        tree = tree_from_document(document)
    except HubError as error:
        raise NodeFailed("unknown_tree", error.message, path, harmless=True) from None
    event = Event(
        id=_idempotency_key(state),
        source=_source(state),
        type="hub.run",
        data=data,
        extensions={**_trace(state)},
    )
    key = key or _key(tree, event, path)
    return ChildCall(
        run_id=f"{name}/{key}" if key is not None else f"{name}/~{event.id}",
        tree=name,
        key=key,
        hash=tree.hash,
        document=document,
        trees=trees,
        delivery=Delivery(event=event, trigger="run", subscription=tree.start.event),
        path=path,
        detach=detach,
    )


def _key(tree: Tree, event: Event, path: str) -> str | None:
    subscription = tree.subscriptions[tree.start.event]
    if subscription.key is None:
        return None
    try:
        key = key_text(subscription.key.evaluate({"event": event.to_cloudevent()}))
        reason = "it is neither a text nor a number"
    except ExpressionError as error:
        key, reason = None, error.message
    if key is None:
        raise NodeFailed(
            "invalid_key",
            f"the key of {tree.name!r} is `{subscription.key.text}`: {reason}; give it by `with`, or "
            "set `key`",
            path,
            harmless=True,
        )
    return key


def _trace(state: RunState) -> dict[str, str]:
    """The trace that the start event is a part of, as an event has it."""
    given = None if state.event is None else state.event.extensions.get(_TRACE)
    return {_TRACE: given} if isinstance(given, str) else {}


def _source(state: RunState) -> str:
    return f"/runs/{state.id}"
