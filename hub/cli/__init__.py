"""The `hub` command. Heavy parts are imported by the command that needs them, not at the start."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with 0 done, 1 not so, 2 wrong usage, 3 unreachable."""
    from hub.cli.app import app

    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        from hub.errors import HubError

        if not isinstance(error, HubError):
            raise
        from hub.cli.screen import print_error

        print_error(error)
        sys.exit(error.exit_code)
