"""What the README and docs/benchmarks.md quote, one command each.

    python -m benchmarks                 everything (this is `make bench`)
    python -m benchmarks resume cli      parts
    python -m benchmarks resume --quick  a minute or less, to see that it works; proves nothing
    python -m benchmarks cluster rivals  what only runs when it is named: it needs other programs
    python -m benchmarks report          docs/benchmarks.md and README's figures from the last runs

A benchmark is a module of this package (`benchmarks/NAME.py`, or a package with a `__main__.py`)
whose docstring's first line is its title, and which is in `BENCHMARKS` or `ON_REQUEST` below. It is
run as a process of its own, `python -m benchmarks.NAME [--quick] --json FILE`:

    async def measure(bench: Bench) -> None:
        async for side in bench.rounds("hub", "by hand"):
            side.note("starts", await starts_per_second(side.name))
        bench.compare("starts", of="hub", to="by hand", unit="1/s", title="...", goal=">= 0.8")

    if __name__ == "__main__":
        sys.exit(main(measure))

Two sides are measured in interleaved rounds (A B, B A, A B ...), so that what else the machine does
meanwhile meets both; a ratio is the median of the rounds' ratios. See `benchmarks.frame` for all
that `Bench` has: `compare`, `figure` for what has no baseline, `plot`, `table`, `fact`, `skip`.
A benchmark that cannot use the frame writes what `benchmarks.frame.Result` describes itself.

Rules: free ports and temporary folders only; child processes by `hub.tether`; no assertion about
time; what was not done is said (`bench.skip`); the load generator is another process than what it
loads. A check of correctness that fails (`bench.check`) is a failure; a goal that is missed is not.
"""

from __future__ import annotations

__all__ = ["ALL", "BENCHMARKS", "ON_REQUEST"]

BENCHMARKS: dict[str, float] = {
    "cli": 3,
    "routing": 3,
    "ingest": 6,
    "resume": 5,
    "plain": 5,
    "starts": 5,
    "waits": 9,
    "growth": 5,
    "kafka": 5,
    "page": 4,
    "approvals": 4,
    "faults": 6,
    "rolling": 10,
}
"""The benchmarks in their order, each with the minutes after which it is given up."""

ON_REQUEST: dict[str, float] = {"cluster": 12, "rivals": 15}
"""Those that run only when they are named: what they need is built or installed first, once."""

ALL = {**BENCHMARKS, **ON_REQUEST}
