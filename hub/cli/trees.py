"""`hub trees`: the trees that the running hub has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hub.cli.load import load

__all__ = ["app"]

app = typer.Typer(help="The trees that the running hub has.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="The hub's own JSON.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """All trees, with the hash that runs are pinned to."""
    from hub.cli.client import HubClient
    from hub.cli.screen import print_json, print_table

    with HubClient() as hub:
        answer = hub.get("trees")
    if as_json:
        print_json(answer.text)
        return
    print_table(
        ["TREE", "HASH"],
        ([item["name"], item["hash"]] for item in answer.data["items"]),
        none="no trees: add one under trees/",
    )


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="The tree's name.")], as_json: Json = False
) -> None:
    """One tree with its definition, as YAML."""
    import sys

    from ruamel.yaml import YAML

    from hub.cli.client import HubClient
    from hub.cli.screen import console, print_json

    with HubClient() as hub:
        answer = hub.get("trees", name)
    if as_json:
        print_json(answer.text)
        return
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    console().print(f"# {answer.data['hash']}", style="dim")
    yaml.dump(answer.data["document"], sys.stdout)


@app.command()
def diff(
    name: Annotated[str, typer.Argument(help="The tree's name.")],
    project: Annotated[
        Path, typer.Argument(metavar="[PROJECT]", help="The folder with the new definition.")
    ] = Path(),
    as_json: Json = False,
) -> None:
    """What a project's folder would change of the tree that the running hub has.

    Nodes are known again as `hub runs migrate` knows them. The exit code is 1 when they differ.
    """
    import msgspec

    from hub.cli.client import HubClient
    from hub.cli.screen import console, print_json, print_table
    from hub.errors import NotFound
    from hub.run.differences import differences
    from hub.tree import tree_from_document

    with HubClient() as hub:
        running = tree_from_document(msgspec.json.encode(hub.get("trees", name).data["document"]))
    found = load(project).trees.get(name)
    if found is None:
        raise NotFound(f"the project in {project} has no tree {name!r} that is valid")
    told = differences(running, tree_from_document(found.document))
    differ = told.from_hash != told.to_hash
    if as_json:
        print_json(msgspec.json.encode(told).decode())
    elif not differ:
        console().print(f"{name} is the same: {told.to_hash}", markup=False)
    else:
        console().print(f"{name}: {told.from_hash} -> {told.to_hash}", markup=False)
        print_table(
            ["NODE", "ID", "WHAT", "WAS AT", "IS AT"],
            (
                [one.type, one.id or "", one.what, one.old_path or "", one.new_path or ""]
                for one in told.nodes
            ),
            none="no node differs",
        )
        if told.events:
            console().print(f"events that differ: {', '.join(told.events)}", markup=False)
    raise typer.Exit(1 if differ else 0)
