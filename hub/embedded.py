"""A server that the hub brings along: a process of its own, tethered to the one that started it."""

from __future__ import annotations

import asyncio
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, ClassVar, Self

from hub.errors import HubError, PortTaken, Unreachable
from hub.ports import claim, find_free, taken
from hub.tether import tethered

__all__ = ["EmbeddedServer"]

_MAX_LOG = 16 * 1024 * 1024
_SPARE = 5.0


class EmbeddedServer(ABC):
    """One server, for as long as it is entered; it cannot outlive the process that started it.

    `port` 0 takes a free one, once and for all. `log` is the file that the server's own output is
    appended to. `start_timeout` bounds, in seconds, how long it may take until it answers.

    Entering it raises `PortTaken`, or `Unreachable` with the server's last words.
    """

    what: ClassVar[str]
    """What it is called where something is said of it."""
    comes_back: ClassVar[str] = ""
    """How it comes back when it is started again."""

    def __init__(
        self, *, host: str, port: int, log: Path | None, start_timeout: float, port_setting: str
    ) -> None:
        self.host = host
        self.port = port
        self._log = log
        self._start_timeout = start_timeout
        self._port_setting = port_setting
        self._process: asyncio.subprocess.Process | None = None
        self._output: IO[bytes] | None = None
        self._stopping = False
        self._grace = 0.0

    @property
    def address(self) -> str:
        """Where clients connect, as `host:port`."""
        return f"{self.host}:{self.port}"

    @abstractmethod
    async def _launch(self) -> None:
        """Start the process, by `_claim` and `_spawn`."""

    @abstractmethod
    async def _answers(self) -> bool:
        """Does it answer as it should?"""

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
        await self._launch()
        try:
            async with asyncio.timeout(self._start_timeout):
                await self._ready()
        except TimeoutError:
            await self.stop()
            raise Unreachable(
                f"{self.what} did not answer on {self.address} within "
                f"{self._start_timeout:.0f} seconds{self._last_words()}"
            ) from None
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop the server and wait until it is gone; also when the task itself is cancelled."""
        self._stopping = True
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), self._grace + _SPARE)
            except BaseException:
                with suppress(ProcessLookupError):
                    process.kill()
                raise
        output, self._output = self._output, None
        if output is not None:
            output.close()

    async def wait(self) -> int:
        """Wait until the server's process ends by itself; its exit code."""
        assert self._process is not None, "the server is not started"
        return await self._process.wait()

    async def keep_running(self, say: Callable[[str], None]) -> None:
        """Whenever the server dies, start it again where it was; until cancelled.

        Each death and each return is told to `say`, as one line. Attempts are spaced by a growing
        pause of at most 10 seconds.
        """
        while True:
            code = await self.wait()
            if self._stopping:
                return
            again = f"starting it again{self.comes_back}"
            say(f"{self.what} ended with code {code}{self._last_words()}; {again}")
            pause = 0.2
            while True:
                self._process = None
                try:
                    await self.start()
                except HubError as error:
                    say(f"{error.message}; trying again in {pause:.1f} s")
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 10.0)
                else:
                    say(f"{self.what} is back on {self.address}")
                    break

    # -- for those that are one -----------------------------------------------------------

    def _claim(self) -> None:
        """Have a port. Raises `PortTaken`."""
        if self.port == 0:
            self.port = find_free(self.host)
        else:
            claim(self.host, self.port, what=self.what, setting=self._port_setting)

    async def _spawn(
        self, command: Sequence[str], *, grace: float, fds: tuple[int, ...] = (), **env: str
    ) -> None:
        """Start the program. It gets of our environment what it needs, and none of our secrets.

        It has `grace` seconds for its end, once this process has gone or lets it go.
        """
        self._grace = grace
        self._output = self._open_log()
        self._process = await asyncio.create_subprocess_exec(
            *tethered(command, grace=grace),
            stdin=asyncio.subprocess.PIPE,
            stdout=self._output,
            stderr=self._output,
            start_new_session=True,
            pass_fds=fds,
            env=_environment() | env,
        )

    async def _ready(self) -> None:
        """Wait until the server answers."""
        process = self._process
        assert process is not None
        ended = asyncio.ensure_future(process.wait())
        try:
            while True:
                answers = await self._answers()
                # Another program's answer on this port would be that of a stranger.
                if ended.done():
                    raise self._died(ended.result())
                if answers:
                    return
                await asyncio.sleep(0.02)
        finally:
            ended.cancel()

    def _died(self, code: int) -> HubError:
        words = self._last_words()
        if "in use" in words.lower():
            # Someone was quicker between our look and the server's bind.
            port, setting = self._contested(words)
            return PortTaken(taken(self.host, port, what=self.what, setting=setting))
        return Unreachable(f"{self.what} ended with code {code} while it started{words}")

    def _contested(self, words: str) -> tuple[int, str]:
        """Which of its ports somebody else has, by its last words, and the setting of that port."""
        return self.port, self._port_setting

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

    def _last_words(self) -> str:
        """The end of the server's output, where it says why it stopped."""
        if self._output is None:
            return ""
        self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, self._output.tell() - 2000))
        lines = self._output.read().decode(errors="replace").strip().splitlines()
        words = "\n  ".join(line[:400] for line in lines[-3:])
        return f":\n  {words}\n" if words else ""


def _environment() -> dict[str, str]:
    return {n: v for n in ("PATH", "HOME", "TMPDIR", "LANG", "TZ") if (v := os.environ.get(n))}
