"""`/api/connections`: the accounts that actions use, without their secrets, and a test of each."""

from __future__ import annotations

import asyncio
import time

import msgspec
from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from hub.api.guards import OPERATOR, VIEWER, lets
from hub.api.services import Services
from hub.connections import ConnectionState
from hub.errors import ActionFailed

__all__ = ["ConnectionList", "ConnectionTest", "connections"]

_PATIENCE = 20.0


class ConnectionList(msgspec.Struct, frozen=True, kw_only=True):
    """All connections, by name. `use` is what this process knows of it."""

    items: list[ConnectionState]
    next: str | None = None


class ConnectionTest(msgspec.Struct, frozen=True, kw_only=True):
    """What a test showed: `ok` is None where the connector has nothing to ask without an effect."""

    ok: bool | None
    detail: str
    milliseconds: int


def connections(services: Services) -> list[HTTPRouteHandler]:
    """The routes of connections."""

    @get(
        "/api/connections",
        opt=lets(VIEWER, "connection.see"),
        summary="The project's connections",
        tags=["project"],
    )
    async def list_connections() -> ConnectionList:
        return ConnectionList(items=await services.project().connections.states())

    @post(
        "/api/connections/{name:str}/test",
        opt=lets(OPERATOR, "connection.test"),
        status_code=200,
        summary="Ask the other side of a connection for a sign of life, without any effect",
        tags=["project"],
    )
    async def test_connection(name: FromPath[str]) -> ConnectionTest:
        began = time.monotonic()
        ok: bool | None = True
        try:
            async with asyncio.timeout(_PATIENCE):
                detail = await services.project().connections.check_one(name)
        except TimeoutError:
            ok, detail = False, f"no answer within {_PATIENCE:g} seconds"
        except ActionFailed as error:
            ok, detail = False, error.message
        if detail is None:
            ok, detail = None, "this can only be tried by using it"
        took = round((time.monotonic() - began) * 1000)
        return ConnectionTest(ok=ok, detail=detail, milliseconds=took)

    return [list_connections, test_connection]
