"""What a workflow runs must do the same on every replay, so some things are not used there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_FILES = [
    *sorted((_ROOT / "hub" / "tree").rglob("*.py")),
    *sorted((_ROOT / "hub" / "run").rglob("*.py")),
    *(
        _ROOT / "hub" / "temporal" / f"{name}.py"
        for name in (
            *("workflow", "home", "move", "publication", "surroundings", "standalone"),
            *("gate", "correlator"),
        )
    ),
]
_MODULES = ("time", "random", "uuid", "secrets", "threading", "concurrent")
_CALLS = (
    "asyncio.wait",
    "asyncio.as_completed",
    "asyncio.TaskGroup",
    "asyncio.to_thread",
    "asyncio.wait_for",
    "asyncio.timeout",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "os.urandom",
    "id",
    "hash",
)
_MAKES_A_SET = ("set", "frozenset")
_KEEPS_NO_ORDER = ("any", "all", "len", "sorted", "min", "max", "sum", "set", "frozenset")


def violations(text: str, *, name: str = "x.py") -> list[str]:
    """What stands in the source that could be different on a replay, each with its line."""
    tree = ast.parse(text)
    return [f"{name}:{line}: {what}" for line, what in sorted(_found(tree))]


def _found(tree: ast.Module) -> Iterator[tuple[int, str]]:
    harmless = {
        id(generator)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in _KEEPS_NO_ORDER
        for argument in node.args
        for generator in getattr(argument, "generators", [])
    }
    sets = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and _is_set(node.value, set())
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (
                (node.lineno, f"import {alias.name}")
                for alias in node.names
                if alias.name.split(".")[0] in _MODULES
            )
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in _MODULES:
            yield node.lineno, f"from {node.module} import ..."
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in _CALLS:
            yield node.lineno, f"{ast.unparse(node.func)}()"
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("list", "tuple", "iter"):
            if node.args and _is_set(node.args[0], sets):
                yield node.lineno, "the order of a set"
        elif isinstance(node, ast.For) and _is_set(node.iter, sets):
            yield node.lineno, "the order of a set"
        elif (
            isinstance(node, ast.comprehension)
            and id(node) not in harmless
            and _is_set(node.iter, sets)
        ):
            yield node.iter.lineno, "the order of a set"


def _is_set(node: ast.expr, known: set[str]) -> bool:
    if isinstance(node, (ast.Set, ast.SetComp)):
        return True
    if isinstance(node, ast.Name):
        return node.id in known
    return isinstance(node, ast.Call) and ast.unparse(node.func) in _MAKES_A_SET


@pytest.mark.parametrize("file", _FILES, ids=lambda file: str(file.relative_to(_ROOT)))
def test_nothing_differs_on_a_replay(file: Path) -> None:
    assert violations(file.read_text(), name=file.name) == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("import time", "import time"),
        ("from random import random", "from random import ..."),
        ("import uuid", "import uuid"),
        ("asyncio.wait(tasks)", "asyncio.wait()"),
        ("asyncio.as_completed(tasks)", "asyncio.as_completed()"),
        ("async def f():\n async with asyncio.TaskGroup() as g: pass", "asyncio.TaskGroup()"),
        ("datetime.now(UTC)", "datetime.now()"),
        ("for x in {1, 2}: pass", "the order of a set"),
        ("for x in set(y): pass", "the order of a set"),
        ("z = {1}\nfor x in z: pass", "the order of a set"),
        ("[x for x in frozenset(y)]", "the order of a set"),
        ("list({1, 2})", "the order of a set"),
    ],
)
def test_what_is_found(text: str, what: str) -> None:
    assert [found.split(": ", 1)[1] for found in violations(text)] == [what]


def test_what_is_let_pass() -> None:
    assert violations("sorted({1, 2})\nx in {1, 2}\nany(x for x in {1, 2})") == []
