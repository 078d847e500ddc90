"""The hub as its processes of production: `hub apply`, then `hub serve` and `hub worker`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx

from benchmarks.processes import Hub, child, environment, free_ports, patiently

__all__ = ["hub_production"]


@asynccontextmanager
async def hub_production(
    project: Path, logs: Path, *, temporal: str, journal: str | None = None
) -> AsyncIterator[Hub]:
    """The hub on a Temporal server, ready for events. `journal` None is a file in the project."""
    ports = free_ports(2)
    env = {
        "HUB_PORT": str(ports[0]),
        "HUB_SECRET_KEY": "0123456789abcdef" * 4,
        "TEMPORAL_ADDRESS": temporal,
        "TEMPORAL_NAMESPACE": "default",
        **({} if journal is None else {"HUB_JOURNAL_URL": journal}),
    }
    hub = [sys.executable, "-m", "hub"]
    await _run([*hub, "apply", str(project)], env)
    async with AsyncExitStack() as stack:
        serving = await stack.enter_async_context(
            child(
                [*hub, "serve", str(project)], logs / "serve.log", env=env, speaks=False, grace=45
            )
        )
        await stack.enter_async_context(
            child(
                [*hub, "worker", str(project), "--health-port", str(ports[1])],
                logs / "worker.log",
                env=env,
                speaks=False,
                grace=45,
            )
        )
        for port in ports:
            await patiently(_is_ready, f"http://127.0.0.1:{port}")
        yield Hub(serving, f"http://127.0.0.1:{ports[0]}", temporal, "")


async def _run(command: list[str], env: dict[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment(**env),
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command[2:])} failed: {said.decode()[-2000:]}")


async def _is_ready(url: str) -> None:
    """Raises `OSError` or `RuntimeError` while the process is not ready."""
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            answer = await client.get(f"{url}/readyz")
        except httpx.HTTPError as error:
            raise OSError(str(error)) from error
    if answer.status_code != 200 or answer.json().get("status") != "ready":
        raise RuntimeError(answer.text)
