"""The mocks of a scenario, per action."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from hub.errors import ExpressionError
from hub.expressions import Expression, compile_expression
from hub.simulation.mocks import Mock, MockFailure
from hub.simulation.reading import Reading
from hub.tree.words import Place, kind_of

__all__ = ["MockReader"]

_MOCK = ("result", "fail", "times", "takes", "when")
_FAILURE = ("code", "message", "retryable")


class MockReader:
    """Reads `mocks`: for each action one outcome, or a list of successive ones."""

    def __init__(self, reading: Reading) -> None:
        self._read = reading

    def mocks(self, place: Place, value: Any) -> dict[str, list[Mock]]:
        """The mocks of each action."""
        mocks: dict[str, list[Mock]] = {}
        if value is None:
            return mocks
        if not isinstance(value, dict):
            self._read.problem(place, f"`mocks` is a mapping of actions, not {kind_of(value)}")
            return mocks
        for name, spec in value.items():
            self._read.action((*place, name), name)
            if not isinstance(spec, list):
                mock = self._mock((*place, name), spec, None)
                mocks[name] = [] if mock is None else [mock]
                continue
            # In a list each is used once and the last for all the rest; those with a condition
            # hold whenever it does.
            last = len(spec) - 1
            found = (
                self._mock((*place, name, index), item, None if index == last else 1)
                for index, item in enumerate(spec)
            )
            mocks[name] = [mock for mock in found if mock is not None]
        return mocks

    def _mock(self, place: Place, value: Any, times: int | None) -> Mock | None:
        if not self._read.mapping(place, value, _MOCK, "a mock"):
            return None
        if "fail" in value and "result" in value:
            self._read.problem((*place, "fail"), "a mock either fails or has a result")
        given = value.get("times")
        if given is not None and (
            not isinstance(given, int) or isinstance(given, bool) or given < 1
        ):
            self._read.problem((*place, "times"), "`times` is a whole number from 1")
            given = None
        when = self._when((*place, "when"), value.get("when"))
        takes = timedelta(0)
        if "takes" in value:
            takes = self._read.span((*place, "takes"), value["takes"])
        if given is None and when is None:
            given = times
        return Mock(
            result=value.get("result", msgspec.UNSET),
            fail=self._failure((*place, "fail"), value["fail"]) if "fail" in value else None,
            times=given,
            takes=takes,
            when=when,
        )

    def _failure(self, place: Place, value: Any) -> MockFailure:
        if isinstance(value, str):
            value = {"code": value}
        if value is None or value is True:
            value = {}
        if not self._read.mapping(place, value, _FAILURE, "`fail`"):
            return MockFailure()
        try:
            return msgspec.convert({k: v for k, v in value.items() if k in _FAILURE}, MockFailure)
        except msgspec.ValidationError:
            self._read.problem(
                place, "`code` and `message` are texts, `retryable` is true or false"
            )
            return MockFailure()

    def _when(self, place: Place, value: Any) -> Expression | None:
        if value is None:
            return None
        if not isinstance(value, str):
            self._read.problem(place, f"an expression is a text, not {kind_of(value)}")
            return None
        try:
            return compile_expression(value)
        except ExpressionError as error:
            self._read.problem(place, error.message, error.suggestion)
            return None
