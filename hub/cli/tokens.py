"""`hub tokens`: what programs call the hub with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from hub.cli.directory import Project

if TYPE_CHECKING:
    from hub.access import Access
    from hub.audit import Actor
    from hub.roles import Role

__all__ = ["app"]

app = typer.Typer(
    help="API tokens: at the hub that HUB_URL names, or in the project's own journal.",
    no_args_is_help=True,
)
Json = Annotated[bool, typer.Option("--json", help="JSON.")]


@app.command("list")
def list_(project: Project = Path(), as_json: Json = False) -> None:
    """All tokens that you may see, without their secrets."""
    import json

    import msgspec

    from hub.cli.directory import is_remote, locally, remotely
    from hub.cli.screen import print_json, print_table, relative

    if is_remote():
        items = remotely("GET", "tokens")["items"]
    else:
        items = msgspec.to_builtins(locally(project, lambda access, _: access.tokens.list()))
    if as_json:
        print_json(json.dumps({"items": items, "next": None}))
        return
    print_table(
        ["ID", "NAME", "OWNER", "ROLES", "EXPIRES", "LAST USED"],
        (
            [
                one["id"],
                one["name"],
                one["owner"] or "",
                ", ".join(one["roles"]) + (", on behalf of others" if one["on_behalf"] else ""),
                "revoked" if one["revoked_at"] else relative(one["expires_at"]) or "never",
                relative(one["used_at"]) or "never",
            ]
            for one in items
        ),
        none="no tokens: `hub tokens create NAME --role viewer` makes one",
    )


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    role: Annotated[
        list[str],
        typer.Option(
            "--role", help="viewer, approver, operator, editor or admin; may be repeated."
        ),
    ],
    expires_in: Annotated[
        str, typer.Option(metavar="DURATION", help="How long it is good; `never` ends it.")
    ] = "90d",
    service: Annotated[
        bool,
        typer.Option("--service", help="Nobody's own. On the database itself it always is."),
    ] = False,
    on_behalf: Annotated[
        bool,
        typer.Option("--on-behalf", help="It may decide approvals in the name of others."),
    ] = False,
    project: Project = Path(),
    as_json: Json = False,
) -> None:
    """A new token. It is written to standard output, this once."""
    import json
    import sys

    import msgspec

    from hub.cli.directory import is_remote, locally, remotely
    from hub.cli.screen import console, print_json

    async def work(access: Access, actor: Actor) -> Any:
        from hub.api.users import read_life

        life = read_life(expires_in)
        async with access.audit.change(actor, "token.create", name) as change:
            given = await access.tokens.create(
                name,
                cast("list[Role]", role),
                created_by=actor.who,
                expires_in=life,
                on_behalf=on_behalf,
            )
            change.after = given.info
        return given

    if is_remote():
        given = remotely(
            "POST",
            "tokens",
            body={
                "name": name,
                "roles": role,
                "expires_in": expires_in,
                "service": service or on_behalf,
                "on_behalf": on_behalf,
            },
        )
    else:
        given = msgspec.to_builtins(locally(project, work))
    if as_json:
        print_json(json.dumps(given))
        return
    sys.stdout.write(given["token"] + "\n")
    sys.stdout.flush()
    console(error=True).print(
        "Keep it well: it is not shown again. The command reads it from HUB_TOKEN.",
        style="dim",
        soft_wrap=True,
    )


@app.command()
def revoke(
    id: Annotated[str, typer.Argument(metavar="ID", help="The token's id.")],
    project: Project = Path(),
) -> None:
    """It is good no longer, from now on."""
    from hub.cli.directory import is_remote, locally, remotely
    from hub.cli.screen import console

    identifier = id.removeprefix("hub_").partition("_")[0]

    async def work(access: Access, actor: Actor) -> None:
        info = await access.tokens.get(identifier)
        async with access.audit.change(actor, "token.revoke", info.prefix, before=info):
            await access.tokens.revoke(identifier)

    if is_remote():
        remotely("DELETE", "tokens", identifier)
    else:
        locally(project, work)
    console().print(f"hub_{identifier} is revoked", markup=False, soft_wrap=True)
