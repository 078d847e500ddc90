"""A project's state in one file: the journal with all that is in it, and large results.

A zip archive: `manifest.json`, a file of JSON lines for each table, and the blobs. What is on Temporal
is not in it: runs, their histories and schedules are Temporal's to keep.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from hub import __version__
from hub.blobs import FileBlobs
from hub.errors import BadRequest, Conflict, NotFound
from hub.routing.journal.backup import KEPT, Reading, Writing
from hub.routing.journal.tables import REVISION

__all__ = ["Counts", "export_state", "import_state"]

_FORMAT: Final = 1
_BLOB: Final = re.compile(r"blobs/([0-9a-f]{64})")
_MAX_MANIFEST: Final = 1024 * 1024

Counts = dict[str, int]
"""How many rows of each table, and how many `blobs`."""


class _Manifest(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    hub: str
    revision: str
    made_at: datetime


async def export_state(file: Path, url: str, blobs: Path) -> Counts:
    """Write the state to a new file, readable by its owner alone; a hub may run meanwhile.

    Raises `Conflict` when the file is there already, and `Unreachable`.
    """
    counts: Counts = {}
    async with Reading(url) as reading:
        with _new(file) as archive:
            manifest = _Manifest(
                format=_FORMAT, hub=__version__, revision=REVISION, made_at=datetime.now(UTC)
            )
            archive.writestr("manifest.json", msgspec.json.encode(manifest))
            for table in KEPT:
                counts[table.name] = 0
                with archive.open(f"{table.name}.jsonl", "w", force_zip64=True) as lines:
                    async for row in reading.rows(table):
                        # ASCII, as texts may hold what UTF-8 cannot.
                        lines.write(json.dumps(row).encode() + b"\n")
                        counts[table.name] += 1
            # After the rows: what they speak of is there.
            counts["blobs"] = 0
            for blob in _files(blobs):
                archive.write(blob, f"blobs/{blob.name}")
                counts["blobs"] += 1
    return counts


async def import_state(file: Path, url: str, blobs: Path) -> Counts:
    """Fill an empty journal, and the folder of blobs, from a file; all rows or none.

    Raises `BadRequest` for a file that is no export of this release's, `Conflict` when the journal
    is not empty, `NotFound` and `Unreachable`.
    """
    counts: Counts = {}
    with _opened(file) as archive:
        manifest = _manifest(archive)
        if (manifest.format, manifest.revision) != (_FORMAT, REVISION):
            raise BadRequest(
                f"{file} was made by hub {manifest.hub}; import it with that release, and then "
                "bring the journal to this one by `hub apply`"
            )
        names = archive.namelist()
        # First: rows that speak of what is not there yet would be worse than the other way round.
        store = FileBlobs(blobs)
        counts["blobs"] = 0
        for name in names:
            match = _BLOB.fullmatch(name)
            if match is None:
                continue
            if await store.put(archive.read(name)) != match[1]:
                raise BadRequest(f"{file} is damaged: {name} is not what it was")
            counts["blobs"] += 1
        async with Writing(url) as writing:
            for table in KEPT:
                with archive.open(f"{table.name}.jsonl") as lines:
                    counts[table.name] = await writing.fill(table, _rows(lines, table.name))
    return counts


def _files(blobs: Path) -> list[Path]:
    return [file for file in sorted(blobs.glob("*/*")) if _BLOB.fullmatch(f"blobs/{file.name}")]


def _rows(lines: Any, name: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise BadRequest(f"{name}.jsonl is damaged in line {number}")
        yield row


@contextmanager
def _new(file: Path) -> Iterator[zipfile.ZipFile]:
    """A new archive, which is there once it is whole."""
    if file.exists():
        raise Conflict(f"{file} is there already; name another file")
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        # It holds events, and what passwords and tokens are known by.
        with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as opened:
            with zipfile.ZipFile(opened, "w", zipfile.ZIP_DEFLATED) as archive:
                yield archive
            opened.flush()
            os.fsync(opened.fileno())
        part.rename(file)
    except OSError as error:
        raise Conflict(f"{file} cannot be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except OSError as error:
        raise NotFound(f"{file} cannot be read: {error.strerror or error}") from None
    except (zipfile.BadZipFile, KeyError) as error:
        raise BadRequest(f"{file} is no export of a hub, or is damaged: {error}") from None


def _manifest(archive: zipfile.ZipFile) -> _Manifest:
    if archive.getinfo("manifest.json").file_size > _MAX_MANIFEST:
        raise BadRequest("it is no export of a hub")
    try:
        return msgspec.json.decode(archive.read("manifest.json"), type=_Manifest)
    except msgspec.MsgspecError:
        raise BadRequest("it is no export of a hub") from None
