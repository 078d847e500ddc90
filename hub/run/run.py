"""One run of a tree: walks the nodes over the state document.

A node whose outcome stands in the state is not run again, so a run can be cut at any moment
when no action is in flight, and taken up from its document.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Literal

from hub.durations import format_duration, parse_duration
from hub.errors import ExpressionError, InvalidDuration, NodeFailed
from hub.event import Event
from hub.expressions import Expression, Template
from hub.run.home import ActionCall, Home
from hub.run.mailbox import Mailbox
from hub.run.runs import Delivery
from hub.run.state import Failure, NodeState, Outcome, RunState
from hub.tree import SKIPPED, Node, Span, Subscription, Tree
from hub.tree.concurrency import first_done, halt
from hub.tree.node import Retry

__all__ = ["TreeRun"]

_DONE = ("succeeded", "failed", "skipped")


class TreeRun:
    """A run at work. `deliver` may be called at any time, also before `main` begins."""

    def __init__(self, tree: Tree, state: RunState, home: Home) -> None:
        self.tree = tree
        self.state = state
        self.home = home
        self.mailbox = Mailbox(state.mailbox)
        self.suspending = False
        self._awake = asyncio.get_running_loop().create_future()
        if not state.nonce:
            state.nonce = home.new_id()
        if state.event is not None:
            self._awake.set_result(None)

    @cached_property
    def event(self) -> dict[str, Any]:
        """The start event as expressions see it."""
        assert self.state.event is not None
        return self.state.event.to_cloudevent()

    async def main(self) -> Any:
        """Live the run from its start event, or from where its state says, to its end.

        Returns the tree's result. Raises `NodeFailed` when the tree fails and
        `asyncio.CancelledError` when the run is cancelled; the state says so in each case.
        """
        state = self.state
        if not self._awake.done():
            await self._awake
        if state.started_at is None:
            state.started_at = self.home.now()
        state.status = "running"
        view = _View(self, "", "", {})
        try:
            for name, template in self.tree.vars.items():
                if name not in state.vars:
                    state.vars[name] = view.evaluate(template)
            result = await view.execute(self.tree.do)
        except NodeFailed as error:
            self._end("failed", error=_failure(error))
            raise
        except asyncio.CancelledError:
            if not self.suspending:
                self._end("cancelled")
            raise
        state.result = None if result is SKIPPED else result
        self._end("succeeded")
        return state.result

    def _end(
        self, status: Literal["succeeded", "failed", "cancelled"], error: Failure | None = None
    ) -> None:
        self.state.status = status
        self.state.error = error
        self.state.ended_at = self.home.now()
        self.state.waiting_for = []
        self.home.changed()

    def deliver(self, delivery: Delivery) -> Outcome:
        """Take in one event; say what became of it. Never raises for what an event contains."""
        now = self.home.now()
        names = self._subscriptions(delivery)
        if not self._awake.done() and self.tree.start.event in names:
            if not self.mailbox.used(delivery.event, "started", now):
                return "duplicate"
            self.state.event = delivery.event
            self._awake.set_result(None)
            return "started"
        return self.mailbox.offer(
            delivery.event, [name for name in names if name in self.tree.waits], now
        )

    def _subscriptions(self, delivery: Delivery) -> list[str]:
        """Which of the tree's events this one is, by the definition that this run is pinned to."""
        if delivery.subscription is not None:
            return (
                [delivery.subscription] if delivery.subscription in self.tree.subscriptions else []
            )
        event = delivery.event.to_cloudevent()
        return [
            s.name
            for s in self.tree.subscriptions.values()
            if s.trigger == delivery.trigger and self._matches(s, event)
        ]

    def _matches(self, subscription: Subscription, event: dict[str, Any]) -> bool:
        scope = {"event": event}
        try:
            if subscription.where is not None and not subscription.where.evaluate(scope):
                return False
            if subscription.key is None:
                return subscription.name == self.tree.start.event
            return (
                self.state.key is not None
                and key_text(subscription.key.evaluate(scope)) == self.state.key
            )
        except ExpressionError:
            return False


