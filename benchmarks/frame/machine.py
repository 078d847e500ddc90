"""What the figures were measured on: ratios carry over to other machines, absolute numbers do not."""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from benchmarks.frame.spread import median

__all__ = ["describe"]


def describe() -> dict[str, str]:
    """The machine in a few lines: processor, memory, disk, versions, and how busy it is."""
    one, five, _ = os.getloadavg()
    return {
        "processor": f"{_processor()}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "disk": f"4 KiB written and synced in {_sync_milliseconds():.2f} ms (median)",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "temporal": f"temporalio {version('temporalio')}, server {_temporal()}",
        "load before": f"{one:.1f} over one minute, {five:.1f} over five",
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _sync_milliseconds() -> float:
    with tempfile.TemporaryFile(buffering=0) as file:
        took = []
        for _ in range(50):
            began = time.perf_counter()
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
            took.append((time.perf_counter() - began) * 1000)
    return median(took)


def _temporal() -> str:
    from hub.temporal.dev_server import find_temporal

    said = subprocess.run(
        [find_temporal(), "--version"], capture_output=True, text=True, check=False, timeout=30
    ).stdout
    return said.partition("Server ")[2].partition(",")[0].strip(" )\n") or said.strip()
