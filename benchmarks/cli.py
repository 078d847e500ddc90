"""How long the command line takes, from the start of the process to its end.

`hub --help`, `hub validate` on 100 trees, and `hub dev` until it is ready, each beside a bare
`python -c pass`, which is what no Python program can be faster than.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from benchmarks.frame import Bench, main
from benchmarks.processes import environment, hub_dev

_TREE = """
tree: tree-{n}
events:
  begun: {{webhook: app, where: event.type == "begun", key: event.data.id}}
  done: {{webhook: app, where: event.type == "done.{n}", key: event.data.id}}
start: begun
vars:
  name: ${{{{ event.data.name }}}}
do:
  - log: begun for ${{{{ vars.name }}}}
  - fallback:
      - wait_for: done
        timeout: 24h
      - log: not done in time
  - delay: 7 days
"""


def project(folder: Path, trees: int) -> Path:
    """A project of that many trees."""
    (folder / "trees").mkdir(parents=True)
    (folder / "hub.yaml").write_text("triggers:\n  app: {webhook: {provider: none}}\n")
    for n in range(trees):
        (folder / "trees" / f"tree-{n}.yaml").write_text(_TREE.format(n=n))
    return folder


async def measure(bench: Bench) -> None:
    hundred = project(bench.folder / "hundred", 100)
    small = project(bench.folder / "small", 1)
    hub = (sys.executable, "-m", "hub")
    commands = {
        "hub --help": (*hub, "--help"),
        "hub validate": (*hub, "validate", str(hundred)),
        "python": (sys.executable, "-c", "pass"),
    }
    async for side in bench.rounds(*commands, count=5):
        side.note("seconds", await _seconds(*commands[side.name]))
    compare = {"hub --help": "`hub --help`", "hub validate": "`hub validate`, 100 trees"}
    for name, title in compare.items():
        bench.compare(
            "seconds", of=name, to="python", unit="s", title=title, name=name.replace(" ", "-")
        )
    ready = []
    for number in range(1 if bench.quick else 3):
        began = time.perf_counter()
        async with hub_dev(small, bench.folder / f"dev-{number}.log"):
            ready.append(time.perf_counter() - began)
    bench.figure("dev-ready", ready, unit="s", title="`hub dev`, to ready")


async def _seconds(*command: str) -> float:
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )
    _, said = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{command} ended with code {process.returncode}: {said.decode()}")
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main(measure))
