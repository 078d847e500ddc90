from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from rich.console import Console

from hub.cli.drawing import ENDED, STATUSES, draw_run
from hub.run.state import NodeStatus, RunStatus

NOW = datetime(2030, 1, 2, 12, 0, tzinfo=UTC)


def at(**before: float) -> str:
    return (NOW - timedelta(**before)).isoformat().replace("+00:00", "Z")


def node(status: str, kind: str = "email.send", **more: Any) -> dict[str, Any]:
    return {"type": kind, "id": None, "status": status, "attempt": 1, **more}


def drawn(**more: Any) -> list[str]:
    run = {
        "id": "onboarding/u1",
        "tree": "onboarding",
        "hash": "0123456789abcdef",
        "status": "running",
        "started_at": at(hours=1),
        "ended_at": None,
        "waiting_for": [],
        "nodes": {},
        "result": None,
        "error": None,
    }
    screen = Console(file=io.StringIO(), width=160, no_color=True)
    screen.print(draw_run(run | more, NOW))
    return [line.rstrip() for line in screen.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_every_status_has_a_sign_of_its_own_and_its_word() -> None:
    assert set(STATUSES) == {*get_args(NodeStatus), *get_args(RunStatus)}
    assert set(get_args(RunStatus)) - ENDED == {"dormant", "running"}


def test_the_head_says_what_it_is_how_it_does_and_since_when() -> None:
    lines = drawn()
    assert lines[0] == "onboarding/u1  ▶ running"
    assert "tree onboarding (0123456789abcdef)" in lines[1]
    assert "1h ago" in lines[1]


def test_nodes_stand_below_those_they_belong_to_in_the_order_of_the_definition() -> None:
    lines = drawn(
        nodes={
            "do": node("running", "sequence"),
            "do[10]": node("pending", "log"),
            "do[2].fallback[0]": node("waiting", "wait_for"),
            "do[2]": node("running", "fallback"),
            "do[0]": node("succeeded"),
            "do[1]#3": node("failed", "check"),
        }
    )
    assert [line.strip(" │├└─").split("  ")[0] for line in lines[2:]] == [
        "▶ running",
        "✓ succeeded",
        "✗ failed",
        "▶ running",
        "⧗ waiting",
        "· pending",
    ]
    inside, outside = lines[6], lines[5]
    assert inside.index("⧗") > outside.index("▶")
    assert "wait_for" in inside
    assert "fallback[0]" in inside


def test_a_wait_says_until_when_and_for_how_long() -> None:
    lines = drawn(
        waiting_for=["verified"],
        nodes={"do[0]": node("waiting", "wait_for", deadline=at(hours=-23, minutes=-5))},
    )
    assert lines[2] == "waits for verified"
    assert "(in 23h 5m)" in lines[3]


def test_results_errors_and_attempts_are_short_and_there() -> None:
    lines = drawn(
        status="failed",
        ended_at=at(minutes=59),
        error={"code": "timeout", "message": "too\nlate", "path": "do[0]"},
        nodes={
            "do[0]": node(
                "succeeded",
                result={"id": "x" * 500},
                started_at=at(hours=1),
                ended_at=at(minutes=59),
            ),
            "do[1]": node("failed", attempt=3, error={"code": "smtp", "message": "no [bold] way"}),
        },
    )
    assert lines[0].endswith("✗ failed")
    assert "after 1m" in lines[1]
    assert lines[2] == "timeout: too late"
    assert "…" in lines[3]
    assert len(lines[3]) <= 160
    assert "attempt 3" in lines[4] or "attempt 3" in lines[5]
    assert any("smtp: no [bold] way" in line for line in lines)


def test_events_that_wait_in_the_mailbox_are_listed() -> None:
    event = {"id": "e1", "type": "user.signed_up"}
    lines = drawn(
        mailbox={"stored": [{"event": event, "subscriptions": ["signed_up"], "number": 1}]}
    )
    assert lines[-1] == "mailbox: user.signed_up (e1) for signed_up"


@pytest.mark.parametrize("status", ["unheard_of"])
def test_a_status_of_a_later_hub_is_shown_as_it_is(status: str) -> None:
    assert drawn(status=status)[0] == f"onboarding/u1  ? {status}"
