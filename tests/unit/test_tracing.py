from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hub.errors import Busy
from hub.event import Event
from hub.secrets import redactor
from hub.telemetry.tracing import EXTENSION, Tracing, carry, is_traceparent, span, traced

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
EVENT = Event(id="e", source="/s", type="t")


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    with Tracing("test", processors=[SimpleSpanProcessor(exporter)], env={}):
        yield exporter


def test_without_an_endpoint_nothing_is_traced() -> None:
    with Tracing("test", env={}), span("s") as current:
        assert current is None
        assert traced([EVENT]) == [EVENT]
        headers: dict[str, str] = {}
        carry(headers)
        assert headers == {}


def test_an_endpoint_or_none_is_said_by_the_usual_variables() -> None:
    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    for env, expected in ((asked, True), ({**asked, "OTEL_SDK_DISABLED": "true"}, False)):
        with Tracing("test", env=env), span("s") as current:
            assert (current is not None) is expected
            if current is not None:
                # Nobody listens there; the span is dropped, and the hub does not mind.
                current.get_span_context()
            Tracing._active = None


def test_without_tracing_the_library_is_not_even_imported() -> None:
    code = """
import sys
from hub.telemetry.tracing import Tracing, span
with Tracing("test", env={}), span("s"):
    pass
sys.exit("opentelemetry" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_span_is_below_its_parent(spans: InMemorySpanExporter) -> None:
    with span("outer", parent=PARENT, attributes={"a": "b", "none": None}), span("inner"):
        pass
    inner, outer = spans.get_finished_spans()
    assert outer.parent is not None
    assert format(outer.parent.span_id, "016x") == "b7ad6b7169203331"
    assert outer.attributes == {"a": "b"}
    assert inner.parent is not None
    assert inner.parent.span_id == outer.get_span_context().span_id


@pytest.mark.parametrize(
    "parent",
    [
        None,
        7,
        "",
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        PARENT.upper(),
        PARENT + "\r\nx: y",
        "ff" + PARENT[2:],
    ],
)
def test_what_is_no_traceparent_is_left_aside(spans: InMemorySpanExporter, parent: object) -> None:
    assert not is_traceparent(parent)
    with span("s", parent=parent):
        pass
    assert spans.get_finished_spans()[0].parent is None


def test_events_become_parts_of_the_trace_once(spans: InMemorySpanExporter) -> None:
    own = Event(id="o", source="/s", type="t", extensions={EXTENSION: PARENT})
    with span("s"):
        first, second = traced([EVENT, own])
        headers = {"a": "b"}
        carry(headers)
        given = {EXTENSION: PARENT}
        carry(given)
    assert first.extensions[EXTENSION] == headers[EXTENSION]
    assert is_traceparent(first.extensions[EXTENSION])
    assert second is own
    assert given == {EXTENSION: PARENT}


def test_a_failure_shows_its_code_and_never_its_text(spans: InMemorySpanExporter) -> None:
    redactor.add("pl4nted-secret")
    with pytest.raises(Busy), span("s", attributes={"url": "http://x/?key=pl4nted-secret"}):
        raise Busy("pl4nted-secret", retry_after=1)
    (failed,) = spans.get_finished_spans()
    assert failed.attributes is not None
    assert failed.attributes["error.type"] == "busy"
    assert failed.status.status_code.name == "ERROR"
    assert "pl4nted" not in failed.to_json()
