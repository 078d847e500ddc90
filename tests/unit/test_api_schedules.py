"""`/api/schedules`: what is shown of schedules, and what is handed on to where they are kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from hub.errors import NotFound, Unreachable
from hub.routing.project import load_project
from hub.routing.schedules import ProjectSchedules
from hub.run.schedules import KeptSchedules, LastRun, Plan, ScheduleView, WantedSchedule
from tests.unit.api_home import Home, open_home

AT = datetime(2026, 11, 24, 7, tzinfo=UTC)


class Kept:
    """Schedules in memory, which write down what is done to them."""

    def __init__(self, project: str) -> None:
        self.project = project
        self.done: list[tuple[Any, ...]] = []
        self.away = False

    async def plan(self, wanted: Sequence[WantedSchedule], *, delete: bool = True) -> Plan:
        return Plan()

    async def apply(self, wanted: Sequence[WantedSchedule], *, delete: bool = True) -> Plan:
        self.done.append(("apply", [one.id for one in wanted], delete))
        return Plan()

    async def list(self, wanted: Sequence[WantedSchedule]) -> Sequence[ScheduleView]:
        if self.away:
            raise Unreachable("Temporal does not answer")
        return [
            ScheduleView(
                id=one.id,
                tree=one.tree,
                subscription=one.subscription,
                trigger=one.trigger,
                status="current",
                times=["@daily"],
                timezone="UTC",
                overlap="skip",
                paused=False,
                note="",
                next=[AT],
                last=[LastRun(run_id="report/~due-1", scheduled_at=AT, started_at=AT)],
                running=[],
            )
            for one in wanted
        ]

    async def times(self, id: str, after: datetime, count: int) -> Sequence[datetime]:  # noqa: A002
        self._known(id)
        self.done.append(("times", id, after, count))
        return [AT] * count

    async def trigger(self, id: str, overlap: str | None = None) -> None:  # noqa: A002
        self._known(id)
        self.done.append(("trigger", id, overlap))

    async def pause(self, id: str, note: str) -> None:  # noqa: A002
        self.done.append(("pause", id, note))

    async def resume(self, id: str, note: str) -> None:  # noqa: A002
        self.done.append(("resume", id, note))

    async def backfill(
        self,
        id: str,  # noqa: A002
        begin: datetime,
        end: datetime,
        overlap: str | None = None,
    ) -> None:
        self.done.append(("backfill", id, begin, end, overlap))

    def _known(self, id_: str) -> None:
        if id_ != "report/due":
            raise NotFound(f"there is no schedule {id_!r}")


class Folder:
    """A project in a folder, and what is kept for each name that it has had."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kept: dict[str, Kept] = {}
        (path / "trees").mkdir()
        (path / "trees/report.yaml").write_text(
            "tree: report\nevents: {due: {schedule: {cron: '@daily'}}}\nstart: due\n"
            "do: [{log: hi}]\n"
        )
        self.call("shop")

    def call(self, name: str) -> None:
        (self.path / "hub.yaml").write_text(f"name: {name}\n")
        self.project = load_project(self.path, {})

    def keep(self, name: str) -> KeptSchedules:
        return cast("KeptSchedules", self.kept.setdefault(name, Kept(name)))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
async def home(folder: Folder) -> AsyncIterator[Home]:
    schedules = ProjectSchedules(lambda: folder.project, folder.keep)
    async with open_home(folder.path, schedules=schedules) as home:
        yield home


async def test_the_list(home: Home) -> None:
    response = await home.client.get("/api/schedules")
    assert response.status_code == 200
    assert response.json() == {
        "items": [
            {
                "id": "report/due",
                "tree": "report",
                "subscription": "due",
                "trigger": "report/due",
                "status": "current",
                "times": ["@daily"],
                "timezone": "UTC",
                "overlap": "skip",
                "paused": False,
                "note": "",
                "next": ["2026-11-24T07:00:00Z"],
                "last": [
                    {
                        "run_id": "report/~due-1",
                        "scheduled_at": "2026-11-24T07:00:00Z",
                        "started_at": "2026-11-24T07:00:00Z",
                    }
                ],
                "running": [],
            }
        ],
        "next": None,
    }
    one = await home.client.get("/api/schedules/report/due")
    assert one.json() == response.json()["items"][0]
    assert (await home.client.get("/api/schedules/report/no")).status_code == 404


