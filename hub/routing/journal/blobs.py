"""Large results in the journal's own database, where every worker reaches them. See `hub.blobs`."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from hub.errors import NotFound
from hub.routing.journal.database import Database, is_trouble, refusal
from hub.routing.journal.tables import blobs

__all__ = ["JournalBlobs"]

_b = blobs.c
_USED_AGAIN = timedelta(days=1)
"""What was used within this time is not written again for being used."""


class JournalBlobs:
    """Blobs as rows of a PostgreSQL. What was not used for the time of `keep` is removed."""

    def __init__(self, database: Database, *, keep: timedelta = timedelta(days=400)) -> None:
        self._database = database
        self._keep = keep

    async def put(self, content: bytes) -> str:
        """Keep it durably; the same content is kept once. Raises `Busy`."""
        blob = hashlib.sha256(content).hexdigest()
        try:
            async with self._database.reader.begin() as connection:
                now = await self._database.now(connection)
                row = postgresql.insert(blobs).values(id=blob, content=content, used_at=now)
                await connection.execute(
                    row.on_conflict_do_update(index_elements=[_b.id], set_={"used_at": now})
                )
        except Exception as error:
            if not is_trouble(error):
                raise
            raise refusal(error) from error
        return blob

    async def get(self, blob: str) -> bytes:
        """The content. Raises `NotFound`, `Busy` or `Unreachable`."""
        async with self._database.read() as connection:
            query = sa.select(_b.content, _b.used_at).where(_b.id == blob)
            row = (await connection.execute(query)).one_or_none()
            now = await self._database.now(connection)
        if row is None:
            raise NotFound(
                f"the stored result {blob[:12]}... is not there: it was not used for too long"
            )
        content = bytes(row.content)
        if hashlib.sha256(content).hexdigest() != blob:
            raise NotFound(f"the stored result {blob[:12]}... is damaged")
        if now - row.used_at > _USED_AGAIN:
            # Used again, so it lives on.
            await self.put(content)
        return content

    async def sweep(self, now: datetime) -> int:
        """Remove what was not used for too long; gives how many."""
        try:
            async with self._database.reader.begin() as connection:
                old = sa.delete(blobs).where(_b.used_at < now - self._keep)
                return int((await connection.execute(old)).rowcount)
        except Exception as error:
            if not is_trouble(error):
                raise
            raise refusal(error) from error
