"""The project of a running process: always the last good version of its files."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog

from hub.connections import Connections
from hub.errors import Diagnostic, HubError, InvalidDefinition
from hub.routing.journal import Definition, Journal
from hub.routing.project import Project, load_project
from hub.routing.router import Router
from hub.settings import read_environment
from hub.tree import Tree, tree_from_document

__all__ = ["LiveProject"]

_log = structlog.get_logger("hub.project")
_RETIREMENT = 120.0
"""Seconds after which no action can still be using the connections of a version of before."""


class LiveProject:
    """One project through all its changes. `project` and `router` are of this moment.

    `overrides` are laid over the project's connections. Raises `NotFound` when the folder is no
    project, and `InvalidDefinition` when its `.env` cannot be read.
    """

    def __init__(
        self, folder: Path, *, overrides: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        self.folder = folder
        self._overrides = overrides
        self._former: list[Tree] = []
        self._unreadable: set[str] = set()
        self._retired: list[tuple[Connections, asyncio.TimerHandle]] = []
        self._closing: set[asyncio.Task[None]] = set()
        self.project = self._load(None)
        self.router = Router(self.project.trees.values(), groups=self.project.groups)

    def _load(self, before: Project | None) -> Project:
        env = read_environment(self.folder)
        return load_project(self.folder, env, overrides=self._overrides, before=before)

    def connections(self) -> Connections:
        """The connections of this moment."""
        return self.project.connections

    async def remember(self, journal: Journal) -> None:
        """Route for definitions of before as well: their runs may still be waiting."""
        definitions = await journal.definitions()
        self._former = [tree for one in definitions if (tree := _read(one))]
        self._unreadable = {one.hash for one in definitions} - {tree.hash for tree in self._former}
        self._route()

    async def catch_up(self, journal: Journal) -> None:
        """Route for definitions too that other processes have brought since: of a newer version of
        the project, from which runs have started already. Raises `Unreachable`."""
        here = {tree.hash for tree in (*self.project.trees.values(), *self._former)}
        if not await journal.known_definitions() <= here | self._unreadable:
            await self.remember(journal)

    def forget(self, hashes: Collection[str]) -> None:
        """Route no more for these definitions of before: none of their runs is live."""
        self._former = [tree for tree in self._former if tree.hash not in hashes]
        self._route()

    async def reload(self, changed: Sequence[Path]) -> list[Diagnostic]:
        """Read the files again and use what of them is good; gives what is wrong with them.

        A file that is wrong leaves its part as it was. With a wrong `hub.yaml` or `.env` all
        triggers and connections stay.
        """
        before = self.project
        try:
            loaded = await asyncio.to_thread(self._load, before)
        except InvalidDefinition as error:
            return list(error.diagnostics)
        except HubError as error:
            return [Diagnostic(message=error.message, file="hub.yaml")]
        settings_wrong = any(
            d.file == "hub.yaml" and d.severity == "error" for d in loaded.diagnostics
        )
        if settings_wrong:
            loaded = dataclasses.replace(
                loaded, triggers=before.triggers, dev=before.dev, sign_in=before.sign_in
            )
        if settings_wrong or not {"hub.yaml", ".env"} & {path.name for path in changed}:
            loaded = dataclasses.replace(loaded, connections=before.connections)
        else:
            self._retire(before.connections)
        kept = {tree.hash for tree in self._former}
        self._former += [tree for tree in before.trees.values() if tree.hash not in kept]
        self.project = loaded
        self._route()
        return loaded.diagnostics

    async def close(self) -> None:
        """Close the connections of this version and of those before."""
        for _, timer in self._retired:
            timer.cancel()
        open_ones = [self.project.connections, *(connections for connections, _ in self._retired)]
        self._retired.clear()
        await asyncio.gather(*self._closing, *(_close(one) for one in open_ones))

    def _route(self) -> None:
        self.router = Router(self.project.trees.values(), self._former, self.project.groups)

    def _retire(self, connections: Connections) -> None:
        """Close them when what has begun with them is certain to be over."""

        def close() -> None:
            self._retired.remove((connections, timer))
            task = asyncio.create_task(_close(connections))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

        timer = asyncio.get_running_loop().call_later(_RETIREMENT, close)
        self._retired.append((connections, timer))


def _read(definition: Definition) -> Tree | None:
    try:
        return tree_from_document(definition.document)
    except HubError as error:
        _log.warning(
            "a definition of before cannot be read", tree=definition.tree, error=str(error)
        )
        return None


async def _close(connections: Connections) -> None:
    try:
        await connections.close()
    except Exception as error:
        _log.warning("a connection could not be closed", exc_info=error)
