"""Schedules on a real Temporal server: applied, kept, fired; and read as cron programs read them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleOverlapPolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)

from hub.errors import BadRequest, Conflict, NotFound
from hub.routing.project import load_project
from hub.routing.schedules import wanted_schedules
from hub.run.schedules import Plan, WantedSchedule
from hub.temporal.client import TemporalRuns
from hub.temporal.connect import connect
from hub.temporal.dev_server import DevServer
from hub.temporal.schedules import TemporalSchedules
from tests.command import run_command
from tests.crons import CRONS, ZONES
from tests.parts import eventually, hub_of
from triggers.schedule import Settings
from triggers.schedule.cron import read_cron

# Both changes of the clocks lie within the next fifty times of most lines.
BEGIN = datetime(2027, 2, 20, 11, 7, tzinfo=UTC)

REPORT = """
tree: report
events:
  due: {schedule: {cron: 0 8 * * mon-fri, timezone: Europe/Berlin}}
start: due
do:
  - log: it is ${{ event.data.scheduled_at }}
"""
CLEANUP = """
tree: cleanup
events:
  due: {schedule: nightly}
start: due
do:
  - log: tidy
"""
HUB = """
name: NAME
triggers:
  nightly: {schedule: {every: 1 day, offset: 3h}}
"""


class Project:
    """A project's folder under a name of its own, for all tests share one server."""

    def __init__(self, folder: Path) -> None:
        self.name = f"shop-{uuid.uuid4().hex[:8]}"
        self.folder = folder / self.name
        (self.folder / "trees").mkdir(parents=True)
        self.write("hub.yaml", HUB.replace("NAME", self.name))
        self.write("trees/report.yaml", REPORT)
        self.write("trees/cleanup.yaml", CLEANUP)

    def write(self, file: str, text: str) -> None:
        (self.folder / file).write_text(text)

    def change(self, file: str, old: str, new: str) -> None:
        text = (self.folder / file).read_text()
        assert old in text
        self.write(file, text.replace(old, new))

    @property
    def task_queue(self) -> str:
        """The one of the worker that `hub_of` has for this folder."""
        return f"hub-{self.name}"

    @property
    def wanted(self) -> list[WantedSchedule]:
        project = load_project(self.folder, {})
        assert project.is_valid, project.diagnostics
        return wanted_schedules(project)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
async def client(server: DevServer) -> Client:
    return await connect(server.address)


@pytest.fixture
def schedules(client: Client, project: Project) -> TemporalSchedules:
    return TemporalSchedules(client, project.name)


def told(plan: Plan) -> dict[str, str]:
    return {change.id: change.action for change in plan.changes}


# -- applying -----------------------------------------------------------------------------------


async def test_applying_twice_leaves_nothing_to_do(
    schedules: TemporalSchedules, project: Project, client: Client
) -> None:
    assert told(await schedules.plan(project.wanted)) == {
        "cleanup/due": "create",
        "report/due": "create",
    }
    assert told(await schedules.apply(project.wanted)) == {
        "cleanup/due": "create",
        "report/due": "create",
    }
    # Another process knows no more than the server tells.
    again = await TemporalSchedules(client, project.name).apply(project.wanted)
    assert again == Plan(changes=[], unchanged=["cleanup/due", "report/due"])


