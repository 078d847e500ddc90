"""The user's cache, for what is built or installed once and is no part of the repository."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cached"]


def cached(*names: str) -> Path:
    """A place in the hub's part of the cache, whether anything is there or not."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return folder.joinpath("event-hub", *names)
