"""Restate, from its npm packages: its server on a folder of its own, and the service `order`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks.cache import cached
from benchmarks.processes import child, free_ports, patiently

__all__ = ["SDK", "SERVER", "find_restate", "install", "restate"]

SERVER = "@restatedev/restate-server@1.7.12"
SDK = "@restatedev/restate-sdk@1.17.2"
_SERVICE = Path(__file__).with_name("restate_order.mjs")


def find_restate() -> Path | None:
    """The server's program, where it and the SDK have been installed."""
    modules = _folder() / "node_modules"
    found = sorted(modules.glob("@restatedev/restate-server-*/bin/restate-server"))
    return found[0] if found and (modules / "@restatedev" / "restate-sdk").is_dir() else None


def install() -> int:
    """Install both packages into the user's cache; an exit code."""
    npm = shutil.which("npm")
    if npm is None:
        sys.stderr.write("there is no npm to install Restate with\n")
        return 1
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund"]
    code = subprocess.run([npm, "install", *options, SERVER, SDK], check=False).returncode
    if code == 0:
        print(find_restate())
    return code


def _folder() -> Path:
    return cached("rivals", SERVER.rpartition("/")[2])


@asynccontextmanager
async def restate(program: Path, folder: Path) -> AsyncIterator[str]:
    """Where events come in of a Restate as it comes: one node on loopback, its data in the folder."""
    ingress, admin, fabric, service = free_ports(4)
    host = "127.0.0.1"
    env = {
        "RESTATE_BASE_DIR": str(folder / "data"),
        "RESTATE_NODE_NAME": "bench",
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_BIND_ADDRESS": f"{host}:{fabric}",
        "RESTATE_INGRESS__BIND_ADDRESS": f"{host}:{ingress}",
        "RESTATE_ADMIN__BIND_ADDRESS": f"{host}:{admin}",
        "RESTATE_LOG_FILTER": "warn",
        "DO_NOT_TRACK": "1",
    }
    folder.mkdir(parents=True, exist_ok=True)
    # A module finds the packages that it imports beside itself.
    (folder / "node_modules").symlink_to(_folder() / "node_modules")
    shutil.copy(_SERVICE, folder)
    node = ["node", str(folder / _SERVICE.name), str(service)]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            child([program], folder / "server.log", env=env, speaks=False)
        )
        await stack.enter_async_context(
            child(
                node,
                folder / "service.log",
                env={"NODE_ENV": "production", "RESTATE_LOGGING": "ERROR"},
            )
        )
        await patiently(_register, f"http://{host}:{admin}", f"http://{host}:{service}")
        yield f"http://{host}:{ingress}"


async def _register(admin: str, service: str) -> None:
    """Raises `OSError` or `RuntimeError` until the server has the service."""
    body: dict[str, Any] = {"uri": service}
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        try:
            answer = await client.post(f"{admin}/deployments", json=body)
        except httpx.HTTPError as error:
            raise OSError(str(error)) from error
    if not answer.is_success:
        raise RuntimeError(answer.text)
