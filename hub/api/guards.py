"""Who may call what. Every route says it, in its `opt`, by a word of this module; a route that says
nothing keeps the application from starting.

    @get("/api/runs", opt=VIEWER)
    @post("/api/approvals/{id}/decision", opt=APPROVER)
    @get("/healthz", opt=ANYONE)

What a page offers follows from the same words: a route names what it lets one do, and
`GET /api/session` tells who calls which of it they may.

    @post("/api/events", opt=lets(OPERATOR, "event.send"))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from litestar.routes import ASGIRoute, HTTPRoute

from hub.access.secret_texts import same
from hub.api.callers import caller_of, identify
from hub.errors import Forbidden, Unauthorized
from hub.roles import Role
from hub.sign_in import is_loopback_name

if TYPE_CHECKING:
    from litestar import Litestar
    from litestar.connection import ASGIConnection
    from litestar.handlers import BaseRouteHandler
    from litestar.types import Guard

    from hub.api.services import Services

__all__ = [
    "ADMIN",
    "ANYONE",
    "APPROVER",
    "CSRF_HEADER",
    "EDITOR",
    "OPERATOR",
    "ORIGINS",
    "SIGNED_IN",
    "VIEWER",
    "VIEWER_OR_APPROVER",
    "check_routes",
    "lets",
    "management_guards",
    "may",
    "permissions",
    "require",
    "who_may",
]

CSRF_HEADER: Final = "x-csrf-token"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_WHO = "who"
_LETS = "lets"
ORIGINS: Final = "origins"
"""In a route's `opt`: other origins whose pages may call it, as `https://temporal.example.com`."""


def _roles(*roles: Role) -> dict[str, Any]:
    return {_WHO: frozenset(roles)}


ANYONE: Final[dict[str, Any]] = {_WHO: "anyone"}
"""Nobody has to say who they are: the route proves its callers itself, or tells nothing."""
SIGNED_IN: Final[dict[str, Any]] = {_WHO: "signed_in"}
"""Whoever the hub knows, with any role."""
VIEWER: Final = _roles("viewer")
APPROVER: Final = _roles("approver")
VIEWER_OR_APPROVER: Final = _roles("viewer", "approver")
OPERATOR: Final = _roles("operator")
EDITOR: Final = _roles("editor")
ADMIN: Final = _roles("admin")


def lets(
    who: dict[str, Any], *names: str, more: Mapping[str, dict[str, Any]] | None = None
) -> dict[str, Any]:
    """A word of this module, and the names of what a route lets one do who may call it.

    They are the audit log's names, and `.see` for what is only looked at. `more` are those for
    which the route asks more than to be called (`require`), each with who may.
    """
    named = dict.fromkeys(names, who) | dict(more or {})
    return {**who, _LETS: {name: one[_WHO] for name, one in named.items()}}


def permissions(app: Litestar) -> dict[str, frozenset[Role]]:
    """What the application's routes let one do, by name, with the roles of which one is enough."""
    found: dict[str, frozenset[Role]] = {}
    for route in app.routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            found |= handler.opt.get(_LETS, {})
    return dict(sorted(found.items()))


def who_may(app: Litestar) -> Iterator[tuple[str, str, Any]]:
    """Every method and path of the application, with who may call it: None where it does not say.

    It is "anyone", "signed_in", or the roles of which one is enough.
    """
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                for method in sorted(handler.http_methods):
                    if method != "OPTIONS":
                        yield method, route.path, handler.opt.get(_WHO)
        elif isinstance(route, ASGIRoute):
            yield "*", route.path, route.route_handler.opt.get(_WHO)
        else:
            yield "websocket", route.path, None


def check_routes(app: Litestar) -> None:
    """Raises `RuntimeError` where a route does not say who may call it."""
    silent = [f"{method} {path}" for method, path, who in who_may(app) if who is None]
    if silent:
        raise RuntimeError(
            f"these routes do not say who may call them: {', '.join(silent)}; "
            "give each one of the words of hub/api/guards.py: @get(..., opt=VIEWER)"
        )


def may(connection: ASGIConnection[Any, Any, Any, Any], who: dict[str, Any]) -> bool:
    """Whether the caller that was let in may do what takes more: `may(request, EDITOR)`."""
    return caller_of(connection).may(who[_WHO])


def require(connection: ASGIConnection[Any, Any, Any, Any], who: dict[str, Any]) -> None:
    """Ask for more than the route does, where it depends on the request: `require(request, EDITOR)`.

    Raises `Forbidden`.
    """
    if not may(connection, who):
        raise Forbidden(_lacking(caller_of(connection).name, who[_WHO]))


def management_guards(services: Services) -> list[Guard]:
    """The guards of the management side, in the order in which they are asked.

    A web page must not drive a hub on its reader's machine. One that points its own host name at
    this machine (DNS rebinding) is known by the Host header, one that posts from elsewhere by the
    Origin header. Then it is asked who calls, and whether they may.
    """
    base = urlsplit(services.base_url)
    allowed = services.allowed_hosts | ({base.hostname} if base.hostname else set())
    base_origin = base.netloc.lower()

    def refuse_foreign_hosts(
        connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler
    ) -> None:
        host = _host_name(connection.headers.get("host", ""))
        if "*" not in allowed and host not in allowed and not is_loopback_name(host):
            raise Forbidden(
                f"the hub does not answer to the host name {host[:100]!r}; "
                "call it by a name that it knows, or add this one to its allowed hosts"
            )

    def refuse_foreign_origins(
        connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
    ) -> None:
        origin = connection.headers.get("origin")
        if origin is None or _is_safe(connection) or origin in handler.opt.get(ORIGINS, ()):
            return
        netloc = _netloc(origin)
        if not netloc or netloc not in (connection.headers.get("host", "").lower(), base_origin):
            raise Forbidden("a page of another origin may not change anything here")

    async def let_in(
        connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
    ) -> None:
        who = handler.opt.get(_WHO, "anyone")
        # A browser asks beforehand by OPTIONS, and never says then who it is.
        if who == "anyone" or connection.scope.get("method") == "OPTIONS":
            return
        caller = await identify(services, connection)
        if caller is None:
            raise Unauthorized("sign in first, or send a token: `Authorization: Bearer hub_...`")
        # A page of elsewhere can have the browser send its cookie along, but cannot know this.
        if caller.csrf is not None and not _is_safe(connection):
            brought = connection.headers.get(CSRF_HEADER, "")
            if not same(brought, caller.csrf):
                raise Forbidden(
                    f"a change by a signed-in page brings along the header {CSRF_HEADER} with "
                    "the `csrf` of GET /api/session"
                )
        if not caller.roles or (who != "signed_in" and not caller.may(who)):
            raise Forbidden(_lacking(caller.name, who))
        connection.scope["user"] = caller

    return [refuse_foreign_hosts, refuse_foreign_origins, let_in]


def _lacking(name: str, who: Any) -> str:
    wanted = "a role" if who == "signed_in" else f"the role {' or '.join(sorted(who))}"
    return f"{name} may not do that: it takes {wanted}, or one that includes it"


def _is_safe(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    return connection.scope.get("method", "GET") in _SAFE_METHODS


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().rstrip(".")
