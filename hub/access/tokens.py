"""API tokens: `hub_<id>_<secret>`. The id is shown everywhere; of the secret only a digest is kept."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.access.people import name_of, read_roles, write_roles
from hub.access.secret_texts import digest, secret
from hub.errors import BadRequest, NotFound, Unauthorized
from hub.roles import Role, includes
from hub.routing.journal import Journal
from hub.routing.journal.tables import people, tokens

__all__ = ["TokenGiven", "TokenInfo", "Tokens", "UsedToken"]

_FORM = re.compile(r"hub_([0-9a-f]{12})_[\w-]{43}")
_LONGEST_NAME = 100
_LONGEST_LIFE = timedelta(days=3660)
_USE_IS_NOTED_EVERY = timedelta(minutes=1)


class TokenInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A token without its secret. `owner` is the person whose own it is; None for a service's."""

    id: str
    prefix: str
    name: str
    owner: str | None
    roles: list[Role]
    on_behalf: bool
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    used_at: datetime | None


class TokenGiven(msgspec.Struct, frozen=True, kw_only=True):
    """A token that was just made. `token` is shown this once."""

    token: str
    info: TokenInfo


class UsedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token that is good, with the roles that it has now."""

    info: TokenInfo
    roles: frozenset[Role]


class Tokens:
    """The API tokens in the journal's database."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def create(
        self,
        name: str,
        roles: Collection[Role],
        *,
        created_by: str,
        owner: str | None = None,
        expires_in: timedelta | None = None,
        on_behalf: bool = False,
    ) -> TokenGiven:
        """A new token. Raises `BadRequest` for a name, a role or a time that is none."""
        if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
            raise BadRequest(f"a token has a name of at most {_LONGEST_NAME} characters")
        if not roles:
            raise BadRequest("a token has at least one role")
        if expires_in is not None and not timedelta() < expires_in <= _LONGEST_LIFE:
            raise BadRequest("a token expires within ten years, or never")
        now = datetime.now(UTC)
        identifier = secrets.token_hex(6)
        token = f"hub_{identifier}_{secret()}"
        row = {
            "id": identifier,
            "digest": digest(token),
            "name": name.strip(),
            "owner": None if owner is None else name_of(owner),
            "roles": write_roles(roles),
            "on_behalf": on_behalf,
            "created_by": created_by,
            "created_at": now,
            "expires_at": None if expires_in is None else now + expires_in,
        }

        async def insert(connection: AsyncConnection) -> None:
            await connection.execute(sa.insert(tokens).values(**row))

        await self._journal.write(insert)
        return TokenGiven(token=token, info=await self.get(identifier))

    async def get(self, identifier: str) -> TokenInfo:
        """Raises `NotFound`."""
        query = sa.select(tokens).where(tokens.c.id == identifier)
        async with self._journal.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound(f"there is no token {identifier[:50]!r}")
        return _info(row)

    async def list(self, owner: str | None = None) -> list[TokenInfo]:
        """All of them, or those of one person; newest first."""
        query = sa.select(tokens).order_by(tokens.c.created_at.desc(), tokens.c.id)
        if owner is not None:
            query = query.where(tokens.c.owner == owner)
        async with self._journal.read() as connection:
            return [_info(row) for row in await connection.execute(query)]

    async def revoke(self, identifier: str) -> None:
        """It is good no longer, from now on. Raises `NotFound`."""
        await self.get(identifier)
        update = (
            sa.update(tokens)
            .where(tokens.c.id == identifier, tokens.c.revoked_at.is_(None))
            .values(revoked_at=datetime.now(UTC))
        )

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(update)

        await self._journal.write(write)

    async def any_good(self) -> bool:
        """Whether there is a token that opens anything."""
        now = datetime.now(UTC)
        query = sa.select(tokens.c.id).where(_good(now)).limit(1)
        async with self._journal.read() as connection:
            return (await connection.execute(query)).first() is not None

    async def use(self, token: str) -> UsedToken:
        """The token, if it is good. A person's own has no more roles than the person has now.

        Raises `Unauthorized`, which says no more of a token that is unknown than that.
        """
        found = _FORM.fullmatch(token)
        row = None
        if found:
            query = (
                sa.select(tokens, people.c.roles.label("owner_roles"))
                .join(people, people.c.name == tokens.c.owner, isouter=True)
                .where(tokens.c.id == found[1])
            )
            async with self._journal.read() as connection:
                row = (await connection.execute(query)).first()
        if row is None or not hmac.compare_digest(bytes(row.digest), digest(token)):
            raise Unauthorized("this token is not known here")
        info, now = _info(row), datetime.now(UTC)
        if info.revoked_at is not None:
            raise Unauthorized(f"the token {info.prefix} was revoked")
        if info.expires_at is not None and info.expires_at <= now:
            raise Unauthorized(f"the token {info.prefix} has expired")
        roles = includes(info.roles)
        if info.owner is not None:
            roles &= includes(read_roles(row.owner_roles or ""))
        if info.used_at is None or info.used_at < now - _USE_IS_NOTED_EVERY:
            await self._used(info.id, now)
        return UsedToken(info=info, roles=roles)

    async def _used(self, identifier: str, now: datetime) -> None:
        update = sa.update(tokens).where(tokens.c.id == identifier).values(used_at=now)

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(update)

        await self._journal.write(write)


def _good(now: datetime) -> sa.ColumnElement[bool]:
    unexpired = tokens.c.expires_at.is_(None) | (tokens.c.expires_at > now)
    return tokens.c.revoked_at.is_(None) & unexpired


def _info(row: Any) -> TokenInfo:
    return TokenInfo(
        id=row.id,
        prefix=f"hub_{row.id}",
        name=row.name,
        owner=row.owner,
        roles=read_roles(row.roles),
        on_behalf=bool(row.on_behalf),
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        used_at=row.used_at,
    )
