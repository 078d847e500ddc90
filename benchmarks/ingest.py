"""Durable accepts per second and their latency, against the same endpoint without a journal.

Signed webhooks (HMAC-SHA256) are posted to `/hooks/app` over 1, 16, 64 and 256 connections. Each 202
of the hub means that the event is on disk (SQLite in WAL mode with `synchronous=FULL`, or PostgreSQL
with its usual settings); the baseline is the very same Litestar endpoint, verification included, over
an intake that keeps nothing. The load comes from another process, which says what part of a core it
used itself.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from typing import Any

from benchmarks.frame import Bench, main
from benchmarks.ingest_server import SECRET
from benchmarks.postgresql import find_binaries, postgresql
from benchmarks.processes import ROOT, environment, module
from hub.ports import find_free

_SIZES = {"1 KB": 1024, "16 KB": 16 * 1024, "256 KB": 256 * 1024}


async def measure(bench: Bench) -> None:
    async with AsyncExitStack() as stack:
        urls: dict[str, str] = {}

        async def serve(name: str, journal: str, *more: str) -> None:
            port = find_free()
            log = bench.folder / f"{name.replace(' ', '-')}.log"
            await stack.enter_async_context(
                module("benchmarks.ingest_server", port, journal, *more, log=log)
            )
            urls[name] = f"http://127.0.0.1:{port}/hooks/app"

        await serve("no journal", "none")
        await serve("SQLite", str(bench.folder / "journal.db"))
        await serve("SQLite, dispatching", str(bench.folder / "dispatched.db"), "--dispatch")
        binaries = find_binaries()
        if binaries is None:
            bench.skip("PostgreSQL: none is installed here")
        else:
            await serve("PostgreSQL", await stack.enter_async_context(postgresql(binaries)))
        for url in urls.values():
            await put_load(url, connections=8, seconds=0.5, size=1024)
        most_used = 0.0
        seconds = 1.0 if bench.quick else 1.5
        durable = [name for name in urls if name != "no journal"]
        for connections in (1, 16, 64, 256):
            count = 4 if connections == 64 else 2
            async for side in bench.rounds(*urls, count=count):
                if side.name == "SQLite, dispatching" and connections != 64:
                    continue
                found = await put_load(
                    urls[side.name], connections=connections, seconds=seconds, size=1024
                )
                most_used = max(most_used, found["own_cpu"])
                for what in ("accepts", "p50", "p99", "p99.9"):
                    side.note(f"{what}/{connections}", found[what])
        for name in durable:
            for connections in (64, 1, 16, 256):
                if not bench.values(name, f"accepts/{connections}"):
                    continue
                headline = connections == 64 and name == "SQLite"
                bench.compare(
                    f"accepts/{connections}",
                    of=name,
                    to="no journal",
                    unit="1/s",
                    title=f"durable accepts/s, {connections} connections ({name})",
                    goal=">= 0.6" if headline else None,
                    name=f"{name}-{connections}",
                )
        bench.figure(
            "p99",
            bench.values("SQLite", "p99/64"),
            unit="ms",
            title="time to a durable 202, p99, 64 connections (SQLite)",
            goal="< 50",
        )
        bench.table(
            "Milliseconds to the answer, 1 KB",
            ("side", "connections", "p50", "p99", "p99.9"),
            [
                (name, connections, *(_median(bench.values(name, f"{p}/{connections}")) for p in ("p50", "p99", "p99.9")))
                for name in urls
                for connections in (1, 16, 64, 256)
                if bench.values(name, f"p50/{connections}")
            ],
        )  # fmt: skip
        for label, size in _SIZES.items():
            if label == "1 KB":
                continue
            async for side in bench.rounds("no journal", "SQLite", count=2):
                found = await put_load(urls[side.name], connections=16, seconds=seconds, size=size)
                side.note(f"size/{size}", found["accepts"])
            bench.compare(
                f"size/{size}",
                of="SQLite",
                to="no journal",
                unit="1/s",
                title=f"durable accepts/s of {label}, 16 connections (SQLite)",
            )
        bench.fact("load generator", f"used at most {most_used:.0%} of a core")


async def put_load(
    url: str, *, connections: int, seconds: float, size: int, prefix: str = ""
) -> dict[str, Any]:
    """What `benchmarks.load` says of a run. Raises `RuntimeError` unless all was accepted."""
    given = {"connections": connections, "seconds": seconds, "size": size, "secret": SECRET}
    given["prefix"] = prefix
    options = [text for name, value in given.items() for text in (f"--{name}", str(value))]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.load", url, *options),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env=environment(),
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the load generator ended with code {process.returncode}")
    found: dict[str, Any] = json.loads(said)
    if found["failed"]:
        raise RuntimeError(f"not everything was accepted: {found['failed']}")
    return found


def _median(values: list[float]) -> str:
    return f"{sorted(values)[len(values) // 2]:.1f}"


if __name__ == "__main__":
    sys.exit(main(measure))
