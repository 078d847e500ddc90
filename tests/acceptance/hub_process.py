"""The real `hub dev` as a process of its own, on ports and a project of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from hub.ports import find_free

PORTS = ("HUB_PORT", "HUB_TEMPORAL_PORT", "HUB_TEMPORAL_UI_PORT", "HUB_SMTP_PORT", "HUB_KAFKA_PORT")
ROOT = Path(__file__).parents[2]
READY = "ready in"


def free_ports() -> dict[str, str]:
    """A port for each setting that names one."""
    free: set[int] = set()
    while len(free) < len(PORTS):
        free.add(find_free())
    return dict(zip(PORTS, map(str, sorted(free)), strict=True))


class HubProcess:
    """`hub dev PROJECT`, started when entered; ready unless told not to wait for that."""

    def __init__(self, project: Path, *, wait: bool = True, **settings: str) -> None:
        self.project = project
        self.ports = free_ports()
        # Whatever the machine of the tester has set is none of ours.
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("HUB_", "TEMPORAL_"))}
        self.env = {**kept, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1", **self.ports, **settings}
        self.url = f"http://127.0.0.1:{self.env['HUB_PORT']}"
        # Made once, and without the system's certificates: reading them takes longer than all else.
        # Nothing is kept open from before a kill to after it.
        self.client = httpx.Client(
            trust_env=False,
            verify=False,
            timeout=30,
            limits=httpx.Limits(max_keepalive_connections=0),
        )
        self._wait = wait
        self._screen = project.parent / f"{project.name}-{self.env['HUB_PORT']}.screen"

    def __enter__(self) -> Self:
        self.start()
        return self

    def start(self) -> None:
        with self._screen.open("ab") as screen:
            self._from = screen.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hub", "dev", str(self.project)],
                stdin=subprocess.DEVNULL,
                stdout=screen,
                stderr=screen,
                env=self.env,
                cwd=ROOT,
                start_new_session=True,
            )
        if self._wait:
            self.until_screen(READY)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.until(lambda: not self.children(), "the children to be gone")

    def screen(self) -> str:
        """What it has shown since its last start."""
        with self._screen.open("rb") as file:
            file.seek(self._from)
            return file.read().decode()

    def until_screen(self, text: str) -> str:
        def look() -> bool:
            if text in self.screen():
                return True
            assert self.process.poll() is None, f"it ended before {text!r}:\n{self.screen()}"
            return False

        self.until(look, repr(text))
        return self.screen()

    def until(self, holds: Callable[[], Any], what: str, *, seconds: float = 60.0) -> None:
        """Return when it holds; fail with the screen when it does not for much too long."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"waited for {what} in vain:\n{self.screen()}"
            time.sleep(0.05)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the signal and give the exit code."""
        self.process.send_signal(number)
        return self.process.wait(30)

    def interrupt(self) -> int | None:
        """Send one more Ctrl-C; the exit code when that was its end."""
        self.process.send_signal(signal.SIGINT)
        return self.process.poll()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def children(self) -> list[str]:
        """The processes that belong to this hub, told by the port that they name."""
        found = subprocess.run(
            ["ps", "-A", "-ww", "-o", "pid=,stat=,args="],
            capture_output=True,
            text=True,
            check=True,
        )
        mark = f"--port {self.env['HUB_TEMPORAL_PORT']} "
        return [
            line
            for line in found.stdout.splitlines()
            if mark in line and not line.split()[1].startswith("Z")
        ]

    def hub(self, *arguments: str, code: int | None = 0, **env: str) -> str:
        """Run another `hub` command against it; its output."""
        done = subprocess.run(
            [sys.executable, "-m", "hub", *arguments],
            capture_output=True,
            text=True,
            env={**self.env, **env},
            cwd=ROOT,
            check=False,
        )
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def json(self, *arguments: str) -> Any:
        return json.loads(self.hub(*arguments, "--json"))

    def get(self, path: str, **headers: str) -> Any:
        answer = self.client.get(self.url + path, headers=headers)
        answer.raise_for_status()
        return answer.json()

    def post(
        self, path: str, body: Any, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        try:
            return self.client.post(self.url + path, json=body, headers=headers)
        except httpx.TransportError as error:
            error.add_note(f"exit code {self.process.poll()}, and on its screen:\n{self.screen()}")
            raise

    def mails(self) -> list[dict[str, Any]]:
        return list(self.get("/dev/mail", accept="application/json")["items"])

    def run(self, run_id: str) -> dict[str, Any]:
        answer = self.client.get(f"{self.url}/api/runs/{run_id}")
        return dict(answer.json()) if answer.status_code == 200 else {}
