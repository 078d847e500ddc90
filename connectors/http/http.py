"""http: call any service that speaks HTTP.

connections:
  crm:
    http: {base_url: https://crm.example.com/api, auth: {bearer: "${{ env.CRM_TOKEN }}"}}
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import httpx
import msgspec
from msgspec import Meta

from connectors.http.answer import Answer, Shape
from connectors.http.client import Ask, Client
from connectors.http.pages import Pages, collect
from connectors.http.settings import Settings
from hub.connector import Call, Connector, action
from hub.errors import ActionRefused

__all__ = ["Change", "Fetch", "File", "Http", "Request", "Response"]

_LONGEST = timedelta(minutes=10)
_EXPECTED = re.compile(r"([1-5])xx|([1-5][0-9]{2})")


class File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a multipart body. Exactly one of `content` and `content_base64` is given."""

    field: Annotated[str, Meta(min_length=1, description="Name of the form's field")]
    name: Annotated[str | None, Meta(description="File name; none for a plain value")] = None
    content: Annotated[str | None, Meta(description="Content as text, sent as UTF-8")] = None
    content_base64: Annotated[str | None, Meta(description="Content as base64")] = None
    type: Annotated[str | None, Meta(description="Media type; guessed from the name")] = None


class Fetch(msgspec.Struct, frozen=True, kw_only=True):
    """A request without a body."""

    url: Annotated[
        str, Meta(description="A whole URL, or a path below the connection's `base_url`")
    ]
    query: Annotated[
        dict[str, str | int | float | bool | list[str | int | float | bool] | None],
        Meta(description="Parameters of the query; a list repeats its name"),
    ] = {}
    headers: Annotated[dict[str, str], Meta(description="More headers")] = {}
    expect: Annotated[
        int | str | list[int | str] | None,
        Meta(
            description="Statuses that are no failure: `200`, `2xx`, `[200, 404]`; `2xx` if left out"
        ),
    ] = None
    timeout: Annotated[
        Annotated[float, Meta(gt=0, le=300)] | None,
        Meta(description="Longest time in seconds, if not the connection's"),
    ] = None
    pages: Annotated[
        Pages | None,
        Meta(description="Collect a list that comes in pages; `body` is the whole list"),
    ] = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A request with a body: at most one of `json`, `form`, `files` (with `form`) and `text`."""

    url: Annotated[
        str, Meta(description="A whole URL, or a path below the connection's `base_url`")
    ]
    query: Annotated[
        dict[str, str | int | float | bool | list[str | int | float | bool] | None],
        Meta(description="Parameters of the query; a list repeats its name"),
    ] = {}
    headers: Annotated[dict[str, str], Meta(description="More headers")] = {}
    json: Annotated[Any, Meta(description="Body as JSON")] = msgspec.UNSET
    form: Annotated[
        dict[str, str | int | float | bool | list[str | int | float | bool]] | None,
        Meta(description="Body as a form; together with `files` as a multipart one"),
    ] = None
    files: Annotated[list[File], Meta(description="Body as multipart: files and values")] = []
    text: Annotated[
        str | None, Meta(description="Body as it is; say its kind in `content_type`")
    ] = None
    content_type: Annotated[str | None, Meta(description="Media type of `text`")] = None
    expect: Annotated[
        int | str | list[int | str] | None,
        Meta(
            description="Statuses that are no failure: `200`, `2xx`, `[200, 404]`; `2xx` if left out"
        ),
    ] = None
    timeout: Annotated[
        Annotated[float, Meta(gt=0, le=300)] | None,
        Meta(description="Longest time in seconds, if not the connection's"),
    ] = None


class Request(Change, frozen=True, kw_only=True):
    """Any request."""

    method: Annotated[
        Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"],
        Meta(description="The method"),
    ] = "GET"
    pages: Annotated[
        Pages | None,
        Meta(description="Collect a list that comes in pages; `body` is the whole list"),
    ] = None


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """What the service answered."""

    status: Annotated[int, Meta(description="The status")]
    body: Annotated[
        Any, Meta(description="JSON as it is, text as text, anything else as base64; null if empty")
    ]
    shape: Annotated[Shape, Meta(description="How the body is given")]
    headers: Annotated[
        dict[str, str], Meta(description="The headers, with names in lower case; no cookies")
    ]
    pages: Annotated[int, Meta(description="How many pages were read")] = 1
    more: Annotated[bool, Meta(description="There were more pages than were to be read")] = False


class Http(Connector):
    """Calls services that speak HTTP."""

    name: ClassVar[str] = "http"
    settings_type: ClassVar[type[msgspec.Struct]] = Settings
    settings: Settings

    def __init__(self, settings: Settings, project: Path) -> None:
        super().__init__(settings, project)
        self._client = Client(settings, project)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    def address(self) -> str | None:
        """The base URL without what may be secret in it; None for a connection to anywhere."""
        return self._client.address()

    async def check(self) -> str | None:
        """Ask for the head of the base URL; whatever is there, somebody answers."""
        if self.settings.base_url is None:
            return None
        return await self._client.check("HEAD", "", expect=range(200, 500))

    @action(timeout=_LONGEST)
    async def request(self, given: Request, call: Call) -> Response:
        """Make a request with any method."""
        return await self._send(given.method, given, call, given.pages)

    @action(timeout=_LONGEST)
    async def get(self, given: Fetch, call: Call) -> Response:
        """Get something, also when it comes in pages."""
        return await self._send("GET", given, call, given.pages)

    @action(timeout=_LONGEST)
    async def post(self, given: Change, call: Call) -> Response:
        """Post something. A key that is the same in every attempt goes along."""
        return await self._send("POST", given, call)

    @action(timeout=_LONGEST)
    async def put(self, given: Change, call: Call) -> Response:
        """Put something in its place."""
        return await self._send("PUT", given, call)

    @action(timeout=_LONGEST)
    async def patch(self, given: Change, call: Call) -> Response:
        """Change a part of something."""
        return await self._send("PATCH", given, call)

    @action(timeout=_LONGEST)
    async def delete(self, given: Change, call: Call) -> Response:
        """Delete something. That it is gone already can be said with `expect: [2xx, 404]`."""
        return await self._send("DELETE", given, call)

    async def _send(
        self, method: str, given: Fetch | Change, call: Call, pages: Pages | None = None
    ) -> Response:
        content, kind = (None, None) if isinstance(given, Fetch) else _body(given)
        if content is not None and method in ("GET", "HEAD", "OPTIONS"):
            raise _invalid("method", f"a {method} has no body")
        ask = Ask(
            method=method,
            url=given.url,
            idempotency_key=call.idempotency_key,
            query=given.query,
            headers={name.lower(): value for name, value in given.headers.items()},
            content=content,
            content_type=kind,
            expect=_expected(given.expect),
            timeout=given.timeout,
        )
        url = self._client.url_of(ask)
        place = f"{method} {url.scheme}://{url.netloc.decode()}"
        if pages is None:
            answer = await self._client.send(ask)
            value, shape = answer.value(place)
            return self._response(answer, value, shape)

        async def send(at: httpx.URL, query: dict[str, Any]) -> Answer:
            call.heartbeat()
            return await self._client.send(msgspec.structs.replace(ask, url=str(at), query=query))

        found = await collect(pages, url, send, self.settings.max_response, place)
        return self._response(found.last, found.items, "json", found.pages, found.more)

    def _response(
        self, answer: Answer, body: Any, shape: Shape, pages: int = 1, more: bool = False
    ) -> Response:
        # A service that sends credentials back must not bring them into the run's history.
        return Response(
            status=answer.status,
            body=self._client.scrub(body),
            shape=shape,
            headers=self._client.scrub(answer.headers),
            pages=pages,
            more=more,
        )


def _body(given: Change) -> tuple[bytes | None, str | None]:
    """The body and its media type."""
    ways = {
        "json": given.json is not msgspec.UNSET,
        "form": given.form is not None and not given.files,
        "files": bool(given.files),
        "text": given.text is not None,
    }
    chosen = [name for name, is_given in ways.items() if is_given]
    if len(chosen) > 1:
        raise _invalid(chosen[1], f"cannot stand beside `{chosen[0]}`")
    if given.content_type is not None and given.text is None:
        raise _invalid("content_type", "goes with `text`")
    if not chosen:
        return None, None
    try:
        if chosen == ["json"]:
            return msgspec.json.encode(given.json), "application/json"
        if chosen == ["text"]:
            kind = given.content_type or "text/plain; charset=utf-8"
            return (given.text or "").encode(), kind
        form = {name: _texts(value) for name, value in (given.form or {}).items()}
        files = [_part(file, f"files[{index}]") for index, file in enumerate(given.files)]
        encoded = httpx.Request("POST", "http://_", data=form, files=files or None)
        return encoded.read(), encoded.headers.get("content-type")
    except (UnicodeError, ValueError, TypeError, OverflowError):
        raise _invalid(chosen[0], "cannot be written as a body") from None


def _texts(value: Any) -> Any:
    if isinstance(value, list):
        return [_texts(item) for item in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


def _part(file: File, path: str) -> tuple[str, Any]:
    if (file.content is None) == (file.content_base64 is None):
        raise _invalid(path, "needs either `content` or `content_base64`")
    if file.content is not None:
        content = file.content.encode()
    else:
        try:
            content = base64.b64decode(file.content_base64 or "", validate=True)
        except (binascii.Error, ValueError):
            raise _invalid(f"{path}.content_base64", "is no base64") from None
    for text in (file.type or "", file.name or ""):
        if not text.isprintable():
            raise _invalid(path, "`name` and `type` must be one line")
    return file.field, (file.name, content, file.type) if file.type else (file.name, content)


def _expected(given: Any) -> frozenset[int] | None:
    if given is None:
        return None
    return frozenset(_statuses(given if isinstance(given, list) else [given]))


def _statuses(given: Iterable[int | str]) -> Iterable[int]:
    for entry in given:
        found = _EXPECTED.fullmatch(str(entry))
        if found is None:
            raise _invalid("expect", f"{entry} is no status; write `200` or `2xx`")
        yield from (
            range(int(found[1]) * 100, int(found[1]) * 100 + 100) if found[1] else [int(found[2])]
        )


def _invalid(field: str, message: str) -> ActionRefused:
    return ActionRefused("invalid_input", f"{field}: {message}")
