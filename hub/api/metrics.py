"""`/metrics`: what Prometheus asks."""

from __future__ import annotations

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from hub.api.guards import VIEWER
from hub.api.services import Services

__all__ = ["TEXT_FORMAT", "metrics"]

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"


def metrics(services: Services) -> list[HTTPRouteHandler]:
    """The route, where the process has metrics."""
    read = services.metrics
    if read is None:
        return []

    @get(
        "/metrics",
        opt=VIEWER,
        summary="Counts for Prometheus",
        tags=["health"],
        media_type=TEXT_FORMAT,
    )
    async def show_metrics() -> Response[bytes]:
        return Response(await read(), media_type=TEXT_FORMAT)

    return [show_metrics]
