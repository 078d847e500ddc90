"""Ports: is one free, who listens there, and which one could be had instead."""

from __future__ import annotations

import errno
import random
import shutil
import socket
import subprocess
from pathlib import Path

from hub.errors import PortTaken

__all__ = ["claim", "find_free", "listener"]

_LOWEST = 10_000
_TRIES = 20
_CHANCE = random.SystemRandom()


def claim(host: str, port: int, *, what: str, setting: str) -> None:
    """Make sure that `what` will be able to listen on the port.

    Raises `PortTaken`, which names the port, the program that holds it where that can be told, and
    the setting that moves it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except PermissionError:
            raise PortTaken(
                f"{what} may not listen on port {port}: ports under 1024 need a privilege. "
                f"Set {setting} to a higher one, for example {setting}={find_free(host)}."
            ) from None
        except OSError as error:
            raise PortTaken(taken(host, port, what=what, setting=setting, error=error)) from None


def taken(host: str, port: int, *, what: str, setting: str, error: OSError | None = None) -> str:
    """The sentence that says that a port is taken, by whom, and what to do."""
    if error is not None and not _in_use(error):
        return f"{what} cannot listen on {host}:{port}: {error.strerror or error}. Check {setting}."
    who = listener(port)
    held = f" by {who}" if who else ""
    return (
        f"port {port}, where {what} would listen, is taken{held}. "
        f"Stop that program, or set {setting} to a free port, "
        f"for example {setting}={find_free('127.0.0.1')}."
    )


def find_free(host: str = "127.0.0.1") -> int:
    """A port on which nobody listens just now.

    It is none of those that the system gives to connections by itself: such a one could be anybody's
    before it is listened on, and would be so again whenever its server is started anew.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in (*_CHANCE.sample(range(_LOWEST, _handed_out_from()), k=_TRIES), 0):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((host, port))
            except OSError as error:
                if port and _in_use(error):
                    continue
                raise
            return int(probe.getsockname()[1])
    raise AssertionError("the last of them is of the system's own choice")


def listener(port: int) -> str | None:
    """Who listens on the port, as `name (process 4711)`; None where that cannot be told."""
    pid = _listener_by_proc(port)
    if pid is None:
        pid = _listener_by_lsof(port)
    if pid is None:
        return None
    return f"{_name(pid)} (process {pid})"


def _handed_out_from() -> int:
    """The first port that the system may give to a connection that asks for none."""
    try:
        range_ = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
        first = int(range_.split()[0])
    except (OSError, ValueError, IndexError):
        # As IANA has it, and the BSDs do.
        first = 49_152
    return max(first, _LOWEST + 10 * _TRIES)


def _in_use(error: OSError) -> bool:
    return error.errno == errno.EADDRINUSE


def _listener_by_proc(port: int) -> int | None:
    """Linux: the socket's inode from the kernel's table, then the process that has it open."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            listening = fields[3] == "0A"
            if listening and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    if not inodes:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        try:
            for descriptor in (process / "fd").iterdir():
                if str(descriptor.readlink()) in inodes:
                    return int(process.name)
        except OSError:
            continue
    return None


def _listener_by_lsof(port: int) -> int | None:
    lsof = shutil.which("lsof")
    if lsof is None:
        return None
    try:
        found = subprocess.run(  # noqa: S603
            [lsof, "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-t"],
            capture_output=True,
            text=True,
            timeout=2,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    first = found.stdout.split()
    return int(first[0]) if first else None


def _name(pid: int) -> str:
    """The program's name and what it was started with, short; never its whole command line."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "another program"
    words = [word for word in words if word]
    if not words:
        return "another program"
    return Path(words[0]).name
