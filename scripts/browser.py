"""See to it that there is a Chromium for the page's tests. Standard library only.

Where none is found, Debian's package is installed, if this is Debian or Ubuntu and the user may do
that. Otherwise it is said what is left out, and how to have it; that is no failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome")
LEFT_OUT = (
    "the page's tests (tests/ui) are left out: there is no Chromium here. Install one "
    "(Debian: apt-get install chromium), or name it: HUB_TEST_CHROMIUM=/path/to/chromium"
)


def find() -> str | None:
    """The Chromium that the tests would use."""
    return os.environ.get("HUB_TEST_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def install() -> bool:
    """Install Debian's Chromium, where that can be done without asking anybody."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return False
    print("installing Chromium for the page's tests, by apt-get", flush=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"],
    ):
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stderr.strip(), file=sys.stderr)
            return False
    return find() is not None


if __name__ == "__main__":
    if find() is None and not install():
        print(LEFT_OUT, flush=True)
