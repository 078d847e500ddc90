"""Who may call the management side. Every guard of every management route stands here."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hub.errors import Forbidden

if TYPE_CHECKING:
    from litestar.connection import ASGIConnection
    from litestar.handlers import BaseRouteHandler
    from litestar.types import Guard

    from hub.api.services import Services

__all__ = ["management_guards"]

_PROXIED = ("forwarded", "x-forwarded-for")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def management_guards(services: Services) -> list[Guard]:
    """The guards of the management side, in the order in which they are asked.

    A web page must not drive a hub on its reader's machine. One that points its own host name at
    this machine (DNS rebinding) is known by the Host header, one that posts from elsewhere by the
    Origin header. What asks who the caller is comes after these two.
    """
    base = urlsplit(services.base_url)
    allowed = services.allowed_hosts | ({base.hostname} if base.hostname else set())
    base_origin = base.netloc.lower()

    def refuse_foreign_hosts(
        connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler
    ) -> None:
        host = _host_name(connection.headers.get("host", ""))
        if "*" not in allowed and host not in allowed and not _is_loopback(host):
            raise Forbidden(
                f"the hub does not answer to the host name {host[:100]!r}; "
                "call it by a name that it knows, or add this one to its allowed hosts"
            )

    def refuse_foreign_origins(
        connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler
    ) -> None:
        origin = connection.headers.get("origin")
        if origin is None or connection.scope.get("method", "GET") in _SAFE_METHODS:
            return
        netloc = _netloc(origin)
        if not netloc or netloc not in (connection.headers.get("host", "").lower(), base_origin):
            raise Forbidden("a page of another origin may not change anything here")

    def refuse_strangers(
        connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler
    ) -> None:
        proxied = any(name in connection.headers for name in _PROXIED)
        client = connection.client
        if services.is_local and (proxied or client is None or not _is_loopback(client.host)):
            raise Forbidden(
                "the management side answers to this machine alone: ask it from there, or through "
                "`kubectl port-forward` or an SSH tunnel"
            )

    return [refuse_foreign_hosts, refuse_foreign_origins, refuse_strangers]


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().rstrip(".")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