async def test_the_times(home: Home, folder: Folder) -> None:
    response = await home.client.get(
        "/api/schedules/report/due/times", params={"count": 2, "after": "2026-11-01T00:00:00Z"}
    )
    assert response.json() == {"items": ["2026-11-24T07:00:00Z"] * 2, "next": None}
    assert folder.kept["shop"].done == [
        ("times", "report/due", datetime(2026, 11, 1, tzinfo=UTC), 2)
    ]
    for wrong in ({"count": 0}, {"count": 1001}, {"after": "2026-11-01T00:00:00"}):
        refused = await home.client.get("/api/schedules/report/due/times", params=wrong)
        assert refused.status_code == 400, wrong
    assert (await home.client.get("/api/schedules/no/such/times")).status_code == 404


@pytest.mark.parametrize(
    ("action", "body", "done"),
    [
        ("trigger", None, ("trigger", "report/due", None)),
        ("trigger", {"overlap": "allow_all"}, ("trigger", "report/due", "allow_all")),
        ("pause", None, ("pause", "report/due", "paused by hand")),
        ("pause", {"note": "fire"}, ("pause", "report/due", "fire")),
        ("resume", {"note": "out"}, ("resume", "report/due", "out")),
        (
            "backfill",
            {"from": "2026-11-24T08:00:00+01:00", "to": "2026-11-24T07:00:00Z"},
            ("backfill", "report/due", AT, AT, "buffer_all"),
        ),
    ],
)
async def test_what_may_be_done(
    home: Home, folder: Folder, action: str, body: Any, done: tuple[Any, ...]
) -> None:
    response = await home.client.post(f"/api/schedules/report/due/{action}", json=body)
    assert (response.status_code, response.json()) == (202, {"id": "report/due"})
    assert folder.kept["shop"].done == [done]


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("trigger", {"overlap": "queue"}),
        ("trigger", {"overlaps": "skip"}),
        ("trigger", [1]),
        ("pause", {"note": 1}),
        ("pause", {"note": "x" * 1001}),
        ("backfill", {}),
        ("backfill", {"from": "2026-11-24", "to": "2026-11-25T00:00:00Z"}),
        ("backfill", {"from": "2020-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}),
    ],
)
async def test_what_is_refused(home: Home, folder: Folder, action: str, body: Any) -> None:
    response = await home.client.post(f"/api/schedules/report/due/{action}", json=body)
    assert response.status_code == 400
    assert response.json()["code"] == "bad_request"
    assert folder.kept["shop"].done == []


async def test_temporal_away_is_said(home: Home, folder: Folder) -> None:
    folder.kept["shop"].away = True
    response = await home.client.get("/api/schedules")
    assert (response.status_code, response.json()["code"]) == (503, "unreachable")


async def test_without_schedules_it_says_so(tmp_path: Path) -> None:
    async with open_home(tmp_path) as home:
        assert (await home.client.get("/api/schedules")).status_code == 503


async def test_a_project_that_is_renamed_takes_its_schedules_along(folder: Folder) -> None:
    schedules = ProjectSchedules(lambda: folder.project, folder.keep)
    await schedules.apply()
    folder.call("store")
    await schedules.apply()
    assert folder.kept["shop"].done == [
        ("apply", ["report/due"], True),
        ("apply", [], True),
    ]
    assert folder.kept["store"].done == [("apply", ["report/due"], True)]


async def test_while_a_file_is_broken_nothing_is_deleted(folder: Folder) -> None:
    schedules = ProjectSchedules(lambda: folder.project, folder.keep)
    (folder.path / "trees/report.yaml").write_text("tree: [")
    folder.call("shop")
    await schedules.apply()
    assert folder.kept["shop"].done == [("apply", [], False)]