async def test_a_changed_tree_updates_its_schedule_and_no_other(
    schedules: TemporalSchedules, project: Project
) -> None:
    await schedules.apply(project.wanted)
    project.change("trees/report.yaml", "it is", "now it is")
    (change,) = (await schedules.apply(project.wanted)).changes
    assert (change.id, change.action) == ("report/due", "update")
    assert change.reasons[0].startswith("tree: ")
    assert (await schedules.apply(project.wanted)).changes == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("0 8 *", "30 8 *", "times: 30 8 * * mon-fri"),
        ("Europe/Berlin", "Asia/Tokyo", "timezone: Asia/Tokyo"),
        ("{cron", "{jitter: 30s, cron", "jitter: 0:00:30"),
        ("{cron", "{overlap: buffer_one, cron", "overlap: buffer_one"),
        ("{cron", "{catchup: 2h, cron", "catchup: 2:00:00"),
        ("{cron", "{until: 2090-12-31, cron", "until: 2090-12-31 22:59:59+00:00"),
        ("{cron", "{paused: true, cron", "paused"),
        ("cron: 0 8 * * mon-fri", "calendars: {hour: 9}", "times: hour: 9"),
        ("cron: 0 8 * * mon-fri", "every: 90m", "times: every 1h 30m"),
    ],
)
async def test_changed_settings_are_updated(
    schedules: TemporalSchedules, project: Project, old: str, new: str, said: str
) -> None:
    await schedules.apply(project.wanted)
    project.change("trees/report.yaml", old, new)
    (change,) = (await schedules.apply(project.wanted)).changes
    assert said in change.reasons
    assert (await schedules.apply(project.wanted)).changes == []


async def test_what_was_changed_by_hand_is_put_right(
    schedules: TemporalSchedules, project: Project, client: Client
) -> None:
    await schedules.apply(project.wanted)

    def meddle(given: ScheduleUpdateInput) -> ScheduleUpdate:
        schedule = given.description.schedule
        schedule.spec = ScheduleSpec(cron_expressions=["* * * * *"])
        schedule.policy.overlap = ScheduleOverlapPolicy.ALLOW_ALL
        return ScheduleUpdate(schedule)

    handle = client.get_schedule_handle(f"hub/{project.name}/report/due")
    await handle.update(meddle)
    (change,) = (await schedules.apply(project.wanted)).changes
    assert (change.id, change.action) == ("report/due", "update")
    assert "overlap: skip" in change.reasons
    assert (await schedules.apply(project.wanted)).changes == []


async def test_a_schedule_that_the_project_has_no_more_is_deleted_and_no_other(
    schedules: TemporalSchedules, project: Project, client: Client
) -> None:
    other = TemporalSchedules(client, f"{project.name}/cleanup")
    foreign = [f"mine-{project.name}", f"hub/{project.name}/by/hand"]
    for name in foreign:
        await client.create_schedule(
            name,
            Schedule(
                action=ScheduleActionStartWorkflow("x", id="x", task_queue="none"),
                spec=ScheduleSpec(cron_expressions=["@yearly"]),
            ),
        )
    await schedules.apply(project.wanted)
    await other.apply(project.wanted)
    (project.folder / "trees/cleanup.yaml").unlink()

    async def planned() -> bool:
        # The server's list lags behind, and this one has made nothing itself.
        fresh = TemporalSchedules(client, project.name)
        return told(await fresh.plan(project.wanted)) == {"cleanup/due": "delete"}

    await eventually(planned)
    assert told(await schedules.apply(project.wanted)) == {"cleanup/due": "delete"}
    assert (await schedules.apply(project.wanted)).changes == []
    for name in [*foreign, f"hub/{project.name}/cleanup/report/due"]:
        await client.get_schedule_handle(name).describe()


async def test_a_broken_project_deletes_nothing(
    schedules: TemporalSchedules, project: Project
) -> None:
    await schedules.apply(project.wanted)
    assert (await schedules.apply([], delete=False)).changes == []
    assert told(await schedules.plan([])) == {"cleanup/due": "delete", "report/due": "delete"}


async def test_a_name_that_is_taken_is_not_taken_over(
    schedules: TemporalSchedules, project: Project, client: Client
) -> None:
    await client.create_schedule(
        f"hub/{project.name}/report/due",
        Schedule(
            action=ScheduleActionStartWorkflow("x", id="x", task_queue="none"),
            spec=ScheduleSpec(cron_expressions=["@yearly"]),
        ),
    )
    with pytest.raises(Conflict, match="not this project's"):
        await schedules.apply(project.wanted)
    with pytest.raises(Conflict):
        await schedules.trigger("report/due")


