"""`/healthz`, `/readyz` and `/metrics` of a process that has no other HTTP."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from litestar import Litestar, Response, get
from prometheus_client import CollectorRegistry, generate_latest

from hub.api.health import health
from hub.api.services import HealthCheck
from hub.routing.consumers import ConsumerMetrics, Consumers

__all__ = ["health_app"]


def health_app(
    checks: Mapping[str, HealthCheck],
    *,
    degrading: Collection[str] = (),
    consumers: Consumers | None = None,
) -> Litestar:
    """What probes and Prometheus ask. It says nothing that needs guarding."""
    registry = CollectorRegistry()
    if consumers is not None:
        registry.register(ConsumerMetrics(consumers))

    @get("/metrics", sync_to_thread=False)
    def metrics() -> Response[bytes]:
        return Response(
            generate_latest(registry), media_type="text/plain; version=0.0.4; charset=utf-8"
        )

    return Litestar(
        [*health(checks, degrading=degrading), metrics],
        openapi_config=None,
        logging_config=None,
    )
