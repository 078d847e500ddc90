"""See to it that there is a Chromium for the page's tests. Standard library only.

Best is its headless shell, with which they take a quarter less time. Where it is not found, Debian's
package is installed, if this is Debian or Ubuntu and the user may do that; else any other Chromium
serves. Where there is none, it is said what is left out, and how to have it; that is no failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

SHELL = "chromium-headless-shell"
NAMES = (SHELL, "chromium", "chromium-browser", "google-chrome")
PATIENCE, SHORT_PATIENCE = 300.0, 60.0
"""Seconds until what apt-get does is given up: where there is no Chromium, and where there is one."""

LEFT_OUT = (
    "the page's tests (tests/ui) are left out: there is no Chromium here. Install one "
    "(Debian: apt-get install chromium), or name it: HUB_TEST_CHROMIUM=/path/to/chromium"
)


def find() -> str | None:
    """The Chromium that the tests would use."""
    return os.environ.get("HUB_TEST_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def install(package: str, patience: float) -> bool:
    """Install a package of Debian's, where that can be done without asking anybody."""
    print(f"installing {package} for the page's tests, by apt-get", flush=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package],
    ):
        try:
            done = subprocess.run(
                command, env=env, capture_output=True, text=True, check=False, timeout=patience
            )
        except subprocess.TimeoutExpired:
            print(f"{command[0]} {command[1]} takes too long", flush=True)
            return False
        if done.returncode:
            print(done.stderr.strip(), file=sys.stderr)
            return False
    return True


def main() -> None:
    may_install = shutil.which("apt-get") is not None and os.geteuid() == 0
    if os.environ.get("HUB_TEST_CHROMIUM") or shutil.which(SHELL):
        return
    if may_install and install(SHELL, SHORT_PATIENCE if find() else PATIENCE):
        return
    if find() is None and not (may_install and install("chromium", PATIENCE)):
        print(LEFT_OUT, flush=True)


if __name__ == "__main__":
    main()
