"""The page of what is promised about security: every test that it names as a proof is there."""

from __future__ import annotations

import re
from pathlib import Path

from tests.unit.test_semantics import _PROOF, _functions_of

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
_ROW = re.compile(r"^\| (?P<what>[^|*]+) \| (?P<proof>[^|]+) \|$", re.M)


def test_every_promise_names_a_test_that_exists() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("## Promises")[2].partition("\n## ")[0]
    rows = [row for row in _ROW.finditer(table) if row["what"] not in ("promise", "---")]
    assert len(rows) > 25
    for row in rows:
        proof = _PROOF.fullmatch(row["proof"])
        assert proof, row["what"]
        path, name = proof.groups()
        assert name in _functions_of(path), f"{row['what']}: {path} has no {name}"
