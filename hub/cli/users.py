"""`hub users`: who may sign in."""

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
    help="Who may sign in: at the hub that HUB_URL names, or in the project's own journal.",
    no_args_is_help=True,
)
Json = Annotated[bool, typer.Option("--json", help="JSON.")]
Name = Annotated[str, typer.Argument(help="Their name, best their mail address.")]
Roles = Annotated[
    list[str],
    typer.Option(
        "--role", help="viewer, approver, operator, editor or admin; several by several options."
    ),
]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password's line from standard input.")
]


@app.command("list")
def list_(project: Project = Path(), as_json: Json = False) -> None:
    """All people, with their roles."""
    import json

    import msgspec

    from hub.cli.directory import is_remote, locally, remotely
    from hub.cli.screen import print_json, print_table, when

    if is_remote():
        items = remotely("GET", "users")["items"]
    else:
        items = msgspec.to_builtins(locally(project, lambda access, _: access.people.list()))
    if as_json:
        print_json(json.dumps({"items": items, "next": None}))
        return
    print_table(
        ["NAME", "ROLES", "FROM", "SIGNED IN"],
        (
            [one["name"], ", ".join(one["roles"]), one["source"], when(one["signed_in_at"])]
            for one in items
        ),
        none="nobody: `hub users create NAME --role admin` makes the first",
    )


@app.command()
def create(
    name: Name, role: Roles, from_stdin: FromStdin = False, project: Project = Path()
) -> None:
    """A new local user, who signs in with a password."""
    from hub.cli.directory import is_remote, locally, remotely
    from hub.cli.screen import console

    password, roles = _password(from_stdin), cast("list[Role]", role)

    async def work(access: Access, actor: Actor) -> Any:
        hashed = await access.passwords.hash(password)
        async with access.audit.change(actor, "user.create", name, after={"roles": roles}):
            return await access.people.create(name, hashed, roles)

    if is_remote():
        remotely("POST", "users", body={"name": name, "password": password, "roles": roles})
    else:
        locally(project, work)
    console().print(f"{name} may sign in", markup=False, soft_wrap=True)


@app.command()
def roles(name: Name, role: Roles, project: Project = Path()) -> None:
    """Give a local user these roles, instead of those of before."""
    from hub.cli.directory import is_remote, locally, remotely
    from hub.cli.screen import console

    wanted = cast("list[Role]", role)

    async def work(access: Access, actor: Actor) -> None:
        before = {"roles": (await access.people.get(name)).roles}
        after = {"roles": wanted}
        async with access.audit.change(actor, "user.change", name, before=before, after=after):
            await access.people.set_roles(name, wanted)

    if is_remote():
        remotely("PUT", "users", name, body={"roles": wanted})
    else:
        locally(project, work)
    console().print(f"{name} is {', '.join(role)}", markup=False, soft_wrap=True)


@app.command()
def password(name: Name, from_stdin: FromStdin = False, project: Project = Path()) -> None:
    """Give a local user another password; all their sessions end."""
    from hub.cli.directory import is_remote, locally, remotely
    from hub.cli.screen import console

    given = _password(from_stdin)

    async def work(access: Access, actor: Actor) -> None:
        hashed = await access.passwords.hash(given)
        async with access.audit.change(actor, "user.change", name, after={"password": "changed"}):
            await access.people.set_password(name, hashed)

    if is_remote():
        remotely("PUT", "users", name, body={"password": given})
    else:
        locally(project, work)
    console().print(f"{name} has another password", markup=False, soft_wrap=True)


@app.command()
def remove(name: Name, project: Project = Path()) -> None:
    """Forget a person: their sessions end, and their tokens are revoked."""
    from hub.cli.directory import is_remote, locally, remotely
    from hub.cli.screen import console

    async def work(access: Access, actor: Actor) -> None:
        before = {"roles": (await access.people.get(name)).roles}
        async with access.audit.change(actor, "user.remove", name, before=before):
            await access.people.remove(name)

    if is_remote():
        remotely("DELETE", "users", name)
    else:
        locally(project, work)
    console().print(f"{name} is forgotten", markup=False, soft_wrap=True)


def _password(from_stdin: bool) -> str:
    """A password that never stands in the command's own words, where others could read it."""
    import sys

    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
