"""Sessions: what a browser's cookie stands for. The cookie is a random text, kept as its digest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.access.people import read_roles
from hub.access.secret_texts import digest, secret
from hub.roles import Role
from hub.routing.journal import Journal
from hub.routing.journal.tables import people, sessions

__all__ = ["Session", "Sessions"]


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A session that is good, with the roles that its person has now."""

    person: str
    roles: list[Role]
    expires_at: datetime


class Sessions:
    """The sessions in the journal's database."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def begin(
        self, person: str, lasts: timedelta, *, address: str | None, instead_of: str | None = None
    ) -> tuple[str, datetime]:
        """A new session; gives its secret and its end.

        The secret is always a new one, and the session that the browser had before (`instead_of`)
        ends: what somebody planted in a browser before its owner signed in opens nothing.
        """
        made, now = secret(), datetime.now(UTC)
        row = {
            "digest": digest(made),
            "person": person,
            "created_at": now,
            "expires_at": now + lasts,
            "address": address,
        }

        async def write(connection: AsyncConnection) -> None:
            if instead_of is not None:
                await connection.execute(_of(instead_of))
            await connection.execute(sa.delete(sessions).where(sessions.c.expires_at <= now))
            await connection.execute(sa.insert(sessions).values(**row))

        await self._journal.write(write)
        return made, now + lasts

    async def find(self, made: str) -> Session | None:
        """The session of this secret, if it is good and its person is still known."""
        query = (
            sa.select(sessions.c.person, sessions.c.expires_at, people.c.roles)
            .join(people, people.c.name == sessions.c.person)
            .where(sessions.c.digest == digest(made))
        )
        async with self._journal.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None or row.expires_at <= datetime.now(UTC):
            return None
        return Session(person=row.person, roles=read_roles(row.roles), expires_at=row.expires_at)

    async def end(self, made: str) -> None:
        """It opens nothing from now on."""

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(_of(made))

        await self._journal.write(write)


def _of(made: str) -> sa.Delete:
    return sa.delete(sessions).where(sessions.c.digest == digest(made))
