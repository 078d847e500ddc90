"""`hub dev` beside Restate: durable accepts per second, and start, wait, resume by key, one step.

    python -m benchmarks.rivals --install    installs Restate, once, from the npm registry
    python -m benchmarks rivals              measures; it is not a part of `make bench`

Both are one node on this machine, as they come, each with a folder of its own. The same load generator
posts events of 1 KB over 64 connections; each starts a durable run that waits up to a day for a second
request with its key, and is answered with a 202 when it is durable. Then all of these are paid, as fast
as that is answered, and the time is taken until the last has done its step. Whole orders, as in `plain`, are placed and paid by key one
after the other, then 64 at a time. Restate's service is written with its own TypeScript SDK
(`benchmarks/rivals/restate_order.mjs`) and is called at its own addresses, with the key in the path;
the hub finds the key in the body. Restate verifies nothing that comes in, so the hub's webhook has no
provider here; with a signature verified it is a side of its own.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
import uuid
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.frame import Bench, main
from benchmarks.http import Connections
from benchmarks.ingest import put_load
from benchmarks.ingest_server import SECRET
from benchmarks.processes import hub_dev, patiently
from benchmarks.rivals.restate import SDK, SERVER, find_restate, install, restate
from benchmarks.scenario import Orders, order_project, until_ready
from benchmarks.told import Told, listening

_HUB = "hub"
_SIGNED = "hub, signed"
_RESTATE = "Restate"
_TOGETHER = 64
_TREE = """
tree: {name}
events:
  begun: {{webhook: {name}, key: event.id}}
  paid: {{webhook: {name}-paid, key: event.data.key}}
start: begun
do:
  - id: payment
    wait_for: paid
    timeout: 24h
  - python.call:
      function: benchmarks.told.tell
      arguments:
        key: "${{{{ steps.payment.data.key }}}}"
        port: "${{{{ steps.payment.data.port }}}}"
"""


class Loaded(Orders):
    """Orders that the load generator places, at a webhook of their own, and that are paid later."""

    def __init__(self, name: str, url: str, pool: Connections, told: Told) -> None:
        super().__init__(url, pool, told)
        self.load_url = f"{url}/hooks/{name}"
        self._paid = f"/hooks/{name}-paid"

    def path(self, kind: str, key: str) -> str:
        return self._paid


class RestateOrders(Orders):
    """The same orders, at Restate's addresses."""

    def __init__(self, url: str, pool: Connections, told: Told) -> None:
        super().__init__(url, pool, told)
        self.load_url = f"{url}/order/{{id}}/run/send"

    def path(self, kind: str, key: str) -> str:
        return f"/order/{key}/{'run' if kind == 'placed' else 'pay'}/send"


async def measure(bench: Bench) -> None:
    program = find_restate()
    if program is None:
        bench.skip(
            "all of it: Restate is not installed here. With npm, "
            "`python -m benchmarks.rivals --install` installs it"
        )
        return
    if shutil.which("node") is None:
        bench.skip("all of it: there is no Node.js to run Restate's service with")
        return
    async with AsyncExitStack() as stack:
        told = await stack.enter_async_context(listening())
        hub = await stack.enter_async_context(
            hub_dev(_project(bench.folder / "project"), bench.folder / "hub.log")
        )
        url = await stack.enter_async_context(restate(program, bench.folder / "restate"))
        pool = await _pool(stack, hub.url)
        rival = RestateOrders(url, await _pool(stack, url), told)
        orders: dict[str, Orders] = {_HUB: Orders(hub.url, pool, told), _RESTATE: rival}
        for one in orders.values():
            await until_ready(one, hub.process)
        await _whole(bench, orders)
        await _accepts(
            bench,
            {
                _HUB: Loaded("loaded", hub.url, pool, told),
                _SIGNED: Loaded("signed", hub.url, pool, told),
                _RESTATE: rival,
            },
        )
    _compare(bench)
    bench.fact("Restate", f"{SERVER}, {SDK}, on Node.js {await _node_version()}")


async def _whole(bench: Bench, orders: dict[str, Orders]) -> None:
    """Whole orders, one after the other and many at once."""
    count, many = (10, 64) if bench.quick else (50, 400)
    async for side in bench.rounds(*orders, count=5):
        await orders[side.name].measure(side, count=count, many=many, together=_TOGETHER)


async def _accepts(bench: Bench, sides: dict[str, Loaded | RestateOrders]) -> None:
    """Durable accepts per second of events that start runs; then all of them are paid, and done."""
    seconds = 0.4 if bench.quick else 0.8
    used = 0.0
    async for side in bench.rounds(*sides, count=3):
        orders = sides[side.name]
        prefix = uuid.uuid4().hex[:12]
        began = time.perf_counter()
        found = await put_load(
            orders.load_url, connections=_TOGETHER, seconds=seconds, size=1024, prefix=prefix
        )
        used = max(used, found["own_cpu"])
        for what in ("accepts", "p50", "p99"):
            side.note(f"accept {what}", found[what])
        keys = [f"{prefix}-{number}" for number in range(1, found["count"] + 1)]
        await orders.pay_all(keys, _TOGETHER)
        for key in keys:
            await orders.done(key)
        side.note("drained", len(keys) / (time.perf_counter() - began))
    bench.fact("load generator", f"used at most {used:.0%} of a core")


def _compare(bench: Bench) -> None:
    for of, note in ((_HUB, ""), (_SIGNED, ", with a signature verified")):
        bench.compare(
            "accept accepts",
            of=of,
            to=_RESTATE,
            unit="1/s",
            title=f"durable accepts/s that start runs, {_TOGETHER} connections{note}",
            goal=">= 2" if of == _HUB else None,
            name="accepts" if of == _HUB else "accepts-signed",
        )
    for what, unit, title in (
        ("accept p50", "ms", "time to a durable answer, p50"),
        ("accept p99", "ms", "time to a durable answer, p99"),
        ("drained", "1/s", "of these, all paid at once: done/s, from the first to the last"),
        ("p50", "ms", "POST → last step done, one wait, p50"),
        ("p99", "ms", "POST → last step done, one wait, p99"),
        ("done", "1/s", f"start, wait, resume, step: done/s, {_TOGETHER} at a time"),
    ):
        bench.compare(
            what, of=_HUB, to=_RESTATE, unit=unit, title=title, name=what.replace(" ", "-")
        )


def _project(folder: Path) -> Path:
    """The project with the tree `order`, and one tree for each webhook that is loaded."""
    order_project(folder)
    hub = folder / "hub.yaml"
    webhooks = f"""
  loaded: {{webhook: {{provider: none}}}}
  loaded-paid: {{webhook: {{provider: none}}}}
  signed: {{webhook: {{provider: hmac, secret: {SECRET}}}}}
  signed-paid: {{webhook: {{provider: none}}}}
"""
    hub.write_text(hub.read_text().replace("triggers:\n", f"triggers:{webhooks}"))
    for name in ("loaded", "signed"):
        (folder / "trees" / f"{name}.yaml").write_text(_TREE.format(name=name))
    return folder


async def _pool(stack: AsyncExitStack, url: str) -> Connections:
    pool = await patiently(Connections.open, url, _TOGETHER)
    stack.callback(pool.close)
    return pool


async def _node_version() -> str:
    process = await asyncio.create_subprocess_exec(
        "node", "--version", stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    return said.decode().strip()


if __name__ == "__main__":
    sys.exit(install() if sys.argv[1:] == ["--install"] else main(measure))
