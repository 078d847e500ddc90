"""People: local users with passwords, and those who have signed in by OpenID Connect."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import BadRequest, Conflict, Forbidden, NotFound
from hub.roles import ROLES, Role
from hub.routing.journal import Journal
from hub.routing.journal.tables import people, sessions, tokens

__all__ = ["LOCAL", "People", "Person", "name_of", "read_roles", "write_roles"]

LOCAL: Final = "local"
_LONGEST = 200


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may sign in. `source` is "local", or the issuer that vouches for them."""

    name: str
    source: str
    roles: list[Role]
    created_at: datetime
    signed_in_at: datetime | None


class People:
    """The people in the journal's database."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def list(self) -> list[Person]:
        """All of them, by name."""
        async with self._journal.read() as connection:
            rows = await connection.execute(sa.select(people).order_by(people.c.name))
            return [_person(row) for row in rows]

    async def get(self, name: str) -> Person:
        """Raises `NotFound`."""
        return _person(await self._row(name))

    async def password_of(self, name: str) -> str | None:
        """The hash of a local user's password; None where there is no such user."""
        query = sa.select(people.c.password).where(people.c.name == name, people.c.source == LOCAL)
        async with self._journal.read() as connection:
            found: str | None = (await connection.execute(query)).scalar()
        return found

    async def create(self, name: str, password: str, roles: Collection[Role]) -> Person:
        """A local user; `password` is the hash. Raises `Conflict` where there is one of the name."""
        name = name_of(name)
        row = {
            "name": name,
            "source": LOCAL,
            "password": password,
            "roles": write_roles(roles),
            "created_at": datetime.now(UTC),
        }

        async def insert(connection: AsyncConnection) -> None:
            await connection.execute(sa.insert(people).values(**row))

        try:
            await self._journal.write(insert)
        except IntegrityError:
            raise Conflict(f"there is a user {name!r} already") from None
        return await self.get(name)

    async def set_roles(self, name: str, roles: Collection[Role]) -> None:
        """Raises `NotFound`, and `Conflict` for somebody whose roles their provider gives."""
        if (await self.get(name)).source != LOCAL:
            raise Conflict("this person's roles come from the groups at their provider")
        await self._update(name, roles=write_roles(roles))

    async def set_password(self, name: str, password: str) -> None:
        """Set the hash; all sessions of the person end. Raises `NotFound` and `Conflict`."""
        if (await self.get(name)).source != LOCAL:
            raise Conflict("this person signs in at their provider, and has no password here")
        name = name_of(name)

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(
                sa.update(people).where(people.c.name == name).values(password=password)
            )
            await connection.execute(sa.delete(sessions).where(sessions.c.person == name))

        await self._journal.write(write)

    async def remove(self, name: str) -> None:
        """Forget a person: their sessions end and their tokens are revoked. Raises `NotFound`."""
        name = (await self.get(name)).name
        now = datetime.now(UTC)

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(sa.delete(sessions).where(sessions.c.person == name))
            await connection.execute(
                sa.update(tokens)
                .where(tokens.c.owner == name, tokens.c.revoked_at.is_(None))
                .values(revoked_at=now)
            )
            await connection.execute(sa.delete(people).where(people.c.name == name))

        await self._journal.write(write)

    async def vouched(self, name: str, source: str, subject: str, roles: Sequence[Role]) -> Person:
        """Somebody whom a provider vouches for, with the roles of now.

        Raises `Forbidden` where the name is that of a local user, or of another subject: an address
        that was given to somebody else brings none of its former owner's rights.
        """
        name = name_of(name)
        now = datetime.now(UTC)
        values = {"roles": write_roles(roles), "signed_in_at": now}

        async def write(connection: AsyncConnection) -> bool:
            known = people.c.name == name
            row = (await connection.execute(sa.select(people).where(known))).first()
            if row is None:
                new = {"name": name, "source": source, "subject": subject, "created_at": now}
                await connection.execute(sa.insert(people).values(**new, **values))
                return True
            if (row.source, row.subject) != (source, subject):
                return False
            await connection.execute(sa.update(people).where(known).values(**values))
            return True

        if not await self._journal.write(write):
            raise Forbidden(
                f"{name!r} is known here as somebody else; an admin can remove that person first"
            )
        return await self.get(name)

    async def signed_in(self, name: str) -> None:
        """Note the time."""
        await self._update(name, signed_in_at=datetime.now(UTC))

    async def _update(self, name: str, **values: Any) -> None:
        update = sa.update(people).where(people.c.name == name_of(name)).values(**values)

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(update)

        await self._journal.write(write)

    async def _row(self, name: str) -> Any:
        query = sa.select(people).where(people.c.name == name_of(name))
        async with self._journal.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound(f"there is no user {name[:_LONGEST]!r}")
        return row


def name_of(text: str) -> str:
    """A person's name as it is compared, the same as approvals compare it.

    Raises `BadRequest` for what is no name.
    """
    name = text.strip().casefold()
    if not name or len(name) > _LONGEST or not name.isprintable() or "/" in name:
        raise BadRequest(
            f"a name is a mail address, or a text of at most {_LONGEST} characters without a slash"
        )
    return name


def read_roles(text: str) -> list[Role]:
    return [role for role in ROLES if role in text.split(",")]


def write_roles(roles: Collection[Role]) -> str:
    """Raises `BadRequest` where there is none, or one that is none."""
    for role in roles:
        if role not in ROLES:
            raise BadRequest(f"there is no role {str(role)[:50]!r}; there are {', '.join(ROLES)}")
    return ",".join(role for role in ROLES if role in roles)


def _person(row: Any) -> Person:
    return Person(
        name=row.name,
        source=row.source,
        roles=read_roles(row.roles),
        created_at=row.created_at,
        signed_in_at=row.signed_in_at,
    )
