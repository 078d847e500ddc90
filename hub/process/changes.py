"""Sees that files of the project have changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from pathlib import Path

from watchfiles import awatch

__all__ = ["Changes"]

_FILES = ("hub.yaml", ".env")
_FOLDERS = ("trees", "templates")
_SETTLE = 50
"""Milliseconds: an editor's several writes to one file are one change."""
_LOOK_ANYWAY = 2000
"""Milliseconds: some mounted file systems tell nobody of their changes."""


class Changes:
    """What changes in a project from the moment at which this is made.

    The system's notices only say when to look; what has changed is seen by comparing, so that none
    is missed and none is told twice. Folders are watched one by one, which keeps what the embedded
    parts write under the project out of it.
    """

    def __init__(self, project: Path) -> None:
        self._project = project
        self._seen = _look(project)

    async def __aiter__(self) -> AsyncIterator[list[Path]]:
        """The definition's files that changed, appeared or went, each time some did; without end."""
        while True:
            folders = await asyncio.to_thread(_folders, self._project)
            watch = awatch(
                *folders,
                watch_filter=None,
                step=_SETTLE,
                debounce=_SETTLE * 6,
                rust_timeout=_LOOK_ANYWAY,
                yield_on_timeout=True,
                recursive=False,
                ignore_permission_denied=True,
            )
            # What came while nobody watched.
            if changed := await asyncio.to_thread(self._compare):
                yield changed
            async with aclosing(watch):
                async for _ in watch:
                    if changed := await asyncio.to_thread(self._compare):
                        yield changed
                    if await asyncio.to_thread(_folders, self._project) != folders:
                        break

    def _compare(self) -> list[Path]:
        before, self._seen = self._seen, _look(self._project)
        return sorted(
            path
            for path in before.keys() | self._seen.keys()
            if before.get(path) != self._seen.get(path)
        )


def _look(project: Path) -> Mapping[Path, tuple[int, int, int]]:
    """The definition's files, with what tells one state of a file from another."""
    found = {}
    for path in _files(project):
        try:
            status = path.stat()
        except OSError:
            continue
        found[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return found


def _files(project: Path) -> Iterator[Path]:
    yield from (project / name for name in _FILES)
    for name in _FOLDERS:
        for path in (project / name).rglob("*"):
            if path.is_file() and not path.name.startswith(".") and not path.name.endswith("~"):
                yield path


def _folders(project: Path) -> list[Path]:
    found = [project]
    for name in _FOLDERS:
        top = project / name
        if top.is_dir():
            found += [top, *sorted(path for path in top.rglob("*") if path.is_dir())]
    return found
