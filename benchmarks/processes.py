"""Processes that benchmarks start: each ends with the benchmark, however that ends."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from temporalio.service import RPCError

from hub.ports import find_free
from hub.tether import tethered

__all__ = ["ROOT", "Usage", "child", "free_ports", "hub_dev", "module", "patiently", "usage"]

ROOT = Path(__file__).resolve().parent.parent
T = TypeVar("T")
_CLOCK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def free_ports(count: int) -> list[int]:
    """That many free ports, all different."""
    found: dict[int, None] = {}
    while len(found) < count:
        found[find_free()] = None
    return [*found]


async def patiently(attempt: Callable[..., Awaitable[T]], *arguments: Any) -> T:
    """What the attempt gives, made again until its server answers, for up to four minutes."""
    async with asyncio.timeout(240):
        while True:
            try:
                return await attempt(*arguments)
            except (OSError, RuntimeError, RPCError):
                await asyncio.sleep(0.1)


def environment(**more: str) -> dict[str, str]:
    """This process's environment, without what would configure a hub or a Temporal client."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("HUB_", "TEMPORAL_"))}
    return {**kept, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1", **more}


class Child:
    """A child process that says `{"ready": ...}` as a line of JSON once it can be used."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self.log = log
        self.ready: dict[str, Any] = {}

    async def line(self) -> dict[str, Any]:
        """The next line of JSON that it writes. Raises `RuntimeError` when it has ended."""
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            if line.startswith(b"{"):
                return dict(json.loads(line))
        raise RuntimeError(f"a child process has ended:\n{self.last_words()}")

    def last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    @property
    def pids(self) -> list[int]:
        """The processes behind the tether."""
        return _descendants(self.process.pid)


@asynccontextmanager
async def child(
    command: Sequence[str | Path],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    speaks: bool = True,
    grace: float = 5.0,
) -> AsyncIterator[Child]:
    """Run a command for as long as the block lasts. One that `speaks` is ready when it says so."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *tethered([str(part) for part in command], grace=grace),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE if speaks else output,
            stderr=output,
            cwd=ROOT,
            env=environment(**(env or {})),
            start_new_session=False,
            limit=64 * 1024 * 1024,
        )
    running = Child(process, log)
    try:
        if speaks:
            running.ready = await asyncio.wait_for(running.line(), 240)
        yield running
    finally:
        assert process.stdin is not None
        process.stdin.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), grace + 10)
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def module(
    name: str, *arguments: object, log: Path, env: Mapping[str, str] | None = None
) -> AsyncIterator[Child]:
    """Run a Python module of this repository as a child process that speaks."""
    command = [sys.executable, "-m", name, *map(str, arguments)]
    async with child(command, log, env=env) as running:
        yield running


class Hub:
    """A running `hub dev`."""

    def __init__(self, process: Child, url: str, temporal: str, kafka: str) -> None:
        self.process = process
        self.url = url
        self.temporal = temporal
        self.kafka = kafka


@asynccontextmanager
async def hub_dev(project: Path, log: Path, **settings: str) -> AsyncIterator[Hub]:
    """`hub dev` as it comes, on free ports, from ready to its end in order."""
    names = ("HUB_PORT", "HUB_TEMPORAL_PORT", "HUB_TEMPORAL_UI_PORT", "HUB_SMTP_PORT")
    ports = dict(zip((*names, "HUB_KAFKA_PORT"), map(str, free_ports(5)), strict=True))
    command = [sys.executable, "-m", "hub", "dev", str(project)]
    log.touch()
    start = log.stat().st_size
    async with child(command, log, env={**ports, **settings}, speaks=False, grace=25) as running:
        async with asyncio.timeout(240):
            while b"ready in" not in log.read_bytes()[start:]:
                if running.process.returncode is not None:
                    raise RuntimeError(f"hub dev has ended:\n{running.last_words()}")
                await asyncio.sleep(0.02)
        host = "127.0.0.1"
        yield Hub(
            running,
            f"http://{host}:{ports['HUB_PORT']}",
            f"{host}:{ports['HUB_TEMPORAL_PORT']}",
            f"{host}:{ports['HUB_KAFKA_PORT']}",
        )


class Usage:
    """What a process has used: CPU seconds so far, and its memory now in bytes."""

    def __init__(self, cpu: float, memory: int) -> None:
        self.cpu = cpu
        self.memory = memory


def usage(pid: int) -> Usage:
    """What a process has used. Raises `OSError` when it is gone, or where there is no /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    resident = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    return Usage(ticks / _CLOCK, resident * _PAGE)


def command_of(pid: int) -> str:
    """A process's command line."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found: list[int] = []
    queue = [pid]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found
