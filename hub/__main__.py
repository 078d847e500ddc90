"""`python -m hub` is the `hub` command: a process of its own."""

from __future__ import annotations

import gc
import logging
import os
import sys
from contextlib import suppress
from typing import NoReturn

from hub.cli import main

__all__ = ["program"]

_GARBAGE = (20_000, 20, 50)
"""Modules are hardly ever garbage: looked for as usual while they load, it takes a sixth of a start."""


def program() -> NoReturn:
    """Run the command line, and end the process with its exit code."""
    gc.set_threshold(*_GARBAGE)
    try:
        main()
    except SystemExit as end:
        _leave(end.code)
    _leave(0)


def _leave(code: int | str | None) -> NoReturn:
    """Exit, without taking the interpreter down where Temporal's client was used.

    Its threads know no end, and one that comes back meanwhile would make a crash of what went well.
    """
    if "temporalio.bridge.client" not in sys.modules or not isinstance(code, int | None):
        sys.exit(code)
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code or 0)


if __name__ == "__main__":
    program()
