"""Who may do what: every route of the real application by every role, and the page that says so."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import get
from litestar.routes import HTTPRoute

from hub.api.guards import permissions, who_may
from hub.api.web import web
from hub.roles import ROLES, Role, is_allowed
from tests.unit.api_home import Home, open_home

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
_ROW = re.compile(r"^\| `(?P<method>[A-Z*]+) (?P<path>\S+)` \| (?P<who>[^|]+) \|$", re.M)
CALLERS: tuple[Role | None, ...] = (None, *ROLES)


@pytest.fixture(scope="module")
async def home(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Home]:
    async with open_home(tmp_path_factory.mktemp("roles"), is_development=False) as home:
        yield home


@pytest.fixture(scope="module")
async def tokens(home: Home) -> dict[Role | None, dict[str, str]]:
    """What each role sends along; nothing by nobody."""
    made: dict[Role | None, dict[str, str]] = {None: {}}
    for role in ROLES:
        given = await home.access.tokens.create(role, [role], created_by="test")
        made[role] = {"authorization": f"Bearer {given.token}"}
    return made


def routes(home: Home) -> list[tuple[str, str, Any]]:
    return [route for route in who_may(home.app) if route[0] != "*"]


def in_words(who: Any) -> str:
    words = {"anyone": "anyone", "signed_in": "any role"}
    return words[who] if isinstance(who, str) else " or ".join(r for r in ROLES if r in who)


async def test_every_route_lets_in_those_whom_it_names_and_nobody_else(
    home: Home, tokens: dict[Role | None, dict[str, str]]
) -> None:
    seen = 0
    for method, path, who in routes(home):
        # The last one is not there, so that whoever gets in changes nothing.
        address = re.sub(r"\{[^}]*\}", "none", path)
        for role in CALLERS:
            answer = await home.client.request(method, address, headers=tokens[role])
            place = f"{method} {path} as {role}"
            if who == "anyone" or (role and (who == "signed_in" or is_allowed([role], who))):
                code = _code(answer)
                assert code not in ("unauthorized", "forbidden"), f"{place}: {answer.text}"
            elif role is None:
                assert _code(answer) == "unauthorized", place
                assert answer.headers["www-authenticate"].startswith("Bearer"), place
            else:
                assert (answer.status_code, _code(answer)) == (403, "forbidden"), place
            seen += 1
    assert seen > 200


async def test_a_session_says_what_the_routes_let_one_do(
    home: Home, tokens: dict[Role | None, dict[str, str]]
) -> None:
    known = permissions(home.app)
    for role in ROLES:
        shown = (await home.client.get("/api/session", headers=tokens[role])).json()
        assert shown["may"] == [name for name in known if is_allowed([role], known[name])]
        assert shown["lacks"] == {
            name: [one for one in ROLES if one in roles]
            for name, roles in known.items()
            if name not in shown["may"]
        }
        assert shown["project"] == "shop"
        if role == "approver":
            assert {name.partition(".")[0] for name in shown["may"]} == {"approval"}
        if role == "viewer":
            assert {name.partition(".")[2] for name in shown["may"]} == {"see"}
    shown = (await home.client.get("/api/session")).json()
    assert (shown["may"], shown["lacks"], shown["project"]) == ([], {}, None)


async def test_every_change_that_takes_a_role_has_a_name(home: Home) -> None:
    """So that a page can leave out what its reader may not do."""
    nameless = {
        f"{method} {route.path}"
        for route in home.app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in handler.http_methods
        if method in ("POST", "PUT", "DELETE")
        if not isinstance(handler.opt["who"], str) and "lets" not in handler.opt
    }
    assert {_plain(one) for one in nameless} <= {
        "POST /api/trees/{name}/validate",  # changes nothing
        "POST /api/codec/decode",  # Temporal's own page asks there
        "POST /api/codec/encode",
    }


async def test_a_run_is_moved_by_an_editor_and_not_by_an_operator(
    home: Home, tokens: dict[Role | None, dict[str, str]]
) -> None:
    home.runs.add("onboarding/u1")
    asked = [
        await home.client.post("/api/runs/onboarding/u1/migrate", headers=tokens[role])
        for role in ("operator", "editor")
    ]
    # This hub moves no runs, which is told to who might have one moved.
    assert [answer.status_code for answer in asked] == [403, 404]
    assert "editor" in asked[0].json()["detail"]
    answer = await home.client.post("/api/runs/onboarding/u1/cancel", headers=tokens["operator"])
    assert answer.status_code == 202


def _code(answer: httpx.Response) -> str | None:
    if answer.headers.get("content-type") != "application/problem+json":
        return None
    code: str = answer.json()["code"]
    return code


async def test_the_page_shows_the_table_of_the_code(home: Home) -> None:
    written = {(m["method"], m["path"]): m["who"] for m in _ROW.finditer(PAGE.read_text())}
    own = {path for handler in web() for path in handler.paths}
    real = {
        (method, _plain(path)): in_words(who)
        for method, path, who in who_may(home.app)
        if method != "HEAD" and _plain(path) not in {_plain(one) for one in own}
    }
    assert written == real


def _plain(path: str) -> str:
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", path)


async def test_a_route_that_does_not_say_keeps_the_hub_from_starting(tmp_path: Path) -> None:
    @get("/api/secrets")
    async def careless() -> str:
        return "all of them"

    with pytest.raises(RuntimeError, match="GET /api/secrets"):
        async with open_home(tmp_path, extra_routes=[careless]):
            pass
