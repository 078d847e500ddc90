"""A connector in a package of its own: installed by pip, found, checked and called."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

PACKAGE = Path("tests/third_party/hub-ledger")

TREE = """
tree: notes
events:
  came: {webhook: app, key: event.data.id}
start: came
do:
  - ledger.note: {text: "${{ event.data.id }} came"}
    id: noted
"""

CALL = """
import asyncio, json, sys
from pathlib import Path
from hub.routing.project import load_project
from tests.contracts.connector import GivenCall

async def main():
    project = load_project(Path(sys.argv[1]), {})
    assert project.is_valid, project.diagnostics
    call = GivenCall(Path(sys.argv[1]))
    results = [await project.connections.run("ledger.note", {"text": "a"}, call) for _ in range(2)]
    try:
        await project.connections.run("ledger.note", {"text": "a\\nb"}, call)
    except Exception as error:
        results.append([type(error).__name__, error.failure, error.message])
    print(json.dumps(results))

asyncio.run(main())
"""


def wheel(folder: Path) -> Path:
    """The package as its build would make it; building it needs a network."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    name, version = project["name"].replace("-", "_"), project["version"]
    info = f"{name}-{version}.dist-info"
    points = "".join(
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())
        for group, entries in project["entry-points"].items()
    )
    files = {
        "hub_ledger.py": (PACKAGE / "hub_ledger.py").read_text(),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": points,
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        record += f"{path},sha256={digest.decode()},{len(text.encode())}\n"
    files[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    made = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return made


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package in it, installed."""
    pytest.importorskip("pip")
    folder = tmp_path_factory.mktemp("third-party")
    options = ["--no-index", "--no-deps", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            *options,
            "--target",
            folder / "site",
            wheel(folder),
        ],
        check=True,
    )
    return folder / "site"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "trees").mkdir()
    (tmp_path / "trees" / "notes.yaml").write_text(TREE)
    (tmp_path / "hub.yaml").write_text(
        "triggers: {app: {webhook: {provider: none}}}\n"
        "connections: {books: {ledger: {file: ledger.txt}}}\n"
    )
    return tmp_path


def run(installed: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(installed), str(Path.cwd())])
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )


def test_it_works_by_being_installed(installed: Path, project: Path) -> None:
    done = run(installed, "-c", CALL, project)
    assert done.returncode == 0, done.stderr
    first, second, refused = json.loads(done.stdout.splitlines()[-1])
    assert first == second == {"lines": 1}
    assert refused == ["ActionRefused", "ledger_line", "text: must be one line"]
    assert (project / "ledger.txt").read_text() == "tree/key:do[0]\ta\n"


def test_its_trees_are_checked_and_its_page_is_made(installed: Path, project: Path) -> None:
    assert run(installed, "-m", "hub", "validate", project).returncode == 0
    tree = project / "trees" / "notes.yaml"
    tree.write_text(TREE.replace("text:", "txt:"))
    wrong = run(installed, "-m", "hub", "validate", project)
    assert wrong.returncode == 1
    assert "`ledger.note` has no argument 'txt'" in wrong.stdout + wrong.stderr
    page = run(installed, "-m", "hub", "schema", "--connectors")
    assert "### `ledger.note`" in page.stdout
