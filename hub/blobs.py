"""Large results: kept beside a run, which carries a claim check instead.

A Temporal payload has at most 2 MB, and each is kept in the run's history for good. A result of more
than `CHECK_IN_OVER` bytes has its largest parts stored, and each of them replaced by
`{"$blob": id, "size": bytes}`; `steps.report.html` is then such a claim. Where one stands as a
whole value in the arguments of another action, or in the scope of a template, the worker puts the
part back before the connector sees it. The id is the SHA-256 of the content, so nobody who does not
know a content can claim it, and a repeated attempt stores it once.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from hub.errors import NotFound, TooLarge

__all__ = ["CHECK_IN_OVER", "Blobs", "FileBlobs", "check_in", "check_out"]

CHECK_IN_OVER: Final = 256 * 1024
"""Results of at most that many bytes stay in the run."""
_MAX_PAYLOAD: Final = 1_900_000
"""What Temporal takes as one value, less some room."""
_MAX_BLOB: Final = 64 * 1024 * 1024
_MAX_CLAIMED: Final = 128 * 1024 * 1024
_SMALL_PART: Final = 1024
_ID = re.compile(r"[0-9a-f]{64}")
_SWEEP_EVERY: Final = 3600.0


class Blobs(Protocol):
    """Where large contents are. All workers of a task queue share one."""

    async def put(self, content: bytes) -> str:
        """Keep it durably, and give its id: the SHA-256 in hexadecimal digits."""

    async def get(self, blob: str) -> bytes:
        """The content. Raises `NotFound`."""


class FileBlobs:
    """Blobs as files of one folder. What was not used for the time of `keep` is removed."""

    def __init__(self, folder: Path, *, keep: timedelta = timedelta(days=400)) -> None:
        self.folder = folder
        self._keep = keep.total_seconds()
        self._swept = time.monotonic()

    async def put(self, content: bytes) -> str:
        """Keep it on disk."""
        return await asyncio.to_thread(self._put, content)

    async def get(self, blob: str) -> bytes:
        """The content. Raises `NotFound` when it is not there any more, or is not what it was."""
        return await asyncio.to_thread(self._get, blob)

    def sweep(self) -> int:
        """Remove what was not used for too long; gives how many."""
        before = time.time() - self._keep
        removed = 0
        for path in self.folder.glob("*/*"):
            try:
                if path.stat().st_mtime < before:
                    path.unlink()
                    removed += 1
            except FileNotFoundError:
                continue
        return removed

    def _put(self, content: bytes) -> str:
        blob = hashlib.sha256(content).hexdigest()
        path = self._path(blob)
        try:
            # Used again, so it lives on.
            os.utime(path)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.folder, delete=False) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            # Whole or not at all, however many write the same.
            Path(file.name).replace(path)
        if time.monotonic() - self._swept > _SWEEP_EVERY:
            self._swept = time.monotonic()
            self.sweep()
        return blob

    def _get(self, blob: str) -> bytes:
        if not _ID.fullmatch(blob):
            raise NotFound(f"{blob[:80]!r} is no id of a stored result")
        path = self._path(blob)
        try:
            content = path.read_bytes()
            os.utime(path)
        except FileNotFoundError:
            raise NotFound(
                f"the stored result {blob[:12]}... is not there: it was not used for too long, or "
                "this worker does not share the folder of the one that stored it"
            ) from None
        if hashlib.sha256(content).hexdigest() != blob:
            raise NotFound(f"the stored result {blob[:12]}... is damaged")
        return content

    def _path(self, blob: str) -> Path:
        return self.folder / blob[:2] / blob


async def check_in(result: Any, blobs: Blobs | None) -> Any:
    """The result, small enough for a run: of a large one the largest parts are stored.

    Raises `TooLarge` for one that is too large even so, or where there is no place to store it.
    """
    size = len(msgspec.json.encode(result))
    if size <= (CHECK_IN_OVER if blobs is not None else _MAX_PAYLOAD):
        return result
    if blobs is None or size > _MAX_BLOB:
        raise TooLarge(
            f"the result has {size:,} bytes, and can have at most "
            f"{_MAX_PAYLOAD if blobs is None else _MAX_BLOB:,} here: ask for less, or have it "
            "written where it is needed"
        )
    if isinstance(result, dict) and not _is_claim(result):
        parts = {name: msgspec.json.encode(part) for name, part in result.items()}
        checked = dict(result)
        for name in sorted(parts, key=lambda name: (-len(parts[name]), name)):
            if size <= CHECK_IN_OVER or len(parts[name]) <= _SMALL_PART:
                break
            checked[name] = await _claim(parts[name], blobs)
            size -= len(parts[name])
        if len(msgspec.json.encode(checked)) <= CHECK_IN_OVER:
            return checked
    return await _claim(msgspec.json.encode(result), blobs)


async def check_out(value: Any, blobs: Blobs | None) -> Any:
    """The value with every claim in it replaced by what it stands for.

    Raises `NotFound` for a claim on what is not there, and `TooLarge` for too much at once.
    """
    left = _MAX_CLAIMED

    async def filled(item: Any) -> Any:
        nonlocal left
        if isinstance(item, dict):
            if _is_claim(item) and blobs is not None:
                content = await blobs.get(item["$blob"])
                left -= len(content)
                if left < 0:
                    raise TooLarge(f"the stored results have more than {_MAX_CLAIMED:,} bytes")
                return msgspec.json.decode(content)
            return {key: await filled(inner) for key, inner in item.items()}
        if isinstance(item, list):
            return [await filled(inner) for inner in item]
        return item

    return await filled(value) if blobs is not None and _has_claim(value) else value


async def _claim(content: bytes, blobs: Blobs) -> dict[str, Any]:
    return {"$blob": await blobs.put(content), "size": len(content)}


def _is_claim(value: dict[Any, Any]) -> bool:
    return value.keys() == {"$blob", "size"} and isinstance(value["$blob"], str)


def _has_claim(value: Any) -> bool:
    if isinstance(value, dict):
        return _is_claim(value) or any(map(_has_claim, value.values()))
    return isinstance(value, list) and any(map(_has_claim, value))
