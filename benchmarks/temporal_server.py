"""A real Temporal server on PostgreSQL: built once from its Go module, run in one process here.

Its four services listen on loopback; persistence and visibility are two databases of a PostgreSQL that
is given, made by the module's own SQL tool. History is in several shards, so that several transactions
are under way at a time, where the development server has one shard over one SQLite connection.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from benchmarks.cache import cached
from benchmarks.processes import ROOT, child, environment, patiently

__all__ = [
    "SHARDS",
    "VERSION",
    "Programs",
    "build",
    "find_programs",
    "server_config",
    "temporal_server",
]

MODULE = "go.temporal.io/server"
VERSION = "v1.32.0"
"""The server of the development server that the hub installs, and of docker-compose.yml."""
SHARDS = 4

_DYNAMIC_CONFIG = ROOT / "deploy" / "compose" / "temporal-dynamic-config.yaml"
_DATABASES = {"temporal": "temporal", "temporal_visibility": "visibility"}
_SERVICES = ("frontend", "history", "matching", "worker")


class Programs:
    """Where the module's programs are."""

    def __init__(self, folder: Path) -> None:
        self.server = folder / "server"
        self.sql_tool = folder / "sql"


def find_programs() -> Programs | None:
    """The programs, where they have been built."""
    programs = Programs(_folder())
    return programs if programs.server.is_file() and programs.sql_tool.is_file() else None


def build() -> int:
    """Build the programs into the user's cache, which takes some minutes; an exit code."""
    if find_programs() is not None:
        print(_folder())
        return 0
    go = shutil.which("go")
    if go is None:
        sys.stderr.write("there is no Go to build Temporal's server with\n")
        return 1
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    packages = [f"{MODULE}/{path}@{VERSION}" for path in ("cmd/server", "cmd/tools/sql")]
    env = {**os.environ, "GOBIN": str(folder), "CGO_ENABLED": "0"}
    return subprocess.run([go, "install", "-trimpath", *packages], env=env, check=False).returncode


def _folder() -> Path:
    return cached("bin", f"temporal-server-{VERSION}")


@asynccontextmanager
async def temporal_server(
    programs: Programs, postgresql_url: str, folder: Path, *, shards: int = SHARDS
) -> AsyncIterator[str]:
    """The address of its frontend, where the namespace `default` is ready.

    The PostgreSQL is one of `benchmarks.postgresql`: it is reached by its socket.
    """
    for database, schema in _DATABASES.items():
        await _make(programs, postgresql_url, database, schema)
    ports = _low_ports(2 * len(_SERVICES))
    config = folder / "temporal-server.yaml"
    config.write_text(json.dumps(server_config(postgresql_url, ports, shards)))
    options = ["--config-file", str(config), "--allow-no-auth"]
    command = [str(programs.server), *options, "start"]
    async with child(command, folder / "temporal-server.log", speaks=False, grace=15) as running:
        address = f"127.0.0.1:{ports[0]}"
        ended = asyncio.create_task(running.process.wait())
        ready = asyncio.create_task(patiently(_prepare, address))
        await asyncio.wait((ended, ready), return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            raise RuntimeError(f"Temporal's server has ended:\n{running.last_words()}")
        ended.cancel()
        await ready
        yield address


def _low_ports(count: int) -> list[int]:
    """Free ports that fit into the 16 bits with a sign which the database has for members' ports."""
    found: list[int] = []
    for port in random.sample(range(10_000, 2**15), 2_000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("there are too few free ports")


async def _make(programs: Programs, url: str, database: str, schema: str) -> None:
    """Make one of the two databases, in the version of the programs."""
    sql = _connection(url, database)
    attributes = "&".join(f"{name}={value}" for name, value in sql["connectAttributes"].items())
    common = ["--plugin", sql["pluginName"], "--endpoint", "localhost", "--user", sql["user"]]
    common += ["--database", database, "--connect-attributes", attributes, "--port", "5432"]
    versioned = f"postgresql/v12/{schema}"
    for task in (
        ["create-database"],
        ["setup-schema", "--version", "0.0"],
        ["update-schema", "--schema-name", versioned],
    ):
        process = await asyncio.create_subprocess_exec(
            *(str(programs.sql_tool), *common, *task),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment(),
        )
        said, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"the SQL tool could not {task[0]}: {said.decode()[-2000:]}")


def server_config(url: str, ports: list[int], shards: int) -> dict[str, Any]:
    """The server's configuration file: two ports for each service, all of them on loopback."""
    services = {
        name: {
            "rpc": {
                "grpcPort": ports[2 * place],
                "membershipPort": ports[2 * place + 1],
                "bindOnIP": "127.0.0.1",
            }
        }
        for place, name in enumerate(_SERVICES)
    }
    frontend = f"127.0.0.1:{ports[0]}"
    return {
        "log": {"stdout": True, "level": "warn"},
        "persistence": {
            "defaultStore": "default",
            "visibilityStore": "visibility",
            "numHistoryShards": shards,
            "datastores": {
                "default": {"sql": {**_connection(url, "temporal"), "maxConns": 20, "maxIdleConns": 20}},
                "visibility": {"sql": {**_connection(url, "temporal_visibility"), "maxConns": 10, "maxIdleConns": 10}},
            },
        },
        "global": {"membership": {"maxJoinDuration": "30s", "broadcastAddress": "127.0.0.1"}},
        "services": services,
        "clusterMetadata": {
            "enableGlobalNamespace": False,
            "failoverVersionIncrement": 10,
            "masterClusterName": "active",
            "currentClusterName": "active",
            "clusterInformation": {
                "active": {
                    "enabled": True,
                    "initialFailoverVersion": 1,
                    "rpcName": "frontend",
                    "rpcAddress": frontend,
                }
            },
        },
        "dcRedirectionPolicy": {"policy": "noop"},
        "publicClient": {"hostPort": frontend},
        "dynamicConfigClient": {"filepath": str(_DYNAMIC_CONFIG), "pollInterval": "60s"},
    }  # fmt: skip


def _connection(url: str, database: str) -> dict[str, Any]:
    """How the server reaches a database: its host is a folder, which is said by an attribute."""
    parts = urlsplit(url)
    (host,) = parse_qs(parts.query)["host"]
    return {
        "pluginName": "postgres12_pgx",
        "databaseName": database,
        "connectAddr": "localhost:5432",
        "connectProtocol": "tcp",
        "connectAttributes": {"host": host},
        "user": parts.username or "",
        "password": "",
        "maxConnLifetime": "1h",
    }


async def _prepare(address: str) -> None:
    """Raises what `patiently` waits for until the namespace is there, and can be counted in."""
    client = await Client.connect(address)
    retention = Duration()
    retention.FromTimedelta(timedelta(days=1))
    request = RegisterNamespaceRequest(
        namespace="default", workflow_execution_retention_period=retention
    )
    try:
        await client.workflow_service.register_namespace(request)
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise
    await client.count_workflows()
