"""Runs benchmarks, each as a process of its own, and makes the documents of what they found."""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec

import benchmarks
from benchmarks import ALL, ON_REQUEST
from benchmarks.frame.bench import STOPPED
from benchmarks.frame.machine import describe
from benchmarks.frame.result import Comparison, Figure, Result, read
from benchmarks.report import write_documents

ROOT = Path(__file__).resolve().parent.parent
LATEST = ROOT / ".bench"
"""Where the results of the last runs are, until `report` takes them up."""
_GRACE = 20.0


def main() -> int:
    """Exit with 0 when all of it ran and held, 1 when not."""
    names = [name for name in ALL if importlib.util.find_spec(f"benchmarks.{name}")]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=benchmarks.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join([*names, "report"]))
    parser.add_argument("--quick", action="store_true", help="as little as shows that it works")
    parser.add_argument("--json", type=Path, help="also write all results, as one list, to a file")
    given = parser.parse_args()
    if given.names == ["report"]:
        return write_documents(LATEST)
    unknown = [name for name in given.names if name not in names]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(names)}")
    LATEST.mkdir(exist_ok=True)
    chosen = given.names or [name for name in names if name not in ON_REQUEST]
    results = []
    began = time.monotonic()
    for place, name in enumerate(chosen, 1):
        minutes = (time.monotonic() - began) / 60
        print(f"[{place}/{len(chosen)}, {minutes:.1f} min] {name}", file=sys.stderr, flush=True)
        results.append(_run(name, quick=given.quick))
    if given.json is not None:
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode(results)))
    return _sum_up(results, time.monotonic() - began)


def _run(name: str, *, quick: bool) -> Result:
    """Run one benchmark to its end, or to the end of its time; what it started ends with it."""
    kept = LATEST / f"{name}{'.quick' if quick else ''}.json"
    kept.unlink(missing_ok=True)
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(kept)]
    process = subprocess.Popen(
        [*command, "--quick"] if quick else command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        env={n: v for n, v in os.environ.items() if not n.startswith(("HUB_", "TEMPORAL_"))},
    )
    wrong: str | None = None
    try:
        code = process.wait(ALL[name] * 60)
        wrong = f"it ended with code {code}" if code else None
    except subprocess.TimeoutExpired:
        wrong = f"it took more than {ALL[name]:g} minutes and was stopped"
    finally:
        _end(process)
    try:
        result = read(kept)
    except (OSError, msgspec.MsgspecError) as error:
        wrong = wrong or f"it left no result: {error}"
        result = Result(name=name, title=name, quick=quick, machine=describe())
    if wrong is not None and (result.is_sound or result.error == STOPPED):
        result.error = wrong
    result.write(kept)
    return result


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the benchmark's process group."""
    for number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except (ProcessLookupError, PermissionError):
            break
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            continue
        if number == signal.SIGINT:
            time.sleep(0.2)
    process.wait()


def _sum_up(results: list[Result], seconds: float) -> int:
    print(f"\nDone in {seconds / 60:.1f} minutes.")
    for result in results:
        named: list[Comparison | Figure] = [*result.comparisons, *result.figures]
        goals = [one for one in named if one.goal]
        missed = [one.title for one in goals if not one.is_met]
        why = (result.error or "a check does not hold").partition("\n")[0]
        state = "ok" if result.is_sound else f"FAILED: {why}"
        print(f"{result.name:10} {state}; {len(goals) - len(missed)} of {len(goals)} goals met")
        for title in missed:
            print(f"{'':10} missed: {title}")
    if not any(result.quick for result in results):
        print("`python -m benchmarks report` makes docs/benchmarks.md of it.")
    return 0 if all(result.is_sound for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
