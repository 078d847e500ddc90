"""Who calls, told from a request: by token, by cookie, or as the local user of `hub dev`."""

from __future__ import annotations

import getpass
from typing import Any, Final

from litestar.connection import ASGIConnection

from hub.access import Caller
from hub.api.services import Services
from hub.errors import Unauthorized
from hub.roles import ROLES
from hub.sign_in import is_loopback_name

__all__ = ["COOKIE", "caller_of", "cookie_name", "identify", "session_of"]

COOKIE: Final = "hub_session"
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip")


async def identify(
    services: Services, connection: ASGIConnection[Any, Any, Any, Any]
) -> Caller | None:
    """Who calls; None where nobody says so.

    A token that is sent is what counts, good or not: a request that brings a wrong one is not
    taken for somebody else. Raises `Unauthorized` for that.
    """
    address = connection.client.host if connection.client else None
    authorization = connection.headers.get("authorization")
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or services.access is None:
            raise Unauthorized("send a token of this hub: `Authorization: Bearer hub_...`")
        return await services.access.by_token(token.strip(), address)
    if services.access is not None and (secret := session_of(services, connection)):
        caller = await services.access.by_session(secret, address)
        if caller is not None:
            return caller
    return _developer(connection, address) if services.is_development else None


def caller_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
    """The caller that the guard has let through. Raises `Unauthorized` where nobody was asked for."""
    caller = connection.scope.get("user")
    if not isinstance(caller, Caller):
        raise Unauthorized("sign in first")
    return caller


def session_of(services: Services, connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    """The secret in the request's cookie."""
    return connection.cookies.get(cookie_name(services, COOKIE))


def cookie_name(services: Services, name: str) -> str:
    """Under https a name that browsers let nobody set for us but this very host."""
    return f"__Host-{name}" if services.base_url.startswith("https://") else name


def _developer(
    connection: ASGIConnection[Any, Any, Any, Any], address: str | None
) -> Caller | None:
    """The local user, who calls from this machine itself and through nobody else."""
    if address is None or not is_loopback_name(address):
        return None
    if any(name in connection.headers for name in _FORWARDED):
        return None
    return Caller(
        name=_local_user(),
        how="development",
        roles=frozenset(ROLES),
        on_behalf=True,
        address=address,
    )


def _local_user() -> str:
    try:
        return getpass.getuser().casefold()
    except (KeyError, OSError):
        return "local"
