"""The page of promises: every test that it names as a proof is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "semantics.md"
_ROW = re.compile(r"^\| (?!situation)(?P<what>[^|]+) \|.*\| (?P<proof>[^|]+) \|$", re.M)
_PROOF = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


@cache
def _functions_of(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, functions)}


def test_every_promise_names_a_test_that_exists() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("## What happens when")[2]
    rows = [row for row in _ROW.finditer(table) if not row["what"].startswith("---")]
    assert len(rows) > 40
    assert len(rows) == sum(line.startswith("| ") for line in table.splitlines()) - 1
    for row in rows:
        proof = _PROOF.fullmatch(row["proof"])
        assert proof, row["what"]
        path, name = proof.groups()
        assert name in _functions_of(path), f"{row['what']}: {path} has no {name}"
