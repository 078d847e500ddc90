"""`/api/session` and `/auth/oidc`: signing in and out, and who is signed in."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import urlencode

import msgspec
from litestar import Litestar, Request, Response, delete, get, post
from litestar.datastructures import Cookie
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery, QueryParameter

from hub.access import Access, Caller, SessionGiven, Ways
from hub.access.secret_texts import csrf_of, same
from hub.api.body import read_body, read_headers
from hub.api.callers import COOKIE, caller_of, cookie_name, identify, session_of
from hub.api.guards import ANYONE, CSRF_HEADER, SIGNED_IN, permissions
from hub.api.services import Services
from hub.audit import How
from hub.errors import BadRequest, Conflict, Forbidden, HubError, Unauthorized, UnsupportedType
from hub.payload import media_type
from hub.roles import ROLES, Role

__all__ = ["SessionView", "access_of", "read_json_body", "sessions"]

_CALLBACK: Final = "/auth/oidc/callback"
_BROWSER: Final = "hub_sign_in"
_MAX_BODY: Final = 16 * 1024
_NO_STORE: Final = {"cache-control": "no-store"}
_Body = TypeVar("_Body")


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """Who is signed in; without a name nobody is, and `ways` says how one may.

    `roles` are those that the person has, included ones too. `may` names what they may do here, as
    the audit log names it (`run.cancel`), and what they may look at (`run.see`); `lacks` names what
    they may not, with the roles of which one would be enough. `project` is the hub's. `csrf` is the
    value of the header `x-csrf-token` that a change by this page brings along; None where no cookie
    is used.
    """

    name: str | None
    how: How
    roles: list[Role]
    may: list[str]
    lacks: dict[str, list[Role]]
    project: str | None
    csrf: str | None
    ways: Ways


class SignInBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A local user's name and password."""

    name: str
    password: str


class PasswordBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The password of before, and the one that takes its place."""

    old: str
    new: str


def sessions(services: Services) -> list[HTTPRouteHandler]:
    """The routes of signing in."""

    def cookie(name: str, value: str, seconds: int) -> Cookie:
        return Cookie(
            key=cookie_name(services, name),
            value=value,
            max_age=seconds,
            path="/",
            secure=services.base_url.startswith("https://"),
            httponly=True,
            samesite="lax",
        )

    def session_cookie(given: SessionGiven) -> Cookie:
        seconds = (given.expires_at - datetime.now(UTC)).total_seconds()
        return cookie(COOKIE, given.secret, max(1, round(seconds)))

    def view_of(app: Litestar, caller: Caller | None) -> SessionView:
        if services.access is None:
            ways = Ways(password=False, provider=None)
        else:
            ways = services.access.ways()
        if caller is None:
            return SessionView(
                name=None,
                how="anonymous",
                roles=[],
                may=[],
                lacks={},
                project=None,
                csrf=None,
                ways=ways,
            )
        known = permissions(app)
        return SessionView(
            name=caller.name,
            how=caller.how,
            roles=_in_order(caller.roles),
            may=[name for name, roles in known.items() if caller.may(roles)],
            lacks={
                name: _in_order(roles) for name, roles in known.items() if not caller.may(roles)
            },
            project=services.project().name if caller.roles else None,
            csrf=caller.csrf,
            ways=ways,
        )

    @get("/api/session", opt=ANYONE, summary="Who is signed in", tags=["access"])
    async def show_session(request: Request[Any, Any, Any]) -> Response[SessionView]:
        caller = await identify(services, request)
        return Response(view_of(request.app, caller), headers=_NO_STORE)

    @post(
        "/api/session",
        opt=ANYONE,
        status_code=200,
        summary="Sign in with a name and a password",
        tags=["access"],
    )
    async def sign_in(request: Request[Any, Any, Any]) -> Response[SessionView]:
        access = access_of(services)
        body = await read_json_body(request, services, SignInBody)
        given = await access.sign_in(
            body.name,
            body.password,
            address=_address(request),
            instead_of=session_of(services, request),
        )
        person = await access.by_session(given.secret, _address(request))
        if person is None:
            raise Unauthorized("the user was removed just now")
        return Response(
            view_of(request.app, person), cookies=[session_cookie(given)], headers=_NO_STORE
        )

    @delete("/api/session", opt=ANYONE, summary="Sign out", tags=["access"])
    async def sign_out(request: Request[Any, Any, Any]) -> Response[None]:
        secret = session_of(services, request)
        if secret and services.access is not None:
            caller = await services.access.by_session(secret, _address(request))
            if caller is not None:
                if not same(request.headers.get(CSRF_HEADER, ""), csrf_of(secret)):
                    raise Forbidden(f"signing out brings along the header {CSRF_HEADER}")
                await services.access.sign_out(secret, caller)
        return Response(None, status_code=204, cookies=[cookie(COOKIE, "", 0)], headers=_NO_STORE)

    @post(
        "/api/session/password",
        opt=SIGNED_IN,
        status_code=204,
        summary="Change one's own password; all sessions end",
        tags=["access"],
    )
    async def change_password(request: Request[Any, Any, Any]) -> None:
        access, caller = access_of(services), caller_of(request)
        if caller.how != "session":
            raise Conflict("a password is changed by who has signed in with it")
        body = await read_json_body(request, services, PasswordBody)
        async with access.audit.change(caller.actor(), "user.password", caller.name):
            await access.change_password(caller.name, body.old, body.new, address=_address(request))

    @get("/auth/oidc", opt=ANYONE, include_in_schema=False)
    async def begin(
        wanted: Annotated[str, QueryParameter(name="next")] = "/",
    ) -> Response[None]:
        access = access_of(services)
        if access.provider is None:
            raise Conflict("this hub has no provider to sign in at")
        begun = await access.sign_ins.begin(_local_path(wanted))
        address = await access.provider.address(begun, _redirect_uri(services))
        return _see_other(address, [cookie(_BROWSER, begun.browser, 600)])

    @get(_CALLBACK, opt=ANYONE, include_in_schema=False)
    async def finish(
        request: Request[Any, Any, Any],
        code: FromQuery[str | None] = None,
        answered: Annotated[str | None, QueryParameter(name="state")] = None,
        error: FromQuery[str | None] = None,
        iss: FromQuery[str | None] = None,
    ) -> Response[None]:
        access = access_of(services)
        browser = request.cookies.get(cookie_name(services, _BROWSER))
        forget = cookie(_BROWSER, "", 0)
        try:
            if error is not None or code is None or answered is None or browser is None:
                raise Unauthorized("the provider did not sign anybody in")
            given, next_path = await access.sign_in_by_provider(
                code=code,
                state=answered,
                browser=browser,
                redirect_uri=_redirect_uri(services),
                issuer=iss,
                address=_address(request),
                instead_of=session_of(services, request),
            )
        except HubError as problem:
            query = urlencode({"problem": problem.message})
            return _see_other(f"/sign-in?{query}", [forget])
        return _see_other(next_path, [forget, session_cookie(given)])

    return [show_session, sign_in, sign_out, change_password, begin, finish]


def _in_order(roles: Collection[Role]) -> list[Role]:
    return [role for role in ROLES if role in roles]


def access_of(services: Services) -> Access:
    """Raises `Conflict` where nobody can sign in at this hub."""
    if services.access is None:
        raise Conflict("nobody can sign in at this hub")
    return services.access


async def read_json_body(
    request: Request[Any, Any, Any], services: Services, kind: type[_Body]
) -> _Body:
    """The body as this struct. Raises `BadRequest`, which never repeats what was sent.

    Only a body that says it is JSON counts: a form of another site's page cannot say so.
    """
    headers = read_headers(request.scope)
    if media_type(headers.get("content-type", "")) != "application/json":
        raise UnsupportedType("the body is JSON: content-type: application/json")
    body = await read_body(request.receive, headers, limit=_MAX_BODY, timeout=services.body_timeout)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise BadRequest(f"the body does not fit: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest("the body is no JSON") from None


def _see_other(address: str, cookies: Sequence[Cookie]) -> Response[None]:
    return Response(
        None, status_code=303, headers={"location": address, **_NO_STORE}, cookies=cookies
    )


def _redirect_uri(services: Services) -> str:
    return services.base_url.rstrip("/") + _CALLBACK


def _address(request: Request[Any, Any, Any]) -> str | None:
    return request.client.host if request.client else None


def _local_path(text: str) -> str:
    """The path, if it is one of this hub's pages; else its first page.

    A browser reads a backslash as a slash and drops tabs and line breaks, so both would lead away.
    """
    is_local = (
        text.startswith("/")
        and not text.startswith("//")
        and "\\" not in text
        and text.isprintable()
        and text.isascii()
        and len(text) <= 2000
    )
    return text if is_local else "/"
