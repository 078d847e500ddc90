"""One small story for each kind of node: lived in virtual time, on Temporal, and replayed.

`test.do: {n: 1}` gives `{"n": 1}`. With `fail: refused` the other side turns it down, so nothing was
done; with `fail: broken` nobody knows what was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from hub.connector import Call, Connector, action
from hub.errors import ActionFailed, ActionRefused
from hub.event import Event
from hub.expressions import compile_expression
from hub.run import Delivery
from hub.simulation import Mock, MockFailure
from hub.simulation.home import SimulatedHome
from hub.tree import Tree, load_tree

__all__ = ["CASES", "Case", "Doing", "delivery", "mocks", "once_in_a_moment"]

_EVENTS = """
events:
  begin: {webhook: app, where: event.type == "begin", key: event.data.user_id}
  first: {webhook: app, where: event.type == "first", key: event.data.user_id}
  second: {webhook: app, where: event.type == "second", key: event.data.user_id}
start: begin
"""
_H = timedelta(hours=1)
_FAILS = "arguments.fail is defined and arguments.fail == '{}'"


@dataclass(frozen=True)
class Case:
    """A story: what the tree does, which events come when, and what is to come of it.

    `done` are the numbers of the calls in their order. `cancel` is when somebody stops the run.
    `others` are the trees that it runs, with what they do, and `others_done` what their runs call.
    """

    name: str
    do: str
    events: tuple[tuple[timedelta, str], ...] = ()
    cancel: timedelta | None = None
    status: str = "succeeded"
    result: Any = msgspec.UNSET
    error: str | None = None
    done: tuple[int, ...] | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)
    others_done: tuple[int, ...] | None = None

    @property
    def tree(self) -> Tree:
        """The tree of the story."""
        return _tree(self.name, self.do)

    @property
    def trees(self) -> dict[str, Tree]:
        """That tree and those that it runs, by name."""
        others = {name: _tree(name, do, "nothing") for name, do in self.others.items()}
        return {self.name: self.tree, **others}

    def check(self, status: str, result: Any, error: str | None, variables: Any) -> None:
        """Fail if the run has not come to what is expected."""
        assert (status, error) == (self.status, self.error)
        if self.result is not msgspec.UNSET:
            assert result == self.result
        for name, value in self.variables.items():
            assert variables[name] == value


def _tree(name: str, do: str, begins: str = "begin") -> Tree:
    events = _EVENTS.replace('"begin"', f'"{begins}"')
    return load_tree(f"tree: {name}\n{events}\nvars: {{count: 0}}\ndo:\n{do}")


def delivery(kind: str, key: str, name: str) -> Delivery:
    """An event for the run of that key."""
    event = Event(id=f"{key}-{name}", source="/test", type=kind, data={"user_id": key})
    return Delivery(event=event, trigger="app")


class Do(msgspec.Struct, frozen=True):
    """What `test.do` is told."""

    n: int
    fail: str | None = None


class Doing(Connector):
    """The connector that does `test.do` for real, and remembers in what order."""

    name = "test"

    class Settings(msgspec.Struct, frozen=True):
        """None."""

    settings_type = Settings
    done: list[tuple[str, int]]

    @action()
    async def do(self, given: Do, call: Call) -> dict[str, int]:
        """Note that it was done, for which run."""
        type(self).done.append((call.run.id, given.n))
        if given.fail == "refused":
            raise ActionRefused("refused", "turned down")
        if given.fail is not None:
            raise ActionFailed("broken", "no answer")
        return {"n": given.n}


def mocks() -> dict[str, list[Mock]]:
    """The same connector in virtual time."""
    refused = MockFailure(code="refused", message="turned down", retryable=False)
    broken = MockFailure(code="broken", message="no answer")
    fails = [
        Mock(when=compile_expression(_FAILS.format("refused")), fail=refused),
        Mock(when=compile_expression(_FAILS.format("broken")), fail=broken, times=1000),
    ]
    works = [
        Mock(when=compile_expression(f"arguments.n == {n}"), result={"n": n}) for n in range(1, 20)
    ]
    return {"test.do": [*fails, *works]}


def once_in_a_moment() -> Callable[..., bool]:
    """For `SimulatedHome.is_long`: a cut once in each moment, so that each part comes to something."""
    cut: list[tuple[int, datetime]] = []

    def is_long(home: SimulatedHome, *, very: bool = False) -> bool:
        moment = (id(home), home.now())
        if very or moment in cut:
            return False
        cut.append(moment)
        return True

    return is_long


CASES = [
    Case(
        "sequence",
        """
  - sequence:
    - {test.do: {n: 1}, id: one}
    - {test.do: {n: "${{ steps.one.n + 1 }}"}, if: "steps.one.n == 1"}
    - {test.do: {n: 3}, if: "false"}
""",
        result={"n": 2},
        done=(1, 2),
    ),
    Case(
        "fallback",
        """
  - fallback:
    - {test.do: {n: 1, fail: refused}}
    - {wait_for: first, timeout: 1h}
    - {test.do: {n: 2}}
