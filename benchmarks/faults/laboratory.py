"""One experiment: all processes up, load, kills at random, and then the audit."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from benchmarks.faults.load import Load
from benchmarks.faults.parts import HubProcess, Part, Postgresql, Temporal, find_postgresql
from benchmarks.faults.sink import Sink
from hub.ports import find_free
from hub.routing.journal import Journal

__all__ = ["Audit", "experiment"]

Database = Literal["sqlite", "postgresql"]

_PATIENCE = 240.0
"""Seconds that what was accepted may take, once nothing is killed any more."""
_QUIET = 3.0
"""Seconds for which the audit listens whether anything comes twice after all."""

HUB = """
name: faults
triggers:
  app: {webhook: {provider: none}}
connections:
  sink: {http: {base_url: "http://127.0.0.1:PORT"}}
"""
ORDER = """
tree: order
events:
  placed: {webhook: app, where: event.type == "placed", key: event.data.order}
  paid: {webhook: app, where: event.type == "paid", key: event.data.order, early: 1h}
start: placed
do:
  - http.post: {url: /effects, json: {run: "${{ run.id }}", effects: ["${{ event.id }}"]}}
    connection: sink
  - {id: payment, wait_for: paid, timeout: 1h}
  - http.post: {url: /effects, json: {run: "${{ run.id }}", effects: ["${{ steps.payment.id }}"]}}
    connection: sink
"""
SHOP = """
tree: shop
events:
  noted: {webhook: app, where: event.type == "noted", key: event.data.shop}
start: {event: noted, batch: {size: 5, within: 1s}, concurrency: {limit: 3}}
do:
  - http.post:
      url: /effects
      json: {run: "${{ run.id }}", effects: "${{ events | map(attribute='id') | list }}"}
    connection: sink
"""
HOT = """
tree: hot
events:
  begun: {webhook: app, where: event.type == "begun", key: event.data.run}
  ticked: {webhook: app, where: event.type == "ticked", key: event.data.run, early: 1h}
start: begun
do:
  - repeat: COUNT
    do: [{wait_for: ticked}]
  - http.post: {url: /effects, json: {run: "${{ run.id }}", effects: ["${{ event.id }}"]}}
    connection: sink
