"""A private PostgreSQL with its usual settings: what it has committed is on disk."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.processes import child

__all__ = ["find_binaries", "postgresql"]


def find_binaries() -> Path | None:
    """The folder of `initdb` and `postgres`, where there is one."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    installed = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: float(p.parts[-3])
    )
    return installed[-1].parent if installed else None


@asynccontextmanager
async def postgresql(binaries: Path, *, connections: int = 100) -> AsyncIterator[str]:
    """The URL of its database `postgres`, reached by a socket in a folder of its own.

    It takes that many `connections` at the same time.
    """
    folder = Path(tempfile.mkdtemp(prefix="hub-bench-pg-"))
    user = _unprivileged() if os.geteuid() == 0 else None
    prefix: list[str] = []
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
        prefix = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    try:
        options = ["-U", "hub", "-A", "trust", "-E", "UTF8", "--locale", "C"]
        made = await asyncio.create_subprocess_exec(
            *prefix, str(binaries / "initdb"), "-D", str(folder / "data"), *options,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            cwd=folder,
        )  # fmt: skip
        _, said = await made.communicate()
        if made.returncode:
            raise RuntimeError(f"initdb ended with code {made.returncode}: {said.decode()}")
        log = folder / "log"
        server = [*prefix, str(binaries / "postgres"), "-D", str(folder / "data")]
        options = ["-k", str(folder), "-c", "listen_addresses="]
        options += ["-c", f"max_connections={connections}"]
        async with child([*server, *options], log, speaks=False):
            async with asyncio.timeout(30):
                while b"ready to accept connections" not in log.read_bytes():
                    await asyncio.sleep(0.05)
            yield f"postgresql://hub@/postgres?host={folder}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged() -> pwd.struct_passwd | None:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None
