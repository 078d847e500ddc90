"""The kill laboratory in its short form: a few seconds of load, each process killed, and the audit."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.faults.__main__ import report
from benchmarks.faults.laboratory import Audit, experiment
from benchmarks.frame.result import Result


@pytest.mark.timeout(400)
async def test_every_accepted_event_has_one_effect_whatever_is_killed(tmp_path: Path) -> None:
    said: list[str] = []
    audit = await experiment(
        tmp_path, database="sqlite", seconds=3, seed=7, rate=4, say=said.append, workers=1
    )
    assert audit.holds, (audit, said)
    assert audit.accepted > 10
    assert audit.effects >= audit.accepted
    assert all(audit.kills[kind] >= 1 for kind in ("temporal", "serve", "worker"))


@pytest.mark.parametrize(
    "audit",
    [
        Audit(database="sqlite", seed=1, accepted=2, effects=1, lost=["placed-1"]),
        Audit(database="sqlite", seed=1, accepted=1, effects=2, doubled=["placed-1"]),
        Audit(database="sqlite", seed=1, accepted=1, effects=1, undelivered=1),
        Audit(database="sqlite", seed=1, accepted=1, effects=1, dead=1),
        Audit(database="sqlite", seed=1, accepted=1, effects=1, unmatched=1),
    ],
)
def test_an_audit_that_fails_is_a_failure(audit: Audit) -> None:
    result = Result(name="faults", title="faults")
    report(result, [audit])
    assert not result.is_sound
    assert not audit.holds
