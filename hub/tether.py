"""Child processes that cannot outlive their parent, not even after a `kill -9` of it.

Between parent and child stands a small process, the tether. Its standard input is a pipe that only
the parent holds open. When the parent ends, however it ends, the kernel closes the pipe; the tether
then stops the child's process group: SIGTERM, and SIGKILL after a grace time. Closing the pipe on
purpose is also how a living parent stops the child.

    process = await asyncio.create_subprocess_exec(*tethered(command), stdin=PIPE,
                                                   start_new_session=True)
    ...
    process.stdin.close()
    await process.wait()

The tether ends with the child's exit code (128 + n for signal n). It runs as a bare script, so this
module imports the standard library alone.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

__all__ = ["tethered"]

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1


def tethered(command: Sequence[str], *, grace: float = 5.0) -> list[str]:
    """The command line that runs `command` for as long as its standard input stays open.

    `grace` is the seconds between SIGTERM and SIGKILL. Start it in a session of its own, so that a
    Ctrl-C in the terminal reaches the parent alone.
    """
    return [sys.executable, "-I", "-S", __file__, str(grace), "--", *command]


def main(arguments: Sequence[str]) -> int:
    """Run `GRACE -- COMMAND...`, tethered to standard input; returns the exit code."""
    if len(arguments) < 3 or arguments[1] != "--":
        sys.stderr.write("usage: tether.py GRACE -- COMMAND [ARGUMENT...]\n")
        return 2
    grace = float(arguments[0])
    wake_read, wake_write = os.pipe()
    for end in (wake_read, wake_write):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    for number in (*_STOP_SIGNALS, signal.SIGCHLD):
        signal.signal(number, _noted)
    try:
        child = subprocess.Popen(  # noqa: S603
            arguments[2:],
            stdin=subprocess.DEVNULL,
            process_group=0,
            # What the parent handed down on purpose (a lock) is the child's as well.
            close_fds=False,
            preexec_fn=_die_with_tether(),
        )
    except OSError as error:
        sys.stderr.write(f"{arguments[2]}: {error.strerror}\n")
        return 127
    code = _attend(child, wake_read, grace)
    # What the child itself has started goes with it.
    _signal_group(child.pid, signal.SIGKILL)
    return code if code >= 0 else 128 - code


def _attend(child: subprocess.Popen[bytes], wake: int, grace: float) -> int:
    """Wait for the child's end, stopping it when the pipe closes or a signal says so."""
    parent = sys.stdin.fileno()
    watched = [parent, wake]
    kill_at: float | None = None
    while (code := child.poll()) is None:
        timeout = None if kill_at is None else max(0.0, kill_at - time.monotonic())
        ready, _, _ = select.select(watched, [], [], timeout)
        stop = wake in ready and any(n in _STOP_SIGNALS for n in os.read(wake, 256))
        if parent in ready and _closed(parent):
            watched.remove(parent)
            stop = True
        if stop and kill_at is None:
            kill_at = time.monotonic() + grace
            _signal_group(child.pid, signal.SIGTERM)
        elif kill_at is not None and time.monotonic() >= kill_at:
            _signal_group(child.pid, signal.SIGKILL)
            return child.wait()
    return code


def _closed(descriptor: int) -> bool:
    try:
        return not os.read(descriptor, 4096)
    except OSError:
        return True


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        pass


def _noted(number: int, frame: object) -> None:
    """Signals only have to wake the loop: their numbers come through the wakeup pipe."""


def _die_with_tether() -> Callable[[], None] | None:
    """On Linux the kernel also ends the child when the tether itself is killed."""
    if sys.platform != "linux":
        return None
    import ctypes

    libc = ctypes.CDLL(None)
    tether = os.getpid()

    def arrange() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != tether:
            os._exit(1)

    return arrange


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
