from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hub.errors import Unreachable
from hub.event import Event
from tests.unit.api_home import open_home


async def test_counts_and_minutes(tmp_path: Path) -> None:
    async def count() -> Mapping[str, int]:
        return {"running": 2, "failed": 1}

    async with open_home(tmp_path, count_runs=count, is_development=True) as home:
        await home.journal.append(
            "app", [Event(id=f"e{n}", source="/t", type="t", data=None) for n in range(3)]
        )
        await home.journal.append("app", [Event(id="e1", source="/t", type="t", data=None)])
        document = (await home.client.get("/api/overview")).json()
    assert document["project"] == "shop"
    assert document["development"] is True
    assert (document["trees"], document["triggers"]) == (1, 3)
    assert document["events"]["accepted"] == 3
    assert document["events"]["duplicate"] == 1
    assert document["runs"] == {"running": 2, "failed": 1}
    assert document["backlog"] == 3
    assert len(document["per_minute"]) == 60
    # A minute may turn while the test runs.
    assert sum(document["per_minute"][-2:]) == 3


async def test_it_says_so_when_runs_cannot_be_counted(tmp_path: Path) -> None:
    async def away() -> Mapping[str, int]:
        raise Unreachable("Temporal does not answer")

    async with open_home(tmp_path, count_runs=away, health={"temporal": away}) as home:
        answer = await home.client.get("/api/overview")
    assert answer.status_code == 200
    assert answer.json()["runs"] is None
    assert answer.json()["checks"] == [
        {"name": "temporal", "ok": False, "detail": "Temporal does not answer"}
    ]


async def test_minutes_before_the_first_asked_for_are_left_out(tmp_path: Path) -> None:
    async with open_home(tmp_path) as home:
        await home.journal.append("app", [Event(id="e", source="/t", type="t", data=None)])
        now = datetime.now(UTC)
        minute = now.replace(second=0, microsecond=0)
        counted = await home.journal.per_minute(minute - timedelta(minutes=1))
        assert sum(counted.values()) == 1
        assert all(time.second == 0 for time in counted)
        assert await home.journal.per_minute(minute + timedelta(minutes=2)) == {}
