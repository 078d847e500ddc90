"""`/api/trees` and `/api/triggers`: what the project of this moment holds."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery

from hub.api.guards import VIEWER
from hub.api.paging import Limit, page_of
from hub.api.services import Services
from hub.errors import NotFound
from hub.trigger import HttpTrigger

__all__ = ["TreeItem", "TreeList", "TreeShown", "TriggerItem", "TriggerList", "project"]


class TreeItem(msgspec.Struct, frozen=True, kw_only=True):
    """A tree as the list shows it; `hash` is what runs are pinned to."""

    name: str
    hash: str


class TreeList(msgspec.Struct, frozen=True, kw_only=True):
    """All trees, by name."""

    items: list[TreeItem]
    next: str | None = None


class TreeShown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tree with its definition, and its file where the project's files are at hand."""

    name: str
    hash: str
    document: Any
    text: str | None = None
    file: str | None = None
    etag: str | None = None
    writable: bool = False


class TriggerItem(msgspec.Struct, frozen=True, kw_only=True):
    """A trigger; `url` is where it is called, if it is one that is called."""

    name: str
    kind: str
    url: str | None


class TriggerList(msgspec.Struct, frozen=True, kw_only=True):
    """All triggers, by name."""

    items: list[TriggerItem]
    next: str | None = None


def project(services: Services) -> list[HTTPRouteHandler]:
    """The routes that show the project."""
    base_url = services.base_url.rstrip("/")

    @get("/api/trees", opt=VIEWER, summary="The project's trees", tags=["project"])
    async def list_trees(limit: Limit = 1000, cursor: FromQuery[str | None] = None) -> TreeList:
        found = [TreeItem(name=n, hash=one.hash) for n, one in services.project().trees.items()]
        items, following = page_of(found, lambda one: one.name, limit, cursor)
        return TreeList(items=items, next=following)

    @get(
        "/api/trees/{name:str}",
        opt=VIEWER,
        summary="One tree with its definition",
        tags=["project"],
    )
    async def show_tree(name: FromPath[str]) -> TreeShown:
        tree = services.project().trees.get(name)
        if tree is None:
            raise NotFound(f"there is no tree {name!r}")
        shown = TreeShown(name=tree.name, hash=tree.hash, document=msgspec.Raw(tree.document))
        file = await asyncio.to_thread(services.files.read, name) if services.files else None
        if file is None:
            return shown
        return msgspec.structs.replace(
            shown, text=file.text, file=file.file, etag=file.etag, writable=file.writable
        )

    @get("/api/triggers", opt=VIEWER, summary="The project's triggers", tags=["project"])
    async def list_triggers(
        limit: Limit = 1000, cursor: FromQuery[str | None] = None
    ) -> TriggerList:
        found = [
            TriggerItem(
                name=name,
                kind=trigger.kind,
                url=f"{base_url}/hooks/{name}" if isinstance(trigger, HttpTrigger) else None,
            )
            for name, trigger in services.project().triggers.items()
        ]
        items, following = page_of(found, lambda one: one.name, limit, cursor)
        return TriggerList(items=items, next=following)

    return [list_trees, show_tree, list_triggers]
