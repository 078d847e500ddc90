"""Rolling restarts under load: is anything lost or doubled?

    python -m benchmarks.rolling             3 `serve`, 2 `worker`, 2 `consume`, restarted twice

PostgreSQL, Apache Kafka (where Java or Docker is; else the embedded broker) and a Temporal server
are started without containers, and on them the hub's processes. A client places orders at one
`serve` after the other, as a load balancer would, and pays each; the shop ships it by a Kafka
message; every tenth payment is sent twice. When paid and shipped, an order's run writes one row.
Meanwhile every process is told to end (SIGTERM) and is started again, one after the other, twice. In
the end what was accepted is compared with the journal, with the runs and with the rows.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy.engine import make_url
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.service import RPCError

from benchmarks.frame import Bench, main
from benchmarks.processes import ROOT, environment, free_ports
from hub.kafka import quiet_client, start_producer
from hub.routing.journal import Journal
from hub.temporal.client import TemporalRuns
from hub.temporal.connect import connect
from hub.temporal.dev_server import DevServer
from hub.tether import tethered
from tests.kafka import ContainerServer, KafkaServer, choose
from tests.postgresql import PostgresqlServer, running_server

__all__ = ["Report", "rolling"]

_PARTITIONS = 6
_PATIENCE = 600.0
"""Seconds for a process to become ready, on a machine that has much else to do."""
_CUT_OFF = (130, 137)
"""The exit codes of a process that cut itself off, or was cut off."""
_STANDSTILL = 120.0
"""Seconds without any progress after which what is not done counts as lost."""
_SHOWN = 5
"""How many lost orders are looked into."""
_REFUSED = (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


@dataclass(kw_only=True)
class Report:
    """What came of it. All of `lost`, `doubled`, `unsettled` and `bad_exits` are 0 when it is right."""

    processes: dict[str, int]
    broker: str
    restarts: int = 0
    bad_exits: int = 0
    late_exits: int = 0
    """Processes whose time to finish was over, and that were cut off."""
    orders: int = 0
    accepted: int = 0
    """Requests and messages that were taken."""
    retried: int = 0
    """Requests that another process had to be asked for."""
    repeats_recognised: int = 0
    unsettled: int = 0
    lost: int = 0
    """Accepted events that are not in the journal, and orders without a row."""
    doubled: int = 0
    """Orders with two rows, and events with two entries."""
    outcomes: dict[str, int] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)
    """What is known of the orders that were lost: what became of their events, and their runs."""

    @property
    def is_right(self) -> bool:
        """Is nothing lost and nothing doubled?"""
        return not (self.lost or self.doubled or self.unsettled or self.bad_exits)


class Hub:
    """One process of the hub, which can be restarted."""

    def __init__(self, role: str, project: Path, env: Mapping[str, str], port: int, log: Path):
        self.role = role
        self.url = f"http://127.0.0.1:{port}"
        setting = "HUB_PORT" if role == "serve" else "HUB_HEALTH_PORT"
        self._env = {**env, setting: str(port)}
        self._project = project
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it; it is ready when this returns."""
        with self._log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *tethered([sys.executable, "-m", "hub", self.role, str(self._project)], grace=60.0),
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=ROOT,
                env=environment(**self._env),
            )
        async with httpx.AsyncClient(trust_env=False) as client:
            deadline = time.monotonic() + _PATIENCE
            while True:
                with suppress(httpx.TransportError):
                    if (await client.get(f"{self.url}/readyz", timeout=10)).status_code == 200:
                        return
                if self._process.returncode is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{self.role} is not ready:\n{self.last_words()}")
                await asyncio.sleep(0.05)

    async def stop(self) -> int:
        """Tell it to end, as an orchestrator does; gives its exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        return await process.wait()

    def last_words(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])


class Load:
    """The client: orders that are placed and paid at any `serve`, and shipped by Kafka."""

    def __init__(self, serves: list[Hub], kafka: KafkaServer, topic: str, report: Report) -> None:
        self._turn = itertools.cycle(serves)
        self._kafka = kafka
        self._topic = topic
        self._report = report
        self.ids: set[str] = set()

    async def run(self, per_second: float, stop: asyncio.Event) -> None:
        """Send orders at this pace until told to stop; what has begun is sent to its end."""
        producer = await start_producer(self._kafka.address, None, linger_ms=5)
        orders: set[asyncio.Task[None]] = set()
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
                while not stop.is_set():
                    order = f"o{self._report.orders}"
                    self._report.orders += 1
                    task = asyncio.create_task(self._order(order, client, producer))
                    orders.add(task)
                    task.add_done_callback(orders.discard)
                    await asyncio.sleep(1 / per_second)
                await asyncio.gather(*orders)
        finally:
            await producer.stop()

    async def _order(self, order: str, client: httpx.AsyncClient, producer: Any) -> None:
        await self._post(client, f"placed-{order}", "order.placed", order)
        shipped = json.dumps({"type": "order.shipped", "data": {"id": order}}).encode()
        paid = self._post(client, f"paid-{order}", "order.paid", order)
        await asyncio.gather(paid, producer.send_and_wait(self._topic, shipped, key=order.encode()))
        self._report.accepted += 1
        if order.endswith("0"):
            await self._post(client, f"paid-{order}", "order.paid", order)

    async def _post(self, client: httpx.AsyncClient, id_: str, kind: str, order: str) -> None:
        """Until a 202; a process that is gone or going is left for the next one."""
        event = {"id": id_, "type": kind, "data": {"id": order}}
        began = time.monotonic()
        while True:
            try:
                answer = await client.post(f"{next(self._turn).url}/hooks/shop", json=event)
            except _REFUSED:
                answer = None
            if answer is not None and answer.status_code == 202:
                break
            if answer is not None and answer.status_code != 503:
                raise RuntimeError(f"{answer.status_code}: {answer.text}")
            self._report.retried += 1
            await asyncio.sleep(0.02)
        self._report.latencies.append(time.monotonic() - began)
        self._report.accepted += 1
        self.ids.add(id_)
        if answer.json().get("duplicate"):
            self._report.repeats_recognised += 1


async def rolling(
    folder: Path,
    *,
    kafka: KafkaServer,
    postgresql: PostgresqlServer,
    temporal: str,
    processes: Mapping[str, int],
    rounds: int,
    per_second: float,
    say: Any = lambda _: None,
) -> Report:
    """Do all of it once, on servers that run."""
    began = time.monotonic()
    report = Report(processes=dict(processes), broker=kafka.what)
    database = f"rolling_{uuid.uuid4().hex[:12]}"
    await postgresql.run(f'CREATE DATABASE "{database}"')
    url = postgresql.url(database)
    topic = await kafka.topic(_PARTITIONS)
    await _execute(url, "CREATE TABLE effects (shop_order TEXT NOT NULL)")
    project = _write_project(folder, kafka.address, topic, url)
    env = {
        "HUB_JOURNAL_URL": url,
        "HUB_SECRET_KEY": "rolling-restarts-need-no-secret",
        "HUB_TASK_QUEUE": database,
        "TEMPORAL_ADDRESS": temporal,
    }
    async with _started(project, env, processes, folder) as hubs:
        say(f"{len(hubs)} processes are ready")
        load = Load([hub for hub in hubs if hub.role == "serve"], kafka, topic, report)
        stop = asyncio.Event()
        loading = asyncio.create_task(load.run(per_second, stop))
        for number in range(rounds):
            for hub in hubs:
                _note(report, await hub.stop())
                report.restarts += 1
                await hub.start()
                if loading.done():
                    await loading
            say(f"restarted all {number + 1} times; {report.accepted} events so far")
        stop.set()
        await loading
        await _audit(report, load, url, temporal, database)
        for hub in hubs:
            _note(report, await hub.stop())
    report.seconds = time.monotonic() - began
    return report


def _note(report: Report, code: int) -> None:
    report.late_exits += code in _CUT_OFF
    report.bad_exits += code not in (0, *_CUT_OFF)


def _write_project(folder: Path, brokers: str, topic: str, url: str) -> Path:
    project = folder / "project"
    (project / "trees").mkdir(parents=True)
    (project / "hub.yaml").write_text(
        f"""
