"""`hub approvals`: what people are asked to decide, and their decisions."""

from __future__ import annotations

from typing import Annotated, Any

import typer

__all__ = ["app"]

app = typer.Typer(help="See what is to be approved, and decide.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="The hub's own JSON instead of a drawing.")]
ApprovalId = Annotated[
    str, typer.Argument(metavar="ID", help="The approval's id, or the id of its run: TREE/KEY.")
]
As = Annotated[str | None, typer.Option("--as", metavar="PERSON", help="Who decides.")]
Comment = Annotated[str | None, typer.Option(help="Why, for the record.")]
Form = Annotated[
    str | None, typer.Option(metavar="JSON", help="What the form asks: a JSON object.")
]


@app.command("list")
def list_(
    person: Annotated[str | None, typer.Option(help="Only what this person may decide.")] = None,
    tree: Annotated[str | None, typer.Option(help="Only of this tree.")] = None,
    decided: Annotated[
        bool, typer.Option("--decided", help="Those that are over; with --person, decided by them.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    cursor: Annotated[str | None, typer.Option(help="Where a list of before went on.")] = None,
    as_json: Json = False,
) -> None:
    """Approvals, open or decided, those of the newest runs first."""
    from hub.cli.client import HubClient
    from hub.cli.screen import print_json, print_more, print_table, when

    with HubClient() as hub:
        answer = hub.get(
            "approvals",
            status="decided" if decided else None,
            person=person,
            tree=tree,
            limit=limit,
            cursor=cursor,
        )
    if as_json:
        print_json(answer.text)
        return
    if decided:
        print_table(
            ["RUN", "TITLE", "OUTCOME", "BY", "AT"],
            (
                [
                    item["run_id"],
                    item["title"],
                    item["decision"] + (" by timeout" if item["timed_out"] else ""),
                    "\n".join(_said(one, when(one["at"])) for one in item["by"]),
                    when(item["ended_at"]),
                ]
                for item in answer.data["items"]
            ),
            none="nothing has been decided",
        )
        print_more(answer.data["next"])
        return
    print_table(
        ["RUN", "TITLE", "APPROVED", "WAITS FOR", "UNTIL"],
        (
            [
                item["run_id"],
                item["title"],
                f"{item['approvals']} of {item['quorum']}",
                ", ".join(item["waiting_on"]),
                when(item["deadline"]),
            ]
            for item in answer.data["items"]
        ),
        none="nothing is to be approved",
    )
    print_more(answer.data["next"])


@app.command()
def show(id: ApprovalId, as_json: Json = False) -> None:
    """One approval: who is asked, who has decided, until when."""
    from hub.cli.client import HubClient
    from hub.cli.screen import console, print_json, when

    with HubClient() as hub:
        answer = hub.get("approvals", _found(hub, id))
    if as_json:
        print_json(answer.text)
        return
    shown: dict[str, Any] = answer.data
    lines = [f"{shown['title']}  {shown['decision']}"]
    lines += [shown["details"]] if shown["details"] else []
    lines.append(f"{shown['approvals']} of {shown['quorum']} approvals")
    lines += [_said(one, when(one["at"])) for one in shown["by"]]
    lines += [
        f"{one['who']} passed it on to {one['to']} {when(one['at'])}"
        for one in shown.get("delegations", ())
    ]
    if shown["waiting_on"]:
        lines.append("waits for " + ", ".join(shown["waiting_on"]))
    if shown["deadline"] and shown["decision"] == "pending":
        lines.append(f"until {when(shown['deadline'])}")
    for name, asked in shown["form"].items():
        needed = ", needed" if asked.get("required") else ""
        lines.append(f"asks {name}: {asked.get('type', 'text')}{needed}")
    lines += [f"not sent: {line}" for line in shown["unsent"]]
    console().print("\n".join(lines), markup=False, soft_wrap=True)


@app.command()
def approve(
    id: ApprovalId,
    who: As = None,
    comment: Comment = None,
    form: Form = None,
    as_json: Json = False,
) -> None:
    """Approve."""
    _decide(id, "approve", who, comment, form, as_json)


@app.command()
def reject(
    id: ApprovalId,
    who: As = None,
    comment: Comment = None,
    form: Form = None,
    as_json: Json = False,
) -> None:
    """Reject."""
    _decide(id, "reject", who, comment, form, as_json)


@app.command()
def delegate(
    id: ApprovalId,
    to: Annotated[str, typer.Option("--to", metavar="PERSON", help="Who is to decide instead.")],
    who: As = None,
    comment: Comment = None,
    as_json: Json = False,
) -> None:
    """Pass the decision on to somebody else, who decides instead."""
    import uuid

    from hub.cli.client import HubClient
    from hub.cli.screen import console, print_json

    body = {"to": to, "comment": comment, "how": "cli"}
    if who is not None:
        body["as"] = who
    with HubClient() as hub:
        body["id"] = uuid.uuid4().hex
        answer = hub.post("approvals", _found(hub, id), "delegation", body=body)
    if as_json:
        print_json(answer.text)
        return
    got: dict[str, Any] = answer.data
    console().print(f"{got['to']} decides instead of {got['who']}", markup=False, soft_wrap=True)


def _decide(
    id: str,
    decision: str,
    who: str | None,
    comment: str | None,
    form: str | None,
    as_json: bool,
) -> None:
    import uuid

    from hub.cli.client import HubClient
    from hub.cli.screen import console, print_json

    body = {"decision": decision, "comment": comment, "form": _read(form), "how": "cli"}
    if who is not None:
        body["as"] = who
    with HubClient() as hub:
        body["id"] = uuid.uuid4().hex
        answer = hub.post("approvals", _found(hub, id), "decision", body=body)
    if as_json:
        print_json(answer.text)
        return
    got: dict[str, Any] = answer.data
    stands = got["outcome"]
    if stands == "pending":
        stands = f"{got['approvals']} of {got['quorum']} approvals are there"
    console().print(f"recorded for {got['who']}: {stands}", markup=False, soft_wrap=True)


def _read(form: str | None) -> dict[str, Any]:
    import json

    from hub.errors import WrongUsage

    try:
        value = json.loads(form) if form else {}
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise WrongUsage('--form is a JSON object, such as \'{"window": "tonight"}\'')
    return value


def _found(hub: Any, id: str) -> str:
    """The id of the approval; of a run, that of the only one that is open there."""
    from hub.errors import NotFound, WrongUsage

    if "/" not in id:
        return id
    cursor: str | None = None
    found: list[str] = []
    while True:
        page = hub.get("approvals", tree=id.partition("/")[0], limit=200, cursor=cursor).data
        found += [item["id"] for item in page["items"] if item["run_id"] == id]
        cursor = page["next"]
        if cursor is None or found:
            break
    if not found:
        raise NotFound(f"the run {id} has no open approval")
    if len(found) > 1:
        raise WrongUsage(f"the run {id} has {len(found)} open approvals; give the id of one")
    return found[0]


def _said(one: dict[str, Any], at: str) -> str:
    said = "approved" if one["decision"] == "approve" else "rejected"
    comment = f": {one['comment']}" if one.get("comment") else ""
    return f"{one['who']} {said} by {one['how']} {at}{comment}"
