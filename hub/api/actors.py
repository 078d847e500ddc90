"""Who is behind a request, as the audit log writes it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from litestar.connection import ASGIConnection

from hub.access import Caller
from hub.api.services import Services
from hub.audit import Actor, Change

__all__ = ["actor_of", "audited"]


def actor_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Actor:
    """Who calls: the caller that was let in, or nobody who is known."""
    caller = connection.scope.get("user")
    if isinstance(caller, Caller):
        return caller.actor()
    client = connection.client
    return Actor(who="?", how="anonymous", address=client.host if client else None)


def audited(
    services: Services,
    connection: ASGIConnection[Any, Any, Any, Any],
    action: str,
    object: str,  # noqa: A002
    *,
    before: Any = None,
    after: Any = None,
) -> AbstractAsyncContextManager[Change]:
    """A change by whoever calls, written down before the block and after it."""
    return services.journal.audit.change(
        actor_of(connection), action, object, before=before, after=after
    )
