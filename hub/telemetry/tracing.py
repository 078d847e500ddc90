"""Traces: one tree of spans from the request that brought an event to the last action of its run.

A trace travels with its event, as the attribute `traceparent` of the CloudEvents extension
"Distributed Tracing" (its form is that of W3C Trace Context, level 1). So it is in the journal and
in the run's own state, and goes on after days and crashes. Spans are sent by OTLP over HTTP, as
OpenTelemetry's own environment variables say; without an endpoint there is no tracing, no cost, and
not even an import.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Self

import msgspec

from hub.event import Event
from hub.secrets import redact

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Span

__all__ = ["EXTENSION", "Tracing", "carry", "is_traceparent", "span", "traced"]

EXTENSION = "traceparent"
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

Kind = Literal["INTERNAL", "SERVER", "CLIENT", "CONSUMER"]


class Tracing:
    """Tracing of this process, while it is entered: `with Tracing("hub serve"): ...`.

    `processors` take the finished spans. By default that is an OTLP exporter where the environment
    names an endpoint, and nobody where it does not.
    """

    _active: Tracing | None = None

    def __init__(
        self,
        service: str,
        *,
        env: Mapping[str, str] = os.environ,
        processors: Sequence[SpanProcessor] | None = None,
    ) -> None:
        self._service = env.get("OTEL_SERVICE_NAME") or service
        self._processors = _exporters(env) if processors is None else processors

    def __enter__(self) -> Self:
        if not self._processors:
            return self
        from importlib.metadata import version

        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        about = {"service.name": self._service, "service.version": version("event-hub")}
        self._provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
        for processor in self._processors:
            self._provider.add_span_processor(processor)
        self.tracer = self._provider.get_tracer("hub")
        self.propagator = TraceContextTextMapPropagator()
        Tracing._active = self
        return self

    def __exit__(self, *_: object) -> None:
        if Tracing._active is self:
            Tracing._active = None
            # What is not sent yet is sent now, for as long as the exporter's own timeout lets it.
            self._provider.shutdown()


def _exporters(env: Mapping[str, str]) -> Sequence[SpanProcessor]:
    if env.get("OTEL_SDK_DISABLED", "").lower() == "true" or not any(map(env.get, _ENDPOINTS)):
        return ()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return [BatchSpanProcessor(OTLPSpanExporter())]


@contextmanager
def span(
    name: str,
    *,
    parent: object = None,
    kind: Kind = "INTERNAL",
    attributes: Mapping[str, str | int | None] | None = None,
) -> Iterator[Span | None]:
    """A span around the block; None where nothing is traced.

    `parent` is a `traceparent`; without one the span is below the one that is current here. An
    exception marks the span as failed by its code alone, since texts may hold anything.
    """
    active = Tracing._active
    if active is None:
        yield None
        return
    from opentelemetry.trace import SpanKind, Status, StatusCode

    context = active.propagator.extract({EXTENSION: parent}) if is_traceparent(parent) else None
    with active.tracer.start_as_current_span(
        name,
        context,
        SpanKind[kind],
        {
            key: redact(value) if isinstance(value, str) else value
            for key, value in (attributes or {}).items()
            if value is not None
        },
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield current
        except BaseException as error:
            current.set_attribute("error.type", _failure(error))
            current.set_status(Status(StatusCode.ERROR))
            raise


def _failure(error: BaseException) -> str:
    code = getattr(error, "code", None) or getattr(error, "type", None)
    return code if isinstance(code, str) else type(error).__name__


def traced(events: Sequence[Event]) -> Sequence[Event]:
    """The events as parts of the trace that is under way; those that are parts of one stay so."""
    headers: dict[str, str] = {}
    carry(headers)
    here = headers.get(EXTENSION)
    if here is None:
        return events
    return [
        event
        if EXTENSION in event.extensions
        else msgspec.structs.replace(event, extensions={**event.extensions, EXTENSION: here})
        for event in events
    ]


def carry(headers: MutableMapping[str, str]) -> None:
    """Put the trace that is under way, if any, into the headers of what is sent out.

    One that stands there already stays.
    """
    if Tracing._active is not None and EXTENSION not in headers:
        Tracing._active.propagator.inject(headers)


def is_traceparent(value: object) -> bool:
    """Is it a `traceparent` of the version that is written today?"""
    return isinstance(value, str) and _TRACEPARENT.fullmatch(value) is not None
