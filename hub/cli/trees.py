"""`hub trees`: the trees that the running hub has."""

from __future__ import annotations

from typing import Annotated

import typer

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
