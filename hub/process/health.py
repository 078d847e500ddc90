"""`/healthz`, `/readyz` and `/metrics` of a process that has no other HTTP."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from litestar import Litestar, Response, get

from hub.api.health import health
from hub.api.metrics import TEXT_FORMAT
from hub.api.services import HealthCheck
from hub.process.metrics import ProcessMetrics

__all__ = ["health_app"]


def health_app(
    checks: Mapping[str, HealthCheck],
    *,
    degrading: Collection[str] = (),
    metrics: ProcessMetrics,
) -> Litestar:
    """What probes and Prometheus ask. It says nothing that needs guarding."""

    @get("/metrics")
    async def show_metrics() -> Response[bytes]:
        return Response(await metrics.text(), media_type=TEXT_FORMAT)

    return Litestar(
        [*health(checks, degrading=degrading), show_metrics],
        openapi_config=None,
        logging_config=None,
    )
