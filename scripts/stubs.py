"""Writes hub/nodes.pyi anew, from the classes of nodes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hub.tree.stub import stub

FILE = Path(__file__).parent.parent / "hub" / "nodes.pyi"


def formatted() -> str:
    """The text of the file, in the house style."""
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", "nodes.pyi", "-"]
    done = subprocess.run(
        command, input=stub(), capture_output=True, text=True, check=True, cwd=FILE.parent
    )
    return done.stdout


if __name__ == "__main__":
    FILE.write_text(formatted(), encoding="utf-8")