def key_text(value: Any) -> str | None:
    """A correlation key as text, or None where the value cannot be one.

    Numbers and texts that are written alike are one key: `42` and `"42"`.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if isinstance(value, (str, int, float)):
        return str(value) or None
    return None


def _idempotency_key(state: RunState) -> str:
    """One for each action that the run begins; it tells outsiders nothing of the nonce."""
    state.calls += 1
    return hashlib.sha256(f"{state.nonce}:{state.calls}".encode()).hexdigest()[:32]


def _failure(error: NodeFailed) -> Failure:
    return Failure(code=error.failure, message=error.message, path=error.path)


class _View:
    """The run as the nodes of one frame see it: see `hub.tree.node.Run` for what each is for."""

    def __init__(self, run: TreeRun, static: str, actual: str, names: Mapping[str, Any]) -> None:
        self._run = run
        self._static = static
        self._actual = actual
        self._names = names

    # -- paths and state ------------------------------------------------------------------

    def path(self, node: Node) -> str:
        """The node's path in this frame: rounds of a loop have states of their own."""
        return self._actual + node.path[len(self._static) :]

    def _state(self, node: Node) -> NodeState:
        return self._run.state.nodes[self.path(node)]

    def frame(self, node: Node, index: int, **names: Any) -> _View:
        actual = f"{self.path(node)}#{index}"
        return _View(self._run, node.path, actual, {**self._names, **names})

    def forget(self, node: Node) -> None:
        prefix = self.path(node)
        nodes = self._run.state.nodes
        for path in [p for p in nodes if p != prefix and p.startswith(prefix)]:
            if path[len(prefix)] in ".[#":
                del nodes[path]

    def recall(self, node: Node) -> Any:
        return self._state(node).memory

    def remember(self, node: Node, value: Any) -> None:
        self._state(node).memory = value

    # -- scope ----------------------------------------------------------------------------

    def _scope(self) -> dict[str, Any]:
        run = self._run
        state = run.state
        return {
            "event": run.event,
            "vars": state.vars,
            "steps": state.steps,
            "run": {
                "id": state.id,
                "key": state.key,
                "tree": state.tree,
                "started_at": state.started_at,
            },
            "callback": self._callback,
            "now": run.home.now,
            **self._names,
        }

    def _callback(self, subscription: str) -> str:
        run = self._run
        if subscription not in run.tree.subscriptions:
            known = ", ".join(run.tree.subscriptions)
            raise ExpressionError(f"callback: the tree has no event {subscription!r} ({known})")
        return f"[callback:{run.state.nonce}:{subscription}]"

    def evaluate(self, what: Expression | Template, **names: Any) -> Any:
        try:
            return what.evaluate({**self._scope(), **names})
        except ExpressionError as error:
            hint = f"; {error.suggestion}" if error.suggestion else ""
            raise NodeFailed("expression", error.message + hint) from None

    def span(self, span: Span) -> timedelta:
        if span.fixed is not None:
            return span.fixed
        assert span.template is not None
        value = self.evaluate(span.template)
        try:
            return parse_duration(value)
        except InvalidDuration as error:
            raise NodeFailed("invalid_duration", error.message) from None

    def now(self) -> datetime:
        return self._run.home.now()

    def set(self, name: str, value: Any) -> None:
        self._run.state.vars[name] = value

    def log(self, level: str, message: str, **fields: Any) -> None:
        self._run.home.log(level, message, fields)

    # -- executing ------------------------------------------------------------------------

    async def execute(self, node: Node) -> Any:
        run = self._run
        path = self.path(node)
        state = run.state.nodes.get(path)
        if state is not None and state.status in _DONE:
            return self._outcome(state)
        if state is None or state.status == "cancelled":
            state = NodeState(type=node.type, id=node.id)
            run.state.nodes[path] = state
        try:
            if state.started_at is None:
                if node.if_ is not None and not self.evaluate(node.if_):
                    state.status = "skipped"
                    return SKIPPED
                state.started_at = run.home.now()
            state.status = "running"
            result = await self._within(node, state, lambda: self._tried(node, state))
        except NodeFailed as error:
            error.path = error.path or path
            self._finish(state, "failed")
            state.error = _failure(error)
            raise
        except asyncio.CancelledError:
            if not run.suspending:
                self._finish(state, "cancelled")
            raise
        state.result = None if result is SKIPPED else result
        self._finish(state, "succeeded")
        if node.id is not None:
            run.state.steps[node.id] = state.result
        return result

    def _finish(
        self, state: NodeState, status: Literal["succeeded", "failed", "cancelled"]
    ) -> None:
        state.status = status
        state.ended_at = self._run.home.now()
        state.deadline = None
        state.memory = None

    def _outcome(self, state: NodeState) -> Any:
        if state.status == "failed":
            error = state.error
            assert error is not None
            raise NodeFailed(error.code, error.message, error.path)
        return SKIPPED if state.status == "skipped" else state.result

    async def _within(
        self, node: Node, state: NodeState, body: Callable[[], Awaitable[Any]]
    ) -> Any:
        """The body, given up with the code `timeout` when the node's time is over."""
        if node.timeout is None:
            return await body()
        run = self._run
        if state.expires_at is None:
            state.expires_at = run.home.now() + self.span(node.timeout)
        left = max(state.expires_at - run.home.now(), timedelta(0))
        path = self.path(node)
        work = asyncio.ensure_future(_as_coroutine(body))
        timer = asyncio.ensure_future(run.home.sleep(left, f"timeout of {node.label}"))
        try:
            await first_done([work, timer])
            # An event and the deadline in one turn: the event came in time.
            while not work.done() and run.mailbox.granting(path):  # noqa: ASYNC110
                await asyncio.sleep(0)
            if not work.done():
                run.mailbox.lapse(path)
        except asyncio.CancelledError:
            await halt([work, timer])
            raise
        await halt([work, timer])
        if not work.cancelled():
            return work.result()
        raise NodeFailed("timeout", f"{node.label} was not done within {_spell(node, left)}", path)

    async def _tried(self, node: Node, state: NodeState) -> Any:
        """The node, tried again as its `retry` says. Actions are retried by their home."""
        if node.retry is None or hasattr(node, "action"):
            state.attempt = max(state.attempt, 1)
            return await node.run(self)
        while True:
            state.attempt = max(state.attempt, 1)
            try:
                return await node.run(self)
            except NodeFailed as error:
                if not _again(node.retry, state.attempt, error.failure):
                    raise
                pause = node.retry.pause(state.attempt)
            self.forget(node)
            state.attempt += 1
            state.memory = None
            await self._run.home.sleep(pause, f"before try {state.attempt} of {node.label}")

    # -- waits and actions ----------------------------------------------------------------

    async def sleep_until(self, node: Node, until: datetime) -> None:
        run = self._run
        left = until - run.home.now()
        if left > timedelta(0):
            with self._waiting(node, node.label, until):
                await run.home.sleep(left, node.label)

    async def wait(
        self, node: Node, subscription: str, *, since: Literal["start", "wait"], late: str
    ) -> Event:
        run = self._run
        path = self.path(node)
        with self._waiting(node, subscription, None):
            return await run.mailbox.wait(
                path, subscription, fresh=since == "wait", late=late, now=run.home.now()
            )

    def _waiting(self, node: Node, what: str, until: datetime | None) -> _Waiting:
        state = self._state(node)
        ends = [t for t in (until, state.expires_at) if t is not None]
        state.deadline = min(ends) if ends else None
        return _Waiting(self._run, state, what)

    async def call(
        self, node: Node, action: str, arguments: dict[str, Any], connection: str | None
    ) -> Any:
        run = self._run
        state = run.state
        path = self.path(node)
        scope = None
        if run.home.wants_scope(action):
            scope = {k: v for k, v in self._scope().items() if not callable(v)}
        call = ActionCall(
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
        )
        return await run.home.call(call, node.retry)


class _Waiting:
    """Marks a node as waiting while the body of `with` runs."""

    def __init__(self, run: TreeRun, state: NodeState, what: str) -> None:
        self._run = run
        self._state = state
        self._what = what

    def __enter__(self) -> None:
        self._state.status = "waiting"
        self._run.state.waiting_for.append(self._what)
        self._run.home.changed()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is GeneratorExit:
            # The home has dropped the run from its memory; nothing of it happens any more.
            return
        if not self._run.suspending:
            self._state.status = "running"
            self._state.deadline = self._state.expires_at
        if self._what in self._run.state.waiting_for:
            self._run.state.waiting_for.remove(self._what)
        self._run.home.changed()


async def _as_coroutine(body: Callable[[], Awaitable[Any]]) -> Any:
    return await body()


def _again(retry: Retry, attempt: int, failure: str) -> bool:
    if failure in retry.unless:
        return False
    return retry.attempts == 0 or attempt < retry.attempts


def _spell(node: Node, left: timedelta) -> str:
    assert node.timeout is not None
    return format_duration(node.timeout.fixed if node.timeout.fixed is not None else left)
