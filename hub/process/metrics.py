"""What a process tells Prometheus: the hub's own counts, and those of Temporal's SDK in it."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping

import httpx
from prometheus_client import CollectorRegistry, generate_latest
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

from hub.errors import HubError
from hub.ports import find_free
from hub.routing.consumers import ConsumerMetrics, Consumers
from hub.telemetry.metrics import AWAY, BACKLOG, REGISTRY, RUNS

__all__ = ["ProcessMetrics"]

_TRIES = 5
_PATIENCE = 3.0
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""It speaks with this process alone. Certificates would be read at each request otherwise."""
_KEEP_COUNTS = 15.0
"""Seconds for which runs are not counted again: Prometheus may ask often, and several may."""


class ProcessMetrics:
    """The metrics of one process. The parts are told as they come into being.

    `runtime` is what Temporal's clients and workers are made with, so that theirs are among them.
    `backlog` gives how many events wait in the journal, `is_away` whether Temporal is taken to be
    away, `count_runs` how many runs there are of each status.
    """

    def __init__(self) -> None:
        self.runtime, self._sdk = _runtime()
        self.backlog: Callable[[], int] | None = None
        self.is_away: Callable[[], bool] | None = None
        self.count_runs: Callable[[], Awaitable[Mapping[str, int]]] | None = None
        self._consumers = CollectorRegistry()
        self._counted_at = float("-inf")

    def watch(self, consumers: Consumers) -> None:
        """Tell of these consumers, too."""
        self._consumers.register(ConsumerMetrics(consumers))

    async def text(self) -> bytes:
        """All of it in Prometheus' text format. What cannot be had now is left out."""
        if self.backlog is not None:
            BACKLOG.set(self.backlog())
        if self.is_away is not None:
            AWAY.set(self.is_away())
        _, sdk = await asyncio.gather(self._count(), self._of_sdk())
        return generate_latest(REGISTRY) + generate_latest(self._consumers) + sdk

    async def _count(self) -> None:
        now = time.monotonic()
        if self.count_runs is None or now - self._counted_at < _KEEP_COUNTS:
            return
        try:
            async with asyncio.timeout(_PATIENCE):
                counts = await self.count_runs()
        except (HubError, TimeoutError):
            RUNS.clear()
            return
        self._counted_at = now
        for status, count in counts.items():
            RUNS.labels(status).set(count)

    async def _of_sdk(self) -> bytes:
        try:
            async with httpx.AsyncClient(
                trust_env=False, verify=_NO_TLS, timeout=_PATIENCE
            ) as client:
                answer = await client.get(self._sdk)
                return answer.raise_for_status().content
        except httpx.HTTPError:
            return b""


def _runtime() -> tuple[Runtime, str]:
    """A runtime that tells its metrics on a port of this machine alone, and the address there."""
    for tried in range(1, _TRIES + 1):
        address = f"127.0.0.1:{find_free()}"
        metrics = PrometheusConfig(
            bind_address=address,
            counters_total_suffix=True,
            unit_suffix=True,
            durations_as_seconds=True,
        )
        try:
            runtime = Runtime(telemetry=TelemetryConfig(metrics=metrics))
        except RuntimeError:
            # Another program may have taken the port just now.
            if tried == _TRIES:
                raise
            continue
        return runtime, f"http://{address}/metrics"
    raise AssertionError
