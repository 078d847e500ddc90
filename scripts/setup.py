"""Make `.venv` hold exactly what `requirements.lock` names, and the hub itself. Standard library only.

Quick when there is nothing to do. What was installed is noted in `.venv/.installed`; a new lock file,
another Python, a package that went missing or a venv that does not start are all noticed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
NOTE = VENV / ".installed"
PIP = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "-q"]

# Run by the venv's own Python: what it is and what it has.
INSPECT = """
import importlib.metadata as m, json, sys
import hub
print(json.dumps({"python": sys.version, "packages": sorted(
    {f"{d.name}=={d.version}" for d in m.distributions()})}))
"""


def wanted() -> str:
    """What the venv must have been made from: the locked packages and how the hub is installed."""
    digest = hashlib.sha256()
    for file in (LOCK, ROOT / "pyproject.toml"):
        digest.update(file.read_bytes())
    digest.update(str(ROOT).encode())
    return digest.hexdigest()


def inspect() -> dict[str, object] | None:
    """The venv's Python and packages; None where it does not work."""
    done = subprocess.run(
        [str(VENV / "bin" / "python"), "-c", INSPECT],
        capture_output=True,
        text=True,
        check=False,
        cwd=VENV,
    )
    return json.loads(done.stdout) if done.returncode == 0 else None


def is_current() -> bool:
    """Whether the venv still is what the note says, and the note what is wanted."""
    try:
        note = json.loads(NOTE.read_text(encoding="utf-8"))
        now = inspect()
    except (OSError, ValueError):
        return False
    return (
        now is not None
        and note["wanted"] == wanted()
        and note["python"] == now["python"]
        and set(note["packages"]) <= set(now["packages"])  # type: ignore[call-overload]
    )


def starts() -> bool:
    """Whether the venv's Python and its pip start at all."""
    try:
        done = subprocess.run(
            [str(VENV / "bin" / "python"), "-m", "pip", "--version"],
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0


def install() -> None:
    if not starts():
        print("making .venv", flush=True)
        shutil.rmtree(VENV, ignore_errors=True)
        made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=False)
        if made.returncode:
            sys.exit(
                f"{sys.executable} cannot make a virtual environment. On Debian and Ubuntu the "
                "package python3-venv is missing; or name another Python: make setup PYTHON=..."
            )
    NOTE.unlink(missing_ok=True)
    print("installing what requirements.lock names (half a minute the first time)", flush=True)
    if not installed_by_uv():
        print("without uv it takes pip about a minute more", flush=True)
        run([*PIP, "--require-hashes", "-r", str(LOCK)])
    run([*PIP, "--no-deps", "--no-build-isolation", "-e", str(ROOT)])
    now = inspect()
    if now is None:
        sys.exit("the packages are installed, but the hub cannot be imported from .venv")
    # Written last and whole: an interrupted set-up is one that never was.
    fresh = NOTE.with_suffix(".new")
    fresh.write_text(json.dumps({"wanted": wanted(), **now}), encoding="utf-8")
    fresh.replace(NOTE)


def installed_by_uv() -> bool:
    """Whether uv has installed it all: it takes a fifth of pip's time, and checks the same hashes.

    Where pip is told to use another index, only pip knows of it.
    """
    if pip_has_its_own_index():
        return False
    with tempfile.TemporaryDirectory() as folder:
        only_uv = Path(folder) / "uv.lock"
        only_uv.write_text(locked("uv"), encoding="utf-8")
        got = subprocess.run(
            [*PIP, "--require-hashes", "-r", str(only_uv)], capture_output=True, check=False
        )
    if got.returncode or not (VENV / "bin" / "uv").exists():
        return False
    python = VENV / "bin" / "python"
    command = [str(VENV / "bin" / "uv"), "pip", "install", "--quiet", "--python", str(python)]
    done = subprocess.run(
        [*command, "--compile-bytecode", "--require-hashes", "-r", str(LOCK)],
        capture_output=True,
        check=False,
        cwd=ROOT,
    )
    return done.returncode == 0


def pip_has_its_own_index() -> bool:
    told = subprocess.run(
        [*PIP[:-2], "config", "list"], capture_output=True, text=True, check=False
    )
    return "index-url" in told.stdout or "PIP_INDEX_URL" in os.environ


def locked(name: str) -> str:
    """The lines of the lock file that name this package and its hashes."""
    lines = LOCK.read_text(encoding="utf-8")
    found = re.search(rf"^{name}==.*(?:\n +--hash=.*)+", lines, re.MULTILINE)
    return found[0] if found else ""


def run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, cwd=ROOT)
    if done.returncode:
        sys.exit(f"set-up failed: {' '.join(command[2:])} ended with code {done.returncode}")


if __name__ == "__main__":
    if not is_current():
        install()
