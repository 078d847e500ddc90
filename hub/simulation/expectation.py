"""What a scenario expects of its run, and in what the run differs from it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from hub.durations import format_duration
from hub.run import NodeState
from hub.simulation.result import SimulatedCall, SimulatedRun
from hub.tree import Tree

__all__ = ["Called", "Difference", "Expectation", "ExpectedError", "is_part_of"]


class Called(msgspec.Struct, frozen=True, kw_only=True):
    """A call of an action with at least these arguments."""

    action: str
    arguments: dict[str, Any] = {}

    def fits(self, call: SimulatedCall) -> bool:
        """Is that call one of these?"""
        return call.action == self.action and is_part_of(self.arguments, call.arguments)

    def __str__(self) -> str:
        return f"{self.action} {_shown(self.arguments)}" if self.arguments else self.action


class ExpectedError(msgspec.Struct, frozen=True, kw_only=True):
    """The failure of a run: its code, and a part of its message."""

    code: str | None = None
    message: str | None = None


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """What is expected; a part that is not set is not compared.

    A run that fails is a difference unless `status` or `error` says something of it. `called` is
    a part of the calls in their order, further attempts included.
    """

    status: str | None = None
    lasts: timedelta | None = None
    result: Any = msgspec.UNSET
    error: ExpectedError | None = None
    called: Sequence[Called] = ()
    not_called: Sequence[Called] = ()
    vars: Mapping[str, Any] = {}
    waiting_for: Sequence[str] | None = None
    nodes: Mapping[str, str] = {}

    def differences(
        self, run: SimulatedRun, tree: Tree, calls: Sequence[SimulatedCall]
    ) -> list[Difference]:
        """In what the run differs, in the order in which a reader would ask."""
        return [
            *self._ending(run),
            *self._called(calls),
            *self._not_called(calls),
            *self._nodes(run, tree),
            *self._values(run),
        ]

    def _ending(self, run: SimulatedRun) -> Iterator[Difference]:
        status = self.status
        if status is None and self.error is not None:
            status = "failed"
        got = _status(run)
        if status is not None and status != run.status and not _waits(status, run):
            yield Difference(what="status", expected=status, got=got)
        elif status is None and run.status == "failed":
            yield Difference(what="status", expected="a run that does not fail", got=got)
        if self.error is not None and run.error is not None:
            yield from self._error(self.error, run)
        waits = list(run.state.waiting_for)
        if self.waiting_for is not None and sorted(self.waiting_for) != sorted(waits):
            yield Difference(
                what="waiting for",
                expected=", ".join(self.waiting_for) or "nothing",
                got=", ".join(waits) or f"nothing: the run has {run.status}",
            )
        if self.lasts is not None and run.lasts != self.lasts:
            yield Difference(
                what="lasts",
                expected=format_duration(self.lasts),
                got=f"it has not ended: {got}" if run.lasts is None else format_duration(run.lasts),
            )

    def _error(self, expected: ExpectedError, run: SimulatedRun) -> Iterator[Difference]:
        error = run.error
        assert error is not None
        if expected.code is not None and expected.code != error.code:
            yield Difference(
                what="error code",
                expected=expected.code,
                got=f"{error.code} ({error.message}), at {error.path}",
            )
        if expected.message is not None and expected.message not in error.message:
            yield Difference(
                what="error message", expected=f"...{expected.message}...", got=error.message
            )

    def _called(self, calls: Sequence[SimulatedCall]) -> Iterator[Difference]:
        position = 0
        before = ""
        for expected in self.called:
            found = next((i for i in range(position, len(calls)) if expected.fits(calls[i])), None)
            if found is None:
                rest = calls[position:]
                yield Difference(
                    what="called",
                    expected=f"{expected}{before}",
                    got=_nearest(expected, rest, " then" if before else ""),
                )
                return
            position = found + 1
            before = f", after {expected}"

    def _not_called(self, calls: Sequence[SimulatedCall]) -> Iterator[Difference]:
        for expected in self.not_called:
            found = next((call for call in calls if expected.fits(call)), None)
            if found is not None:
                yield Difference(
                    what="not called",
                    expected=f"no call of {expected}",
                    got=f"{found.action} {_shown(found.arguments)} at {found.path}",
                )

    def _nodes(self, run: SimulatedRun, tree: Tree) -> Iterator[Difference]:
        for name, expected in self.nodes.items():
            found = node_of(name, run, tree)
            got: str = "pending: it never began" if found is None else found.status
            if found is not None and found.error is not None:
                got = f"{got} ({found.error.code}: {found.error.message})"
            if expected != ("pending" if found is None else found.status):
                yield Difference(what=f"node {name}", expected=expected, got=got)

    def _values(self, run: SimulatedRun) -> Iterator[Difference]:
        for name, value in self.vars.items():
            if name not in run.state.vars:
                yield Difference(what=f"vars.{name}", expected=_shown(value), got="it is not set")
            elif not is_part_of(value, run.state.vars[name]):
                got = _shown(run.state.vars[name])
                yield Difference(what=f"vars.{name}", expected=_shown(value), got=got)
        if self.result is not msgspec.UNSET and not is_part_of(self.result, run.result):
            yield Difference(what="result", expected=_shown(self.result), got=_shown(run.result))


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was expected, and what was there instead."""

    what: str
    expected: str
    got: str


def is_part_of(expected: Any, got: Any) -> bool:
    """Does the value hold at least what is expected? Mappings are parts; all else is exact."""
    if isinstance(expected, Mapping):
        return isinstance(got, Mapping) and all(
            key in got and is_part_of(value, got[key]) for key, value in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(got, (list, tuple))
            and len(expected) == len(got)
            and all(is_part_of(e, g) for e, g in zip(expected, got, strict=True))
        )
    if isinstance(expected, bool) or isinstance(got, bool):
        # In JSON, true is not 1.
        return expected is got
    return bool(expected == got)


def node_of(name: str, run: SimulatedRun, tree: Tree) -> NodeState | None:
    """The state of the node of that id or path; of an id in a loop, that of the last round."""
    if name in run.state.nodes:
        return run.state.nodes[name]
    if any(node.id == name for node in tree.nodes()):
        found = [state for state in run.state.nodes.values() if state.id == name]
        return found[-1] if found else None
    return None


def _waits(status: str, run: SimulatedRun) -> bool:
    return status == "waiting" and run.status == "running" and bool(run.state.waiting_for)


def _status(run: SimulatedRun) -> str:
    if run.error is not None:
        return f"{run.status} ({run.error.code}: {run.error.message})"
    if run.state.waiting_for:
        return f"waiting, for {', '.join(run.state.waiting_for)}"
    return run.status


def _nearest(expected: Called, calls: Sequence[SimulatedCall], then: str) -> str:
    same = [call for call in calls if call.action == expected.action]
    if same:
        listed = "; ".join(_shown(call.arguments) for call in same[:3])
        return f"{expected.action} was{then} called with {listed}"
    if calls:
        listed = ", ".join(dict.fromkeys(call.action for call in calls))
        return f"no such call; called{then}: {listed}"
    return f"nothing was{then} called"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 200 else text[:199] + "…"
