"""`hub events`: send an event, read the journal."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["app"]

app = typer.Typer(help="Send events, and see what became of them.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="The hub's own JSON instead of a table.")]


@app.command()
def send(
    type: Annotated[str, typer.Argument(help="The event's type, such as user.signed_up.")],
    data: Annotated[
        str | None, typer.Option(help="The payload as JSON; @FILE or - reads it from there.")
    ] = None,
    trigger: Annotated[
        str | None, typer.Option(help="The trigger that the event stands for.")
    ] = None,
    id: Annotated[str | None, typer.Option(help="The event's id; a new one by default.")] = None,
    subject: Annotated[str | None, typer.Option(help="What the event is about.")] = None,
    source: Annotated[str, typer.Option(help="Where the event comes from.")] = "hub/cli",
    as_json: Json = False,
) -> None:
    """Send one event. It is durable when the command ends."""
    import uuid

    from hub.cli.client import HubClient
    from hub.cli.screen import console, print_json

    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": id or str(uuid.uuid4()),
        "source": source,
        "type": type,
    }
    if subject is not None:
        event["subject"] = subject
    if data is not None:
        event["datacontenttype"] = "application/json"
        event["data"] = _read_data(data)
    with HubClient() as hub:
        answer = hub.post(
            "events", body=event, content_type="application/cloudevents+json", trigger=trigger
        )
    if as_json:
        print_json(answer.text)
        return
    known = " (known already: a duplicate)" if answer.data.get("duplicate") else ""
    console().print(f"accepted {answer.data['id']}{known}", markup=False, soft_wrap=True)


@app.command("list")
def list_(
    trigger: Annotated[str | None, typer.Option(help="Only of this trigger.")] = None,
    type: Annotated[str | None, typer.Option(help="Only of this type.")] = None,
    key: Annotated[str | None, typer.Option(help="Only of this correlation key.")] = None,
    status: Annotated[
        str | None,
        typer.Option(help="Only accepted, delivered, unmatched, duplicate or dead ones."),
    ] = None,
    since: Annotated[str | None, typer.Option(help="From this time on, with its zone.")] = None,
    until: Annotated[str | None, typer.Option(help="Up to this time, with its zone.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    cursor: Annotated[str | None, typer.Option(help="Where a list of before went on.")] = None,
    as_json: Json = False,
) -> None:
    """The journal, newest first."""
    from hub.cli.client import HubClient
    from hub.cli.screen import print_json, print_more, print_table, when

    with HubClient() as hub:
        answer = hub.get(
            "events",
            trigger=trigger,
            type=type,
            key=key,
            status=status,
            since=since,
            until=until,
            limit=limit,
            cursor=cursor,
        )
    if as_json:
        print_json(answer.text)
        return
    print_table(
        ["RECEIVED", "TYPE", "TRIGGER", "STATUS", "DELIVERIES", "ID"],
        (
            [
                when(item["received_at"]),
                item["event"]["type"],
                item["trigger"],
                item["status"],
                ", ".join(
                    f"{d['outcome']} {d.get('run_id') or ''}".strip() for d in item["deliveries"]
                ),
                item["id"],
            ]
            for item in answer.data["items"]
        ),
        none="no events",
    )
    print_more(answer.data["next"])


@app.command()
def show(
    id: Annotated[str, typer.Argument(help="The event's id.")],
    trigger: Annotated[
        str | None, typer.Option(help="Its trigger, where two share the id.")
    ] = None,
    as_json: Json = False,
) -> None:
    """One event with its payload and its deliveries."""
    from hub.cli.client import HubClient
    from hub.cli.screen import console, print_json, print_table, when

    with HubClient() as hub:
        answer = hub.get("events", id, trigger=trigger)
    if as_json:
        print_json(answer.text)
        return
    item, screen = answer.data, console()
    screen.print(f"{item['event']['type']}  {item['id']}", style="bold", markup=False)
    screen.print(
        f"{item['status']}, received {when(item['received_at'])} by trigger {item['trigger']}",
        markup=False,
    )
    screen.print_json(json.dumps(item["event"]))
    print_table(
        ["OUTCOME", "TREE", "SUBSCRIPTION", "KEY", "RUN", "REASON"],
        (
            [
                str(delivery.get(name) or "")
                for name in ("outcome", "tree", "subscription", "key", "run_id", "reason")
            ]
            for delivery in item["deliveries"]
        ),
        none="no deliveries: no tree subscribes to it, or they are not done yet",
    )


@app.command()
def explain(
    id: Annotated[str, typer.Argument(help="The event's id.")],
    trigger: Annotated[
        str | None, typer.Option(help="Its trigger, where two share the id.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Why the event did, or did not, wake what: each subscription, and near misses."""
    from hub.cli.client import HubClient
    from hub.cli.screen import console, print_json, print_table

    with HubClient() as hub:
        answer = hub.get("events", id, "explain", trigger=trigger)
    if as_json:
        print_json(answer.text)
        return
    item, screen = answer.data, console()
    copies = f", {item['duplicates']} further copies" if item["duplicates"] else ""
    screen.print(f"{item['type']}  {item['id']}", style="bold", markup=False)
    screen.print(f"{item['status']}, by trigger {item['trigger']}{copies}", markup=False)
    print_table(
        ["TREE", "SUBSCRIPTION", "OUTCOME", "KEY", "RUN", "WHY"],
        (
            [
                verdict["tree"],
                verdict["subscription"],
                verdict["outcome"],
                verdict["key"] or "",
                ", ".join(verdict["runs"]) or verdict["run_id"] or "",
                _why(verdict),
            ]
            for verdict in item["subscriptions"]
        ),
        none=f"no tree subscribes to the trigger {item['trigger']}",
    )
    for miss in item["near_misses"]:
        screen.print(f"near miss: {miss['run_id']}: {miss['reason']}", markup=False, soft_wrap=True)