""",
        result={"n": 2},
        done=(1, 2),
    ),
    Case(
        "parallel-all",
        """
  - parallel:
    - [{delay: 2h}, {test.do: {n: 2}}]
    - [{delay: 1h}, {test.do: {n: 1}}]
    - {test.do: {n: 3}, if: "false"}
""",
        result=[{"n": 2}, {"n": 1}, None],
        done=(1, 2),
    ),
    Case(
        "parallel-success",
        """
  - parallel:
    - try: [{delay: 5h}, {test.do: {n: 1}}]
      finally: [{delay: 1h}, {test.do: {n: 2}}]
    - [{delay: 1h}, {fail: "no"}]
    - [{delay: 2h}, {test.do: {n: 3}}]
    success: 1
  - {test.do: {n: 4}}
""",
        done=(3, 2, 4),
    ),
    Case(
        "parallel-failure",
        """
  - parallel:
    - [{delay: 1h}, {fail: {message: one, code: first_failed}}]
    - [{delay: 2h}, {fail: {message: two, code: second_failed}}]
    - [{delay: 3h}, {test.do: {n: 1}}]
    failure: 2
""",
        status="failed",
        error="second_failed",
        done=(),
    ),
    Case(
        "parallel-out-of-reach",
        """
  - parallel:
    - [{delay: 1h}, {fail: {message: one, code: lost}}]
    - [{delay: 2h}, {test.do: {n: 1}}]
""",
        status="failed",
        error="lost",
        done=(),
    ),
    Case(
        "race",
        """
  - id: race
    race:
    - [{delay: 2h}, {test.do: {n: 1}}]
    - [{wait_for: first}, {test.do: {n: 2}}]
""",
        events=((_H, "first"),),
        result={"n": 2},
        done=(2,),
    ),
    Case(
        "if",
        """
  - if: event.data.user_id == "nobody"
    then: {test.do: {n: 1}}
    else: [{delay: 1h}, {test.do: {n: 2}}]
""",
        result={"n": 2},
        done=(2,),
    ),
    Case(
        "switch",
        """
  - switch: event.type
    cases:
      end: {test.do: {n: 1}}
      begin: [{delay: 1h}, {test.do: {n: 2}}]
    default: {test.do: {n: 3}}
""",
        done=(2,),
    ),
    Case(
        "while",
        """
  - while: vars.count < 3
    do:
    - {delay: 1h}
    - {set: {count: "${{ vars.count + 1 }}"}}
    - {test.do: {n: "${{ index + 1 }}"}}
""",
        result={"n": 3},
        done=(1, 2, 3),
    ),
    Case(
        "while-too-many",
        """
  - while: "true"
    do: {set: {count: "${{ vars.count + 1 }}"}}
    max: 4
""",
        status="failed",
        error="too_many_rounds",
        variables={"count": 4},
    ),
    Case(
        "repeat",
        """
  - repeat: 3
    do: [{delay: 1h}, {test.do: {n: "${{ index + 1 }}"}}]
  - repeat:
      until: index == 1
      do: {test.do: {n: "${{ index + 4 }}"}}
""",
        done=(1, 2, 3, 4, 5),
    ),
    Case(
        "for-each",
        """
  - for_each: {in: [4, 1, 2], as: hours, concurrency: 2}
    do:
    - {delay: "${{ hours }}h"}
    - {test.do: {n: "${{ hours }}"}, id: did}
    - {succeed: "${{ steps.did.n * 10 + index }}"}
""",
        result=[40, 11, 22],
        done=(1, 2, 4),
    ),
    Case(
        "for-each-fails",
        """
  - for_each: {in: [1, 2, 3], concurrency: 3}
    do:
    - {delay: "${{ item }}h"}
    - {check: item != 2}
    - {test.do: {n: "${{ item }}"}}
""",
        status="failed",
        error="check_failed",
        done=(1,),
    ),
    Case(
        "try-catch",
        """
  - try: [{test.do: {n: 1, fail: refused}}]
    catch:
    - {set: {code: "${{ error.code }}", at: "${{ error.path }}", said: "${{ error.message }}"}}
    - {test.do: {n: 2}}
    finally: {test.do: {n: 3}}
""",
        result={"n": 2},
        variables={"code": "refused", "at": "do[0].try[0]"},
        done=(1, 2, 3),
    ),
    Case(
        "try-other",
        """
  - try: [{fail: {message: "no", code: other}}]
    catch: {test.do: {n: 1}}
    only: [refused]
    finally: {test.do: {n: 2}}
""",
        status="failed",
        error="other",
        done=(2,),
    ),
    Case(
        "try-cancelled",
        """
  - try:
    - try: [{wait_for: first}]
      catch: {test.do: {n: 1}}
      finally: [{delay: 1h}, {test.do: {n: 2}}]
    finally: {test.do: {n: 3}}
  - {test.do: {n: 4}}
