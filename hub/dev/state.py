"""The state folder of `hub dev`: one hub a project, told apart from a second by a lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from hub.errors import Conflict, InvalidSetting

__all__ = ["open_state"]

_LOCK = "hub.lock"


@contextlib.contextmanager
def open_state(folder: Path, *, patience: float = 2.0) -> Iterator[Path]:
    """Make the folder, and hold its lock while the block runs.

    The kernel gives the lock back however this process ends. `patience` is how many seconds to wait
    for a hub that is just ending. Raises `Conflict` while another one runs on the folder, and
    `InvalidSetting` when it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="ascii")
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise InvalidSetting(
            f"the state folder {folder} cannot be written ({error.strerror}); "
            "set HUB_STATE to another one"
        ) from None
    try:
        _take(lock, folder, patience)
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield folder
    finally:
        os.close(lock)


def _take(lock: int, folder: Path, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(0.02)
                continue
            holder = os.pread(lock, 20, 0).decode(errors="replace") or "unknown"
            raise Conflict(
                f"another `hub dev` (process {holder}) runs on this project. Stop it first, "
                f"or give this one a state folder of its own: HUB_STATE (now {folder})."
            ) from None
        else:
            return
