"""Sign-ins that are under way at the provider. Each is answered once, by the browser that began it."""

from __future__ import annotations

import hmac
import secrets
from datetime import UTC, datetime, timedelta

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.access.secret_texts import digest, secret
from hub.errors import Unauthorized
from hub.routing.journal import Journal
from hub.routing.journal.tables import sign_ins

__all__ = ["Begun", "SignIn", "SignIns"]

_LASTS = timedelta(minutes=10)
_MOST = 10_000


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """One that has just begun: `browser` is its cookie, the others go to the provider."""

    state: str
    browser: str
    nonce: str
    verifier: str


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """What was kept of it."""

    nonce: str
    verifier: str
    next: str


class SignIns:
    """The sign-ins in the journal's database, so that any process can answer."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def begin(self, next_path: str) -> SignIn:
        """Keep a new one for ten minutes. `next_path` is where its person goes on afterwards."""
        # A verifier has 43 to 128 characters of these (RFC 7636, section 4.1).
        made = SignIn(
            state=secret(), browser=secret(), nonce=secret(), verifier=secrets.token_urlsafe(48)
        )
        now = datetime.now(UTC)
        row = {
            "state": digest(made.state),
            "browser": digest(made.browser),
            "nonce": made.nonce,
            "verifier": made.verifier,
            "next": next_path,
            "expires_at": now + _LASTS,
        }
        s = sign_ins.c
        # Anybody can begin one: the oldest make room, so that their number has a bound.
        surplus = sa.select(s.state).order_by(s.expires_at.desc()).offset(_MOST).limit(_MOST)

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(sa.delete(sign_ins).where(s.expires_at <= now))
            await connection.execute(sa.delete(sign_ins).where(s.state.in_(surplus)))
            await connection.execute(sa.insert(sign_ins).values(**row))

        await self._journal.write(write)
        return made

    async def take(self, state: str, browser: str) -> Begun:
        """The one of this state, which is gone then. Raises `Unauthorized`."""
        kept = sign_ins.c.state == digest(state)

        async def write(connection: AsyncConnection) -> sa.Row[tuple[object, ...]] | None:
            row = (await connection.execute(sa.select(sign_ins).where(kept))).first()
            if row is not None:
                deleted = await connection.execute(sa.delete(sign_ins).where(kept))
                # Of two processes that read it at once, one deletes it.
                row = row if deleted.rowcount == 1 else None
            return row

        row = await self._journal.write(write)
        if row is None:
            raise Unauthorized("this sign-in was answered before, or never begun; try again")
        if not hmac.compare_digest(bytes(row.browser), digest(browser)):
            raise Unauthorized("this sign-in was begun in another browser; try again")
        if row.expires_at <= datetime.now(UTC):
            raise Unauthorized("this sign-in took too long; try again")
        return Begun(nonce=row.nonce, verifier=row.verifier, next=row.next)
