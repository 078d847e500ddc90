"""A node under guard: given up when its time is over, or its `abort_on` comes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hub.durations import format_duration
from hub.run.state import Failure, NodeState, Stored
from hub.tree import Node
from hub.tree.concurrency import first_done, halt, spawn

if TYPE_CHECKING:
    from hub.run.view import View

__all__ = ["Guard"]

_MOMENT = timedelta(milliseconds=1)


class Guard:
    """One node with its `timeout` and its `abort_on`, where it has any, in one frame of the run."""

    def __init__(self, view: View, node: Node, state: NodeState) -> None:
        self._view = view
        self._run = view.run
        self._node = node
        self._state = state
        self._path = view.path(node)

    async def live(self) -> Any:
        """The node's result. Raises `NodeFailed`, also with the codes `timeout` and `aborted`."""
        view, node, state = self._view, self._node, self._state
        if node.timeout is None and node.abort_on is None:
            return await view.tried(node, state)
        if view.halted or state.given_up is not None:
            return await view.stopped(node, state)
        run, path = self._run, self._path
        if node.abort_on is not None and run.mailbox.take(
            f"{path}.abort_on", node.abort_on, now=view.now()
        ):
            state.given_up = self._aborted()
            return await view.stopped(node, state)
        begun: list[bool] = []

        async def body() -> Any:
            begun.append(True)
            return await view.tried(node, state)

        timer = self._timer()
        work = spawn(body())
        guards: list[asyncio.Task[Any]] = [] if timer is None else [timer]
        abort = None
        if node.abort_on is not None:
            if state.abort_turn is None:
                state.abort_turn = run.mailbox.turn()
            abort = spawn(self._aborting(node.abort_on, state.abort_turn))
            guards.append(abort)
        tasks = [work, *guards]
        try:
            await first_done(tasks)
            # An event and the deadline in one turn: the event came in time.
            while not work.done() and run.mailbox.granting(path):  # noqa: ASYNC110
                await asyncio.sleep(0)
            if not work.done():
                state.given_up = self._reason(abort)
            await halt(tasks)
        except asyncio.CancelledError:
            await halt(tasks)
            self._return(abort)
            if not begun and not view.leaving:
                await view.clean(node, state)
            raise
        self._return(abort)
        if state.given_up is not None and work.cancelled():
            return await view.stopped(node, state)
        return work.result()

    def _timer(self) -> asyncio.Task[None] | None:
        view, node, state = self._view, self._node, self._state
        if node.timeout is None:
            return None
        if state.expires_at is None:
            state.expires_at = view.now() + view.span(node.timeout)
        # A run that goes on after the deadline first comes to where it was.
        left = max(state.expires_at - view.now(), _MOMENT)
        return spawn(self._run.home.sleep(left, f"timeout of {node.label}"))

    async def _aborting(self, subscription: str, turn: int) -> Stored:
        run = self._run
        return await run.mailbox.wait(
            f"{self._path}.abort_on",
            subscription,
            after=0,
            turn=turn,
            late="discard",
            now=run.home.now(),
        )

    def _reason(self, abort: asyncio.Task[Stored] | None) -> Failure:
        node, state, path = self._node, self._state, self._path
        if abort is not None and abort.done():
            return self._aborted()
        self._run.mailbox.lapse(path)
        assert state.started_at is not None
        assert state.expires_at is not None
        length = format_duration(state.expires_at - state.started_at)
        said = f"{node.label} was not done within {length}"
        return Failure(code="timeout", message=said, path=path)

    def _aborted(self) -> Failure:
        said = f"{self._node.label} was aborted by {self._node.abort_on}"
        return Failure(code="aborted", message=said, path=self._path)

    def _return(self, abort: asyncio.Task[Stored] | None) -> None:
        """An event that came when it could abort nothing any more is kept for others."""
        if abort is None or abort.cancelled() or not abort.done() or abort.exception():
            return
        given_up = self._state.given_up
        if given_up is None or given_up.code != "aborted":
            self._run.mailbox.put_back(abort.result())
