"""Children that cannot outlive their parent, seen from outside: real processes, real kills."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.tether import tethered

PYTHON = [sys.executable, "-I", "-S", "-c"]
SPEAKS_AND_SLEEPS = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
IGNORES_TERM = (
    "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print(os.getpid(), flush=True); time.sleep(600)"
)
STARTS_ANOTHER = (
    "import os, subprocess, sys, time;"
    "p = subprocess.Popen([sys.executable, '-I', '-S', '-c', 'import time; time.sleep(600)']);"
    "print(p.pid, flush=True); time.sleep(600)"
)


def wait_gone(pid: int) -> None:
    """Return when the process is gone; pytest's timeout is the bound."""
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        with contextlib.suppress(OSError):
            # In a container without an init the orphan stays behind as a zombie of ours.
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        time.sleep(0.005)


@contextlib.contextmanager
def running(command: list[str], *, grace: float = 5.0) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        tethered(command, grace=grace),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.stdout.close()
        process.wait()


def first_pid(process: subprocess.Popen[bytes]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


@pytest.mark.parametrize("code", [0, 1, 77])
def test_forwards_the_exit_code(code: int) -> None:
    with running([*PYTHON, f"raise SystemExit({code})"]) as process:
        assert process.wait() == code


def test_forwards_death_by_a_signal_as_shells_do() -> None:
    with running([*PYTHON, SPEAKS_AND_SLEEPS]) as process:
        os.kill(first_pid(process), signal.SIGKILL)
        assert process.wait() == 128 + signal.SIGKILL


def test_a_program_that_is_not_there_is_127_with_its_name() -> None:
    process = subprocess.run(
        tethered(["/no/such/program"]), input=b"", capture_output=True, check=False
    )
    assert process.returncode == 127
    assert b"/no/such/program: No such file" in process.stderr


def test_closing_the_pipe_stops_the_child() -> None:
    with running([*PYTHON, SPEAKS_AND_SLEEPS]) as process:
        pid = first_pid(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait() == 128 + signal.SIGTERM
        wait_gone(pid)


def test_a_child_that_ignores_the_request_is_killed_after_the_grace_time() -> None:
    with running([*PYTHON, IGNORES_TERM], grace=0.05) as process:
        pid = first_pid(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait() == 128 + signal.SIGKILL
        wait_gone(pid)


def test_what_the_child_has_started_goes_with_it() -> None:
    with running([*PYTHON, STARTS_ANOTHER]) as process:
        grandchild = first_pid(process)
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
        wait_gone(grandchild)


def test_a_terminated_tether_stops_the_child() -> None:
    with running([*PYTHON, SPEAKS_AND_SLEEPS]) as process:
        pid = first_pid(process)
        process.terminate()
        process.wait()
        wait_gone(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of a killed parent")
def test_a_killed_tether_takes_the_child_along() -> None:
    with running([*PYTHON, SPEAKS_AND_SLEEPS]) as process:
        pid = first_pid(process)
        process.kill()
        process.wait()
        wait_gone(pid)


def test_the_child_does_not_outlive_a_killed_parent() -> None:
    program = (
        "import subprocess, sys, time\n"
        "from hub.tether import tethered\n"
        f"command = {[*PYTHON, SPEAKS_AND_SLEEPS]!r}\n"
        "subprocess.Popen(tethered(command), stdin=subprocess.PIPE, start_new_session=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
        wait_gone(child)
        # The pipe's other holders were the child and its tether: its end says that both are gone.
        readable, _, _ = select.select([parent.stdout], [], [], 30)
        assert readable
        assert parent.stdout.read() == b""