async def test_several_may_apply_at_once(project: Project, client: Client) -> None:
    await asyncio.gather(
        *(TemporalSchedules(client, project.name).apply(project.wanted) for _ in range(8))
    )
    project.change("trees/report.yaml", "it is", "now it is")
    await asyncio.gather(
        *(TemporalSchedules(client, project.name).apply(project.wanted) for _ in range(8))
    )
    assert (await TemporalSchedules(client, project.name).apply(project.wanted)).changes == []


async def test_what_is_paused_by_hand_stays_paused(
    schedules: TemporalSchedules, project: Project
) -> None:
    await schedules.apply(project.wanted)
    await schedules.pause("report/due", "the printer is on fire")
    assert (await schedules.apply(project.wanted)).changes == []
    project.change("trees/report.yaml", "it is", "now it is")
    await schedules.apply(project.wanted)
    (_, view) = await schedules.list(project.wanted)
    assert (view.paused, view.note, view.next) == (True, "the printer is on fire", [])
    project.change("trees/report.yaml", "{cron", "{paused: false, cron")
    await schedules.apply(project.wanted)
    (_, view) = await schedules.list(project.wanted)
    assert not view.paused


async def test_what_the_project_paused_goes_on_when_it_says_so_no_more(
    schedules: TemporalSchedules, project: Project
) -> None:
    project.change("trees/report.yaml", "{cron", "{paused: true, cron")
    await schedules.apply(project.wanted)
    assert [view.paused for view in await schedules.list(project.wanted)] == [False, True]
    await schedules.resume("report/due", "by hand")
    (change,) = (await schedules.apply(project.wanted)).changes
    assert "paused" in change.reasons
    project.change("trees/report.yaml", "{paused: true, cron", "{cron")
    await schedules.apply(project.wanted)
    assert [view.paused for view in await schedules.list(project.wanted)] == [False, False]
    assert (await schedules.apply(project.wanted)).changes == []


# -- firing -------------------------------------------------------------------------------------


async def test_the_event_carries_the_scheduled_time(project: Project, server: DevServer) -> None:
    tree = f"report-{project.name}"
    project.change("trees/report.yaml", "tree: report", f"tree: {tree}")
    async with hub_of(project.folder, server.address) as hub:
        runs = hub.runs
        schedules = TemporalSchedules(
            await connect(server.address), project.name, task_queue=project.task_queue
        )
        await schedules.apply(project.wanted)
        begin, end = datetime(2026, 3, 30, 6, tzinfo=UTC), datetime(2026, 3, 31, 6, tzinfo=UTC)
        await schedules.backfill(f"{tree}/due", begin, end, "allow_all")

        async def both() -> Sequence[str]:
            found = [run.id for run in (await runs.list(tree=tree)).items]
            return found if len(found) == 2 else []

        assert sorted(await eventually(both)) == [
            f"{tree}/~due-2026-03-30T06:00:00Z",
            f"{tree}/~due-2026-03-31T06:00:00Z",
        ]
        state = await hub.state(f"{tree}/~due-2026-03-31T06:00:00Z", "succeeded")
        event = state.event
        assert event is not None
        assert event.to_cloudevent() == {
            "specversion": "1.0",
            "id": f"{tree}/due@2026-03-31T06:00:00Z",
            "source": f"/schedules/{tree}/due",
            "type": "hub.schedule",
            "time": "2026-03-31T06:00:00Z",
            "data": {
                "schedule": f"{tree}/due",
                "scheduled_at": "2026-03-31T06:00:00Z",
            },
        }
        assert state.key is None


