"""Helm for the tests: of the PATH, or built once by Go from its own source into the user's cache.

python -m tests.helm            # builds it; takes some minutes, and Go 1.24 or newer
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["find_helm"]

VERSION = "v3.19.5"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "event-hub" / "bin"


def find_helm() -> Path | None:
    """The program; None where there is none, which is not built here: that takes minutes."""
    found = shutil.which("helm") or shutil.which("helm", path=str(_CACHE))
    return None if found is None else Path(found)


def main() -> int:
    go = shutil.which("go")
    if (helm := find_helm()) is not None:
        print(helm)  # noqa: T201
        return 0
    if go is None:
        sys.stderr.write("there is no Go to build Helm with\n")
        return 1
    _CACHE.mkdir(parents=True, exist_ok=True)
    command = [go, "install", "-trimpath", f"helm.sh/helm/v3/cmd/helm@{VERSION}"]
    return subprocess.run(command, env={**os.environ, "GOBIN": str(_CACHE)}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
