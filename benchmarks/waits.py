"""What runs cost that only wait: CPU and memory of every process, at rest.

Runs are started by webhooks in `hub dev` and then wait for 24 hours. With none, 1,000 and 10,000 of
them waiting, each process is watched for a while in which nothing happens. Beside it stands the design
that the hub does not have: one asyncio loop per run that ticks every 100 ms, in a process of its own,
measured in the same run.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

from temporalio.client import Client

from benchmarks.frame import Bench, Plot, main
from benchmarks.http import Connections
from benchmarks.processes import Hub, command_of, hub_dev, module, patiently, usage
from benchmarks.scenario import Orders, order_project
from benchmarks.told import listening

_WAITING = "HubWaitingFor = 'paid' AND ExecutionStatus = 'Running'"
_PRICE = 0.04
"""Dollars for one core and hour, for the table of costs; the ratio between the columns is what counts."""


async def measure(bench: Bench) -> None:
    counts: tuple[int, ...] = (0, 200) if bench.quick else (0, 1000, 10_000)
    if os.environ.get("BENCH_WAITS"):
        counts = (0, *map(int, os.environ["BENCH_WAITS"].split(",")))
    elif not bench.quick:
        bench.skip("50,000 waiting runs; BENCH_WAITS=1000,10000,50000 measures them (10 minutes)")
    seconds = 5.0 if bench.quick else 15.0
    cpu: dict[str, dict[int, float]] = {}
    memory: dict[str, dict[int, float]] = {}
    rates = []
    project = order_project(bench.folder / "project")
    async with listening() as told, hub_dev(project, bench.folder / "hub.log") as hub:
        pool = await patiently(Connections.open, hub.url, 64)
        orders = Orders(hub.url, pool, told)
        client = await Client.connect(hub.temporal)
        there = 0
        for count in counts:
            if count > there:
                bench.say(f"starting {count - there:,} runs")
                began = time.perf_counter()
                await _place(orders, count - there)
                await _all_wait(client, orders, count)
                rates.append((count - there) / (time.perf_counter() - began))
                there = count
            bench.say(f"{count:,} runs wait; watching for {seconds:.0f} s")
            # What a burst leaves behind is put away once nothing comes any more.
            await asyncio.sleep(2 if bench.quick else 10)
            for name, (part, size) in (await _at_rest(hub, seconds)).items():
                cpu.setdefault(name, {})[count] = part
                memory.setdefault(name, {})[count] = size
        resumed = [await orders.whole(key) for key in orders.keys(10 if bench.quick else 30)]
        pool.close()
    ticking: dict[int, tuple[float, float, float]] = {}
    for count in counts[1:]:
        ticking[count] = await _ticking(bench, count, 3.0 if bench.quick else 8.0)
    most = counts[-1]
    bench.figure(
        "cpu",
        [cpu["hub"][most] * 100],
        unit="% of a core",
        title=f"idle CPU of the hub's process, {most:,} runs waiting",
        goal="< 1",
    )
    bench.figure(
        "temporal-cpu",
        [cpu["temporal"][most] * 100],
        unit="% of a core",
        title=f"idle CPU of the embedded Temporal server, {most:,} runs waiting",
    )
    if len(counts) > 2:
        bench.figure(
            "memory",
            [memory["hub"][most] / memory["hub"][counts[-2]]],
            unit="x",
            title=f"memory of the hub's process, {most:,} runs against {counts[-2]:,}",
            goal="<= 1.1",
        )
    ours = sum(parts[most] for parts in cpu.values())
    bench.figure(
        "ticks",
        [ticking[most][0] / max(ours, 1e-4)],
        unit="x",
        title=f"CPU of one tick loop per run against all processes of the hub, {most:,} runs",
    )
    bench.figure("starts", rates[-1:], unit="1/s", title="webhook → run waiting, runs/s meanwhile")
    bench.figure("still", resumed, unit="ms", title=f"a whole order while {most:,} runs wait, p50")
    bench.table(
        "At rest",
        ("runs waiting", "process", "CPU, % of a core", "memory, MiB", "KiB per run"),
        [
            (
                f"{count:,}",
                name,
                f"{parts[count] * 100:.2f}",
                f"{memory[name][count] / 2**20:.0f}",
                f"{(memory[name][count] - memory[name][0]) / 1024 / count:.1f}" if count else "",
            )
            for count in counts
            for name, parts in cpu.items()
        ]
        + [
            (f"{count:,}", "one tick loop per run", f"{part * 100:.2f}", f"{size / 2**20:.0f}", "")
            for count, (part, size, _) in ticking.items()
        ],
    )
    bench.table(
        f"What waiting costs, at {_PRICE} dollars for a core and hour",
        ("runs waiting", "hub and Temporal, a month", "one tick loop per run, a month"),
        [
            (
                f"{count:,}",
                f"{sum(parts[count] for parts in cpu.values()) * 730 * _PRICE:.2f}",
                f"{part * 730 * _PRICE:.2f}",
            )
            for count, (part, _, _) in ticking.items()
        ],
    )
    for count, (part, _, ticks) in ticking.items():
        wanted = count * 10
        if ticks < wanted * 0.9:
            bench.fact(
                f"{count:,} tick loops",
                f"came to {ticks:,.0f} of {wanted:,} ticks a second, with {part:.0%} of a core",
            )
    bench.plot(
        Plot(
            name="cpu",
            title="CPU at rest",
            x="runs waiting",
            y="% of a core",
            xs=[float(count) for count in counts[1:]],
            lines={
                **{n: [max(p[c] * 100, 0.01) for c in counts[1:]] for n, p in cpu.items()},
                "one tick loop per run": [ticking[count][0] * 100 for count in counts[1:]],
            },
        )
    )


async def _place(orders: Orders, count: int) -> None:
    waiting = list(orders.keys(count))

    async def some() -> None:
        while waiting:
            await orders.place(waiting.pop())

    await asyncio.gather(*(some() for _ in range(64)))


async def _all_wait(client: Client, orders: Orders, count: int) -> None:
    """Until all are there, and nothing is left of their first tasks in the server's queue."""
    async with asyncio.timeout(360):
        while (await client.count_workflows(_WAITING)).count < count:
            await asyncio.sleep(0.25)
        # What waits there is done in order: one that comes last ends last.
        for key in orders.keys(2):
            await orders.whole(key)


async def _at_rest(hub: Hub, seconds: float) -> dict[str, tuple[float, float]]:
    """The part of a core that each process uses while nothing happens, and its memory in bytes."""
    pids = {_name(pid): pid for pid in hub.process.pids}
    before = {name: usage(pid) for name, pid in pids.items()}
    began = time.monotonic()
    await asyncio.sleep(seconds)
    took = time.monotonic() - began
    after = {name: usage(pid) for name, pid in pids.items()}
    found = {n: ((after[n].cpu - before[n].cpu) / took, float(after[n].memory)) for n in pids}
    return {name: found[name] for name in sorted(found) if name != "tether"}


def _name(pid: int) -> str:
    command = command_of(pid)
    if "tether.py" in command:
        return "tether"
    return "temporal" if "start-dev" in command else "hub"


async def _ticking(bench: Bench, count: int, seconds: float) -> tuple[float, float, float]:
    log = bench.folder / "ticking.log"
    async with module("benchmarks.ticking", count, seconds, log=log) as ticking:
        found = await asyncio.wait_for(ticking.line(), seconds + 60)
    return found["cpu"], found["memory"], found["ticks"]


if __name__ == "__main__":
    sys.exit(main(measure))
