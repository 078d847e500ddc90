"""The run as the nodes of one frame see it: see `hub.tree.node.Run` for what each method is for."""

from __future__ import annotations

import asyncio
from collections import ChainMap
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from hub.durations import parse_duration
from hub.errors import ExpressionError, InvalidDuration, NodeFailed
from hub.event import Event
from hub.expressions import Expression, Template
from hub.run.guard import Guard
from hub.run.key import key_text
from hub.run.outside import child_call, emit_call, make_call
from hub.run.state import Failure, NodeState
from hub.run.waiting import Waiting, join
from hub.tree import SKIPPED, Node, Retry, Span
from hub.tree.concurrency import first_done, halt, spawn
from hub.tree.node import Run
from hub.tree.nodes.approval import Question

if TYPE_CHECKING:
    from hub.run.run import TreeRun

__all__ = ["View", "failure_of"]

_DONE = ("succeeded", "failed", "skipped")
_MOMENT = timedelta(milliseconds=1)


def failure_of(error: NodeFailed) -> Failure:
    """A failure as it stands in the state."""
    return Failure(code=error.failure, message=error.message, path=error.path)


class View:
    """The run in one frame. Rounds of a loop have frames of their own, with states of their own.

    A halted view is of a part of the tree that is being cancelled for good, and is walked once more
    from the state to clean up: what would wait, or do something, is cancelled there instead.
    """

    def __init__(
        self,
        run: TreeRun,
        *,
        static: str = "",
        actual: str = "",
        names: Mapping[str, Any] | None = None,
        steps: MutableMapping[str, Any] | None = None,
        halted: bool = False,
    ) -> None:
        self._run = run
        self._static = static
        self._actual = actual
        self._names = names or {}
        self._steps: MutableMapping[str, Any] = run.state.steps if steps is None else steps
        self._halted = halted

    def _like(
        self,
        *,
        names: Mapping[str, Any] | None = None,
        halted: bool | None = None,
    ) -> View:
        return View(
            self._run,
            static=self._static,
            actual=self._actual,
            names={**self._names, **(names or {})},
            steps=self._steps,
            halted=self._halted if halted is None else halted,
        )

    # -- paths and state ------------------------------------------------------------------

    def path(self, node: Node) -> str:
        """The node's path in this frame."""
        return self._actual + node.path[len(self._static) :]

    def _found(self, node: Node) -> NodeState | None:
        return self._run.state.nodes.get(self.path(node))

    def _state(self, node: Node) -> NodeState:
        return self._run.state.nodes[self.path(node)]

    def frame(self, node: Node, number: int, /, **names: Any) -> View:
        steps = self._steps
        return View(
            self._run,
            static=node.path,
            actual=f"{self.path(node)}#{number}",
            names={**self._names, **names},
            steps=steps.new_child() if isinstance(steps, ChainMap) else ChainMap({}, steps),
            halted=self._halted,
        )

    def scoped(self, **names: Any) -> View:
        return self._like(names=names)

    def status(self, node: Node) -> str:
        state = self._found(node)
        return "pending" if state is None else state.status

    def _below(self, node: Node, index: int | None = None) -> list[str]:
        path = self.path(node)
        prefix = path if index is None else f"{path}#{index}"
        return [p for p in self._run.state.nodes if p != path and is_under(p, prefix)]

    def touched(self, node: Node) -> bool:
        nodes = self._run.state.nodes
        state = self._found(node)
        if state is None:
            return False
        return state.called or any(nodes[path].called for path in self._below(node))

    def forget(self, node: Node, index: int | None = None) -> None:
        nodes = self._run.state.nodes
        below = self._below(node, index)
        if any(nodes[path].called for path in below):
            self._state(node).called = True
        for path in below:
            del nodes[path]

    def recall(self, node: Node) -> Any:
        return self._state(node).memory

    def remember(self, node: Node, value: Any) -> None:
        self._state(node).memory = value

    def at_round(self, node: Node, index: int) -> None:
        self._state(node).iteration = index

    @property
    def run(self) -> TreeRun:
        """The whole run that this is a part of."""
        return self._run

    @property
    def halted(self) -> bool:
        """Is this part of the tree being cancelled for good?"""
        return self._halted

    @property
    def leaving(self) -> bool:
        return self._run.leaving

    # -- scope ----------------------------------------------------------------------------

    @cached_property
    def _scope(self) -> dict[str, Any]:
        run = self._run
        state = run.state
        gathered = {"events": run.events} if run.tree.start.gathers else {}
        return {
            "event": run.event,
            **gathered,
            "vars": state.vars,
            "steps": self._steps,
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
            return what.evaluate({**self._scope, **names} if names else self._scope)
        except ExpressionError as error:
            hint = f"; {error.suggestion}" if error.suggestion else ""
            raise NodeFailed("expression", error.message + hint, harmless=True) from None

    def span(self, span: Span) -> timedelta:
        if span.fixed is not None:
            return span.fixed
        assert span.template is not None
        value = self.evaluate(span.template)
        try:
            return parse_duration(value)
        except InvalidDuration as error:
            raise NodeFailed("invalid_duration", error.message, harmless=True) from None

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
            return self._outcome(node, state)
        if state is not None and state.status == "cancelled":
            raise asyncio.CancelledError
        halted = self._halted or (state is not None and state.halted)
        if halted and (state is None or state.started_at is None):
            raise asyncio.CancelledError
        if state is None:
            state = run.state.nodes[path] = NodeState(type=node.type, id=node.id)
        view = self if halted == self._halted else self._like(halted=halted)
        try:
            if state.started_at is None:
                if node.if_ is not None and not self.evaluate(node.if_):
                    state.status = "skipped"
                    return SKIPPED
                state.started_at = run.home.now()
            state.status = "running"
            result = await Guard(view, node, state).live()
        except NodeFailed as error:
            if state.status not in _DONE:
                self._fail(node, state, error)
            run.consider()
            raise
        except asyncio.CancelledError:
            if not run.leaving and state.status not in _DONE:
                self._finish(state, "cancelled")
                run.tickets.give_up(path)
            raise
        run.consider()
        return result

    def _outcome(self, node: Node, state: NodeState) -> Any:
        if state.status == "failed":
            error = state.error
            assert error is not None
            raise NodeFailed(error.code, error.message, error.path)
        if state.status == "skipped":
            return SKIPPED
        if node.id is not None and isinstance(self._steps, ChainMap):
            # The steps of a frame are not kept by themselves.
            self._steps[node.id] = state.result
        return state.result

    def _succeed(self, node: Node, state: NodeState, result: Any) -> Any:
        state.result = None if result is SKIPPED else result
        state.error = None
        self._finish(state, "succeeded")
        if node.id is not None:
            self._run.state.steps[node.id] = state.result
            self._steps[node.id] = state.result
        return state.result

    def _fail(self, node: Node, state: NodeState, error: NodeFailed) -> None:
        path = self.path(node)
        error.path = error.path or path
        if error.harmless and error.path == path:
            state.called = False
        state.error = failure_of(error)
        self._finish(state, "failed")
        self._run.tickets.give_up(path)

    def _finish(
        self, state: NodeState, status: Literal["succeeded", "failed", "cancelled"]
    ) -> None:
        state.status = status
        state.ended_at = self._run.home.now()
        state.deadline = None
        state.paused_until = None
        state.memory = None

    async def tried(self, node: Node, state: NodeState) -> Any:
        """The node, tried again as its `retry` says. Its outcome stands in the state at once, so
        that none is lost when the run is cut before those above have heard of it."""
        path = self.path(node)
        if self._halted and next(node.children(), None) is None:
            raise asyncio.CancelledError
        while True:
            state.attempt = max(state.attempt, 1)
            if state.paused_until is not None:
                await self._pause(node, state)
            try:
                result = await node.run(self)
            except NodeFailed as error:
                if not _again(node, state.attempt, error.failure):
                    self._fail(node, state, error)
                    raise
                assert node.retry is not None
                error.path = error.path or path
                state.error = failure_of(error)
                state.paused_until = self.now() + node.retry.pause(state.attempt)
                state.attempt += 1
                state.memory = None
                self.forget(node)
            else:
                return self._succeed(node, state, result)
            finally:
                self._run.landed(path)

    async def _pause(self, node: Node, state: NodeState) -> None:
        self._stop_if_halted()
        assert state.paused_until is not None
        left = state.paused_until - self.now()
        if left > timedelta(0):
            with self.marked(node, None, state.paused_until):
                await self._run.home.sleep(left, f"before try {state.attempt} of {node.label}")
        state.paused_until = None

    # -- being given up ------------------------------------------------------------------

    async def stopped(self, node: Node, state: NodeState) -> Any:
        """The end of a node that was given up, once it has cleaned up."""
        await self.clean(node, state)
        if state.status in _DONE:
            return self._outcome(node, state)
        if self._halted or state.given_up is None:
            raise asyncio.CancelledError
        reason = state.given_up
        raise NodeFailed(reason.code, reason.message, reason.path)

    async def clean(self, node: Node, state: NodeState) -> None:
        """Walk a node once more to clean up what is left; nothing where that was done."""
        if state.status not in _DONE:
            await self._joined(spawn(self._like(halted=True).tried(node, state)))

    # -- halting --------------------------------------------------------------------------

    def _stop_if_halted(self) -> None:
        if self._halted:
            raise asyncio.CancelledError

    async def _joined(self, task: asyncio.Task[Any]) -> None:
        """Wait until the task has ended. A cancellation meanwhile is raised after that."""
        cancelled: asyncio.CancelledError | None = None
        while not task.done():
            try:
                await first_done([task])
            except asyncio.CancelledError as error:
                if self.leaving:
                    await halt([task])
                    raise
                cancelled = error
        fault = None if task.cancelled() else task.exception()
        if fault is not None and not isinstance(fault, NodeFailed):
            raise fault
        if cancelled is not None:
            raise cancelled

    async def clean_up(self, node: Node) -> Any:
        view = self._like(halted=False)
        if view.status(node) not in _DONE:
            work = spawn(view.execute(node))
            try:
                await self._joined(work)
            finally:
                state = view._found(node)
                if state is not None and state.error is not None and work.done():
                    said = f"cleaning up failed: {state.error.message}"
                    self.log("error", said, path=state.error.path)
        # Whoever cancelled this node while it cleaned up has done so still in a later part.
        self._stop_if_halted()
        return await view.execute(node)

    async def give_up(
        self, children: Sequence[tuple[Run, Node]], tasks: Sequence[asyncio.Task[Any]]
    ) -> None:
        cancelled: asyncio.CancelledError | None = None
        views = [(view, node) for view, node in children if isinstance(view, View)]
        if not self.leaving:
            for view, node in views:
                view._mark(node)
        try:
            await halt(tasks)
        except asyncio.CancelledError as error:
            cancelled = error
        # Children whose tasks were cancelled before they began, in this part of the run.
        left = [
            spawn(view._like(halted=True).execute(node))
            for view, node in views
            if view._has_begun(node) and not self.leaving
        ]
        for task in left:
            try:
                await self._joined(task)
            except asyncio.CancelledError as error:
                cancelled = error
        if self.leaving:
            # What was decided stands in the state; the next part gives the others up.
            raise asyncio.CancelledError
        if cancelled is not None:
            raise cancelled

    def _has_begun(self, node: Node) -> bool:
        state = self._found(node)
        return state is not None and state.status not in (*_DONE, "cancelled")

    def _mark(self, node: Node) -> None:
        if self._has_begun(node):
            self._state(node).halted = True

    async def settle(self, node: Node) -> None:
        """Clean up after a node whose task was cancelled before it had begun in this part."""
        if self._has_begun(node) and not self.leaving:
            await self._joined(spawn(self._like(halted=True).execute(node)))

    # -- waits and actions ----------------------------------------------------------------

    async def sleep_until(self, node: Node, until: datetime) -> None:
        self._stop_if_halted()
        run = self._run
        left = until - run.home.now()
        if left > timedelta(0):
            with self.marked(node, node.label, until):
                await run.home.sleep(left, node.label)

    async def breathe(self) -> None:
        self._stop_if_halted()
        await self._run.home.sleep(_MOMENT, "a breath")

    async def wait(
        self, node: Node, subscription: str, *, since: Literal["start", "wait"], late: str
    ) -> Event:
        self._stop_if_halted()
        run = self._run
        opened = self.recall(node)
        if opened is None:
            after = run.mailbox.state.received if since == "wait" else 0
            opened = (after, run.mailbox.turn())
            self.remember(node, opened)
        after, turn = opened
        with self.marked(node, subscription, None):
            stored = await run.mailbox.wait(
                self.path(node), subscription, after=after, turn=turn, late=late, now=run.home.now()
            )
        return stored.event

    async def match(
        self,
        node: Node,
        subscription: str,
        value: Expression,
        *,
        since: Literal["start", "wait"],
    ) -> Event:
        self._stop_if_halted()
        run = self._run
        memory = self.recall(node)
        if memory is None:
            found = self.evaluate(value)
            text = key_text(found)
            if text is None:
                kind = "null" if found is None else type(found).__name__
                said = f"`match` gave {kind}; it is compared with a key: a text or a number"
                raise NodeFailed("invalid_match", said, harmless=True)
            after = run.mailbox.state.received if since == "wait" else 0
            memory = {"value": text, "after": after, "turn": run.mailbox.turn()}
            self.remember(node, memory)
        with self.marked(node, subscription, None):
            stored = await run.tickets.wait(
                self.path(node),
                subscription,
                memory["value"],
                after=memory["after"],
                turn=memory["turn"],
                fresh=since == "wait",
            )
        return stored.event

    async def join(
        self,
        node: Node,
        subscriptions: Sequence[str],
        *,
        count: int,
        since: Literal["start", "wait"],
        late: str,
    ) -> Mapping[str, Event]:
        self._stop_if_halted()
        return await join(self, node, subscriptions, count=count, since=since, late=late)

    def marked(
        self, node: Node, what: str | Sequence[str] | None, until: datetime | None
    ) -> Waiting:
        """Marks the node as waiting for these while the body of `with` runs, at most until then."""
        state = self._state(node)
        ends = [t for t in (until, state.expires_at) if t is not None]
        state.deadline = min(ends) if ends else None
        whats = [what] if isinstance(what, str) else what or ()
        return Waiting(self._run, state, whats)

    async def ask(self, node: Node, question: Callable[[], Question]) -> Mapping[str, Any]:
        self._stop_if_halted()
        return await self._run.desk.ask(self, node, question)

    def waiting(self, node: Node, until: datetime | None) -> Waiting:
        """Marks the node as waiting for people while the body of `with` runs."""
        return self.marked(node, node.verb, until)

    def show(self, node: Node, result: Any) -> None:
        """Let those who look at the run see how far the node is."""
        self._state(node).result = result

    def action_scope(self) -> dict[str, Any]:
        """What a connector that asks for the run's scope is given."""
        scope = {k: v for k, v in self._scope.items() if not callable(v)}
        scope["steps"] = dict(self._steps)
        return scope

    async def call(
        self, node: Node, action: str, arguments: dict[str, Any], connection: str | None
    ) -> Any:
        await self._begin(node)
        run = self._run
        scope = None
        if run.home.wants_scope(action):
            scope = self.action_scope()
        call = make_call(
            run.state, node, self.path(node), action, arguments, connection=connection, scope=scope
        )
        return await run.home.call(call, node.retry)

    async def emit(self, node: Node, trigger: str, event: dict[str, Any]) -> None:
        await self._begin(node)
        run = self._run
        await run.home.call(emit_call(run.state, node, self.path(node), trigger, event), node.retry)

    async def child(
        self, node: Node, tree: str, data: Any, *, key: str | None, detach: bool
    ) -> Any:
        await self._begin(node)
        run = self._run
        call = child_call(run.state, run.trees, self.path(node), tree, data, key=key, detach=detach)
        return await run.home.child(call)

    async def _begin(self, node: Node) -> None:
        self._stop_if_halted()
        await self._run.admit(self.path(node))
        self._state(node).called = True


def is_under(path: str, parent: str) -> bool:
    """Is the path that of the parent, or below it?"""
    rest = path[len(parent) :]
    return path.startswith(parent) and (not rest or rest[0] in ".[#")


def _again(node: Node, attempt: int, failure: str) -> bool:
    """Does the run itself try the node again after that failure?"""
    retry: Retry | None = node.retry
    if retry is None or node.retried_by_home or failure in retry.unless:
        return False
    return retry.attempts == 0 or attempt < retry.attempts
