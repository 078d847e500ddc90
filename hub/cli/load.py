"""How the commands that look at a project on this machine read it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hub.routing.project import Project

__all__ = ["load"]


def load(folder: Path, env: Mapping[str, str] | None = None) -> Project:
    """The project in the folder, with its `.env`. Raises `InvalidDefinition`.

    What is logged meanwhile goes to the error stream: the other one is the command's own answer.
    """
    import structlog

    from hub.routing.project import load_project
    from hub.settings import read_environment

    if isinstance(structlog.get_config()["logger_factory"], structlog.PrintLoggerFactory):
        structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    return load_project(folder, read_environment(folder) if env is None else env)