def _why(verdict: dict[str, Any]) -> str:
    values = ", ".join(f"{n} = {json.dumps(v)}" for n, v in verdict["values"].items())
    reason = verdict["reason"] or ""
    return f"{reason}; {values}" if reason and values else reason or values


@app.command()
def replay(
    id: Annotated[str | None, typer.Argument(help="The event's id; without one, a range.")] = None,
    trigger: Annotated[str | None, typer.Option(help="Only of this trigger.")] = None,
    type: Annotated[str | None, typer.Option(help="A range: only of this type.")] = None,
    status: Annotated[
        str | None, typer.Option(help="A range: only of this status, such as unmatched or dead.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="A range: from this time on.")] = None,
    until: Annotated[str | None, typer.Option(help="A range: up to this time.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would happen.")
    ] = False,
    with_resumes: Annotated[
        bool, typer.Option("--with-resumes", help="Wake waiting runs too, not only start runs.")
    ] = False,
    again: Annotated[
        bool,
        typer.Option("--again", help="Count as new events: runs do again what they did for them."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Replay events of the journal, oldest first; runs recognise what they have had already."""
    from hub.cli.client import HubClient
    from hub.cli.screen import console, print_json, print_table
    from hub.errors import WrongUsage

    if id is None and not (since or until or type or status):
        raise WrongUsage("name an event, or a range by --since, --until, --type or --status")
    options = {"dry_run": dry_run, "mode": "all" if with_resumes else "starts", "again": again}
    done: list[dict[str, Any]] = []
    with HubClient() as hub:
        wanted: list[tuple[str, str | None]] = [] if id is None else [(id, trigger)]
        if id is None:
            filters = {
                "trigger": trigger, "type": type, "status": status, "since": since, "until": until,
            }  # fmt: skip
            wanted = _range(hub, filters)
        with _progress(len(wanted), hidden=as_json or id is not None) as advance:
            for event_id, of in wanted:
                answer = hub.post("events", event_id, "replay", body=options, trigger=of)
                done.append(answer.data)
                advance()
    if as_json:
        print_json(json.dumps({"items": done, "next": None}))
        return
    print_table(
        ["EVENT", "REPLAYED AS", "WOULD" if dry_run else "DOES"],
        (
            [
                item["of"],
                item["id"] or "(dry run)",
                ", ".join(f"{m['outcome']} {m['run_id'] or m['reason']}" for m in item["matches"])
                or "nothing",
            ]
            for item in done
        ),
        none="no events in that range",
    )
    runs = sum(bool(item["matches"]) for item in done)
    console().print(
        f"{len(done)} events {'would be' if dry_run else 'were'} replayed, {runs} match a tree",
        markup=False,
    )


def _range(hub: Any, filters: dict[str, Any]) -> list[tuple[str, str | None]]:
    """The events of a range, oldest first; those that are replays themselves are left out."""
    found: list[tuple[str, str | None]] = []
    cursor: str | None = None
    while True:
        page = hub.get("events", **filters, limit=200, cursor=cursor).data
        found += [
            (item["id"], item["trigger"])
            for item in page["items"]
            if "hubreplayof" not in item["event"] and item["trigger"] != "callback"
        ]
        cursor = page["next"]
        if cursor is None:
            return found[::-1]


@contextmanager
def _progress(total: int, *, hidden: bool) -> Iterator[Callable[[], None]]:
    """A bar on the terminal's error stream while a range is replayed."""
    from rich.console import Console
    from rich.progress import Progress

    screen = Console(stderr=True)
    with Progress(console=screen, disable=hidden or not screen.is_terminal) as bar:
        task = bar.add_task("replaying", total=total)
        yield lambda: bar.advance(task)


def _read_data(text: str) -> Any:
    from hub.errors import WrongUsage

    try:
        if text == "-":
            text = sys.stdin.read()
        elif text.startswith("@"):
            text = Path(text[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(f"--data {text}: {getattr(error, 'strerror', None) or error}") from None
    try:
        return json.loads(text)
    except ValueError as error:
        raise WrongUsage(
            f'--data is not JSON ({error}); write for example --data \'{{"user_id": "u1"}}\''
        ) from None
