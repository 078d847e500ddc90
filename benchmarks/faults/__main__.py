"""Every event that was accepted has exactly one effect, whatever is killed meanwhile

    python -m benchmarks.faults --seconds 120 --seed 7 --journal postgresql

Real processes: Temporal's server on a file, `hub serve` (two of them where they share a PostgreSQL),
two `hub worker`s, and PostgreSQL itself. While webhooks come in, many of them twice, some payments
before their orders, each process is killed with `kill -9` at random moments and started again. Then
the audit: every event that was answered with 202 must have had one effect at the receiver, a real
HTTP server. Orders wait for a second event; the events of a shop are gathered in batches, by gates.

An effect is counted as a careful receiver counts it: by its `Idempotency-Key`. An action that is
killed in its middle is done again, since nobody can know how far it came; such requests carry the key
of before, and are told apart as raw repeats.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.faults.laboratory import Audit, Database, experiment
from benchmarks.faults.parts import find_postgresql
from benchmarks.frame.machine import describe
from benchmarks.frame.result import Check, Result, Table
from benchmarks.frame.screen import show

_SHOWN = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it as a process: 0 when the audit holds, 1 when not."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--seconds", type=float, default=20, help="of load, for each journal; the long form is 120"
    )
    parser.add_argument("--seed", type=int, help="what is sent, and killed when; else a new one")
    parser.add_argument("--rate", type=float, default=12, help="orders a second, about")
    parser.add_argument(
        "--journal",
        choices=("sqlite", "postgresql", "both"),
        default="both",
        help="where the journal is; both, one after the other, unless one is named",
    )
    parser.add_argument(
        "--signals", type=int, default=0, help="so many events to one single run, such as 20000"
    )
    parser.add_argument("--quick", action="store_true", help="ten seconds of SQLite")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to this file")
    given = parser.parse_args(arguments)
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    seconds = min(given.seconds, 10) if given.quick else given.seconds
    result = Result(
        name="faults",
        title=(__doc__ or "").partition("\n")[0],
        quick=given.quick,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=describe(),
    )
    databases: list[Database] = ["sqlite", "postgresql"]
    if given.journal != "both":
        databases = [given.journal]
    elif given.quick:
        databases = ["sqlite"]
    if "postgresql" in databases and find_postgresql() is None:
        result.skipped.append("PostgreSQL: no initdb is found, or no user may run the server")
        databases.remove("postgresql")
    began = time.monotonic()
    audits: list[Audit] = []
    try:
        for database in databases:
            _say(f"{database}, {seconds:.0f} s, seed {seed}")
            with tempfile.TemporaryDirectory(
                prefix="hub-faults-", ignore_cleanup_errors=True
            ) as name:
                audits.append(
                    asyncio.run(
                        experiment(
                            Path(name),
                            database=database,
                            seconds=seconds,
                            seed=seed,
                            rate=given.rate,
                            say=_say,
                            signals=given.signals,
                        )
                    )
                )
    except (RuntimeError, KeyboardInterrupt) as error:
        result.error = str(error) or "it was stopped"
    report(result, audits)
    if not databases:
        result.error = "nothing could be tried"
    result.seconds = round(time.monotonic() - began, 1)
    if given.json is not None:
        result.write(given.json)
    show(result)
    if result.error is not None:
        _say(result.error)
    return 0 if result.is_sound else 1


def report(result: Result, audits: Sequence[Audit]) -> None:
    """Put the audits into the result: a table, and a check for each."""
    if not audits:
        return
    rows: list[tuple[str, Sequence[float]]] = [
        ("webhooks sent, again and again", [a.posts for a in audits]),
        ("events accepted (202)", [a.accepted for a in audits]),
        ("effects", [a.effects for a in audits]),
        ("lost", [len(a.lost) for a in audits]),
        ("doubled", [len(a.doubled) for a in audits]),
        ("used though the sender had no answer", [a.unsent for a in audits]),
        ("raw repeats of requests, known by their key", [a.repeats for a in audits]),
        *(
            (f"kill -9 of {kind}", [a.kills.get(kind, 0) for a in audits])
            for kind in _kinds(audits)
        ),
        ("seconds, all in all", [a.seconds for a in audits]),
    ]
    result.tables.append(
        Table(
            title="The audit",
            columns=["", *(a.database for a in audits)],
            rows=[[what, *map(str, values)] for what, values in rows],
        )
    )
    for audit in audits:
        wrong = [
            *(f"lost {one}" for one in audit.lost[:_SHOWN]),
            *(f"doubled {one}" for one in audit.doubled[:_SHOWN]),
            *([f"{audit.undelivered} undelivered"] if audit.undelivered else []),
            *([f"{audit.unmatched} reached no run"] if audit.unmatched else []),
            *([f"{audit.dead} dead letters"] if audit.dead else []),
        ]
        result.checks.append(
            Check(
                what=f"{audit.database}: every accepted event has exactly one effect",
                holds=audit.holds,
                detail="; ".join(wrong),
            )
        )
        result.facts[f"answers, {audit.database}"] = ", ".join(
            f"{answer}: {count}" for answer, count in sorted(audit.answers.items())
        )
    result.facts["seed"] = str(audits[0].seed)


def _kinds(audits: Sequence[Audit]) -> list[str]:
    return list(dict.fromkeys(kind for audit in audits for kind in audit.kills))


def _say(text: str) -> None:
    print(f"  faults: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
