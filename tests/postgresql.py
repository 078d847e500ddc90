"""A PostgreSQL for the tests: in a container where Docker answers, else from the machine's own
binaries, private, in a temporary folder and on a unix socket. Without either, tests are skipped."""

from __future__ import annotations

import asyncio
import gc
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy.engine import URL, make_url

asyncpg = pytest.importorskip("asyncpg", reason="asyncpg is not installed")


@dataclass(frozen=True)
class PostgresqlServer:
    """A running server; `admin` is the URL of its superuser."""

    admin: URL

    async def run(self, *statements: str, database: str | None = None) -> None:
        """Run statements as the superuser, outside of any transaction."""
        address: dict[str, Any] = {"host": self.admin.query.get("host") or self.admin.host}
        connection = await asyncpg.connect(
            user=self.admin.username,
            password=self.admin.password,
            port=self.admin.port or 5432,
            database=database or self.admin.database,
            **address,
        )
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def empty(self, database: str) -> str:
        """The URL of that database, with nothing and nobody in it."""
        # A new one for each test would take longer than most of them.
        try:
            await self.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                f" WHERE datname = '{database}' AND pid <> pg_backend_pid()",
                "DROP SCHEMA public CASCADE",
                "CREATE SCHEMA public",
                database=database,
            )
        except asyncpg.InvalidCatalogNameError:
            await self.run(f'CREATE DATABASE "{database}"')
        return self.url(database)

    def url(self, database: str) -> str:
        return self.admin.set(database=database).render_as_string(hide_password=False)

    @asynccontextmanager
    async def away(self, url: str) -> AsyncIterator[None]:
        """While it lasts, the database has no connections and takes none."""
        name = make_url(url).database
        await self.run(
            f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false',
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
        )
        try:
            yield
        finally:
            await self.run(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgresql_server() -> AsyncIterator[PostgresqlServer]:
    async with running_server() as server:
        yield server


@asynccontextmanager
async def running_server() -> AsyncIterator[PostgresqlServer]:
    """A PostgreSQL that runs for as long as the block. Skips the test where there is none."""
    async with AsyncExitStack() as stack:
        if _docker_answers():
            yield stack.enter_context(_container())
        elif (binaries := _binaries()) is not None:
            yield await stack.enter_async_context(_private_server(binaries))
        else:
            pytest.skip("no PostgreSQL: no Docker engine answers, and no postgres is installed")


@pytest_asyncio.fixture
async def postgresql_url(postgresql_server: PostgresqlServer) -> str:
    """The URL of an empty database that is the test's own, for as long as it takes."""
    return await postgresql_server.empty("of_each_test")


def _docker_answers() -> bool:
    with warnings.catch_warnings():
        # Its client leaves a socket open where nobody listens; collected here, it harms no test.
        warnings.simplefilter("ignore")
        try:
            return _ping_docker()
        finally:
            gc.collect()


def _ping_docker() -> bool:
    try:
        import docker  # type: ignore[import-untyped]

        client = docker.from_env(timeout=5)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except Exception:
        return False


@contextmanager
def _container() -> Iterator[PostgresqlServer]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from testcontainers.community.postgres import PostgresContainer
    with PostgresContainer("postgres:17-alpine", driver=None) as container:
        yield PostgresqlServer(make_url(container.get_connection_url()))


def _binaries() -> Path | None:
    if found := shutil.which("initdb"):
        return Path(found).parent
    # Debian keeps them out of the path, a folder for each version.
    installed = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: float(p.parts[-3])
    )
    return installed[-1].parent if installed else None


@asynccontextmanager
async def _private_server(binaries: Path) -> AsyncIterator[PostgresqlServer]:
    # Sockets have short names: not pytest's long path. And the server refuses to run as root.
    folder = Path(tempfile.mkdtemp(prefix="hub-pg-"))
    user = _unprivileged() if os.geteuid() == 0 else None
    as_user: dict[str, Any] = {}
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
        as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    try:
        initdb: list[str | Path] = [
            binaries / "initdb",
            "-D",
            folder / "data",
            "-U",
            "hub",
            "-A",
            "trust",
            "-N",
        ]
        subprocess.run(
            [*initdb, "-E", "UTF8", "--locale", "C"],
            cwd=folder,
            check=True,
            capture_output=True,
            **as_user,
        )
        with (folder / "log").open("wb") as log:
            options: list[str | Path] = [
                "-k",
                folder,
                "-c",
                "listen_addresses=",
                "-F",
                "-c",
                "max_connections=50",
            ]
            server: subprocess.Popen[bytes] = subprocess.Popen(
                [binaries / "postgres", "-D", folder / "data", *options],
                cwd=folder,
                stdout=log,
                stderr=log,
                **as_user,
            )
        try:
            admin = URL.create(
                "postgresql", username="hub", database="postgres", query={"host": str(folder)}
            )
            running = PostgresqlServer(admin)
            await _await_start(running, server, folder / "log")
            yield running
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    pytest.skip("no PostgreSQL: the tests run as root, and there is no user for the server")


async def _await_start(
    server: PostgresqlServer, process: subprocess.Popen[bytes], log: Path
) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            return await server.run("SELECT 1")
        except (OSError, asyncpg.PostgresError):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL does not start: {log.read_text()}")
            await asyncio.sleep(0.05)
