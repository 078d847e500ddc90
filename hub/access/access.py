"""The door: who a request is from, signing in and out."""

from __future__ import annotations

from datetime import datetime

import msgspec

from hub.access.attempts import Attempts
from hub.access.caller import Caller
from hub.access.oidc import Provider
from hub.access.passwords import Passwords
from hub.access.people import LOCAL, People, name_of
from hub.access.secret_texts import csrf_of
from hub.access.sessions import Sessions
from hub.access.sign_ins import SignIns
from hub.access.tokens import Tokens
from hub.audit import Actor
from hub.errors import BadRequest, Conflict, HubError, RateLimited, Unauthorized
from hub.roles import includes
from hub.routing.journal import Journal
from hub.sign_in import SignInSettings

__all__ = ["Access", "SessionGiven", "Ways"]

_LONGEST_COOKIE = 200


class Ways(msgspec.Struct, frozen=True, kw_only=True):
    """How one may sign in. `provider` is the words on the button of the OpenID provider."""

    password: bool
    provider: str | None


class SessionGiven(msgspec.Struct, frozen=True, kw_only=True):
    """A session that has just begun. `secret` is what the cookie holds."""

    secret: str
    name: str
    expires_at: datetime


class Access:
    """Who may call, over the journal's database.

    `settings` is None where the `auth:` section is wrong: then only tokens open anything.
    """

    def __init__(
        self,
        journal: Journal,
        settings: SignInSettings | None,
        *,
        passwords: Passwords | None = None,
        provider: Provider | None = None,
    ) -> None:
        self.audit = journal.audit
        self.settings = settings
        self.people = People(journal)
        self.tokens = Tokens(journal)
        self.sessions = Sessions(journal)
        self.sign_ins = SignIns(journal)
        self.passwords = passwords or Passwords()
        self.attempts = Attempts()
        self.provider = provider
        self._former: list[Provider] = []
        if provider is None and settings is not None and settings.oidc is not None:
            self.provider = Provider(settings.oidc)

    def use(self, settings: SignInSettings | None) -> None:
        """Go on with other settings. Sessions that have begun last as they were given."""
        if settings == self.settings:
            return
        oidc = None if settings is None else settings.oidc
        before = self.provider
        if oidc != (None if before is None else before.settings):
            # A request may be waiting for it: it is closed at the end.
            self._former += [] if before is None else [before]
            self.provider = None if oidc is None else Provider(oidc)
        self.settings = settings

    async def close(self) -> None:
        """Let go of connections to the providers."""
        for provider in (*self._former, *([] if self.provider is None else [self.provider])):
            await provider.close()

    def ways(self) -> Ways:
        """How one may sign in."""
        return Ways(
            password=self.settings is not None and self.settings.passwords,
            provider=None if self.provider is None else self.provider.settings.label,
        )

    async def is_set_up(self) -> bool:
        """Whether there is anybody, or any token, to whom the door opens."""
        if self.provider is not None or await self.tokens.any_good():
            return True
        return self.ways().password and any(
            person.source == LOCAL for person in await self.people.list()
        )

    async def by_token(self, token: str, address: str | None) -> Caller:
        """Raises `Unauthorized` for one that is not good."""
        used = await self.tokens.use(token)
        return Caller(
            name=used.info.owner or used.info.name,
            how="token",
            roles=used.roles,
            on_behalf=used.info.on_behalf,
            credential=used.info.prefix,
            owner=used.info.owner,
            address=address,
        )

    async def by_session(self, secret: str, address: str | None) -> Caller | None:
        """None where the cookie opens nothing (any more)."""
        if len(secret) > _LONGEST_COOKIE:
            return None
        session = await self.sessions.find(secret)
        if session is None:
            return None
        return Caller(
            name=session.person,
            how="session",
            roles=includes(session.roles),
            owner=session.person,
            csrf=csrf_of(secret),
            address=address,
        )

    async def sign_in(
        self, name: str, password: str, *, address: str | None, instead_of: str | None
    ) -> SessionGiven:
        """Sign a local user in. `instead_of` is the cookie that the browser had before.

        Raises `Unauthorized`, which does not say whether there is such a user, and `RateLimited`.
        """
        if not self.ways().password:
            raise Conflict("nobody signs in by password at this hub")
        try:
            name = name_of(name)
        except BadRequest:
            raise Unauthorized("the name or the password is wrong") from None
        where = address or "?"
        actor = Actor(who=name, how="anonymous", address=address)
        try:
            self.attempts.check(name, where)
        except RateLimited as error:
            # Told once in the log, by the last one that was tried.
            raise error from None
        # Counted before the check, which takes its time: many at once are no way around.
        self.attempts.failed(name, where)
        kept = await self.people.password_of(name)
        if not await self.passwords.matches(kept, password):
            await self.audit.note(
                actor, "session.begin", name, outcome="refused", reason="wrong name or password"
            )
            raise Unauthorized("the name or the password is wrong")
        self.attempts.succeeded(name, where)
        return await self._begin(name, "password", address, instead_of)

    async def change_password(self, name: str, old: str, new: str, *, address: str | None) -> None:
        """Raises `Unauthorized` where the old one is wrong, and `RateLimited`."""
        where = address or "?"
        self.attempts.check(name, where)
        self.attempts.failed(name, where)
        if not await self.passwords.matches(await self.people.password_of(name), old):
            raise Unauthorized("the old password is wrong")
        self.attempts.succeeded(name, where)
        await self.people.set_password(name, await self.passwords.hash(new))

    async def sign_in_by_provider(
        self,
        *,
        code: str,
        state: str,
        browser: str,
        redirect_uri: str,
        issuer: str | None,
        address: str | None,
        instead_of: str | None,
    ) -> tuple[SessionGiven, str]:
        """Sign in whom the provider vouches for; gives the session, and where to go on.

        Raises `Unauthorized` for an answer that is not one to a sign-in of this browser, that was
        given before, or whose token does not hold; `Forbidden` for somebody without any role;
        `Unreachable` where the provider is away.
        """
        provider = self.provider
        if provider is None:
            raise Conflict("this hub has no provider to sign in at")
        actor = Actor(who="?", how="anonymous", address=address)
        try:
            begun = await self.sign_ins.take(state, browser)
            identity = await provider.identify(
                code=code,
                verifier=begun.verifier,
                nonce=begun.nonce,
                redirect_uri=redirect_uri,
                issuer=issuer,
            )
            actor = msgspec.structs.replace(actor, who=identity.name)
            roles = provider.settings.roles_of(identity.groups)
            if not roles:
                raise Unauthorized(
                    f"{identity.name} is in no group that may do anything here; "
                    "an admin maps groups to roles in `auth:` of hub.yaml"
                )
            person = await self.people.vouched(
                identity.name, provider.settings.issuer, identity.subject, roles
            )
        except HubError as error:
            await self.audit.note(
                actor, "session.begin", actor.who, outcome="refused", reason=error.message
            )
            raise
        return await self._begin(person.name, "provider", address, instead_of), begun.next

    async def sign_out(self, secret: str, caller: Caller) -> None:
        """End the session."""
        await self.sessions.end(secret)
        await self.audit.note(caller.actor(), "session.end", caller.name)

    async def _begin(
        self, name: str, by: str, address: str | None, instead_of: str | None
    ) -> SessionGiven:
        if self.settings is None:
            raise Conflict("nobody can sign in until `auth:` in hub.yaml is mended")
        secret, expires_at = await self.sessions.begin(
            name, self.settings.lasts, address=address, instead_of=instead_of
        )
        await self.people.signed_in(name)
        actor = Actor(who=name, how="session", address=address)
        await self.audit.note(actor, "session.begin", name, after={"by": by})
        return SessionGiven(secret=secret, name=name, expires_at=expires_at)
