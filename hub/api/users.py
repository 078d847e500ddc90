"""`/api/users` and `/api/tokens`: who may sign in, and what programs call with."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
from litestar import Request, delete, get, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery

from hub.access import Caller, Person, TokenGiven, TokenInfo
from hub.access.people import name_of
from hub.api.callers import caller_of
from hub.api.guards import ADMIN, SIGNED_IN, lets
from hub.api.paging import Limit, page_of
from hub.api.services import Services
from hub.api.sessions import access_of, read_json_body
from hub.durations import parse_duration
from hub.errors import BadRequest, Conflict, Forbidden, InvalidDuration, NotFound
from hub.roles import Role, includes

__all__ = ["NewToken", "NewUser", "TokenList", "UserChange", "UserList", "read_life", "users"]

_NEVER = "never"


class UserList(msgspec.Struct, frozen=True, kw_only=True):
    """People, by name."""

    items: list[Person]
    next: str | None


class NewUser(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A local user. Approvals ask people by mail address, so that is the best name."""

    name: str
    password: str
    roles: list[Role]


class UserChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a local user; what is left out stays."""

    password: str | None = None
    roles: list[Role] | None = None


class TokenList(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens without their secrets, by id."""

    items: list[TokenInfo]
    next: str | None


class NewToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token. `expires_in` is a duration, or "never". One of a `service` is nobody's own; it may
    decide `on_behalf` of people whom it names. Both are made by admins."""

    name: str
    roles: list[Role]
    expires_in: str = "90d"
    service: bool = False
    on_behalf: bool = False


def users(services: Services) -> list[HTTPRouteHandler]:
    """The routes of people and tokens."""

    @get("/api/users", opt=lets(ADMIN, "user.see"), summary="Who may sign in", tags=["access"])
    async def list_users(limit: Limit = 1000, cursor: FromQuery[str | None] = None) -> UserList:
        people = await access_of(services).people.list()
        items, following = page_of(people, lambda one: one.name, limit, cursor)
        return UserList(items=items, next=following)

    @post(
        "/api/users",
        opt=lets(ADMIN, "user.create"),
        summary="A new local user",
        tags=["access"],
    )
    async def create_user(request: Request[Any, Any, Any]) -> Person:
        access = access_of(services)
        body = await read_json_body(request, services, NewUser)
        hashed = await access.passwords.hash(body.password)
        async with access.audit.change(
            caller_of(request).actor(),
            "user.create",
            name_of(body.name),
            after={"roles": body.roles},
        ):
            return await access.people.create(body.name, hashed, body.roles)

    @put(
        "/api/users/{name:str}",
        opt=lets(ADMIN, "user.change"),
        summary="Give a local user other roles, or another password",
        tags=["access"],
    )
    async def change_user(request: Request[Any, Any, Any], name: FromPath[str]) -> Person:
        access, caller = access_of(services), caller_of(request)
        body = await read_json_body(request, services, UserChange)
        person = await access.people.get(name)
        if body.roles is not None and person.name == caller.owner and "admin" not in body.roles:
            raise Conflict("another admin has to take this role from you")
        hashed = None if body.password is None else await access.passwords.hash(body.password)
        async with access.audit.change(
            caller.actor(),
            "user.change",
            person.name,
            before={"roles": person.roles},
            after={
                "roles": person.roles if body.roles is None else body.roles,
                "password": "unchanged" if hashed is None else "changed",
            },
        ):
            if body.roles is not None:
                await access.people.set_roles(name, body.roles)
            if hashed is not None:
                await access.people.set_password(name, hashed)
        return await access.people.get(name)

    @delete(
        "/api/users/{name:str}",
        opt=lets(ADMIN, "user.remove"),
        summary="Forget a person: their sessions end, their tokens are revoked",
        tags=["access"],
    )
    async def remove_user(request: Request[Any, Any, Any], name: FromPath[str]) -> None:
        access, caller = access_of(services), caller_of(request)
        person = await access.people.get(name)
        if person.name == caller.owner:
            raise Conflict("another admin has to remove you")
        async with access.audit.change(
            caller.actor(), "user.remove", person.name, before={"roles": person.roles}
        ):
            await access.people.remove(name)

    @get(
        "/api/tokens",
        opt=SIGNED_IN,
        summary="One's own tokens; all of them for an admin",
        tags=["access"],
    )
    async def list_tokens(
        request: Request[Any, Any, Any],
        limit: Limit = 1000,
        cursor: FromQuery[str | None] = None,
    ) -> TokenList:
        caller = caller_of(request)
        found: list[TokenInfo] = []
        if caller.may({"admin"}):
            found = await access_of(services).tokens.list()
        elif caller.owner is not None:
            found = await access_of(services).tokens.list(caller.owner)
        items, following = page_of(found, lambda one: one.id, limit, cursor)
        return TokenList(items=items, next=following)

    @post(
        "/api/tokens",
        opt=SIGNED_IN,
        summary="A new token, which is shown this once",
        tags=["access"],
    )
    async def create_token(request: Request[Any, Any, Any]) -> TokenGiven:
        access, caller = access_of(services), caller_of(request)
        body = await read_json_body(request, services, NewToken)
        life = read_life(body.expires_in)
        _check_new(body, caller)
        async with access.audit.change(
            caller.actor(), "token.create", body.name[:100], after=body
        ) as change:
            given = await access.tokens.create(
                body.name,
                body.roles,
                created_by=caller.name,
                owner=None if body.service else caller.owner,
                expires_in=life,
                on_behalf=body.on_behalf,
            )
            change.after = given.info
        return given

    @delete("/api/tokens/{token_id:str}", opt=SIGNED_IN, summary="Revoke a token", tags=["access"])
    async def revoke_token(request: Request[Any, Any, Any], token_id: FromPath[str]) -> None:
        access, caller = access_of(services), caller_of(request)
        info = await access.tokens.get(token_id)
        if not caller.may({"admin"}) and (caller.owner is None or info.owner != caller.owner):
            raise NotFound(f"there is no token {token_id[:50]!r} of yours")
        async with access.audit.change(caller.actor(), "token.revoke", info.prefix, before=info):
            await access.tokens.revoke(token_id)

    return [
        list_users,
        create_user,
        change_user,
        remove_user,
        list_tokens,
        create_token,
        revoke_token,
    ]


def read_life(text: str) -> timedelta | None:
    """How long a token is good; None for ever. Raises `BadRequest`."""
    if text.strip().lower() == _NEVER:
        return None
    try:
        return parse_duration(text)
    except InvalidDuration as error:
        raise BadRequest(f"{error.message}; or `never`") from None


def _check_new(body: NewToken, caller: Caller) -> None:
    """Nobody makes a token that may do more than they may themselves."""
    if caller.may({"admin"}):
        if body.on_behalf and not body.service and caller.owner is not None:
            raise BadRequest("only the token of a service decides on behalf of others")
        return
    if caller.how == "token":
        raise Forbidden("a token makes no further tokens, unless it is an admin's")
    if body.service or body.on_behalf:
        raise Forbidden("tokens of services are made by admins")
    if not includes(body.roles) <= caller.roles:
        raise Forbidden("a token of yours has no roles that you have not")
