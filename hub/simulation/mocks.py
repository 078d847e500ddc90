"""Mocks: what stands in for the connectors. An action without one succeeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from hub.errors import ExpressionError
from hub.expressions import Expression

__all__ = ["Mock", "MockFailure", "Mocks"]


class MockFailure(msgspec.Struct, frozen=True, kw_only=True):
    """How a mocked attempt fails; what is not `retryable` is not tried again."""

    code: str = "failed"
    message: str = "the mock says so"
    retryable: bool = True


class Mock(msgspec.Struct, frozen=True, kw_only=True):
    """What an action does: gives `result` or fails, after `takes`.

    `times` is for how many attempts it holds; None is for all. `when` is an expression over
    `arguments`, `attempt` (from 1) and `run` (`id`, `key`, `tree`).
    """

    result: Any = msgspec.UNSET
    fail: MockFailure | None = None
    times: int | None = None
    takes: timedelta = timedelta(0)
    when: Expression | None = None


class Mocks:
    """The mocks of one simulation: per action, the first that applies and is not used up."""

    def __init__(self, mocks: Mapping[str, Sequence[Mock]]) -> None:
        self._left = {
            action: [(mock, mock.times) for mock in listed] for action, listed in mocks.items()
        }

    def take(self, action: str, scope: Mapping[str, Any]) -> Mock:
        """What this attempt does. Raises `ExpressionError` when a `when` cannot be evaluated."""
        listed = self._left.get(action, [])
        for index, (mock, left) in enumerate(listed):
            if left == 0 or not _applies(mock, scope):
                continue
            if left is not None:
                listed[index] = (mock, left - 1)
            return mock
        return _SUCCESS


_SUCCESS = Mock()


def _applies(mock: Mock, scope: Mapping[str, Any]) -> bool:
    if mock.when is None:
        return True
    try:
        return bool(mock.when.evaluate(dict(scope)))
    except ExpressionError as error:
        raise ExpressionError(
            f"the mock's `when: {mock.when.text}`: {error.message}", suggestion=error.suggestion
        ) from None
