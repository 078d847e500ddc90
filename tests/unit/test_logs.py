from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.contextvars import bound_contextvars

from hub.process.logs import configure_logs
from hub.secrets import redactor
from hub.telemetry.tracing import Tracing, span

SECRET = "pl4nted-log-secret"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    redactor.add(SECRET)
    yield io.StringIO()
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_carries_what_it_is_about_and_its_trace(stream: io.StringIO) -> None:
    configure_logs(stream, form="json")
    log = structlog.get_logger("hub.test-context")
    exporter = SimpleSpanProcessor(InMemorySpanExporter())
    with (
        Tracing("test", processors=[exporter], env={}),
        span("s") as current,
        bound_contextvars(run_id="t/k", tree="t"),
    ):
        log.warning("the mail server is away", attempt=2)
        assert current is not None
        trace = format(current.get_span_context().trace_id, "032x")
    log.info("after")
    about, after = lines(stream)
    assert about.pop("timestamp").endswith("Z")
    assert about == {
        "event": "the mail server is away",
        "level": "warning",
        "attempt": 2,
        "run_id": "t/k",
        "tree": "t",
        "trace_id": trace,
        "span_id": about["span_id"],
    }
    assert not {"run_id", "trace_id"} & set(after)


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_secret_is_logged_by_anybody(stream: io.StringIO, form: str) -> None:
    configure_logs(stream, form=form)
    try:
        raise ValueError(f"refused: {SECRET}")
    except ValueError:
        structlog.get_logger("hub.test-secret").error(
            "failed", url=f"x?key={SECRET}", exc_info=True
        )
        logging.getLogger("somebody.else").warning("with %s", SECRET, exc_info=True)
    written = stream.getvalue()
    assert "refused" in written
    assert SECRET not in written


def test_levels(stream: io.StringIO) -> None:
    configure_logs(stream, form="json", level="warning")
    structlog.get_logger("hub.test-levels").info("unheard")
    structlog.get_logger("hub.test-levels").warning("heard")
    assert [line["event"] for line in lines(stream)] == ["heard"]


def test_where_nobody_looks_on_it_is_json(stream: io.StringIO) -> None:
    configure_logs(stream)
    structlog.get_logger("hub.test-form").warning("a", value=float("inf"), odd=object())
    assert lines(stream)[0]["event"] == "a"
