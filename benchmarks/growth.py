"""What each step costs by how much there is already: flat, or growing with it?

Each cost is measured at several sizes, and an exponent k is fitted to cost ~ size^k: 0 is flat, 1 is
linear. The journal (10,000 to 1,000,000 entries): accepting, marking, recognising a copy, a page of the
list. A run's history (10 to 1,000 events received): one more event until its next step has begun. A
tree's size (1 to 500 nodes): from its start until its first step has begun. The number of waiting runs
is in `waits`.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.frame import Bench, Plot, main
from benchmarks.frame.spread import exponent, median
from benchmarks.told import Told, listening
from hub.connections import Connections
from hub.event import Event
from hub.links import Links
from hub.routing.journal import DeliveryRecord, Journal
from hub.run import Delivery, Start
from hub.temporal.client import TemporalRuns
from hub.temporal.connect import connect
from hub.temporal.dev_server import DevServer
from hub.temporal.worker import make_worker
from hub.tree import Tree, load_tree

_TELL = "benchmarks.told.tell"
_COPY = """
INSERT INTO journal_entries (trigger, id_digest, type, body, received_at, status, attempts, duplicates)
SELECT trigger, randomblob(20), type, body, received_at, 'delivered', 0, 0
FROM journal_entries ORDER BY seq LIMIT ?
"""


async def measure(bench: Bench) -> None:
    await _journal(bench, (1000, 5000) if bench.quick else (10_000, 100_000, 1_000_000))
    async with AsyncExitStack() as stack:
        told = await stack.enter_async_context(listening())
        server = await stack.enter_async_context(DevServer())
        client = await connect(server.address)
        connections = Connections(bench.folder, {"code": {"python": {"functions": [_TELL]}}}, {})
        links = Links([b"k" * 32], "http://127.0.0.1")
        worker = make_worker(client, connections=lambda: connections, links=links)
        await stack.enter_async_context(worker)
        runs = TemporalRuns(client)
        await _history(bench, runs, told, (5, 20) if bench.quick else (10, 100, 1000))
        await _tree(bench, runs, told, (1, 20) if bench.quick else (1, 10, 100, 500))


async def _journal(bench: Bench, sizes: tuple[int, ...]) -> None:
    path = bench.folder / "journal.db"
    costs: dict[str, list[float]] = {}
    for size in sizes:
        bench.say(f"the journal with {size:,} entries")
        journal = await Journal.open(str(path))
        await _fill(path, journal, size)
        for name, values in (await _journal_costs(journal, 3 if bench.quick else 9)).items():
            costs.setdefault(name, []).append(median(values))
        await journal.close()
    _shown(bench, "journal", "entries in the journal", sizes, costs)


async def _fill(path: Path, journal: Journal, size: int) -> None:
    """Have so many entries: some written, and the rest copied within the file."""
    if not sum((await journal.counts()).values()):
        await journal.append("app", [_event() for _ in range(500)])
        page = await journal.list(limit=1000)
        await journal.settle_many([(entry.seq, "delivered", []) for entry in page.items])
    there = sum((await journal.counts()).values())

    def copy() -> None:
        connection = sqlite3.connect(path, timeout=60)
        try:
            missing = size - there
            while missing > 0:
                with connection:
                    missing -= max(1, connection.execute(_COPY, (min(missing, 50_000),)).rowcount)
        finally:
            connection.close()

    await asyncio.to_thread(copy)


async def _journal_costs(journal: Journal, times: int) -> dict[str, list[float]]:
    """Milliseconds for 64 of each at the same time, and for one page."""
    costs: dict[str, list[float]] = {}

    async def took(name: str, work: Callable[[], Awaitable[object]]) -> None:
        began = time.perf_counter()
        await work()
        costs.setdefault(name, []).append((time.perf_counter() - began) * 1000)

    for _ in range(times):
        events = [_event() for _ in range(64)]
        await took("accept 64", lambda: _together(lambda e: journal.append("app", [e]), events))  # noqa: B023
        await took("a copy of 64", lambda: _together(lambda e: journal.append("app", [e]), events))  # noqa: B023
        page = await journal.list(limit=64)
        record = DeliveryRecord(
            tree="t", subscription="s", key="k", outcome="started", at=page.items[0].received_at
        )
        await took(
            "mark 64",
            lambda: _together(
                lambda entry: journal.settle(entry.seq, "delivered", [record]),  # noqa: B023
                page.items,  # noqa: B023
            ),
        )
        await took("a page of 50", lambda: journal.list(limit=50))
    return costs


async def _together(work: Callable[..., Awaitable[object]], items: Sequence[object]) -> None:
    await asyncio.gather(*(work(item) for item in items))


async def _history(bench: Bench, runs: TemporalRuns, told: Told, sizes: tuple[int, ...]) -> None:
    tree = load_tree(
        f"""
