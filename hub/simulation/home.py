"""The home of a simulated run: a virtual clock, and mocks for hands."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from hub.connector import Action
from hub.errors import ActionFailed, ActionRefused, ExpressionError, InvalidEvent, NodeFailed
from hub.event import Event
from hub.fitting import fit
from hub.run import EMIT, ActionCall, ChildCall
from hub.run.state import Errand
from hub.simulation.loop import VirtualLoop
from hub.simulation.mocks import Mock, Mocks
from hub.simulation.result import SimulatedCall
from hub.simulation.shape import example_of
from hub.tree import Retry
from hub.tree.concurrency import first_done, halt

__all__ = ["SimulatedHome", "World"]

_DEFAULT_TIMEOUT = timedelta(seconds=30)
_DEFAULT_RETRY = Retry(attempts=0, backoff=timedelta(seconds=1), max=timedelta(minutes=5))
_SHORTEST_PAUSE = timedelta(milliseconds=1)
_LINK = re.compile(r"\[callback:[0-9a-f]+:([a-z][a-z0-9_]*)\]")
_DECISION = re.compile(r"\[decision:[0-9a-f]+:[A-Za-z0-9_-]+\]")


class World:
    """What all runs of a simulation share."""

    def __init__(
        self,
        loop: VirtualLoop,
        start: datetime,
        mocks: Mocks,
        actions: Mapping[str, Action],
        cuts: Callable[[], bool] | None = None,
    ) -> None:
        self.loop = loop
        self.cuts = cuts
        self.start = start
        self.mocks = mocks
        self.actions = actions
        self.calls: list[SimulatedCall] = []
        self.logs: list[str] = []
        self.emit: Callable[[Event, str], None]
        self.start_run: Callable[[ChildCall, str], asyncio.Task[Any]]
        self.correlate: Callable[[Errand], None]

    def now(self) -> datetime:
        """The virtual time."""
        return self.start + timedelta(microseconds=round(self.loop.time() * 1_000_000))


class SimulatedHome:
    """`hub.run.Home` in virtual time. Ids are made of the run's id, and the same each time."""

    def __init__(self, world: World, run_id: str, number: int) -> None:
        self._world = world
        self._run_id = run_id
        self._seed = f"{run_id}:{number}"
        self._ids = 0
        self.calls: list[SimulatedCall] = []

    def now(self) -> datetime:
        # Counted as a step, so that a loop of the tree that never waits is noticed too.
        self._world.loop.step()
        return self._world.now()

    def new_id(self) -> str:
        self._ids += 1
        return hashlib.sha256(f"{self._seed}:{self._ids}".encode()).hexdigest()[:32]

    async def sleep(self, duration: timedelta, summary: str) -> None:
        await asyncio.sleep(duration.total_seconds())

    @property
    def correlates(self) -> bool:
        return True

    async def correlate(self, errand: Errand) -> None:
        self._world.correlate(errand)

    def wants_scope(self, action: str) -> bool:
        known = self._world.actions.get(action)
        return known is not None and known.needs_scope

    def log(self, level: str, message: str, fields: dict[str, Any]) -> None:
        self._world.logs.append(message)

    def changed(self) -> None:
        return

    def leaving(self) -> bool:
        return False

    def is_long(self, *, very: bool = False) -> bool:
        return not very and self._world.cuts is not None and self._world.cuts()

    async def settle(self) -> None:
        return

    async def child(self, call: ChildCall) -> Any:
        task = self._world.start_run(call, self._run_id)
        if call.detach:
            return call.run_id
        try:
            await first_done([task])
        except asyncio.CancelledError:
            await halt([task])
            raise
        if task.cancelled():
            raise NodeFailed("cancelled", f"the run {call.run_id} was cancelled", call.path)
        try:
            return task.result()
        except NodeFailed as error:
            raise NodeFailed(error.failure, error.message, call.path) from None

    async def call(self, call: ActionCall, retry: Retry | None) -> Any:
        retry = retry or _DEFAULT_RETRY
        arguments = _with_links(call.arguments)
        attempt = 0
        while True:
            attempt += 1
            record = SimulatedCall(
                number=len(self._world.calls),
                run_id=call.run_id,
                path=call.path,
                action=call.action,
                arguments=arguments,
                at=self._world.now(),
                attempt=attempt,
            )
            self.calls.append(record)
            self._world.calls.append(record)
            try:
                mock = self._mock(call, arguments, attempt)
                record.result = await self._attempt(call.action, arguments, mock)
            except ActionFailed as error:
                record.outcome, record.code = "failed", error.failure
                record.message = error.message
                if not _again(retry, attempt, error):
                    raise NodeFailed(
                        error.failure,
                        error.message,
                        call.path,
                        # Refused at once: nothing was done. An earlier attempt may have done it.
                        harmless=attempt == 1 and not error.retryable,
                    ) from None
            except asyncio.CancelledError:
                record.outcome = "cancelled"
                raise
            else:
                record.outcome = "succeeded"
                return record.result
            if retry.attempts == 0 and mock.times is None:
                # Tried again without end, it would fail without end: it has failed for good.
                raise NodeFailed(record.code, record.message, call.path)
            await asyncio.sleep(max(retry.pause(attempt), _SHORTEST_PAUSE).total_seconds())

    def _mock(self, call: ActionCall, arguments: dict[str, Any], attempt: int) -> Mock:
        run = {"id": call.run_id, "key": call.key, "tree": call.tree}
        scope = {"arguments": arguments, "attempt": attempt, "run": run}
        try:
            return self._world.mocks.take(call.action, scope)
        except ExpressionError as error:
            raise ActionRefused("expression", error.message) from None

    async def _attempt(self, name: str, arguments: dict[str, Any], mock: Mock) -> Any:
        action = self._world.actions.get(name)
        if action is not None:
            _, problems = fit(arguments, action.input)
            if problems:
                said = "; ".join(f"{p.path} {p.message}" for p in problems)
                raise ActionRefused("invalid_input", f"{name}: {said}")
        timeout = _DEFAULT_TIMEOUT if action is None else action.timeout
        await asyncio.sleep(min(mock.takes, timeout).total_seconds())
        if mock.takes > timeout:
            raise ActionFailed("action_timeout", f"{name} gave no answer in time")
        if mock.fail is not None:
            kind = ActionFailed if mock.fail.retryable else ActionRefused
            raise kind(mock.fail.code, mock.fail.message)
        if name == EMIT:
            self._emit(arguments)
            return None
        if mock.result is not msgspec.UNSET:
            return mock.result
        return None if action is None else example_of(action.output, self._world.now())

    def _emit(self, arguments: dict[str, Any]) -> None:
        try:
            event = Event.from_cloudevent(arguments["event"])
        except InvalidEvent as error:
            raise ActionRefused(error.code, error.message) from None
        self._world.emit(event, arguments["trigger"])


def _again(retry: Retry, attempt: int, error: ActionFailed) -> bool:
    if not error.retryable or error.failure in retry.unless:
        return False
    return retry.attempts == 0 or attempt < retry.attempts


def _with_links(value: Any) -> Any:
    """The value as the connector gets it: with a link in each place that is marked for one."""
    if isinstance(value, str):
        value = _LINK.sub(r"https://hub.invalid/callbacks/\1", value)
        return _DECISION.sub("https://hub.invalid/decisions", value)
    if isinstance(value, dict):
        return {key: _with_links(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_links(item) for item in value]
    return value
