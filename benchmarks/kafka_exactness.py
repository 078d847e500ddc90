"""Does every message have exactly one effect, in the order of its key, whatever breaks meanwhile?

    python -m benchmarks.kafka_exactness --messages 50000

A producer writes numbered messages of many keys to a topic of six partitions. Two `hub consume`
processes read them into one journal, from which a dispatcher delivers to runs that note what they
get. While it goes on: a third process joins and leaves (two rebalances), one of the two is killed
with `kill -9` and replaced, and the broker is killed and started again. In the end the journal and
the runs' notes are compared with what was sent.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aiokafka.errors import KafkaError

from hub.event import Event
from hub.kafka import quiet_client, start_producer
from hub.routing.dispatcher import Dispatcher
from hub.routing.journal import Journal
from hub.routing.project import load_project
from hub.routing.router import Router
from hub.run import Delivery, Fate, Offer, Offered, RunState, Start, Started
from hub.run.correlation import CorrelatorState, Word
from hub.run.runs import RunPage
from hub.run.state import Address, Outcome
from tests.kafka import KafkaServer, choose

PARTITIONS = 6
KEYS = 200


@dataclass
class Notes:
    """Runs that live nowhere and note what they are given, as a run would get it."""

    by_run: dict[str, list[int]] = field(default_factory=dict)

    async def start(self, start: Start) -> Started:
        if start.run_id in self.by_run:
            return "running"
        self.by_run[start.run_id] = [start.delivery.event.data["n"]]
        return "started"

    async def deliver(self, run_id: str, delivery: Delivery) -> bool:
        self.by_run[run_id].append(delivery.event.data["n"])
        return True

    async def restart(self, start: Start) -> bool:
        raise NotImplementedError

    async def hold(self, gate: str, offer: Offer, start: Start) -> bool:
        raise NotImplementedError

    async def fate(self, gate: str, event: Event, since: datetime | None = None) -> Fate | None:
        return None

    async def had(self, run_id: str, delivery: Delivery, since: datetime) -> Outcome | None:
        return None

    async def live(self, tree: str, key: str) -> Sequence[str]:
        return []

    async def is_live(self, run_id: str) -> bool:
        return False

    async def offer(self, address: Address, delivery: Delivery) -> Offered:
        raise NotImplementedError

    async def correlator(self, correlator_id: str) -> CorrelatorState | None:
        return None

    async def word(self, correlator_id: str, delivery: Delivery, since: datetime) -> Word | None:
        return None

    async def uses(self, tree: str, hash: str) -> bool:  # noqa: A002
        return True

    async def list(self, **_: Any) -> RunPage:
        return RunPage(items=[])

    async def show(self, run_id: str) -> RunState:
        raise NotImplementedError

    def follow(self, run_id: str) -> AsyncIterator[RunState]:
        raise NotImplementedError

    async def cancel(self, run_id: str) -> None:
        raise NotImplementedError

    async def terminate(self, run_id: str, reason: str) -> None:
        raise NotImplementedError

    async def forward(self, run_id: str, by: timedelta) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class Report:
    """What came of it. All of the faults are 0 or empty when it is exact."""

    sent: int
    entries: int
    lost: int
    doubled_entries: int
    effects: int
    doubled_effects: int
    keys_out_of_order: list[str]
    copies: int
    """Messages that were read more than once, which the journal recognised."""
    seconds: float
    broker: str

    @property
    def is_exact(self) -> bool:
        return (
            self.sent == self.entries == self.effects
            and not self.lost
            and not self.doubled_entries
            and not self.doubled_effects
            and not self.keys_out_of_order
        )


async def exactness(
    server: KafkaServer, folder: Path, messages: int, *, spread: int = 20
) -> Report:
    """Do all of it once with that many messages, in a project in this folder.

    They are sent over `spread` seconds, so that whatever breaks breaks under load.
    """
    began = time.monotonic()
    topic = await server.topic(PARTITIONS)
    project = _write_project(folder, server.address, topic)
    journal = await Journal.open(str(project / ".hub" / "journal.db"))
    loaded = load_project(project, {})
    assert loaded.is_valid, loaded.diagnostics
    router = Router(loaded.trees.values())
    notes = Notes()
    dispatcher = Dispatcher(journal, notes, lambda: router, owner="exactness")
    dispatching = asyncio.create_task(dispatcher.run())
    try:
        async with _consumer(project) as first, _consumer(project):
            producing = asyncio.create_task(_produce(server.address, topic, messages, spread))
            await _reached(journal, messages // 6, producing)
            async with _consumer(project):
                # It joins, which takes partitions from the two, and leaves, which gives them back.
                await _reached(journal, messages * 2 // 6, producing)
            first.send_signal(signal.SIGKILL)
            await first.wait()
            async with _consumer(project):
                await _reached(journal, messages * 3 // 6, producing)
                if server.is_apache:
                    await server.stop(kill=True)
                    await server.start()
                await producing
                await _reached(journal, messages)
                await _settled(journal)
    finally:
        dispatching.cancel()
        await asyncio.gather(dispatching, return_exceptions=True)
    report = await _compare(journal, notes, messages, time.monotonic() - began, server.what)
    await journal.close()
    return report


def _write_project(folder: Path, brokers: str, topic: str) -> Path:
    (folder / "trees").mkdir(parents=True)
    (folder / ".hub").mkdir()
    (folder / "hub.yaml").write_text(
        f"""
