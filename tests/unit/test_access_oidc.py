"""Signing in by OpenID Connect, at a real provider process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import pytest

from hub.access import oidc
from hub.access.sign_ins import SignIn
from hub.errors import Unreachable
from hub.sign_in import OidcSettings, SignInSettings
from tests.unit.api_home import Home, open_home
from tests.unit.test_api_ingress import is_problem

ROOT = Path(__file__).parents[2]
CLIENT_SECRET = "the-secret-of-the-hub"


@dataclass
class Provider:
    issuer: str

    async def behave(self, **behaviour: Any) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.post(f"{self.issuer}/behave", json=behaviour)

    async def consent(self, address: str) -> str:
        """Where the provider sends the browser after its user has signed in there."""
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(address)
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.oidc_provider"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield Provider(process.stdout.readline().strip())
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
async def home(shared: Home, provider: Provider) -> Home:
    """The one hub of these tests, with nobody known to it."""
    await provider.behave(user=user(["engineering"]))
    shared.client.cookies.clear()
    for person in await shared.access.people.list():
        await shared.access.people.remove(person.name)
    return shared


@pytest.fixture(scope="module")
async def shared(
    tmp_path_factory: pytest.TempPathFactory, provider: Provider
) -> AsyncIterator[Home]:
    settings = OidcSettings(
        issuer=provider.issuer,
        client_id="hub",
        client_secret=CLIENT_SECRET,
        roles={"engineering": ["operator", "approver"], "admins": "admin"},
    )
    sign_in = SignInSettings(oidc=settings, passwords=False)
    folder = tmp_path_factory.mktemp("oidc")
    async with open_home(folder, is_development=False, sign_in=sign_in) as home:
        yield home


def user(groups: list[str], **more: Any) -> dict[str, Any]:
    claims = {"sub": "s-1", "email": "Ada@Example.com", "email_verified": True, "groups": groups}
    return claims | more


async def begin(home: Home, next_path: str = "/runs") -> str:
    answer = await home.client.get("/auth/oidc", params={"next": next_path})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def sign_in(home: Home, provider: Provider, next_path: str = "/runs") -> httpx.Response:
    back = await provider.consent(await begin(home, next_path))
    return await home.client.get(back)


def refused(answer: httpx.Response) -> str:
    """Why nobody was signed in."""
    assert answer.status_code == 303
    address = urlsplit(answer.headers["location"])
    assert address.path == "/sign-in"
    assert "hub_session=" not in str(answer.headers.get_list("set-cookie"))
    return parse_qs(address.query)["problem"][0]


async def test_groups_become_roles(home: Home, provider: Provider) -> None:
    ways = (await home.client.get("/api/session")).json()["ways"]
    assert ways == {"password": False, "provider": "Single sign-on"}
    address = urlsplit(await begin(home))
    asked = dict(parse_qsl(address.query))
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert asked["redirect_uri"] == "http://localhost:8080/auth/oidc/callback"
    answer = await sign_in(home, provider, "/runs?status=failed")
    assert answer.headers["location"] == "/runs?status=failed"
    cookie = SimpleCookie(answer.headers.get_list("set-cookie")[-1])["hub_session"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "lax")
    shown = (await home.client.get("/api/session")).json()
    assert shown["name"] == "ada@example.com"
    assert shown["roles"] == ["viewer", "approver", "operator"]
    assert (await home.client.get("/api/users")).status_code == 403
    await provider.behave(user=user(["admins"]))
    await sign_in(home, provider)
    (person,) = (await home.client.get("/api/users")).json()["items"]
    assert (person["source"], person["roles"]) == (provider.issuer, ["admin"])
    entries = (await home.access.audit.list(action="session.begin", limit=2)).items
    assert [(e.who, e.outcome, e.after) for e in entries] == [
        ("ada@example.com", "done", {"by": "provider"})
    ] * 2


async def test_groups_may_lie_in_userinfo_alone(home: Home, provider: Provider) -> None:
    await provider.behave(user=user(["engineering"]), groups_in="userinfo")
    assert (await sign_in(home, provider)).headers["location"] == "/runs"
    await provider.behave(user=user(["engineering"]), groups_in="userinfo", userinfo={"sub": "s-2"})
    assert "two different people" in refused(await sign_in(home, provider))


async def test_who_is_in_no_group_may_do_nothing(home: Home, provider: Provider) -> None:
    for groups in ([], ["sales"], ["Engineering"]):
        await provider.behave(user=user(groups))
        assert "no group" in refused(await sign_in(home, provider))
    await provider.behave(user=user(["admins"], email_verified=False))
    assert "not verified" in refused(await sign_in(home, provider))
    await provider.behave(user={"sub": "s-1", "groups": ["admins"]})
    assert "'email'" in refused(await sign_in(home, provider))
    assert (await home.client.get("/api/session")).json()["name"] is None


_CLAIMS = "has expired, or is of another issuer"


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ({"alg": "none"}, "in a way that is not taken"),
        ({"alg": "HS256"}, "in a way that is not taken"),
        ({"key": "foreign"}, "not signed by the provider"),
        ({"claims": {"iss": "https://elsewhere.example"}}, _CLAIMS),
        ({"claims": {"aud": ["other"]}}, _CLAIMS),
        ({"claims": {"aud": ["hub", "other"]}}, "issued to somebody else"),
        ({"claims": {"azp": "other"}}, "issued to somebody else"),
        ({"claims": {"nonce": "of-another-sign-in"}}, "of another sign-in"),
        ({"claims": {"nonce": None}}, "of another sign-in"),
        ({"claims": {"exp": 1_000_000_000}}, _CLAIMS),
        ({"claims": {"exp": None}}, _CLAIMS),
        ({"claims": {"iat": 1_000_000_000}}, "too old"),
        ({"claims": {"iat": None}}, _CLAIMS),
        ({"claims": {"sub": None}}, _CLAIMS),
        ({"code_life": 0}, "invalid_grant"),
    ],
    ids=str,
)
async def test_a_token_that_does_not_hold_signs_nobody_in(
    home: Home, provider: Provider, behaviour: dict[str, Any], reason: str
) -> None:
    await provider.behave(user=user(["admins"]), **behaviour)
    assert reason in refused(await sign_in(home, provider))
    is_problem(await home.client.get("/api/runs"), 401, "unauthorized")
    (entry,) = (await home.access.audit.list(action="session.begin", limit=1)).items
    assert entry.outcome == "refused"


async def test_an_answer_counts_once(home: Home, provider: Provider) -> None:
    back = await provider.consent(await begin(home))
    browser = home.client.cookies["hub_sign_in"]
    assert (await home.client.get(back)).headers["location"] == "/runs"
    home.client.cookies.clear()
    again = await home.client.get(back, headers={"cookie": f"hub_sign_in={browser}"})
    assert "answered before" in refused(again)


async def test_an_answer_counts_in_the_browser_that_asked(home: Home, provider: Provider) -> None:
    # Somebody sends a victim the end of their own sign-in, so that the victim works as them.
    back = await provider.consent(await begin(home))
    home.client.cookies.clear()
    refused(await home.client.get(back))
    back = await provider.consent(await begin(home))
    other = await home.client.get(back, headers={"cookie": "hub_sign_in=of-another"})
    refused(other)


async def test_states_and_codes_that_were_made_up(home: Home, provider: Provider) -> None:
    for query in (
        {"code": "made-up", "state": "made-up"},
        {"error": "access_denied", "state": "x"},
        {"state": "x"},
        {"code": "x"},
        {},
        {"code": "x" * 5000, "state": "\x00"},
    ):
        await begin(home)
        refused(await home.client.get(f"/auth/oidc/callback?{urlencode(query)}"))
    asked = dict(parse_qsl(urlsplit(await begin(home)).query))
    made_up = {"code": "made-up", "state": asked["state"]}
    refused(await home.client.get(f"/auth/oidc/callback?{urlencode(made_up)}"))
    # The code of one sign-in with the state of another: the verifier does not fit.
    one = dict(parse_qsl(urlsplit(await provider.consent(await begin(home))).query))
    two = dict(parse_qsl(urlsplit(await begin(home)).query))
    mixed = {"code": one["code"], "state": two["state"]}
    refused(await home.client.get(f"/auth/oidc/callback?{urlencode(mixed)}"))
    foreign = await provider.consent(await begin(home)) + "&iss=https%3A%2F%2Felsewhere.example"
    assert "another provider" in refused(await home.client.get(foreign))


@pytest.mark.parametrize(
    "next_path",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "runs",
        "",
        "/runs\r\nset-cookie: a=b",
        "/é",
        "/" + "a" * 3000,
    ],
)
async def test_a_sign_in_leads_nowhere_else(home: Home, provider: Provider, next_path: str) -> None:
    answer = await sign_in(home, provider, next_path)
    assert answer.headers["location"] == "/"


async def test_a_name_that_is_taken_is_not_given_to_another(home: Home, provider: Provider) -> None:
    await home.access.people.create("root@example.com", "no hash", ["admin"])
    await provider.behave(user=user(["engineering"], email="ROOT@example.com"))
    assert "somebody else" in refused(await sign_in(home, provider))
    await provider.behave(user=user(["engineering"]))
    assert (await sign_in(home, provider)).headers["location"] == "/runs"
    home.client.cookies.clear()
    await provider.behave(user=user(["engineering"], sub="s-2"))
    assert "somebody else" in refused(await sign_in(home, provider))


async def test_a_provider_that_is_away_or_another_signs_nobody_in(provider: Provider) -> None:
    begun = SignIn(state="s", browser="b", nonce="n", verifier="v")
    for issuer in ("http://127.0.0.1:9", f"{provider.issuer}/", f"{provider.issuer}/none"):
        other = oidc.Provider(OidcSettings(issuer=issuer, client_id="hub", everyone="admin"))
        with pytest.raises(Unreachable):
            await other.address(begun, "http://localhost/callback")
        await other.close()
