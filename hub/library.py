"""The hub as a library: trees in Python programs and in any Temporal worker."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from hub.connections import Connections
from hub.connector import installed_actions
from hub.links import Links, derive_key
from hub.routing.project import load_project
from hub.temporal.standalone import to_activities, to_workflow
from hub.tree import load_tree, read_tree
from hub.tree.build import plain
from hub.tree.tree import Tree as _Tree
from hub.tree.tree import encode_document
from hub.tree.write import write_yaml
from hub.trigger import installed_triggers

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Tree"]


# A program with workflows of its own runs a second time in their sandbox, where nothing can be
# compiled any more. What it has read once is there then.
@lru_cache(maxsize=256)
def _loaded(text: str | bytes, file: str | None) -> _Tree:
    return load_tree(text, file=file, actions=installed_actions(), kinds=installed_triggers())


@lru_cache(maxsize=256)
def _defined(encoded: bytes) -> _Tree:
    return read_tree(
        msgspec.json.decode(encoded), actions=installed_actions(), kinds=installed_triggers()
    )


class Tree(_Tree):
    """A tree, read and checked. Make one with `load`, `loads` or `define`."""

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The tree of a YAML file. Raises `InvalidDefinition` with all that is wrong in it."""
        file = Path(path)
        return cls.loads(file.read_bytes(), file=str(path))

    @classmethod
    def loads(cls, text: str | bytes, *, file: str | None = None) -> Self:
        """The tree of a YAML text. Raises `InvalidDefinition`."""
        return cls._of(_loaded(text, file))

    @classmethod
    def define(
        cls,
        name: str,
        *,
        events: Mapping[str, Mapping[str, Any]] | None = None,
        start: str | Mapping[str, Any] = "start",
        do: Any,
        vars: Mapping[str, Any] | None = None,  # noqa: A002 - as trees call them
        title: str | None = None,
        description: str | None = None,
    ) -> Self:
        """A tree from its parts, with nodes of `hub.nodes`. Raises `InvalidDefinition`.

        Without `events` it is started by an event `start` that is sent to the hub itself. `start`
        may be a mapping that says more than the event's name: policies, and how starts are held back.
        """
        own = {"start": {"api": "api", "where": f'event.type == "{name}.start"'}}
        parts = {
            "tree": name,
            "title": title,
            "description": description,
            "events": plain(events if events is not None else own),
            "start": plain(start),
            "vars": None if vars is None else plain(vars),
            "do": plain(do),
        }
        document = {key: value for key, value in parts.items() if value is not None}
        return cls._of(_defined(encode_document(document)))

    @classmethod
    def _of(cls, tree: _Tree) -> Self:
        return cls(**{spec.name: getattr(tree, spec.name) for spec in fields(tree)})

    def dump(self) -> str:
        """The tree as YAML: the text that it was read from, comments and all, or a new one."""
        if self.written is not None:
            return self.written.text
        return write_yaml(self.to_document())

    def to_document(self) -> dict[str, Any]:
        """The plain document, in the form with verbs."""
        document: dict[str, Any] = msgspec.json.decode(self.document)
        return document

    def to_workflow(self, trees: Iterable[_Tree] = ()) -> type:
        """A Temporal workflow class under the tree's name, for any `temporalio.worker.Worker`.

        It is started with the data of the start event, and signalled by the names of the other
        events. `trees` are those that it may `run`; their workflows belong to the worker too.
        """
        return to_workflow(self, trees)

    def activities(
        self, project: str | Path | None = None, *, env: Mapping[str, str] | None = None
    ) -> list[Callable[..., Any]]:
        """The activities that the tree's actions are, for the same worker.

        `project` is a folder with a `hub.yaml`, whose connections they use; `env` are the values
        that it may name, the process's own by default. Callback links are those of a hub with the
        same HUB_SECRET_KEY and HUB_URL.
        """
        env = os.environ if env is None else env
        if project is None:
            connections = Connections(Path(), {}, env)
        else:
            connections = load_project(Path(project), env).connections
        secret, url = env.get("HUB_SECRET_KEY"), env.get("HUB_URL")
        links = Links([derive_key(secret, "callback")], url) if secret and url else None
        return to_activities([self], lambda: connections, links)
