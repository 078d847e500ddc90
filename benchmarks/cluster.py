"""The hub on a real Temporal server with PostgreSQL, beside a program by hand on the same server.

    python -m benchmarks.cluster --build     builds that server, once; it takes minutes and needs Go
    python -m benchmarks cluster             measures; it is not a part of `make bench`

The server is the Go module `go.temporal.io/server`, its four services in one process on loopback, with
several history shards; persistence and visibility are databases of a PostgreSQL of the benchmark's own
that has its usual settings, so what it has committed is on disk. The hub runs as in production, `hub
serve` and `hub worker`, with its journal in the same PostgreSQL; the program by hand is that of
`plain`. Each does what `plain` does: an order is placed by one POST, waits, is paid by a second one, and
does one step. `hub dev` with its embedded server is measured in the same rounds, for what a cluster
brings on one machine, where all of it shares the same cores. Then starts and completions as in `starts`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import AsyncExitStack

from benchmarks.frame import Bench, main
from benchmarks.http import Connections
from benchmarks.postgresql import find_binaries, postgresql
from benchmarks.processes import Child, hub_dev, module, patiently
from benchmarks.production import hub_production
from benchmarks.scenario import Orders, order_project, until_ready
from benchmarks.starts import race, working
from benchmarks.temporal_server import SHARDS, VERSION, build, find_programs, temporal_server
from benchmarks.told import Told, listening
from hub.ports import find_free

_HUB = "hub"
_PLAIN = "by hand"
_DEV = "hub dev"


async def measure(bench: Bench) -> None:
    programs, binaries = find_programs(), find_binaries()
    if programs is None:
        bench.skip(
            f"all of it: Temporal's server {VERSION} is not built here. With Go installed, "
            "`python -m benchmarks.cluster --build` builds it, once, in some minutes"
        )
        return
    if binaries is None:
        bench.skip("all of it: no PostgreSQL is installed here")
        return
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(postgresql(binaries, connections=200))
        address = await stack.enter_async_context(temporal_server(programs, database, bench.folder))
        bench.say(f"a Temporal server with {SHARDS} history shards is ready")
        await _orders(bench, address, database)
        client = await stack.enter_async_context(working(bench, address))
        await race(bench, client, (1, 5), count=3, where=", on a cluster")
    bench.fact(
        "the server",
        f"{VERSION}, {SHARDS} history shards, PostgreSQL for persistence and visibility, one process",
    )


async def _orders(bench: Bench, address: str, database: str) -> None:
    """Whole orders, one after the other and many at once."""
    count, many = (10, 64) if bench.quick else (30, 256)
    together = 64
    async with AsyncExitStack() as stack:
        told = await stack.enter_async_context(listening())
        project = order_project(bench.folder / "project")
        hub = await stack.enter_async_context(
            hub_production(project, bench.folder, temporal=address, journal=database)
        )
        port = find_free()
        program = await stack.enter_async_context(
            module("benchmarks.plain_program", address, port, log=bench.folder / "plain.log")
        )
        dev_project = order_project(bench.folder / "dev")
        dev = await stack.enter_async_context(hub_dev(dev_project, bench.folder / "dev.log"))
        sides = {
            _HUB: await _side(stack, hub.url, hub.process, told),
            _PLAIN: await _side(stack, f"http://127.0.0.1:{port}", program, told),
            _DEV: await _side(stack, dev.url, dev.process, told),
        }
        async for side in bench.rounds(*sides, count=4):
            orders = sides[side.name]
            await orders.measure(side, count=count, many=many, together=together)
            side.note("drained", await _drained(orders, many, together))
    for baseline in (_PLAIN, _DEV):
        is_goal = baseline == _PLAIN
        for what, unit, title, goal in (
            ("p50", "ms", "POST → last step done on a cluster, p50", "<= 1.3"),
            ("p99", "ms", "POST → last step done on a cluster, p99", None),
            ("done", "1/s", f"orders done/s on a cluster, {together} at a time", ">= 0.8"),
            ("drained", "1/s", "orders/s out of a backlog, on a cluster", None),
        ):
            bench.compare(
                what,
                of=_HUB,
                to=baseline,
                unit=unit,
                title=title,
                goal=goal if is_goal else None,
                name=f"{what}-{baseline}".replace(" ", "-"),
            )


async def _side(stack: AsyncExitStack, url: str, process: Child, told: Told) -> Orders:
    pool = await patiently(Connections.open, url, 64)
    stack.callback(pool.close)
    orders = Orders(url, pool, told)
    await until_ready(orders, process)
    return orders


async def _drained(orders: Orders, count: int, together: int) -> float:
    """Orders per second that are placed and paid as fast as that is answered, until all are done."""
    keys = list(orders.keys(count))
    waiting = list(keys)
    began = time.perf_counter()

    async def some() -> None:
        while waiting:
            key = waiting.pop()
            await orders.place(key)
            await orders.pay(key)

    await asyncio.gather(*(some() for _ in range(together)))
    await asyncio.gather(*map(orders.done, keys))
    return count / (time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(build() if sys.argv[1:] == ["--build"] else main(measure))
