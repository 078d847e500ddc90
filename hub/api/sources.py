"""`PUT /api/trees/{name}` and `POST /api/trees/{name}/validate`: a tree's file."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, Response, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from hub.api.actors import audited
from hub.api.body import read_body, read_headers
from hub.api.guards import EDITOR, VIEWER, lets
from hub.api.services import Services
from hub.errors import BadRequest, Conflict, Diagnostic

if TYPE_CHECKING:
    from hub.routing.sources import TreeFiles

__all__ = ["SavedTree", "Validation", "sources"]

_MAX_BODY = 1024 * 1024


class TreeText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole text of a tree's file."""

    text: str


class Validation(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a text; `valid` is true where all of it are warnings."""

    valid: bool
    diagnostics: list[Diagnostic]


class SavedTree(msgspec.Struct, frozen=True, kw_only=True):
    """A tree's file as it was saved."""

    name: str
    file: str
    etag: str


def sources(services: Services) -> list[HTTPRouteHandler]:
    """The routes that check and save the text of trees."""

    @post(
        "/api/trees/{name:str}/validate",
        opt=VIEWER,
        status_code=200,
        summary="What would be wrong if the tree's file held this text",
        tags=["project"],
    )
    async def validate_tree(request: Request[Any, Any, Any], name: FromPath[str]) -> Validation:
        text = await _text(request, services)
        problems = await asyncio.to_thread(_files(services).check, name, text)
        return Validation(
            valid=all(problem.severity != "error" for problem in problems), diagnostics=problems
        )

    @put(
        "/api/trees/{name:str}",
        opt=lets(EDITOR, "tree.save"),
        summary="Save a tree's file; If-Match names what it takes the place of",
        tags=["project"],
    )
    async def save_tree(
        request: Request[Any, Any, Any], name: FromPath[str]
    ) -> Response[SavedTree]:
        was = request.headers.get("if-match")
        if was is None and request.headers.get("if-none-match") != "*":
            raise BadRequest(
                "say what this takes the place of: `If-Match:` with the ETag of the tree as it was "
                "read, or `If-None-Match: *` for a new tree"
            )
        text = await _text(request, services)
        files = _files(services)
        before = await asyncio.to_thread(files.read, name)
        async with audited(
            services,
            request,
            "tree.save",
            name,
            before=None if before is None else {"etag": before.etag, "text": before.text},
            after={"text": text},
        ) as change:
            saved = await asyncio.to_thread(files.write, name, text, was)
            change.after["etag"] = saved.etag
        return Response(
            SavedTree(name=name, file=saved.file, etag=saved.etag), headers={"etag": saved.etag}
        )

    return [validate_tree, save_tree]


def _files(services: Services) -> TreeFiles:
    if services.files is None:
        raise Conflict("the trees of this hub are kept elsewhere, and cannot be changed here")
    return services.files


async def _text(request: Request[Any, Any, Any], services: Services) -> str:
    body = await read_body(
        request.receive,
        read_headers(request.scope),
        limit=_MAX_BODY,
        timeout=services.body_timeout,
    )
    try:
        return msgspec.json.decode(body, type=TreeText).text
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body does not fit: {error}") from None
