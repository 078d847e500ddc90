from __future__ import annotations

import asyncio
import hashlib
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub.blobs import CHECK_IN_OVER, FileBlobs, check_in, check_out
from hub.errors import NotFound, TooLarge

LARGE = "x" * CHECK_IN_OVER


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    return FileBlobs(tmp_path / "blobs")


async def test_small_results_stay(blobs: FileBlobs) -> None:
    result = {"a": "x" * 1000, "b": [1]}
    assert await check_in(result, blobs) is result
    assert not blobs.folder.exists()


async def test_only_the_large_parts_are_stored_and_come_back(blobs: FileBlobs) -> None:
    result = {"rows": [{"a": LARGE}], "html": LARGE[:-100], "status": 200, "name": "a" * 500}
    checked = await check_in(result, blobs)
    assert (checked["status"], checked["name"]) == (200, "a" * 500)
    assert checked["rows"].keys() == {"$blob", "size"}
    assert len(msgspec.json.encode(checked)) <= CHECK_IN_OVER
    assert await check_out(checked, blobs) == result
    given = {"data": [{"rows": checked["rows"]}], "other": {"$blob": 1}}
    got = await check_out(given, blobs)
    assert got == {"data": [{"rows": result["rows"]}], "other": {"$blob": 1}}


@pytest.mark.parametrize("result", [[LARGE], LARGE, {str(n): "x" * 900 for n in range(400)}])
async def test_what_has_no_large_part_is_stored_as_a_whole(blobs: FileBlobs, result: Any) -> None:
    checked = await check_in(result, blobs)
    assert checked.keys() == {"$blob", "size"}
    assert await check_out(checked, blobs) == result


async def test_what_is_claimed_is_not_looked_through_for_claims(blobs: FileBlobs) -> None:
    inner = await check_in(LARGE, blobs)
    outer = await check_in([inner, LARGE], blobs)
    assert await check_out(outer, blobs) == [inner, LARGE]


async def test_the_same_content_is_stored_once_however_many_store_it(blobs: FileBlobs) -> None:
    ids = await asyncio.gather(*(blobs.put(b"same") for _ in range(10)))
    assert set(ids) == {hashlib.sha256(b"same").hexdigest()}
    assert len([path for path in blobs.folder.rglob("*") if path.is_file()]) == 1


async def test_without_a_place_a_large_result_is_a_clear_failure() -> None:
    assert await check_in(LARGE, None) == LARGE
    with pytest.raises(TooLarge, match="ask for less"):
        await check_in(LARGE * 8, None)


@pytest.mark.parametrize("blob", ["../../etc/passwd", "", "A" * 64, "0" * 64])
async def test_a_claim_on_nothing(blobs: FileBlobs, blob: str) -> None:
    with pytest.raises(NotFound):
        await check_out({"a": {"$blob": blob, "size": 1}}, blobs)


async def test_a_damaged_blob_is_not_given(blobs: FileBlobs) -> None:
    blob = await blobs.put(b"content")
    (blobs.folder / blob[:2] / blob).write_bytes(b"contenT")
    with pytest.raises(NotFound, match="damaged"):
        await blobs.get(blob)


async def test_what_is_not_used_for_long_is_removed(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path, keep=timedelta(days=1))
    old, used = await blobs.put(b"old"), await blobs.put(b"used")
    long_ago = time.time() - 2 * 86400
    for blob in (old, used):
        os.utime(tmp_path / blob[:2] / blob, (long_ago, long_ago))
    await blobs.get(used)
    assert blobs.sweep() == 1
    assert await blobs.get(used) == b"used"
    with pytest.raises(NotFound, match="not there"):
        await blobs.get(old)
