"""Answers that come in pages: asking for the next until there is none, within bounds.

Source: RFC 8288 (the `Link` header).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

import httpx
import msgspec
from msgspec import Meta

from connectors.http.answer import Answer
from hub.errors import ActionRefused, ExpressionError
from hub.expressions import Expression, compile_expression

__all__ = ["Collected", "Pages", "collect"]

_LINK = re.compile(r"<([^<>]*)>((?:\s*;\s*[^\s;=,<>]+(?:\s*=\s*(?:\"[^\"]*\"|[^\s;,\"]*))?)*)")
_REL = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s;,\"]+))", re.IGNORECASE)


class Pages(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a list that comes in pages is collected. Expressions see `body`, `headers`, `status`."""

    by: Annotated[
        Literal["link", "cursor", "number"],
        Meta(
            description="`link`: the Link header names the next page; `cursor`: a value in the "
            "answer does; `number`: pages are counted until one is empty"
        ),
    ]
    items: Annotated[
        str, Meta(description="A bare expression that gives the items of a page: `body.data`")
    ] = "body"
    cursor: Annotated[
        str | None,
        Meta(
            description="A bare expression that gives the next cursor, or nothing: "
            "`body.next_cursor | default(none)`"
        ),
    ] = None
    parameter: Annotated[
        str | None, Meta(description="The query parameter: `cursor` or `page` when left out")
    ] = None
    first: Annotated[int, Meta(ge=0, description="Number of the first page")] = 1
    max_pages: Annotated[int, Meta(ge=1, le=1000, description="Most pages that are asked for")] = 20

    def __post_init__(self) -> None:
        if (self.by == "cursor") != (self.cursor is not None):
            raise ValueError("pages: `by: cursor` and `cursor: <expression>` go together")


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """All items; `more` says that there were more pages than were asked for."""

    items: list[Any]
    pages: int
    more: bool
    last: Answer


async def collect(
    how: Pages,
    url: httpx.URL,
    send: Callable[[httpx.URL, dict[str, Any]], Awaitable[Answer]],
    limit: int,
    place: str,
) -> Collected:
    """Ask for pages, beginning at the URL, until there is none or a bound is reached.

    `send` asks for one page, with further query parameters. `limit` bounds all pages together, in
    bytes. Raises `ActionRefused` (`http_pages`) for answers that are no pages.
    """
    items_of, cursor_of = _compiled("items", how.items), None
    if how.cursor is not None:
        cursor_of = _compiled("cursor", how.cursor)
    collected: list[Any] = []
    query: dict[str, Any] = {}
    if how.by == "number":
        query = {how.parameter or "page": how.first}
    seen = {_mark(url, query)}
    size = 0
    for number in range(1, how.max_pages + 1):
        answer = await send(url, query)
        size += len(answer.body)
        if size > limit:
            raise ActionRefused(
                "http_too_large",
                f"{place}: {number} pages have more than {limit:,} bytes, the connection's "
                "`max_response`; ask for fewer (`max_pages`), or raise it",
            )
        scope = {
            "body": answer.value(place)[0],
            "headers": answer.headers,
            "status": answer.status,
        }
        items = _evaluated("items", items_of, scope, place)
        if not isinstance(items, list):
            raise ActionRefused("http_pages", f"{place}: `items` gives no list (`{how.items}`)")
        collected += items
        following: tuple[httpx.URL, dict[str, Any]] | None = None
        if how.by == "link":
            if (target := _next_link(answer.headers.get("link", ""))) is not None:
                following = _followed(url, target, place), {}
        elif cursor_of is not None:
            cursor = _evaluated("cursor", cursor_of, scope, place)
            if cursor not in (None, "", False):
                if not isinstance(cursor, (str, int)):
                    raise ActionRefused("http_pages", f"{place}: `cursor` gives no text or number")
                following = url, {how.parameter or "cursor": cursor}
        elif items:
            following = url, {how.parameter or "page": how.first + number}
        if following is None:
            return Collected(items=collected, pages=number, more=False, last=answer)
        if _mark(*following) in seen:
            raise ActionRefused("http_pages", f"{place}: the pages go round in a circle")
        url, query = following
        seen.add(_mark(url, query))
    return Collected(items=collected, pages=how.max_pages, more=True, last=answer)


def _compiled(field: str, text: str) -> Expression:
    try:
        return compile_expression(text)
    except ExpressionError as error:
        raise ActionRefused("invalid_input", f"pages.{field}: {error.message}") from None


def _evaluated(field: str, expression: Expression, scope: dict[str, Any], place: str) -> Any:
    try:
        return expression.evaluate(scope)
    except ExpressionError as error:
        raise ActionRefused("http_pages", f"{place}: pages.{field}: {error.message}") from None


def _next_link(header: str) -> str | None:
    for found in _LINK.finditer(header[:16_384]):
        rel = _REL.search(found[2])
        if rel is not None and "next" in (rel[1] or rel[2] or "").lower().split():
            return found[1]
    return None


def _followed(url: httpx.URL, target: str, place: str) -> httpx.URL:
    try:
        new = url.join(target)
    except (httpx.InvalidURL, ValueError, TypeError):
        raise ActionRefused("http_pages", f"{place}: the next page's link is no URL") from None
    if (new.scheme, new.host, new.port) != (url.scheme, url.host, url.port):
        raise ActionRefused(
            "http_pages", f"{place}: the next page would be at another host, {new.host}"
        )
    return new


def _mark(url: httpx.URL, query: dict[str, Any]) -> str:
    return f"{url} {sorted(query.items())}"