""",
        cancel=_H,
        status="cancelled",
        done=(2, 3),
    ),
    Case(
        "saga",
        """
  - saga:
    - {test.do: {n: 1}, undo: {test.do: {n: 11}}}
    - {set: {count: 1}}
    - {test.do: {n: 2}, undo: [{delay: 1h}, {test.do: {n: 12}}]}
    - {test.do: {n: 3, fail: refused}, undo: {test.do: {n: 13}}}
    - {test.do: {n: 4}, undo: {test.do: {n: 14}}}
""",
        status="failed",
        error="refused",
        done=(1, 2, 3, 12, 11),
    ),
    Case(
        "saga-unknown",
        """
  - saga:
    - {test.do: {n: 1}, undo: {test.do: {n: 11, fail: refused}}}
    - {test.do: {n: 2, fail: broken}, retry: {attempts: 1}, undo: {test.do: {n: 12}}}
""",
        status="failed",
        error="broken",
        done=(1, 2, 12, 11),
    ),
    Case(
        "saga-cancelled",
        """
  - saga:
    - {test.do: {n: 1}, undo: {test.do: {n: 11}}}
    - {test.do: {n: 2}, undo: {test.do: {n: 12}}}
    - {wait_for: first, undo: {test.do: {n: 13}}}
""",
        cancel=_H,
        status="cancelled",
        done=(1, 2, 12, 11),
    ),
    Case(
        "invert",
        """
  - {invert: {check: "false"}}
  - {fallback: [{invert: {log: "fine"}}, {test.do: {n: 1}}]}
""",
        done=(1,),
    ),
    Case("always", "  - {always: {fail: no}}\n  - {test.do: {n: 1}}\n", done=(1,)),
    Case("succeed", "  - succeed: {count: '${{ vars.count }}'}\n", result={"count": 0}),
    Case(
        "abort-on",
        """
  - fallback:
    - abort_on: first
      timeout: 9h
      saga:
      - {test.do: {n: 1}, undo: {test.do: {n: 11}}}
      - {wait_for: second}
      - {test.do: {n: 2}}
    - {test.do: {n: 3}}
""",
        events=((_H, "first"),),
        done=(1, 11, 3),
    ),
    Case(
        "retry",
        """
  - sequence:
    - {test.do: {n: 1}}
    - {set: {count: "${{ vars.count + 1 }}"}}
    - {check: vars.count > 1}
    retry: {attempts: 3, backoff: 1h}
    timeout: 3h
""",
        variables={"count": 2},
        done=(1, 1),
    ),
    Case(
        "timeout",
        """
  - fallback:
    - timeout: 2h
      try: [{delay: 1h}, {wait_for: first}]
      finally: {test.do: {n: 1}}
    - {wait_for: first, timeout: 3h}
    - {test.do: {n: 2}}
""",
        events=((3 * _H, "first"),),
        done=(1,),
    ),
    Case(
        "match",
        """
  - timeout: 9h
    parallel:
    - [{wait_for: {event: first, match: event.data.user_id}}, {test.do: {n: 1}}]
    - {wait_for: {event: second, match: "'nobody'"}, timeout: 2h, if: "false"}
  - fallback:
    - {wait_for: {event: second, match: "'nobody'"}, timeout: 2h}
    - {test.do: {n: 2}}
""",
        events=((_H, "first"),),
        done=(1, 2),
    ),
    Case(
        "run",
        """
  - {run: run-child, with: {user_id: "${{ run.key }}-child", n: 1}, id: child}
  - {test.do: {n: "${{ steps.child.n + 1 }}"}}
  - fallback:
    - {run: run-failing, with: {user_id: "${{ run.key }}-failing"}}
    - {test.do: {n: 4}}
  - {run: run-child, with: {n: 5}, key: "${{ run.key }}-detached", detach: true}
""",
        others={
            "run-child": "  - {test.do: {n: '${{ event.data.n }}'}}\n",
            "run-failing": "  - {fail: {message: 'no', code: lost}}\n",
        },
        others_done=(1, 5),
        done=(2, 4),
    ),
    Case(
        "run-cancelled",
        "  - {run: run-waiting, with: {user_id: '${{ run.key }}-waiting'}}\n  - {test.do: {n: 1}}\n",
        others={"run-waiting": "  - try: [{wait_for: first}]\n    finally: {test.do: {n: 2}}\n"},
        cancel=_H,
        status="cancelled",
        done=(),
        others_done=(2,),
    ),
    Case(
        "emit",
        """
  - parallel:
    - {wait_for: first, id: came}
    - {emit: first, trigger: app, data: {user_id: "${{ run.key }}", colour: red}}
  - {check: steps.came.data.colour == "red"}
""",
    ),
    Case(
        "delay",
        """
  - {delay: 1h}
  - {delay: {until: "2030-01-01T03:00:00Z"}}
""",
    ),
]
"""Every kind of node, by a name of its own."""
