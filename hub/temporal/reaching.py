"""Temporal's answers in the hub's own words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio.service import RPCError, RPCStatusCode

from hub.errors import HubError, NotFound, Undeliverable
from hub.temporal.answers import away

__all__ = ["AlreadyThere", "quoted", "reaching"]


def quoted(text: str) -> str:
    """A value as Temporal's list queries take it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


class AlreadyThere(HubError):
    """A run of that id has ended, and no other may follow it."""


@asynccontextmanager
async def reaching(run_id: str | None = None) -> AsyncIterator[None]:
    """Turns Temporal's answers into the hub's errors."""
    try:
        yield
    except (RPCError, RuntimeError) as error:
        if (unreachable := away(error)) is not None:
            raise unreachable from None
        if isinstance(error, RuntimeError):
            raise
        if error.status == RPCStatusCode.NOT_FOUND:
            raise NotFound(f"there is no run {run_id!r}" if run_id else "no such run") from None
        if error.status == RPCStatusCode.ALREADY_EXISTS:
            raise AlreadyThere(error.message) from None
        raise Undeliverable(f"Temporal refuses it: {error.message}") from None
