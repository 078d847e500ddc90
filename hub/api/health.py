"""`/healthz`: the process lives. `/readyz`: what it needs answers."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from traceback import format_exception

import msgspec
import structlog
from litestar import Response, get, route
from litestar.enums import HttpMethod, MediaType
from litestar.handlers import HTTPRouteHandler

from hub.api.guards import ANYONE
from hub.api.services import HealthCheck
from hub.errors import HubError

__all__ = ["CheckOutcome", "Health", "Readiness", "check_all", "health"]

_log = structlog.get_logger("hub.api")
_NO_STORE = {"cache-control": "no-store"}


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The process lives and answers."""

    status: str = "alive"


class CheckOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One part that the hub needs, and how it does. `detail` says what is wrong with it."""

    name: str
    ok: bool
    detail: str | None = None


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether work may be sent here: `status` is "ready", "not_ready", or "degraded" where a part
    is away that can be waited for."""

    status: str
    checks: list[CheckOutcome]


def health(
    checks: Mapping[str, HealthCheck],
    *,
    degrading: Collection[str] = (),
    timeout: float = 3.0,
) -> list[HTTPRouteHandler]:
    """The two routes that probes ask. They say nothing that needs guarding.

    Without the `degrading` parts the process can still do what is asked of it first. Each check
    has `timeout` seconds.
    """

    @get("/healthz", opt=ANYONE, summary="The process lives", tags=["health"])
    async def healthz() -> Response[Health]:
        return Response(Health(), headers=_NO_STORE)

    @get("/readyz", opt=ANYONE, summary="What the hub needs answers", tags=["health"])
    async def readyz() -> Response[Readiness]:
        outcomes = await check_all(checks, timeout)
        away = {outcome.name for outcome in outcomes if not outcome.ok}
        ready = away <= set(degrading)
        word = "not_ready" if not ready else "degraded" if away else "ready"
        return Response(
            Readiness(status=word, checks=outcomes),
            status_code=200 if ready else 503,
            headers=_NO_STORE,
        )

    @route("/healthz", opt=ANYONE, http_method=[HttpMethod.HEAD], include_in_schema=False)
    async def healthz_head() -> Response[None]:
        return Response(None, status_code=200, media_type=MediaType.TEXT, headers=_NO_STORE)

    return [healthz, readyz, healthz_head]


async def check_all(checks: Mapping[str, HealthCheck], timeout: float) -> list[CheckOutcome]:
    """How each part that the hub needs does, all asked at once."""
    return list(
        await asyncio.gather(*(_outcome(name, check, timeout) for name, check in checks.items()))
    )


async def _outcome(name: str, check: HealthCheck, timeout: float) -> CheckOutcome:
    try:
        async with asyncio.timeout(timeout):
            await check()
    except TimeoutError:
        return CheckOutcome(name=name, ok=False, detail=f"no answer within {timeout:g} seconds")
    except HubError as error:
        return CheckOutcome(name=name, ok=False, detail=error.message)
    except Exception as error:
        _log.warning("health check failed", check=name, exception="".join(format_exception(error)))
        return CheckOutcome(name=name, ok=False, detail="failed; the hub's log says why")
    return CheckOutcome(name=name, ok=True)
