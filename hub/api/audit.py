"""`/api/audit`: who changed what."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery, QueryParameter

from hub.api.guards import ADMIN, lets
from hub.api.services import Services
from hub.audit import AuditOutcome, AuditPage
from hub.errors import BadRequest

__all__ = ["audit"]


def audit(services: Services) -> list[HTTPRouteHandler]:
    """The route of the audit log."""

    @get(
        "/api/audit",
        opt=lets(ADMIN, "audit.see"),
        summary="Who changed what, newest first",
        tags=["access"],
    )
    async def list_audit(
        who: FromQuery[str | None] = None,
        action: FromQuery[str | None] = None,
        of: Annotated[str | None, QueryParameter(name="object")] = None,
        outcome: FromQuery[AuditOutcome | None] = None,
        since: FromQuery[datetime | None] = None,
        until: FromQuery[datetime | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
        cursor: FromQuery[str | None] = None,
    ) -> AuditPage:
        for name, time in (("since", since), ("until", until)):
            if time is not None and time.tzinfo is None:
                raise BadRequest(f"{name!r} needs a zone: 2026-01-31T08:00:00Z")
        return await services.journal.audit.list(
            who=who,
            action=action,
            object=of,
            outcome=outcome,
            since=since,
            until=until,
            limit=limit,
            cursor=cursor,
        )

    return [list_audit]
