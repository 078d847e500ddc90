"""Who is behind a request, as the audit log writes it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from litestar.connection import ASGIConnection

from hub.api.services import Services
from hub.audit import Actor, Change

__all__ = ["actor_of", "audited"]


def actor_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Actor:
    """Who calls."""
    client = connection.client
    return Actor(who="local", how="development", address=client.host if client else None)


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