tree: long
events:
  begun: {{webhook: app, where: event.type == "begun", key: event.data.key}}
  more: {{webhook: app, where: event.type == "more", key: event.data.key}}
start: begun
do:
  - repeat:
    do:
      - id: one
        wait_for: more
      - python.call:
          function: {_TELL}
          arguments: {{key: "${{{{ steps.one.id }}}}", port: {told.port}}}
"""
    )
    key = uuid.uuid4().hex
    await runs.start(_start(tree, key))
    took: list[float] = []
    costs = []
    for size in sizes:
        bench.say(f"a run that has received {size:,} events")
        while len(took) < size:
            event = Event(id=uuid.uuid4().hex, source="/b", type="more", data={"key": key})
            began = time.perf_counter()
            await runs.deliver(f"long/{key}", Delivery(event=event, trigger="app"))
            took.append((await told.of(event.id) - began) * 1000)
        costs.append(median(took[-min(size, 50) :]))
    await runs.terminate(f"long/{key}", "measured")
    _shown(bench, "history", "events received", sizes, {"one more event": costs})


async def _tree(bench: Bench, runs: TemporalRuns, told: Told, sizes: tuple[int, ...]) -> None:
    costs = []
    for size in sizes:
        bench.say(f"a tree of {size} nodes")
        call = f"  - python.call: {{function: {_TELL}, arguments: {{key: '${{{{ run.key }}}}', port: {told.port}}}}}\n"
        rest = "".join(f"  - log: node {n}\n" for n in range(size - 1))
        tree = load_tree(
            f"tree: size-{size}\nevents:\n  begun: {{webhook: app, key: event.data.key}}\n"
            f"start: begun\ndo:\n{call}{rest}"
        )
        took = []
        for number in range(5 if bench.quick else 30):
            key = uuid.uuid4().hex
            began = time.perf_counter()
            await runs.start(_start(tree, key))
            if number:
                took.append((await told.of(key) - began) * 1000)
        costs.append(median(took))
    _shown(bench, "tree", "nodes", sizes, {"start to first step": costs})


def _shown(
    bench: Bench, name: str, what: str, sizes: tuple[int, ...], costs: dict[str, list[float]]
) -> None:
    """A table, a plot, and the exponent of each cost."""
    bench.table(
        f"Milliseconds by {what}",
        ("step", *(f"{size:,}" for size in sizes), "exponent"),
        [
            (step, *(f"{value:.2f}" for value in values), f"{exponent(sizes, values):.2f}")
            for step, values in costs.items()
        ],
    )
    for step, values in costs.items():
        bench.figure(
            f"{name}-{step}".replace(" ", "-"),
            [exponent(sizes, values)],
            unit="",
            title=f"exponent of the cost of {step}, by {what}",
        )
    xs = [float(size) for size in sizes]
    lines: dict[str, list[float | None]] = {step: [*values] for step, values in costs.items()}
    bench.plot(
        Plot(name=name, title=f"Cost by {what}", x=what, y="milliseconds", xs=xs, lines=lines)
    )


_numbers = itertools.count()


def _event() -> Event:
    n = next(_numbers)
    return Event(
        id=uuid.uuid4().hex, source="/b", type="order.placed", data={"n": n, "x": "y" * 200}
    )


def _start(tree: Tree, key: str) -> Start:
    event = Event(id=key, source="/b", type="begun", data={"key": key})
    return Start(
        run_id=f"{tree.name}/{key}",
        tree=tree.name,
        key=key,
        hash=tree.hash,
        document=tree.document,
        delivery=Delivery(event=event, trigger="app"),
    )


if __name__ == "__main__":
    sys.exit(main(measure))
