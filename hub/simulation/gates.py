"""Gates in virtual time: what holds start events back, as in Temporal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Literal

import msgspec

from hub.run import Delivery, Flow, GateState, Held, gate_of
from hub.run.state import Outcome
from hub.tree import Tree

__all__ = ["Begun", "Gates"]

Begun = Literal["started", "delivered", "ignored", "rejected", "live"]


class Gates:
    """All gates of a simulation.

    `begin` starts a run, or says what its live run got; `now` is the virtual time. `cuts` is asked
    whether a gate is to go on in a new part.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        begin: Callable[[Held, Tree], Begun],
        cuts: Callable[[], bool] | None = None,
    ) -> None:
        self._now = now
        self._cuts = cuts
        self._begin = begin
        self._flows: dict[str, Flow] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def hold(self, tree: Tree, key: str | None, delivery: Delivery) -> Outcome:
        """Hold a start event back. Raises `ExpressionError` when it gives no key to count by."""
        gate, offer = gate_of(tree, key, delivery)
        flow = self._flows.get(gate)
        if flow is None:
            flow = self._flows[gate] = Flow(tree, GateState())
        flow.tree = tree
        outcome = flow.offer(offer, self._now())
        self._turn(gate)
        return outcome

    def ended(self, run_id: str) -> None:
        """A run has ended."""
        for gate, flow in list(self._flows.items()):
            if run_id in flow.state.live:
                flow.ended(run_id)
                self._turn(gate)

    def close(self) -> None:
        """Start nothing more."""
        for timer in self._timers.values():
            timer.cancel()
        self._flows.clear()

    def _turn(self, gate: str) -> None:
        flow = self._flows.get(gate)
        if flow is None:
            return
        while taken := flow.take(self._now()):
            for held in taken:
                flow.settle(held, self._begin(held, flow.tree), self._now())
        if gate in self._timers:
            self._timers.pop(gate).cancel()
        if flow.is_idle(self._now()):
            del self._flows[gate]
            return
        at = flow.wake_at(self._now())
        if at is not None:
            loop = asyncio.get_running_loop()
            span = (at - self._now()).total_seconds()
            self._timers[gate] = loop.call_later(span, self._turn, gate)
        if self._cuts is not None and self._cuts():
            # It goes on in a new part, with what is written of it and no more.
            state = msgspec.json.encode(flow.left_behind())
            self._flows[gate] = Flow(flow.tree, msgspec.json.decode(state, type=GateState))
