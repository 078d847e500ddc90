"""The schedules of `hub dev`: applied at once and after each change, also when Temporal was away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from hub.errors import Conflict, HubError, Unreachable
from hub.process import schedules as module
from hub.process.schedules import LiveSchedules
from hub.routing.schedules import ProjectSchedules
from hub.run.schedules import Change, Plan


class Scripted:
    """Gives one plan or error after the other."""

    def __init__(self, *outcomes: Plan | HubError) -> None:
        self.outcomes = list(outcomes)

    async def apply(self) -> Plan:
        outcome = self.outcomes.pop(0) if self.outcomes else Plan()
        if isinstance(outcome, HubError):
            raise outcome
        return outcome


def created(*ids: str) -> Plan:
    return Plan(changes=[Change(action="create", id=id_) for id_ in ids])


async def said_by(scripted: Scripted) -> Sequence[tuple[str, str]]:
    """What is said while the project changes until the script is at its end."""
    said: list[tuple[str, str]] = []
    live = LiveSchedules(
        cast("ProjectSchedules", scripted), lambda text, style: said.append((text, style))
    )
    task = asyncio.create_task(live.run())
    while scripted.outcomes:
        await asyncio.sleep(0)
        live.changed()
    for _ in range(3):
        await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return said


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.0)


async def test_what_was_done_is_said() -> None:
    assert await said_by(Scripted(created("a/due", "b/due"))) == [
        ("schedules: a/due created, b/due created", "green")
    ]
    assert await said_by(Scripted(created("a", "b", "c", "d", "e"))) == [
        ("schedules: a created, b created, c created and 2 more", "green")
    ]
    assert await said_by(Scripted(Plan(unchanged=["a/due"]))) == []


async def test_each_change_of_the_project_is_applied() -> None:
    said = await said_by(Scripted(created("a/due"), created("b/due")))
    assert [text for text, _ in said] == [
        "schedules: a/due created",
        "schedules: b/due created",
    ]


async def test_while_temporal_is_away_it_is_tried_again() -> None:
    away = Unreachable("Temporal does not answer")
    said = await said_by(Scripted(away, away, created("a/due")))
    assert said[0] == ("schedules are applied later: Temporal does not answer", "yellow")
    assert said[-1] == ("schedules: a/due created", "green")


async def test_what_the_server_refuses_is_said_and_ends_nothing() -> None:
    said = await said_by(Scripted(Conflict("it is another's"), created("a/due")))
    assert said == [
        ("schedules: it is another's", "red"),
        ("schedules: a/due created", "green"),
    ]
