from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from connectors.python import Python
from hub.connections import Connections
from hub.connector import Connector
from hub.errors import ActionFailed, ActionRefused
from hub.secrets import redactor
from tests.contracts.connector import PLANTED, ConnectorContract, FailingCall, GivenCall

CODE = """
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from hub.connector import Call
from hub.errors import ActionFailed, ActionRefused


@dataclass
class Line:
    amount: Decimal
    count: int = 1


def total(lines: list[Line], day: date, *, note: str = "none") -> dict[str, object]:
    return {"total": sum(l.amount * l.count for l in lines), "weekday": day.weekday(), "note": note}


async def key(call: Call) -> str:
    call.heartbeat()
    return call.idempotency_key


def fail(how: str) -> object:
    if how == "refused":
        raise ActionRefused("no_money", "no " + how)
    if how == "failed":
        raise ActionFailed("later", "no " + how, retry_after=3)
    if how == "odd":
        return object()
    raise ValueError("no " + how)


def starred(*values: int) -> None: ...


def unknown(value: "NoSuchType") -> None: ...


async def secret() -> None:
    raise RuntimeError("PLANTED")


not_a_function = 1
"""

FUNCTIONS = ("total", "key", "fail", "starred", "unknown", "not_a_function", "no_such", "secret")


@pytest.fixture
def code(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "planted_code.py").write_text(CODE.replace("PLANTED", PLANTED))
    (tmp_path / "src" / "planted_broken.py").write_text("1 / 0\n")
    yield "src"
    sys.path.remove(str(tmp_path / "src"))
    for module in ("planted_code", "planted_broken"):
        sys.modules.pop(module, None)


async def call(project: Path, function: str, **arguments: Any) -> Any:
    functions = [f"planted_code.{name}" for name in FUNCTIONS]
    settings = {"functions": [*functions, "planted_broken.f", "no_such_package.f"], "path": "src"}
    connections = Connections(project, {"it": {"python": settings}}, {})
    given = {"function": function, "arguments": arguments}
    return (await connections.run("python.call", given, GivenCall(project)))["value"]


async def test_arguments_become_what_the_function_says(tmp_path: Path, code: str) -> None:
    lines = [{"amount": "1.10", "count": 3}, {"amount": 2}]
    got = await call(tmp_path, "planted_code.total", lines=lines, day="2026-01-01")
    assert got == {"total": "5.30", "weekday": 3, "note": "none"}


async def test_a_function_may_ask_for_the_call(tmp_path: Path, code: str) -> None:
    assert await call(tmp_path, "planted_code.key") == "tree/key:do[0]"


@pytest.mark.parametrize(
    ("function", "arguments", "failure", "said"),
    [
        ("planted_code.total", {"lines": []}, "invalid_input", "arguments.day is required"),
        ("planted_code.total", {"lines": [{"amount": "x"}], "day": "2026-01-01"}, "invalid_input", "lines"),
        ("planted_code.key", {"call": {}}, "invalid_input", "call"),
        ("planted_code.key", {"other": 1}, "invalid_input", "other"),
        ("os.system", {"command": "true"}, "python_not_allowed", "functions"),
        ("planted_code.starred", {}, "python_signature", "values"),
        ("planted_code.unknown", {}, "python_signature", "NoSuchType"),
        ("planted_code.not_a_function", {}, "python_import", "no function"),
        ("planted_code.no_such", {}, "python_import", "no function"),
        ("planted_broken.f", {}, "python_import", "ZeroDivisionError"),
        ("no_such_package.f", {}, "python_import", "installed"),
        ("planted_code.fail", {"how": "refused"}, "no_money", "no refused"),
        ("planted_code.fail", {"how": "odd"}, "python_result", "object"),
    ],
)  # fmt: skip
async def test_what_no_retry_can_mend(
    tmp_path: Path, code: str, function: str, arguments: dict[str, Any], failure: str, said: str
) -> None:
    with pytest.raises(ActionRefused) as caught:
        await call(tmp_path, function, **arguments)
    assert caught.value.failure == failure
    assert said in caught.value.message


async def test_what_may_be_tried_again(tmp_path: Path, code: str) -> None:
    for how, failure, wait in (("failed", "later", 3), ("value", "python_failed", None)):
        with pytest.raises(ActionFailed) as caught:
            await call(tmp_path, "planted_code.fail", how=how)
        error = caught.value
        assert (error.retryable, error.failure, error.retry_after) == (True, failure, wait)


class TestPython(ConnectorContract):
    kind: ClassVar[type[Connector]] = Python
    settings: ClassVar[Mapping[str, Any]] = {"functions": ["planted_code.key"]}
    arguments: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "python.call": {"function": "planted_code.key"}
    }

    @pytest.fixture
    def failing_calls(self, tmp_path: Path, code: str) -> Sequence[FailingCall]:
        # The connection has no secret of its own; another one's is known to the process.
        redactor.add(PLANTED)
        return [
            FailingCall(
                action="python.call",
                settings={"path": str(tmp_path / "src"), "functions": ["planted_code.secret"]},
                arguments={"function": "planted_code.secret"},
                failure="python_failed",
                retryable=True,
            )
        ]