name: {folder.name}
triggers:
  shop: {{webhook: {{provider: none}}}}
  warehouse:
    kafka:
      topic: {topic}
      brokers: "{brokers}"
      group: rolling-{topic}
      session_timeout: 6s
      type: ${{{{ value.type }}}}
      data: ${{{{ value.data }}}}
connections:
  books: {{sql: {{url: "{url}"}}}}
"""
    )
    (project / "trees" / "order.yaml").write_text(
        """
tree: order
events:
  placed: {webhook: shop, where: event.type == "order.placed", key: event.data.id}
  paid: {webhook: shop, where: event.type == "order.paid", key: event.data.id}
  shipped: {kafka: warehouse, where: event.type == "order.shipped", key: event.data.id}
start: placed
do:
  - wait_for: {all: [paid, shipped]}
  - sql.execute:
      sql: insert into effects (shop_order) values (:id)
      params: {id: "${{ run.key }}"}
"""
    )
    return project


@asynccontextmanager
async def _started(
    project: Path, env: Mapping[str, str], processes: Mapping[str, int], logs: Path
) -> AsyncIterator[list[Hub]]:
    roles = [role for role, count in processes.items() for _ in range(count)]
    ports = free_ports(len(roles))
    hubs = [
        Hub(role, project, env, port, logs / f"{role}-{port}.log")
        for role, port in zip(roles, ports, strict=True)
    ]
    try:
        await asyncio.gather(*(hub.start() for hub in hubs))
        yield hubs
    finally:
        await asyncio.gather(*(hub.stop() for hub in hubs))


async def _audit(report: Report, load: Load, url: str, temporal: str, queue: str) -> None:
    journal = await Journal.open(url)
    client = await connect(temporal)
    runs = TemporalRuns(client, task_queue=queue)
    try:
        progress, since = (-1, -1), time.monotonic()
        while time.monotonic() - since < _STANDSTILL:
            rows = await _execute(url, "SELECT shop_order FROM effects")
            report.unsettled = (await journal.counts())["accepted"]
            if len(rows) >= report.orders and not report.unsettled:
                break
            if progress != (len(rows), report.unsettled):
                progress, since = (len(rows), report.unsettled), time.monotonic()
            await asyncio.sleep(0.25)
        entries, cursor = Counter[str](), None
        outcomes = Counter[str]()
        while True:
            page = await journal.list(limit=1000, cursor=cursor)
            for entry in page.items:
                entries[f"{entry.trigger} {entry.id}"] += 1
                outcomes.update(delivery.outcome for delivery in entry.deliveries)
            cursor = page.next
            if cursor is None:
                break
        counted = Counter(row["shop_order"] for row in rows)
        orders = {f"o{number}" for number in range(report.orders)}
        lost = sorted(orders - counted.keys())
        for order in lost[:_SHOWN]:
            report.evidence += await _evidence(order, journal, client)
        report.lost = len(lost)
        report.lost += sum(f"shop {id_}" not in entries for id_ in load.ids)
        report.doubled = sum(count > 1 for count in (*counted.values(), *entries.values()))
        report.outcomes = dict(outcomes)
        report.runs = {
            status: count
            for status in ("running", "failed", "dormant")
            if (count := len((await runs.list(tree="order", status=status, limit=1000)).items))
        }
    finally:
        await journal.close()


async def _evidence(order: str, journal: Journal, client: Client) -> list[str]:
    """What the journal and the server know of one order."""
    found: list[str] = []
    for entry in reversed((await journal.list(key=order, limit=100)).items):
        found.append(
            f"{order}: {entry.seq} {entry.id} of {entry.received_at.time()} {entry.status}"
        )
        found += (
            f"{order}:   {one.at.time()} {one.outcome} {one.run_id} {one.reason or ''}"
            for one in entry.deliveries
        )
    with suppress(RPCError):
        history = client.get_workflow_handle(f"order/{order}").fetch_history_events()
        async for event in history:
            at = event.event_time.ToDatetime().time()
            found.append(f"{order}: {at} {EventType.Name(event.event_type)}")
    return found


async def _execute(url: str, statement: str) -> list[Any]:
    parsed = make_url(url)
    connection = await asyncpg.connect(
        user=parsed.username,
        password=parsed.password,
        database=parsed.database,
        port=parsed.port or 5432,
        host=parsed.query.get("host") or parsed.host,
    )
    try:
        return list(await connection.fetch(statement))
    finally:
        await connection.close()


async def measure(bench: Bench) -> None:
    quiet_client()
    try:
        await _measure(bench)
    except pytest.skip.Exception as lacking:
        bench.skip(str(lacking))


async def _measure(bench: Bench) -> None:
    async with AsyncExitStack() as stack:
        (bench.folder / "kafka").mkdir()
        kafka = choose(bench.folder / "kafka")
        stack.push_async_callback(kafka.stop, kill=True)
        if isinstance(kafka, ContainerServer):
            stack.push_async_callback(kafka.remove)
        await kafka.start()
        postgresql = await stack.enter_async_context(running_server())
        temporal = await stack.enter_async_context(
            DevServer(db=bench.folder / "temporal.db", log=bench.folder / "temporal.log")
        )
        counts = {"serve": 3, "worker": 2, "consume": 2}
        if bench.quick:
            counts = {"serve": 2, "worker": 1, "consume": 1}
        (bench.folder / "rolling").mkdir()
        report = await rolling(
            bench.folder / "rolling",
            kafka=kafka,
            postgresql=postgresql,
            temporal=temporal.address,
            processes=counts,
            rounds=1 if bench.quick else 2,
            per_second=5 if bench.quick else 6,
            say=bench.say,
        )
    shown = asdict(report)
    latencies = sorted(shown.pop("latencies"))
    print(json.dumps({**shown, "right": report.is_right}, indent=2))
    bench.check("nothing is lost", not report.lost and not report.unsettled, f"{report.lost}")
    bench.check("nothing is doubled", not report.doubled, f"{report.doubled}")
    bench.check("every process ends in order", not report.bad_exits, f"{report.bad_exits}")
    bench.figure("rolling-events", [report.accepted], unit="", title="events taken meanwhile")
    bench.figure("rolling-restarts", [report.restarts], unit="", title="processes restarted")
    bench.figure(
        "rolling-accept",
        [latencies[len(latencies) // 2]],
        unit="s",
        title="a webhook accepted while processes restart, median",
    )
    bench.figure(
        "rolling-accept-p99",
        [latencies[len(latencies) * 99 // 100]],
        unit="s",
        title="a webhook accepted while processes restart, 99th percentile",
    )
    bench.fact("processes", ", ".join(f"{count} {role}" for role, count in counts.items()))
    if report.late_exits:
        bench.fact("cut off", f"{report.late_exits}: the machine had too much else to do")
    bench.fact("servers", f"PostgreSQL, {report.broker}, Temporal's development server")


if __name__ == "__main__":
    sys.exit(main(measure))
