"""`/api/trees` and `/api/triggers`: what the project of this moment holds."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import Any

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery

from hub.api.guards import VIEWER, lets
from hub.api.paging import Limit, page_of
from hub.api.services import Services
from hub.errors import NotFound
from hub.telemetry.metrics import REFUSED
from hub.tree.events import EVENT_FIELDS
from hub.trigger import ConsumerState, ConsumerStatus, HttpTrigger, Trigger

__all__ = [
    "TreeItem",
    "TreeList",
    "TreeShown",
    "TreeStart",
    "TriggerItem",
    "TriggerList",
    "project",
]


class TreeStart(msgspec.Struct, frozen=True, kw_only=True):
    """What starts a tree: the event by the tree's name for it, and the trigger that it comes in at."""

    event: str
    kind: str | None
    trigger: str | None


class TreeItem(msgspec.Struct, frozen=True, kw_only=True):
    """A tree as the list shows it; `hash` is what runs are pinned to."""

    name: str
    hash: str
    title: str | None = None
    description: str | None = None
    start: TreeStart | None = None


class TreeList(msgspec.Struct, frozen=True, kw_only=True):
    """All trees, by name; `writable` says whether this hub saves trees at all."""

    items: list[TreeItem]
    next: str | None = None
    writable: bool = False


class TreeShown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tree with its definition, and its file where the project's files are at hand."""

    name: str
    hash: str
    document: Any
    text: str | None = None
    file: str | None = None
    etag: str | None = None
    writable: bool = False


class ConsumerView(msgspec.Struct, frozen=True, kw_only=True):
    """How a consumer of this process does; `lag` is how many messages it is behind."""

    state: ConsumerState
    detail: str | None
    lag: int
    dead: int


class TriggerItem(msgspec.Struct, frozen=True, kw_only=True):
    """A trigger; `url` is where it is called, if it is one that is called.

    `provider` is whose webhooks it takes, `topics` what it consumes. `refused` counts what was
    turned away since this process began, by the code of the error; `consumer` is there where this
    process consumes.
    """

    name: str
    kind: str
    url: str | None
    provider: str | None = None
    topics: list[str] = []
    refused: dict[str, int] = {}
    consumer: ConsumerView | None = None


class TriggerList(msgspec.Struct, frozen=True, kw_only=True):
    """All triggers, by name."""

    items: list[TriggerItem]
    next: str | None = None


def project(services: Services) -> list[HTTPRouteHandler]:
    """The routes that show the project."""
    base_url = services.base_url.rstrip("/")

    @get(
        "/api/trees",
        opt=lets(VIEWER, "tree.see"),
        summary="The project's trees",
        tags=["project"],
    )
    async def list_trees(limit: Limit = 1000, cursor: FromQuery[str | None] = None) -> TreeList:
        found = [
            _listed(name, one.hash, one.document) for name, one in services.project().trees.items()
        ]
        items, following = page_of(found, lambda one: one.name, limit, cursor)
        may_write = services.files is not None and services.files.may_write
        return TreeList(items=items, next=following, writable=may_write)

    @get(
        "/api/trees/{name:str}",
        opt=VIEWER,
        summary="One tree with its definition",
        tags=["project"],
    )
    async def show_tree(name: FromPath[str]) -> Response[TreeShown]:
        tree = services.project().trees.get(name)
        if tree is None:
            raise NotFound(f"there is no tree {name!r}")
        shown = TreeShown(name=tree.name, hash=tree.hash, document=msgspec.Raw(tree.document))
        file = await asyncio.to_thread(services.files.read, name) if services.files else None
        if file is None:
            return Response(shown)
        with_file = msgspec.structs.replace(
            shown, text=file.text, file=file.file, etag=file.etag, writable=file.writable
        )
        return Response(with_file, headers={"etag": file.etag})

    @get(
        "/api/triggers",
        opt=lets(VIEWER, "trigger.see"),
        summary="The project's triggers",
        tags=["project"],
    )
    async def list_triggers(
        limit: Limit = 1000, cursor: FromQuery[str | None] = None
    ) -> TriggerList:
        refused = _refused()
        consumers = {status.trigger: _consumer(status) for status in services.consumers()}
        found = [
            _shown(trigger, base_url, refused.get(name, {}), consumers.get(name))
            for name, trigger in services.project().triggers.items()
        ]
        items, following = page_of(found, lambda one: one.name, limit, cursor)
        return TriggerList(items=items, next=following)

    return [list_trees, show_tree, list_triggers]


@lru_cache(maxsize=4096)
def _listed(name: str, hash_: str, document: bytes) -> TreeItem:
    """What a tree says of itself. The list is asked for every few seconds."""
    told = msgspec.json.decode(document, type=dict[str, Any])
    start = told.get("start")
    event = start.get("event") if isinstance(start, dict) else start
    spec = told.get("events", {}).get(event)
    source = next((key for key in spec if key not in EVENT_FIELDS), None) if spec else None
    trigger = spec[source] if source else None
    if source and not isinstance(trigger, str):
        trigger = f"{name}/{event}"
    return TreeItem(
        name=name,
        hash=hash_,
        title=told.get("title"),
        description=told.get("description"),
        start=None if event is None else TreeStart(event=event, kind=source, trigger=trigger),
    )


def _shown(
    trigger: Trigger, base_url: str, refused: dict[str, int], consumer: ConsumerView | None
) -> TriggerItem:
    provider = getattr(trigger.settings, "provider", None)
    return TriggerItem(
        name=trigger.name,
        kind=trigger.kind,
        url=f"{base_url}/hooks/{trigger.name}" if isinstance(trigger, HttpTrigger) else None,
        provider=str(provider) if provider else None,
        topics=[str(topic) for topic in getattr(trigger.settings, "named", ())],
        refused=refused,
        consumer=consumer,
    )


def _consumer(status: ConsumerStatus) -> ConsumerView:
    return ConsumerView(state=status.state, detail=status.detail, lag=status.lag, dead=status.dead)


def _refused() -> dict[str, dict[str, int]]:
    """What was turned away by this process: for each trigger how often, by code."""
    found: dict[str, dict[str, int]] = {}
    for metric in REFUSED.collect():
        for sample in metric.samples:
            if sample.name.endswith("_total") and sample.value:
                codes = found.setdefault(sample.labels["trigger"], {})
                codes[sample.labels["code"]] = int(sample.value)
    return found
