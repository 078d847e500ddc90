"""The design that the hub does not have: one asyncio loop per waiting run, ticking ten times a second.

    python -m benchmarks.ticking RUNS SECONDS

Each tick looks at the wait's deadline and at whether its event has come, the least that a tick can do.
It says what part of a core that took, and its memory.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from dataclasses import dataclass

from benchmarks.processes import usage

_TICK = 0.1


@dataclass
class _Run:
    key: str
    deadline: float
    event: dict[str, object] | None = None
    ticks: int = 0

    def tick(self) -> str:
        self.ticks += 1
        if self.event is not None:
            return "success"
        return "failure" if time.monotonic() > self.deadline else "running"


async def _live(run: _Run) -> None:
    while run.tick() == "running":
        await asyncio.sleep(_TICK)


async def _wait(runs: int, seconds: float) -> None:
    ticking = [_Run(str(n), time.monotonic() + 86_400) for n in range(runs)]
    tasks = [asyncio.create_task(_live(run)) for run in ticking]
    print(json.dumps({"ready": True}), flush=True)
    await asyncio.sleep(1)
    before, began, ticked = usage(os.getpid()), time.monotonic(), sum(r.ticks for r in ticking)
    await asyncio.sleep(seconds)
    after, took = usage(os.getpid()), time.monotonic() - began
    found = {
        "cpu": (after.cpu - before.cpu) / took,
        "memory": after.memory,
        "ticks": (sum(r.ticks for r in ticking) - ticked) / took,
    }
    print(json.dumps(found), flush=True)
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(_wait(int(sys.argv[1]), float(sys.argv[2])))
