"""Constructors of all nodes and actions, for trees that are built in Python.

    from hub import Tree
    from hub.nodes import Delay, EmailSend, Fallback, Sequence, WaitFor

    Sequence(
        EmailSend(to="${{ vars.email }}", template="welcome"),
        Fallback(WaitFor("verified", timeout="24h"), Delay("7 days")),
    )

There is one for each verb of the language, and one for each action of an installed connector:
`email.send` is `EmailSend`. Each gives the plain document of its node.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hub.tree.build import Constructor

# Not written down here: they follow from the classes of nodes and the installed connectors.
__all__: list[str] = []


def _all() -> Mapping[str, Constructor]:
    from temporalio import workflow

    # A program that has workflows of its own is imported again in their sandbox.
    with workflow.unsafe.imports_passed_through():
        from hub.tree.build import installed_constructors

    return installed_constructors()


def __getattr__(name: str) -> Constructor:
    if not name.startswith("_") and name in _all():
        return _all()[name]
    raise AttributeError(f"module 'hub.nodes' has no {name!r}; it has {', '.join(sorted(_all()))}")


def __dir__() -> list[str]:
    return sorted(_all())
