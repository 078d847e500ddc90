"""`hub events`: send an event, read the journal."""

from __future__ import annotations

import json
import sys
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