async def test_a_run_is_started_though_no_hub_is_there_and_lived_when_one_is(
    project: Project, server: DevServer, client: Client
) -> None:
    tree = f"cleanup-{project.name}"
    project.change("trees/cleanup.yaml", "tree: cleanup", f"tree: {tree}")
    schedules = TemporalSchedules(client, project.name, task_queue=project.task_queue)
    await schedules.apply(project.wanted)
    await schedules.trigger(f"{tree}/due")
    runs = TemporalRuns(client, task_queue=project.task_queue)

    async def started() -> str | None:
        items = (await runs.list(tree=tree)).items
        return items[0].id if items else None

    run_id = await eventually(started)
    assert run_id.startswith(f"{tree}/~nightly-")
    # The definition of before, though the tree has changed before any worker came.
    pinned = {one.id: one.hash for one in project.wanted}[f"{tree}/due"]
    project.change("trees/cleanup.yaml", "tidy", "tidy up")
    await schedules.apply(project.wanted)
    async with hub_of(project.folder, server.address) as hub:
        state = await hub.state(run_id, "succeeded")
    assert state.hash == pinned
    assert state.event is not None
    assert state.event.source == "/schedules/nightly"
    (view, _) = await schedules.list(project.wanted)
    assert [last.run_id for last in view.last] == [run_id]


async def test_acting_on_a_schedule_that_is_not_there(schedules: TemporalSchedules) -> None:
    now = datetime.now(UTC)
    for act in (
        schedules.trigger("no/such"),
        schedules.pause("no/such", ""),
        schedules.resume("no/such", ""),
        schedules.times("no/such", now, 1),
        schedules.backfill("no/such", now, now),
    ):
        with pytest.raises(NotFound):
            await act
    with pytest.raises(BadRequest):
        await schedules.backfill("no/such", now, now - timedelta(days=1))


async def test_a_list_tells_what_is_missing_outdated_and_unwanted(
    schedules: TemporalSchedules, project: Project
) -> None:
    def statuses(views: Sequence[object]) -> dict[str, str]:
        return {view.id: view.status for view in views}  # type: ignore[attr-defined]

    assert statuses(await schedules.list(project.wanted)) == {
        "cleanup/due": "missing",
        "report/due": "missing",
    }
    await schedules.apply(project.wanted)
    project.change("trees/report.yaml", "it is", "now it is")
    (project.folder / "trees/cleanup.yaml").unlink()
    views = await schedules.list(project.wanted)
    assert statuses(views) == {"cleanup/due": "unwanted", "report/due": "outdated"}
    assert views[1].times == ["0 8 * * mon-fri"]
    assert views[1].timezone == "Europe/Berlin"
    assert len(views[1].next) == 5


# -- what cron lines mean -------------------------------------------------------------------------


def schedule_of(settings: Settings, tree: str = "cron") -> WantedSchedule:
    timetable, faults = settings.read(BEGIN)
    assert timetable is not None, faults
    return WantedSchedule(
        tree=tree,
        subscription="due",
        trigger=f"{tree}/due",
        timetable=timetable,
        hash="h",
        document=b"{}",
    )


@pytest.mark.parametrize("zone", ZONES)
async def test_the_next_fifty_times_are_those_of_cron_programs(client: Client, zone: str) -> None:
    schedules = TemporalSchedules(client, f"cron-{uuid.uuid4().hex[:8]}")
    wanted = [
        schedule_of(Settings(cron=line, timezone=zone), f"cron-{index}")
        for index, line in enumerate(CRONS)
    ]
    await schedules.apply(wanted)
    times = await asyncio.gather(*(schedules.times(one.id, BEGIN, 50) for one in wanted))
    for line, one, theirs in zip(CRONS, wanted, times, strict=True):
        # Neither Temporal nor the hub looks beyond 2099, which leap days reach before.
        assert len(theirs) == 50 or theirs[-1].year > 2090, line
        assert theirs == list(islice(one.timetable.times(BEGIN), len(theirs))), line
        cron = croniter(line, BEGIN.astimezone(ZoneInfo(zone)), ret_type=datetime)
        assert theirs == [cron.get_next() for _ in theirs], line
    assert (await schedules.plan(wanted)).changes == []


