"""The pictures of the docs: each that is shown is there, and each that is there is shown."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PICTURE = re.compile(r'(?:\]\(|src(?:set)?=")([^)"\s]+\.png)')


def test_pictures_and_pages_fit_together() -> None:
    shown = {
        (page.parent / address).resolve()
        for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
        for address in _PICTURE.findall(page.read_text(encoding="utf-8"))
    }
    there = {picture.resolve() for picture in (ROOT / "docs" / "screenshots").glob("*.png")}
    assert len(shown) > 20
    assert shown == there
