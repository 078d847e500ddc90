"""How quickly a person's open approvals are listed while thousands are open.

Each is a run of its own on the development server, lived by the hub's worker, which asks three of 200
people; nobody gets a mail. A list is asked for as the page does, over the same code as `GET
/api/approvals?person=...`: first page, and page by page to its end. Beside it, what was decided.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
import uuid

from benchmarks.frame import Bench, main
from hub.connections import Connections
from hub.errors import Unreachable
from hub.event import Event
from hub.links import Links
from hub.run import Delivery, Start
from hub.run.approvals import Decision
from hub.temporal.approvals import TemporalApprovals
from hub.temporal.client import TemporalRuns
from hub.temporal.connect import connect
from hub.temporal.dev_server import DevServer
from hub.temporal.worker import make_worker
from hub.tree import load_tree

PEOPLE = 200
AT_ONCE = 24
TREE = load_tree("""
tree: asks
events:
  asked: {webhook: app, where: event.type == "asked", key: event.data.id}
start: asked
do:
  - approval:
      title: Deploy ${{ event.data.id }}
      details: ${{ event.data.by }} asks for it.
      from: ${{ event.data.people }}
      quorum: 2
      notify: false
    timeout: 30 days
""")


async def measure(bench: Bench) -> None:
    count = 200 if bench.quick else int(os.environ.get("BENCH_APPROVALS", "1000"))
    if not bench.quick and "BENCH_APPROVALS" not in os.environ:
        bench.skip("10,000 open approvals; BENCH_APPROVALS=10000 measures them (5 minutes)")
    asked = 20 if bench.quick else 200
    async with DevServer(db=bench.folder / "temporal.db") as server:
        client = await connect(server.address)
        runs, approvals = TemporalRuns(client), TemporalApprovals(client)
        connections = Connections(bench.folder, {}, {})
        links = Links([b"k" * 32], "http://localhost")
        async with make_worker(client, connections=lambda: connections, links=links):
            began = time.perf_counter()
            await _start(runs, count)
            open_ = await _until_listed(approvals, count)
            bench.fact(
                "open approvals",
                f"{open_:,}, each of a run of its own, made in {time.perf_counter() - began:.0f} s",
            )
            bench.check("every run's approval is listed", open_ == count, f"{open_} of {count}")
            first, whole, sizes = [], [], []
            for number in range(asked):
                who = _person(number * 7)
                began = time.perf_counter()
                page = await approvals.list(person=who, limit=50)
                first.append(time.perf_counter() - began)
                found, cursor = len(page.items), page.next
                while cursor is not None:
                    page = await approvals.list(person=who, limit=200, cursor=cursor)
                    found, cursor = found + len(page.items), page.next
                whole.append(time.perf_counter() - began)
                sizes.append(found)
            bench.check("each person has theirs, and no others", _is_right(sizes, count))
            _figures(bench, "first page", first, "a person's first 50", "<= 0.5")
            _figures(bench, "all pages", whole, f"all of a person's ({sizes[0]})", "<= 1")
            await _decide_some(approvals, asked)
            decided = []
            for number in range(asked):
                began = time.perf_counter()
                await approvals.decided(person=_person(number * 7), limit=50)
                decided.append(time.perf_counter() - began)
            _figures(bench, "decided", decided, "what a person decided", "<= 0.5")


def _person(number: int) -> str:
    return f"person{number % PEOPLE}@example.com"


def _people(number: int) -> list[str]:
    return [_person(number), _person(number + 1), _person(number + 2)]


def _is_right(sizes: list[int], count: int) -> bool:
    runs = range(count)
    return sizes[:20] == [sum(_person(n * 7) in _people(run) for run in runs) for n in range(20)]


async def _start(runs: TemporalRuns, count: int) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        data = {"id": f"d{number}", "by": "cleo@example.com", "people": _people(number)}
        event = Event(id=f"e{number}", source="/bench", type="asked", data=data)
        start = Start(
            run_id=f"asks/d{number}",
            tree="asks",
            key=f"d{number}",
            hash=TREE.hash,
            document=TREE.document,
            delivery=Delivery(event=event, trigger="app"),
        )
        async with gate:
            while True:
                try:
                    await runs.start(start)
                    return
                except Unreachable:
                    # It is busy. A start that is repeated is the same start.
                    await asyncio.sleep(1)

    await asyncio.gather(*(one(number) for number in range(count)))


async def _until_listed(approvals: TemporalApprovals, count: int) -> int:
    """How many are listed, as soon as all are, or no more come."""
    before, quiet = -1, time.monotonic()
    while True:
        found, cursor = 0, None
        while True:
            try:
                page = await approvals.list(limit=200, cursor=cursor)
            except Unreachable:
                # It is still busy with what was started.
                await asyncio.sleep(2)
                continue
            found, cursor = found + len(page.items), page.next
            if cursor is None:
                break
        if found == count or (found == before and time.monotonic() - quiet > 60):
            return found
        if found != before:
            before, quiet = found, time.monotonic()
        await asyncio.sleep(1)


async def _decide_some(approvals: TemporalApprovals, count: int) -> None:
    """Two approve each of so many."""
    page = await approvals.list(limit=min(count, 200))
    for one in page.items:
        for who in one.waiting_on[:2]:
            await approvals.decide(
                one.run_id,
                Decision(
                    id=uuid.uuid4().hex,
                    path=one.path,
                    approval=one.approval,
                    decision="approve",
                    who=who,
                    how="api",
                ),
            )


def _figures(bench: Bench, name: str, values: list[float], title: str, goal: str) -> None:
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    bench.figure(name, values, unit="s", title=f"{title}, p50", goal=goal)
    bench.figure(f"{name} p99", [p99], unit="s", title=f"{title}, p99", goal=goal)


if __name__ == "__main__":
    sys.exit(main(measure))
