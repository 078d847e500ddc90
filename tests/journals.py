"""New journals in files: the tables of the first are made by its migrations, and then copied.

What migrations make is tested where journals are; hundreds of other tests only want an empty one,
and making it takes longer than many of them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hub.routing.journal.database import Database

__all__ = ["copied_journals"]


@pytest.fixture(scope="session", autouse=True)
def copied_journals() -> Iterator[None]:
    """For a whole session: a file that is not there yet begins as a copy of the first one."""
    migrate, making = Database._migrate, threading.Lock()
    with (
        tempfile.TemporaryDirectory(prefix="hub-journal-") as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        first = Path(folder) / "empty.db"

        def begin(database: Database) -> None:
            file = Path(database.url.database or "")
            if database.is_sqlite and not file.exists():
                with making:
                    if not first.exists():
                        migrate(Database(str(first)))
                with suppress(OSError):
                    _copy(first, file)
                    return
            migrate(database)

        patch.setattr(Database, "_migrate", begin)
        yield


def _copy(first: Path, file: Path) -> None:
    """Whole or not at all: another may be at it."""
    with tempfile.NamedTemporaryFile(dir=file.parent) as copy:
        shutil.copyfile(first, copy.name)
        Path(copy.name).chmod(first.stat().st_mode)
        os.link(copy.name, file)
