"""The `hub` command within the process of the tests."""

from __future__ import annotations

import os

from typer.testing import CliRunner

from hub.cli.app import app
from hub.errors import HubError

__all__ = ["run_command"]


def run_command(*arguments: str, **env: str) -> tuple[int, str]:
    """The exit code, and all that was written. Of the tester's own settings none counts.

    A command may have an event loop of its own: where the test has one, run it in a thread.
    """
    kept = dict.fromkeys(name for name in os.environ if name.startswith(("HUB_", "TEMPORAL_")))
    result = CliRunner().invoke(app, list(arguments), env={**kept, "NO_COLOR": "1", **env})
    said = result.output
    if isinstance(result.exception, HubError):
        return result.exception.exit_code, f"{said}{result.exception.message}"
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, said
