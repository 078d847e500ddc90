"""`/api/overview`: the hub at a glance, in one answer."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler

from hub import __version__
from hub.api.guards import VIEWER, lets
from hub.api.health import CheckOutcome, check_all
from hub.api.services import Services
from hub.errors import HubError

__all__ = ["Overview", "overview"]

_MINUTES = 60


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of what the hub holds.

    `events` counts the journal's entries by status, `per_minute` those of the last hour, oldest
    minute first, the last one under way. `runs` counts runs by status; None when the place where
    runs live does not answer or cannot count. `backlog` is how many events wait to be delivered.
    `development` says whether a run's clock can be forwarded, `temporal_ui` where the runs'
    namespace begins in Temporal's own page: `{temporal_ui}/workflows/{id}` is one of them.
    """

    project: str
    version: str
    development: bool
    temporal_ui: str | None
    trees: int
    triggers: int
    events: dict[str, int]
    per_minute: list[int]
    runs: dict[str, int] | None
    backlog: int
    checks: list[CheckOutcome]


def overview(services: Services) -> list[HTTPRouteHandler]:
    """The route of the overview."""

    @get(
        "/api/overview",
        opt=lets(VIEWER, "overview.see"),
        summary="The hub at a glance",
        tags=["project"],
    )
    async def show_overview() -> Overview:
        project = services.project()
        last = datetime.now(UTC).replace(second=0, microsecond=0)
        first = last - timedelta(minutes=_MINUTES - 1)
        events, minutes, runs, checks = await asyncio.gather(
            services.journal.counts(),
            services.journal.per_minute(first),
            _count_runs(services),
            check_all(services.health, services.check_timeout),
        )
        return Overview(
            project=project.name,
            version=__version__,
            development=services.is_development,
            temporal_ui=services.temporal_ui,
            trees=len(project.trees),
            triggers=len(project.triggers),
            events=events,
            per_minute=[minutes.get(first + timedelta(minutes=n), 0) for n in range(_MINUTES)],
            runs=runs,
            backlog=services.journal.backlog,
            checks=checks,
        )

    return [show_overview]


async def _count_runs(services: Services) -> dict[str, int] | None:
    if services.count_runs is None:
        return None
    try:
        async with asyncio.timeout(services.check_timeout):
            return dict(await services.count_runs())
    except (HubError, TimeoutError):
        return None