triggers:
  numbers:
    kafka: {{topic: {topic}, brokers: "{brokers}", group: exactness-{topic}, session_timeout: 3s}}
"""
    )
    (folder / "trees" / "numbers.yaml").write_text(
        """
tree: numbers
events:
  number: {kafka: numbers, key: event.data.key}
start: number
do:
  - delay: 1 day
"""
    )
    return folder


@asynccontextmanager
async def _consumer(project: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """One `hub consume`, as soon as it has its part of the partitions."""
    log = project / f"consume-{uuid.uuid4().hex[:8]}.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "hub", "consume", str(project)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=Path(__file__).parent.parent,
        )
    try:
        while "trigger consumes" not in log.read_text():
            assert process.returncode is None, log.read_text()
            await asyncio.sleep(0.05)
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), 30)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _produce(brokers: str, topic: str, messages: int, spread: int) -> None:
    """Send all messages, each once and in the order of its key, through every restart."""
    pace = max(1, messages // (spread * 10))
    producer = await start_producer(
        brokers, None, linger_ms=5, request_timeout_ms=120_000, metadata_max_age_ms=1000
    )
    try:
        under_way: set[Any] = set()
        for n in range(messages):
            key = f"k{n % KEYS}"
            value = json.dumps({"data": {"n": n, "key": key}}).encode()
            while True:
                try:
                    under_way.add(await producer.send(topic, value=value, key=key.encode()))
                    break
                except KafkaError:
                    # It was not taken: the brokers are away.
                    await asyncio.sleep(0.1)
            if n % pace == 0:
                await asyncio.sleep(0.1)
            if len(under_way) >= 500:
                await asyncio.gather(*under_way)
                under_way.clear()
        await asyncio.gather(*under_way)
    finally:
        await producer.stop()


async def _reached(
    journal: Journal, count: int, producing: asyncio.Task[None] | None = None
) -> None:
    deadline = time.monotonic() + 300
    while sum((await journal.counts()).values()) < count:
        if producing is not None and producing.done():
            producing.result()
        assert time.monotonic() < deadline, f"{await journal.counts()}, {count} wanted"
        await asyncio.sleep(0.1)


async def _settled(journal: Journal) -> None:
    deadline = time.monotonic() + 300
    while (await journal.counts())["accepted"]:
        assert time.monotonic() < deadline, await journal.counts()
        await asyncio.sleep(0.1)


async def _compare(
    journal: Journal, notes: Notes, messages: int, seconds: float, broker: str
) -> Report:
    entries = []
    cursor: str | None = None
    while True:
        page = await journal.list(limit=1000, cursor=cursor)
        entries += page.items
        cursor = page.next
        if cursor is None:
            break
    entries.sort(key=lambda entry: entry.seq)
    by_key: dict[str, list[int]] = defaultdict(list)
    for entry in entries:
        by_key[entry.event.data["key"]].append(entry.event.data["n"])
    counted = Counter(entry.event.data["n"] for entry in entries)
    effects = Counter(n for ns in notes.by_run.values() for n in ns)
    unordered = {key for key, ns in by_key.items() if ns != sorted(ns)}
    unordered |= {run for run, ns in notes.by_run.items() if ns != sorted(ns)}
    return Report(
        sent=messages,
        entries=len(entries),
        lost=len(set(range(messages)) - counted.keys()),
        doubled_entries=sum(count > 1 for count in counted.values()),
        effects=sum(effects.values()),
        doubled_effects=sum(count > 1 for count in effects.values()),
        keys_out_of_order=sorted(unordered),
        copies=sum(entry.duplicates for entry in entries),
        seconds=round(seconds, 1),
        broker=broker,
    )


async def _main(messages: int) -> int:
    quiet_client()
    with tempfile.TemporaryDirectory(prefix="hub-exactness-") as name:
        folder = Path(name)
        server = choose(folder)
        await server.start()
        try:
            report = await exactness(server, folder / "project", messages)
        finally:
            await server.stop(kill=True)
    print(json.dumps({**report.__dict__, "exact": report.is_exact}, indent=2))
    return 0 if report.is_exact else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=50_000)
    sys.exit(asyncio.run(_main(parser.parse_args().messages)))
