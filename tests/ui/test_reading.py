"""The text of a tree is read anew only where it has changed: that gives what reading all of it gives."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.hub_process import ROOT

NODE = shutil.which("node")
VITE = ROOT / "ui" / "node_modules" / "vite"


@pytest.mark.skipif(
    NODE is None or not VITE.is_dir(),
    reason="the page's own script is not tested: it needs Node and what `make setup` installs",
)
def test_what_is_read_from_a_change_is_what_is_read_from_the_whole() -> None:
    assert NODE is not None
    script = Path(__file__).parent / "reading.mjs"
    done = subprocess.run([NODE, script], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    counts = json.loads(done.stdout)
    assert counts["asked"] > 500
    assert counts["alone"] > counts["asked"] / 4
