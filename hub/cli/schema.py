"""`hub schema`: what may be written in a tree, for editors and for people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["schema"]


def schema(
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it to this file.")] = None,
    docs: Annotated[
        bool, typer.Option("--docs", help="The page of all nodes, as Markdown, instead.")
    ] = False,
    connectors: Annotated[
        bool, typer.Option("--connectors", help="The page of all connectors, as Markdown, instead.")
    ] = False,
) -> None:
    """Print the JSON Schema of trees, with the installed connectors' actions.

    In an editor with the YAML language server, write this in the first line of a tree:
    # yaml-language-server: $schema=../tree.schema.json
    """
    import json
    import sys

    from hub.connector import installed_actions, installed_connectors
    from hub.errors import WrongUsage
    from hub.tree.docs import connector_docs, node_docs
    from hub.tree.schema import json_schema
    from hub.trigger import installed_triggers

    if docs:
        text = node_docs(installed_actions())
    elif connectors:
        text = connector_docs(installed_connectors())
    else:
        made = json_schema(installed_actions(), installed_triggers())
        text = json.dumps(made, indent=2, ensure_ascii=False) + "\n"
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise WrongUsage(f"--out {out}: {error.strerror}") from None
