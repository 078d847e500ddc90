"""`hub dev` as it comes beside a plain program: start, wait, resume by key, one step.

The plain program is 60 lines of Litestar and temporalio (`benchmarks/plain_program.py`) on
`temporal server start-dev --db-filename`, with that server's own settings. An order is placed by one
POST and paid by a second one as soon as the first is answered; the time is taken from the first until
its last step is done. Then as many orders per second as 32 clients get done. The hub answers when the
event is on disk, the plain program when Temporal has it, which is on disk as well.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from benchmarks.frame import Bench, main
from benchmarks.http import Connections
from benchmarks.processes import child, free_ports, hub_dev, module, patiently
from benchmarks.scenario import Orders, order_project, until_ready
from benchmarks.told import listening
from hub.ports import find_free
from hub.temporal.dev_server import find_temporal

_PLAIN = "plain program"


async def measure(bench: Bench) -> None:
    count = 15 if bench.quick else 24
    together, many = (16, 64) if bench.quick else (32, 72)
    async with AsyncExitStack() as stack:
        told = await stack.enter_async_context(listening())
        project = order_project(bench.folder / "project")
        hub = await stack.enter_async_context(hub_dev(project, bench.folder / "hub.log"))
        address = await stack.enter_async_context(_default_server(bench))
        port = find_free()
        program = await stack.enter_async_context(
            module("benchmarks.plain_program", address, port, log=bench.folder / "plain.log")
        )
        sides: dict[str, Orders] = {}
        for name, url, process in (
            ("hub", hub.url, hub.process),
            (_PLAIN, f"http://127.0.0.1:{port}", program),
        ):
            pool = await patiently(Connections.open, url, together)
            stack.callback(pool.close)
            sides[name] = Orders(url, pool, told)
            await until_ready(sides[name], process)
        async for side in bench.rounds(*sides, count=4):
            await sides[side.name].measure(side, count=count, many=many, together=together)
    for what, goal in (("p50", "<= 0.3"), ("p99", None)):
        bench.compare(
            what,
            of="hub",
            to=_PLAIN,
            unit="ms",
            title=f"POST → last step done, one wait, {what}",
            goal=goal,
        )
    bench.compare(
        "done",
        of="hub",
        to=_PLAIN,
        unit="1/s",
        title=f"start, wait, resume, step: done/s, {together} at a time",
        goal=">= 4",
    )


@asynccontextmanager
async def _default_server(bench: Bench) -> AsyncIterator[str]:
    """Temporal's development server with a file, and nothing else said."""
    port, ui_port = free_ports(2)
    command = [find_temporal(), "server", "start-dev", "--port", str(port)]
    command += ["--ui-port", str(ui_port), "--db-filename", str(bench.folder / "plain.db")]
    async with child(command, bench.folder / "server.log", speaks=False):
        address = f"127.0.0.1:{port}"
        await patiently(_connect, address)
        yield address


async def _connect(address: str) -> None:
    from temporalio.client import Client

    client = await Client.connect(address)
    await client.count_workflows()


if __name__ == "__main__":
    sys.exit(main(measure))
