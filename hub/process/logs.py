"""What the hub logs: our own lines and those of the libraries, in one form, without secrets."""

from __future__ import annotations

import logging
import os
import sys
from typing import TextIO

import structlog
from temporalio import workflow

from hub.secrets import RedactingFilter, redact_log

__all__ = ["configure_logs"]

_SPEAKING = ("hub", "temporalio.workflow")


def configure_logs(stream: TextIO = sys.stderr) -> None:
    """Log to the stream: warnings of everybody, and what the hub and `log` nodes say besides."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
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
    colors = stream.isatty() and not os.environ.get("NO_COLOR")
    handler = logging.StreamHandler(stream)
    handler.addFilter(RedactingFilter())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                redact_log,
                structlog.dev.ConsoleRenderer(
                    colors=colors, exception_formatter=structlog.dev.plain_traceback
                ),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for name in _SPEAKING:
        logging.getLogger(name).setLevel(logging.INFO)
    # The line says what the tree's author wrote, not where Temporal ran it.
    workflow.logger.workflow_info_on_message = False
