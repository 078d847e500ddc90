"""The processes that the laboratory kills: each can be started again on what it has left."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from benchmarks.processes import ROOT, environment
from hub.temporal.dev_server import DevServer
from hub.tether import tethered

__all__ = ["HubProcess", "Part", "Postgresql", "Temporal", "find_postgresql"]

_PATIENCE = 90.0


class Part(ABC):
    """One process that may be killed at any moment. `kind` says what of; `name` which."""

    kind: str

    def __init__(self, name: str) -> None:
        self.name = name
        self.kills = 0

    @abstractmethod
    async def start(self) -> None:
        """Start it, and return when it can be used, or at least lives."""

    @abstractmethod
    async def kill(self) -> None:
        """`kill -9`, of all of its processes at once."""

    @abstractmethod
    async def stop(self) -> None:
        """End it in order."""


class HubProcess(Part):
    """One of the hub's own processes, `hub serve` or `hub worker`, behind a tether."""

    def __init__(
        self, kind: str, name: str, project: Path, env: Mapping[str, str], url: str | None = None
    ) -> None:
        super().__init__(name)
        self.kind = kind
        self.url = url
        self.log = project.parent / f"{name}.log"
        self._project = project
        self._env = env
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *tethered([sys.executable, "-m", "hub", self.kind, str(self._project)], grace=20),
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=environment(**self._env),
                start_new_session=True,
            )

    async def until_up(self) -> None:
        """Return once it answers. Raises `RuntimeError` with its last words when it does not."""
        end = asyncio.get_running_loop().time() + _PATIENCE
        async with httpx.AsyncClient(trust_env=False) as client:
            while self.url is not None:
                with suppress(httpx.HTTPError):
                    if (await client.get(f"{self.url}/healthz")).status_code == 200:
                        return
                if asyncio.get_running_loop().time() > end:
                    words = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
                    raise RuntimeError(f"{self.name} does not come up:\n{words}")
                await asyncio.sleep(0.1)

    @property
    def has_ended(self) -> bool:
        return self._process is None or self._process.returncode is not None

    async def kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        self.kills += 1
        child = _child_of(process.pid)
        # Its own process first: what it has begun must be cut off, not ended by the tether.
        for pid in (child, process.pid):
            if pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        await process.wait()

    async def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


class Temporal(Part):
    """Temporal's server with everything in one file."""

    kind = "temporal"

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__("temporal")
        self._folder = folder
        self._port = port
        self._server: DevServer | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    async def start(self) -> None:
        self._server = DevServer(
            db=self._folder / "temporal.db", port=self._port, log=self._folder / "temporal.log"
        )
        await self._server.start()

    async def kill(self) -> None:
        server, self._server = self._server, None
        if server is None or server._process is None:
            return
        self.kills += 1
        process = server._process
        child = _child_of(process.pid)
        for pid in (child, process.pid):
            if pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        await process.wait()
        await server.stop()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop()


class Postgresql(Part):
    """A private PostgreSQL on a unix socket in a folder of its own, with its usual durability."""

    kind = "postgresql"

    def __init__(self, binaries: Path) -> None:
        super().__init__("postgresql")
        self._binaries = binaries
        # Sockets have short names. And the server refuses to run as root.
        self._folder = Path(tempfile.mkdtemp(prefix="hub-faults-pg-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._as_user: dict[str, Any] = {}
        user = _unprivileged() if os.geteuid() == 0 else None
        if user is not None:
            os.chown(self._folder, user.pw_uid, user.pw_gid)
            self._as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    @property
    def url(self) -> str:
        return f"postgresql://hub@/postgres?host={self._folder}"

    async def start(self) -> None:
        data = self._folder / "data"
        if not data.exists():
            await asyncio.to_thread(self._initialise, data)
        end = asyncio.get_running_loop().time() + _PATIENCE
        while not await self._answers():
            if self._process is None or self._process.poll() is not None:
                # Right after a kill, what the processes of before shared may still be held.
                self._launch(data)
            if asyncio.get_running_loop().time() > end:
                raise RuntimeError(f"PostgreSQL does not start:\n{self._log.read_text()[-2000:]}")
            await asyncio.sleep(0.2)

    def _initialise(self, data: Path) -> None:
        initdb: list[str | Path] = [self._binaries / "initdb", "-D", data, "-U", "hub"]
        initdb += ["-A", "trust", "-N"]
        subprocess.run(
            [*initdb, "-E", "UTF8", "--locale", "C"],
            cwd=self._folder,
            check=True,
            capture_output=True,
            **self._as_user,
        )

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    def _launch(self, data: Path) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(self._binaries / "postgres", "-D", data, "-k", self._folder),
                    *("-c", "listen_addresses=", "-c", "max_connections=60"),
                ],
                cwd=self._folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._as_user,
            )

    async def _answers(self) -> bool:
        import asyncpg

        if self._process is None or self._process.poll() is not None:
            return False
        try:
            connection = await asyncpg.connect(
                user="hub", database="postgres", host=str(self._folder)
            )
        except (OSError, asyncpg.PostgresError):
            return False
        await connection.close()
        return True

    async def kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        self.kills += 1
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.to_thread(process.wait)

    async def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGINT)
            await asyncio.to_thread(process.wait, 30)
        shutil.rmtree(self._folder, ignore_errors=True)


def find_postgresql() -> Path | None:
    """The folder of PostgreSQL's binaries; None where they are not, or may not be run."""
    if os.geteuid() == 0 and _unprivileged() is None:
        return None
    if found := shutil.which("initdb"):
        return Path(found).parent
    # Debian keeps them out of the path, a folder for each version.
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = sorted(installed, key=lambda path: float(path.parts[-3]))
    return newest[-1].parent if newest else None


def _unprivileged() -> pwd.struct_passwd | None:
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    return None


def _child_of(pid: int) -> int | None:
    """The process behind a tether."""
    found = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    ).stdout.split()
    pairs = zip(found[::2], found[1::2], strict=True)
    return next((int(child) for child, parent in pairs if int(parent) == pid), None)