async def test_lines_are_read_as_temporal_reads_them(client: Client) -> None:
    name = f"raw-{uuid.uuid4().hex[:8]}"
    action = ScheduleActionStartWorkflow("x", id="x", task_queue="none")
    handle = await client.create_schedule(
        name,
        Schedule(action=action, spec=ScheduleSpec(cron_expressions=list(CRONS))),
    )
    spec = (await handle.describe()).schedule.spec

    def values(ranges: Sequence[object]) -> list[int]:
        return sorted(
            {
                number
                for part in ranges
                for number in range(part.start, part.end + 1, part.step)  # type: ignore[attr-defined]
            }
        )

    for line, theirs in zip(CRONS, spec.calendars, strict=True):
        ours = read_cron(line)
        for field in ("second", "minute", "hour", "day_of_month", "month", "day_of_week"):
            mine = sorted({n for part in getattr(ours, field) for n in part.values()})
            assert mine == values(getattr(theirs, field)), (line, field)
    await handle.delete()


@pytest.mark.parametrize(
    "settings",
    [
        Settings(every="90m"),
        Settings(every="1 day", offset="3h"),
        Settings(calendars={"hour": 8, "day_of_month": 13, "day_of_week": "fri"}),
        Settings(calendars=[{"minute": "*/20", "second": 30, "hour": "8-9", "year": "2027-2030"}]),
        Settings(cron=["0 8 * * mon-fri", "30 17 * * fri"], timezone="Europe/Berlin"),
        Settings(cron="0 8 * * *", every="6h", until="2027-03-10", timezone="Asia/Tokyo"),
        Settings(cron="30 2 * * mon-sat", timezone="Europe/Berlin"),
    ],
)
async def test_intervals_and_calendars_are_previewed_as_the_server_has_them(
    client: Client, settings: Settings
) -> None:
    schedules = TemporalSchedules(client, f"preview-{uuid.uuid4().hex[:8]}")
    wanted = schedule_of(settings)
    await schedules.apply([wanted])
    theirs = list(await schedules.times("cron/due", BEGIN, 50))
    assert theirs
    assert theirs == list(islice(wanted.timetable.times(BEGIN), 50))
    assert (await schedules.apply([wanted])).changes == []


async def test_a_time_that_the_clocks_skip_is_left_out_by_the_server_too(client: Client) -> None:
    schedules = TemporalSchedules(client, f"dst-{uuid.uuid4().hex[:8]}")
    wanted = schedule_of(Settings(cron="30 2 * * *", timezone="Europe/Berlin"))
    await schedules.apply([wanted])
    begin = datetime(2027, 3, 27, 0, tzinfo=UTC)
    theirs = list(await schedules.times("cron/due", begin, 3))
    assert theirs == list(islice(wanted.timetable.times(begin), 3))
    assert [at.day for at in theirs] == [27, 29, 30]


# -- the command ----------------------------------------------------------------------------------


async def hub(*arguments: str, temporal: str) -> tuple[int, str]:
    """The command in this process, where its parts are imported already."""
    return await asyncio.to_thread(run_command, *arguments, TEMPORAL_ADDRESS=temporal)


async def test_the_command(project: Project, server: DevServer) -> None:
    apply = "apply", str(project.folder)
    code, said = await hub(*apply, "--dry-run", temporal=server.address)
    assert (code, "would create  report/due" in said) == (0, True), said
    code, said = await hub(*apply, temporal=server.address)
    assert (code, "created  cleanup/due" in said) == (0, True), said
    code, said = await hub(*apply, temporal=server.address)
    assert said.strip() == "nothing to do: 2 schedules are as the project has them"
    code, said = await hub(*apply, temporal="127.0.0.1:9")
    assert code == 3, said
    project.change("trees/report.yaml", "0 8 *", "0 8 L")
    code, said = await hub(*apply, temporal=server.address)
    assert (code, "trees/report.yaml:4" in said) == (1, True), said
