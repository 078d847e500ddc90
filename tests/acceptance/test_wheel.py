"""What is released: the wheel, installed beside the packages that it needs, is a whole hub."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import time
import venv
from pathlib import Path

import httpx
import pytest

from hub.ports import find_free
from tests.acceptance.hub_process import ROOT


def done(*command: str | Path, cwd: Path) -> str:
    finished = subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout
    return finished.stdout


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A new environment with the wheel in it; all else is that of the tests."""
    done(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path, cwd=ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    folder = tmp_path / "installed"
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    # A path that stands in such a file is looked in last, and its own such files are not read: the
    # hub that is being worked on is not found there.
    (packages / "tests.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"
    done(*pip, "install", "--quiet", "--no-deps", "--no-index", "--no-compile", wheel, cwd=tmp_path)
    where = done(python, "-c", "import hub; print(hub.__file__)", cwd=tmp_path)
    assert where.strip() == str(packages / "hub" / "__init__.py")
    return folder / "bin" / "hub"


def test_the_wheel_is_a_whole_hub(installed: Path, tmp_path: Path) -> None:
    if not (ROOT / "hub" / "web" / "index.html").is_file():
        pytest.skip("the web page is not built: `make setup` builds it")
    done(installed, "init", "shop", cwd=tmp_path)
    assert "passed" in done(installed, "test", "shop", cwd=tmp_path)
    port = str(find_free())
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("HUB_", "TEMPORAL_"))}
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [installed, "serve", "shop"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=tmp_path,
            # Without Temporal it takes events, and shows its page.
            env={
                **kept,
                "HUB_PORT": port,
                "APP_WEBHOOK_SECRET": "s3cret",
                "SMTP_HOST": "localhost",
                "HUB_SECRET_KEY": "k" * 32,
                "TEMPORAL_ADDRESS": f"127.0.0.1:{find_free()}",
            },
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            deadline = time.monotonic() + 60
            while True:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                try:
                    page = client.get("/")
                    break
                except httpx.TransportError:
                    time.sleep(0.05)
            assert page.status_code == 200
            assert page.headers["content-type"].startswith("text/html")
            (script,) = re.findall(r'<script type="module"[^>]* src="([^"]+)"', page.text)
            loaded = client.get(script)
            assert loaded.status_code == 200
            assert loaded.headers["content-type"].startswith("text/javascript")
            assert len(loaded.text) > 1000
            assert client.post("/hooks/app", json={}).status_code == 401
    finally:
        process.terminate()
        assert process.wait(60) == 0, log.read_text()