"""


@dataclass
class Audit:
    """What came of it. `lost` had no effect though they were accepted; `doubled` had several."""

    database: str
    seed: int
    posts: int = 0
    accepted: int = 0
    effects: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    unsent: int = 0
    """Events that no sender had accepted, and which had an effect all the same: kept, answer lost."""
    repeats: int = 0
    """Requests that an activity made again, which the receiver knew by their key."""
    undelivered: int = 0
    unmatched: int = 0
    """Events that reached no run: those of a run that had ended too early, by one that was doubled."""
    dead: int = 0
    signals: int = 0
    """How many events one single run got, each once."""
    kills: dict[str, int] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        """Was every event that was accepted used, and used once?"""
        return not (self.lost or self.doubled or self.undelivered or self.unmatched or self.dead)


async def experiment(
    folder: Path,
    *,
    database: Database,
    seconds: float,
    seed: int,
    rate: float,
    say: Callable[[str], None],
    workers: int = 2,
    signals: int = 0,
) -> Audit:
    """Do it once, in an empty folder: so many seconds of load, about `rate` orders a second.

    `signals` events go to one single run meanwhile, as fast as the hub takes them.

    `seed` decides what is sent and what is killed when; not what the machine makes of it. Raises
    `RuntimeError` when a process does not come up.
    """
    began = time.monotonic()
    rng = random.Random(seed)
    sink = Sink()
    await sink.start(port := find_free())
    project = _write_project(folder / "project", port, signals)
    temporal = Temporal(folder, _other_port(port))
    store: Postgresql | None = None
    if database == "postgresql":
        binaries = find_postgresql()
        if binaries is None:
            raise RuntimeError("there is no PostgreSQL on this machine: no initdb is found")
        store = Postgresql(binaries)
    env = {
        "HUB_SECRET_KEY": "k" * 32,
        "TEMPORAL_ADDRESS": temporal.address,
        "HUB_DRAIN_TIMEOUT": "10s",
        **({"HUB_JOURNAL_URL": store.url} if store is not None else {}),
    }
    url = store.url if store is not None else str(project / ".hub" / "journal.db")
    # Several processes share a journal in PostgreSQL; one in a file is one process's own.
    serving = [_serving(n, project, env) for n in range(2 if store is not None else 1)]
    working = [HubProcess("worker", f"worker-{n}", project, env) for n in range(workers)]
    parts: list[Part] = [*([store] if store is not None else []), temporal, *serving, *working]
    try:
        for part in parts:
            await part.start()
        for one in serving:
            await one.until_up()
        say(f"{database}: {len(parts)} processes are up")
        load = Load([str(one.url) for one in serving], rng)
        end = time.monotonic() + seconds
        sending = asyncio.create_task(load.run(lambda: time.monotonic() < end, rate, signals))
        telling = asyncio.create_task(_tell(load, sink, parts, say))
        try:
            await _kill_at_random(parts, rng, end)
            await sending
            for one in serving:
                await one.until_up()
            await _until_used(load, sink, _PATIENCE + signals / 20)
            await _until_marked(url)
            await asyncio.sleep(_QUIET)
        finally:
            for task in (sending, telling):
                task.cancel()
            await asyncio.gather(sending, telling, return_exceptions=True)
        audit = _audit(database, seed, load, sink, parts)
        for one in (*serving, *working):
            await one.stop()
        journal = await Journal.open(url)
        counts = await journal.counts()
        await journal.close()
        audit.undelivered, audit.dead = counts["accepted"], counts["dead"]
        audit.unmatched, audit.signals = counts["unmatched"], signals
        audit.seconds = round(time.monotonic() - began, 1)
        return audit
    finally:
        for part in reversed(parts):
            with suppress(Exception):
                await part.stop()
        await sink.close()


def _serving(number: int, project: Path, env: dict[str, str]) -> HubProcess:
    port = find_free()
    return HubProcess(
        "serve",
        f"serve-{number}",
        project,
        {**env, "HUB_PORT": str(port)},
        url=f"http://127.0.0.1:{port}",
    )


def _other_port(taken: int) -> int:
    while (port := find_free()) == taken:
        pass
    return port


def _write_project(folder: Path, port: int, signals: int) -> Path:
    (folder / "trees").mkdir(parents=True)
    (folder / "hub.yaml").write_text(HUB.replace("PORT", str(port)), encoding="utf-8")
    trees = [("order", ORDER), ("shop", SHOP)]
    if signals:
        trees.append(("hot", HOT.replace("COUNT", str(signals))))
    for name, text in trees:
        (folder / "trees" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


async def _kill_at_random(parts: list[Part], rng: random.Random, end: float) -> None:
    """Kill and start again until the time is over, each kind at least once; all are up then."""
    due = list(dict.fromkeys(part.kind for part in parts))
    rng.shuffle(due)
    while due or time.monotonic() < end:
        await asyncio.sleep(0.5 + rng.random() * 2.5)
        kind = due.pop() if due else rng.choice(parts).kind
        part = rng.choice([one for one in parts if one.kind == kind])
        await part.kill()
        await asyncio.sleep(rng.choice((0.0, rng.random() * 2)))
        await part.start()
        for other in parts:
            # It may have ended by itself, as one does that is never told that its server is back.
            if isinstance(other, HubProcess) and other.has_ended:
                await other.start()


async def _until_marked(url: str) -> None:
    """Until the journal has the marks of all deliveries, which come after their effects."""
    journal = await Journal.open(url)
    try:
        deadline = time.monotonic() + _PATIENCE
        while (await journal.counts())["accepted"] and time.monotonic() < deadline:
            await asyncio.sleep(0.2)
    finally:
        await journal.close()


async def _until_used(load: Load, sink: Sink, patience: float) -> None:
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if all(event_id in sink.effects for event_id in load.accepted):
            return
        await asyncio.sleep(0.2)


async def _tell(load: Load, sink: Sink, parts: list[Part], say: Callable[[str], None]) -> None:
    while True:
        await asyncio.sleep(5)
        kills = sum(part.kills for part in parts)
        waiting = sum(one not in sink.effects for one in load.accepted)
        say(
            f"{load.posts} posts, {len(load.accepted)} accepted, {len(sink.effects)} used, "
            f"{waiting} to come, {kills} kills"
        )


def _audit(database: str, seed: int, load: Load, sink: Sink, parts: list[Part]) -> Audit:
    kills: dict[str, int] = {}
    for part in parts:
        kills[part.kind] = kills.get(part.kind, 0) + part.kills
    return Audit(
        database=database,
        seed=seed,
        posts=load.posts,
        accepted=len(load.accepted),
        effects=sum(len(keys) for keys in sink.effects.values()),
        lost=[one for one in load.accepted if one not in sink.effects],
        doubled=[one for one, keys in sink.effects.items() if len(keys) > 1],
        unsent=sum(one in sink.effects for one in load.given_up),
        repeats=sink.repeats,
        kills=kills,
        answers=dict(load.answers),
    )
