"""What processes share by a PostgreSQL: large results, and its version."""

from __future__ import annotations

import asyncio
import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from hub.blobs import check_in, check_out
from hub.cli.doctor import examine
from hub.errors import NotFound
from hub.routing.journal import Journal
from hub.routing.journal.blobs import JournalBlobs
from hub.routing.journal.tables import REVISION
from hub.temporal.dev_server import DevServer
from tests.postgresql import postgresql_server, postgresql_url

__all__ = ["postgresql_server", "postgresql_url"]


async def test_a_large_result_of_one_worker_is_there_for_another(postgresql_url: str) -> None:
    one, other = [await Journal.open(postgresql_url) for _ in range(2)]
    try:
        assert one.blobs is not None
        assert other.blobs is not None
        result = {"html": "x" * 900_000, "count": 3}
        checked = await check_in(result, one.blobs)
        assert (checked["count"], set(checked["html"])) == (3, {"$blob", "size"})
        assert await check_out(checked, other.blobs) == result
        # Kept once, however many keep it at the same time.
        content = b"same" * 100
        ids = await asyncio.gather(*(one.blobs.put(content), other.blobs.put(content)))
        assert set(ids) == {hashlib.sha256(content).hexdigest()}
        with pytest.raises(NotFound, match="not used for too long"):
            await other.blobs.get("0" * 64)
        now = datetime.now(UTC)
        assert await one.blobs.sweep(now) == 0
        assert await one.blobs.sweep(now + timedelta(days=401)) == 2
        with pytest.raises(NotFound):
            await other.blobs.get(ids[0])
    finally:
        await one.close()
        await other.close()


async def test_what_is_used_lives_on(postgresql_url: str) -> None:
    journal = await Journal.open(postgresql_url)
    assert isinstance(journal.blobs, JournalBlobs)
    blob = await journal.blobs.put(b"content")
    await _execute(postgresql_url, "UPDATE journal_blobs SET used_at = 0")
    assert await journal.blobs.get(blob) == b"content"
    assert await journal.blobs.sweep(datetime.now(UTC)) == 0
    await journal.close()


async def test_a_journal_that_a_newer_hub_has_migrated_is_still_a_journal(
    postgresql_url: str,
) -> None:
    await (await Journal.open(postgresql_url)).close()
    await _execute(postgresql_url, "ALTER TABLE journal_entries ADD COLUMN later TEXT")
    await _execute(postgresql_url, "UPDATE journal_version SET version_num = '9001'")
    journal = await Journal.open(postgresql_url)
    assert (await journal.counts())["accepted"] == 0
    await journal.close()


async def test_doctor_looks_at_the_servers_and_changes_nothing(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: DevServer
) -> None:
    (tmp_path / "hub.yaml").write_text("name: shop\n")
    for name in [name for name in os.environ if name.startswith(("HUB_", "TEMPORAL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HUB_JOURNAL_URL", postgresql_url)
    monkeypatch.setenv("TEMPORAL_ADDRESS", server.address)

    async def found() -> dict[str, tuple[str, str]]:
        findings = await asyncio.to_thread(examine, tmp_path)
        return {one.name: (one.status, one.detail) for one in findings}

    before = await found()
    assert before["journal"][0] == "ok"
    assert "`hub apply` makes its tables" in before["journal"][1]
    assert before["HUB_SECRET_KEY"][0] == "wrong"
    assert before["Temporal's namespace"] == ("ok", f"default at {server.address}, prepared")
    await (await Journal.open(postgresql_url)).close()
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "elsewhere")
    monkeypatch.setenv("HUB_SECRET_KEY", "s" * 32)
    after = await found()
    assert after["journal"][1].endswith(f"has version {REVISION}")
    assert after["HUB_SECRET_KEY"] == ("ok", "set")
    assert after["Temporal's namespace"][0] == "wrong"
    assert "no namespace 'elsewhere'" in after["Temporal's namespace"][1]


async def _execute(url: str, statement: str) -> None:
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as connection:
        await connection.execute(sa.text(statement))
    await engine.dispose()
