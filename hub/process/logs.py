"""What the hub logs: our own lines and those of the libraries, in one form, without secrets."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any, TextIO

import msgspec
import structlog
from temporalio import workflow

from hub.secrets import RedactingFilter, redact_log
from hub.telemetry.tracing import EXTENSION, carry

__all__ = ["configure_logs"]

_SPEAKING = ("hub", "temporalio.workflow")


def configure_logs(
    stream: TextIO = sys.stderr, *, form: str | None = None, level: str = "info"
) -> None:
    """Log to the stream: warnings of everybody, and what the hub and `log` nodes say from `level` on.

    `form` is `console` or `json`; without it that is `console` on a terminal, and `json` elsewhere. Lines
    of a delivery or an action carry its event, run and tree, and the trace that they are part of.
    """
    as_json = (form or ("console" if stream.isatty() else "json")) == "json"
    clock = (
        structlog.processors.TimeStamper(fmt="iso", utc=True)
        if as_json
        else structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)
    )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        _add_trace,
        clock,
    ]
    structlog.configure(
        processors=[
            *shared,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.addFilter(RedactingFilter())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(as_json, colors=stream.isatty() and not os.environ.get("NO_COLOR")),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for name in _SPEAKING:
        logging.getLogger(name).setLevel(level.upper())
    # The line says what the tree's author wrote, not where Temporal ran it.
    workflow.logger.workflow_info_on_message = False


def _rendering(as_json: bool, *, colors: bool) -> list[structlog.typing.Processor]:
    if not as_json:
        look = structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=structlog.dev.plain_traceback
        )
        return [redact_log, look]
    # A traceback becomes text before the secrets in it are looked for.
    return [
        structlog.processors.format_exc_info,
        redact_log,
        structlog.processors.JSONRenderer(serializer=_json, default=str),
    ]


def _json(value: Any, **_: Any) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()


def _add_trace(_: Any, __: str, line: Any) -> Any:
    trace: dict[str, str] = {}
    carry(trace)
    if EXTENSION in trace:
        _, line["trace_id"], line["span_id"], _ = trace[EXTENSION].split("-")
    return line
