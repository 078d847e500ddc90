"""`hub schedules`: what is due when, and what may be done to a schedule."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from hub.timetable import Timetable

from hub.cli.load import load

__all__ = ["app"]

app = typer.Typer(help="See what is due when, and act on it.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]
ScheduleId = Annotated[str, typer.Argument(metavar="ID", help="The schedule's id: TREE/EVENT.")]
Overlap = Annotated[
    str | None,
    typer.Option(help="What to do while a run is at work, such as allow_all or buffer_all."),
]
Note = Annotated[str | None, typer.Option(help="Why, for the record.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """The schedules of the running hub's project, with what is due next."""
    from hub.cli.client import HubClient
    from hub.cli.screen import print_json, print_table, relative, when

    with HubClient() as hub:
        answer = hub.get("schedules")
    if as_json:
        print_json(answer.text)
        return
    print_table(
        ["SCHEDULE", "TIMES", "ZONE", "STATUS", "NEXT", "", "LAST RUN"],
        (
            [
                item["id"],
                "\n".join(item["times"]),
                item["timezone"],
                _status(item),
                when(item["next"][0]) if item["next"] else "",
                relative(item["next"][0]) if item["next"] else "",
                item["last"][0]["run_id"] if item["last"] else "",
            ]
            for item in answer.data["items"]
        ),
        none="no schedules: give a tree an event with `schedule: {cron: ...}`, and start it by that",
    )


def _status(item: dict[str, Any]) -> str:
    if item["paused"] and item["status"] != "missing":
        return f"paused ({item['note']})" if item["note"] else "paused"
    return {"current": "active"}.get(item["status"], str(item["status"]))


@app.command()
def preview(
    id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The schedule's id: TREE/EVENT.")
    ] = None,
    cron: Annotated[
        list[str] | None, typer.Option(help="A line to try instead of a schedule of the project.")
    ] = None,
    timezone: Annotated[str, typer.Option(help="The zone of that line.")] = "UTC",
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many times.")] = 10,
    offline: Annotated[
        bool, typer.Option("--offline", help="From the project's files, without a running hub.")
    ] = False,
    project: Annotated[Path, typer.Option(help="The project's folder, when offline.")] = Path(),
    as_json: Json = False,
) -> None:
    """The next times at which a schedule is due: the server's own, or worked out offline."""
    import json
    from datetime import UTC
    from itertools import islice

    from hub.cli.client import HubClient
    from hub.cli.screen import print_json, print_table, relative, when
    from hub.errors import Unreachable, WrongUsage

    if (id is None) == (cron is None):
        raise WrongUsage("say which schedule: its ID, or a line to try as --cron '0 8 * * mon-fri'")
    timetable = None
    times: list[str] = []
    zone = timezone
    if cron is not None:
        timetable = _tried(cron, timezone)
    elif offline:
        timetable = _of_project(str(id), project)
    else:
        try:
            with HubClient() as hub:
                times = hub.get("schedules", str(id), "times", count=count).data["items"]
                zone = hub.get("schedules", str(id)).data["timezone"]
        except Unreachable:
            if not (project / "hub.yaml").is_file():
                raise
            typer.echo("no hub is running: worked out from the project's files", err=True)
            timetable = _of_project(str(id), project)
    if timetable is not None:
        found = islice(timetable.times(datetime.now(UTC)), count)
        times = [at.isoformat().replace("+00:00", "Z") for at in found]
        zone = timetable.timezone
    if as_json:
        print_json(json.dumps({"items": times, "next": None}))
        return
    rows = [[when(at), relative(at), _in_zone(at, zone)] for at in times]
    print_table(["HERE", "", zone.upper()], rows, none="nothing is due any more")


def _in_zone(text: str, zone: str) -> str:
    from zoneinfo import ZoneInfo

    at = datetime.fromisoformat(text).astimezone(ZoneInfo(zone))
    return at.strftime("%a %Y-%m-%d %H:%M:%S %Z")


def _tried(lines: list[str], timezone: str) -> Timetable:
    """The timetable of lines that were typed; what is surprising is said on stderr."""
    import msgspec

    from hub.cli.screen import print_fault
    from hub.errors import InvalidDefinition
    from hub.trigger import ScheduleTrigger, installed_triggers

    kind = installed_triggers()["schedule"]
    settings, faults = kind.read_settings({"cron": lines, "timezone": timezone}, "")
    faults = [msgspec.structs.replace(fault, file="--cron") for fault in faults]
    if settings is None:
        raise InvalidDefinition(faults)
    for fault in faults:
        print_fault(fault)
    trigger = kind("typed", settings)
    assert isinstance(trigger, ScheduleTrigger)
    return trigger.timetable


def _of_project(id: str, folder: Path) -> Timetable:
    from hub.errors import NotFound
    from hub.routing.schedules import wanted_schedules

    wanted = wanted_schedules(load(folder))
    for one in wanted:
        if one.id == id:
            return one.timetable
    known = ", ".join(one.id for one in wanted) or "none"
    raise NotFound(f"the project has no schedule {id!r}; it has {known}")


@app.command()
def trigger(id: ScheduleId, overlap: Overlap = None, as_json: Json = False) -> None:
    """Start a run now, as if it were due."""
    _act(id, "trigger", {"overlap": overlap}, as_json, f"{id} was triggered")


@app.command()
def pause(id: ScheduleId, note: Note = None, as_json: Json = False) -> None:
    """Let no time count until the schedule is resumed; `hub apply` leaves it paused."""
    _act(id, "pause", {"note": note}, as_json, f"{id} is paused")


@app.command()
def resume(id: ScheduleId, note: Note = None, as_json: Json = False) -> None:
    """Let its times count again."""
    _act(id, "resume", {"note": note}, as_json, f"{id} goes on")


@app.command()
def backfill(
    id: ScheduleId,
    begin: Annotated[str, typer.Option("--from", help="2026-01-31, or 2026-01-31T08:00.")],
    end: Annotated[str, typer.Option("--to", help="The same; a day counts to its end.")],
    overlap: Overlap = "buffer_all",
    as_json: Json = False,
) -> None:
    """Start the runs of the times in a span, one after the other; local times."""
    body = {
        "from": _moment(begin, ends=False).isoformat(),
        "to": _moment(end, ends=True).isoformat(),
        "overlap": overlap,
    }
    _act(id, "backfill", body, as_json, f"the times of {id} from {begin} to {end} are made up for")


def _moment(text: str, *, ends: bool) -> datetime:
    from datetime import timedelta

    from hub.errors import WrongUsage

    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise WrongUsage(f"{text!r} is no time: write 2026-01-31 or 2026-01-31T08:00") from None
    if ends and len(text) == len("2026-01-31"):
        at += timedelta(days=1, seconds=-1)
    return at.astimezone()


def _act(id: str, action: str, body: dict[str, Any], as_json: bool, done: str) -> None:
    from hub.cli.client import HubClient
    from hub.cli.screen import console, print_json

    given = {name: value for name, value in body.items() if value is not None}
    with HubClient() as hub:
        answer = hub.post("schedules", id, action, body=given)
    if as_json:
        print_json(answer.text)
    else:
        console().print(done, markup=False, soft_wrap=True)
