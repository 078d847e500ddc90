"""Signing in, tokens and sessions, over the real application and the real journal."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from datetime import timedelta
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub.access import Access, check_exposure
from hub.access.access import Ways
from hub.access.attempts import Attempts
from hub.errors import InvalidSetting, RateLimited
from hub.sign_in import OidcSettings, SignInSettings, read_sign_in
from tests.unit.api_home import Home, open_home
from tests.unit.test_api_ingress import is_problem

PASSWORD = "correct horse battery"


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with open_home(tmp_path, is_development=False) as home:
        hashed = await home.access.passwords.hash(PASSWORD)
        await home.access.people.create("Ada@Example.com", hashed, ["operator", "approver"])
        await home.access.people.create("root", hashed, ["admin"])
        home.runs.add("onboarding/u1")
        yield home


async def sign_in(home: Home, name: str = "ada@example.com", **more: Any) -> httpx.Response:
    return await home.client.post("/api/session", json={"name": name, "password": PASSWORD} | more)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


# --- passwords and sessions ---


async def test_a_sign_in_is_a_cookie_that_scripts_do_not_see(home: Home) -> None:
    answer = await sign_in(home, "  ADA@example.com ")
    assert answer.status_code == 200
    assert answer.json()["name"] == "ada@example.com"
    assert answer.json()["roles"] == ["viewer", "approver", "operator"]
    cookie = SimpleCookie(answer.headers["set-cookie"])["hub_session"]
    assert cookie["httponly"]
    assert (cookie["samesite"], cookie["path"], cookie["secure"]) == ("lax", "/", "")
    assert 0 < int(cookie["max-age"]) <= 12 * 3600
    assert (await home.client.get("/api/runs")).status_code == 200
    shown = (await home.client.get("/api/session")).json()
    assert (shown["name"], shown["how"]) == ("ada@example.com", "session")
    for entry in (await home.access.audit.list()).items:
        assert PASSWORD not in str(entry)


async def test_under_https_the_cookie_is_for_this_host_and_https_alone(tmp_path: Path) -> None:
    address = "https://hub.example.com"
    async with open_home(tmp_path, is_development=False, base_url=address) as home:
        hashed = await home.access.passwords.hash(PASSWORD)
        await home.access.people.create("ada", hashed, ["viewer"])
        answer = await sign_in(home, "ada")
        cookie = SimpleCookie(answer.headers["set-cookie"])["__Host-hub_session"]
        assert cookie["secure"]
        assert cookie["path"] == "/"
        assert not cookie["domain"]
        assert "strict-transport-security" in answer.headers


async def test_wrong_names_and_passwords_look_alike(home: Home) -> None:
    answers = [
        await sign_in(home, "ada@example.com", password="wrong wrong wrong"),
        await sign_in(home, "nobody@example.com"),
        await sign_in(home, ""),
        await sign_in(home, "x" * 1000),
        await sign_in(home, "ada@example.com", password=""),
        await sign_in(home, "ada@example.com", password="x" * 10_000),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert all("set-cookie" not in answer.headers for answer in answers)
    refused = (await home.access.audit.list(action="session.begin")).items
    assert {entry.outcome for entry in refused} == {"refused"}


async def test_only_a_digest_of_secrets_is_kept(home: Home, tmp_path: Path) -> None:
    await sign_in(home)
    secret = home.client.cookies["hub_session"]
    given = await home.access.tokens.create("ci", ["viewer"], created_by="test")
    await home.journal.close()
    content = b"".join(path.read_bytes() for path in tmp_path.glob("journal.db*"))
    for text in (secret, given.token, given.token.split("_", 2)[2], PASSWORD):
        assert text.encode() not in content
    connection = sqlite3.connect(tmp_path / "journal.db")
    (kept,) = connection.execute("SELECT password FROM access_people LIMIT 1").fetchone()
    connection.close()
    assert kept.startswith("$argon2id$")


async def test_a_planted_session_opens_nothing_after_the_sign_in(home: Home) -> None:
    home.client.cookies.set("hub_session", "planted-by-somebody-else", domain="localhost.local")
    await sign_in(home)
    first = home.client.cookies["hub_session"]
    assert first != "planted-by-somebody-else"
    # The session that the browser had before ends with the next sign-in, whoever knows it.
    await sign_in(home, "root")
    assert home.client.cookies["hub_session"] != first
    home.client.cookies.clear()
    stolen = await home.client.get("/api/runs", headers={"cookie": f"hub_session={first}"})
    is_problem(stolen, 401, "unauthorized")


async def test_a_change_without_the_pages_own_word_is_refused(home: Home) -> None:
    csrf = (await sign_in(home)).json()["csrf"]
    other = (await sign_in(home, "root")).json()["csrf"]
    assert csrf != other
    path = "/api/runs/onboarding/u1/cancel"
    for headers in ({}, {"x-csrf-token": ""}, {"x-csrf-token": csrf}, {"x-csrf-token": "é"}):
        encoded = {name: value.encode() for name, value in headers.items()}
        is_problem(await home.client.post(path, headers=encoded), 403, "forbidden")
    is_problem(await home.client.delete("/api/session"), 403, "forbidden")
    assert home.runs.done == []
    good = await home.client.post(path, headers={"x-csrf-token": other})
    assert good.status_code == 202
    assert home.runs.done == [("cancel", "onboarding/u1")]
    entry = (await home.access.audit.list(action="run.cancel", outcome="done")).items[0]
    assert (entry.who, entry.how) == ("root", "session")


async def test_a_form_of_another_page_signs_nobody_in(home: Home) -> None:
    body = json.dumps({"name": "root", "password": PASSWORD})
    for headers in (
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {},
    ):
        answer = await home.client.post("/api/session", content=body, headers=headers)
        is_problem(answer, 415, "unsupported_type")
    foreign = {"content-type": "application/json", "origin": "https://evil.example"}
    answer = await home.client.post("/api/session", content=body, headers=foreign)
    is_problem(answer, 403, "forbidden")


async def test_a_sign_out_ends_the_session_itself(home: Home) -> None:
    csrf = (await sign_in(home)).json()["csrf"]
    secret = home.client.cookies["hub_session"]
    answer = await home.client.delete("/api/session", headers={"x-csrf-token": csrf})
    assert answer.status_code == 204
    assert "hub_session" not in home.client.cookies
    answer = await home.client.get("/api/runs", headers={"cookie": f"hub_session={secret}"})
    is_problem(answer, 401, "unauthorized")
    assert (await home.client.delete("/api/session")).status_code == 204


async def test_a_session_ends_by_itself(tmp_path: Path) -> None:
    async with open_home(tmp_path, is_development=False) as home:
        hashed = await home.access.passwords.hash(PASSWORD)
        await home.access.people.create("ada", hashed, ["viewer"])
        secret, _ = await home.access.sessions.begin("ada", timedelta(seconds=-1), address=None)
        answer = await home.client.get("/api/runs", headers={"cookie": f"hub_session={secret}"})
        is_problem(answer, 401, "unauthorized")
        await home.access.sessions.begin("ada", timedelta(hours=1), address=None)
        async with home.journal.read() as connection:
            rows = await connection.exec_driver_sql("SELECT count(*) FROM access_sessions")
            assert rows.scalar() == 1


async def test_a_new_password_and_a_removal_end_all_sessions(home: Home) -> None:
    csrf = (await sign_in(home)).json()["csrf"]
    change = {"old": "wrong wrong wrong", "new": "another password"}
    headers = {"x-csrf-token": csrf}
    answer = await home.client.post("/api/session/password", json=change, headers=headers)
    is_problem(answer, 401, "unauthorized")
    short = {"old": PASSWORD, "new": "short"}
    answer = await home.client.post("/api/session/password", json=short, headers=headers)
    is_problem(answer, 400, "bad_request")
    change["old"] = PASSWORD
    answer = await home.client.post("/api/session/password", json=change, headers=headers)
    assert answer.status_code == 204, answer.text
    is_problem(await home.client.get("/api/runs"), 401, "unauthorized")
    again = await sign_in(home, "ada@example.com", password="another password")
    assert again.status_code == 200
    own = await home.client.post(
        "/api/tokens",
        json={"name": "laptop", "roles": ["viewer"]},
        headers={"x-csrf-token": again.json()["csrf"]},
    )
    token = own.json()["token"]
    await home.access.people.remove("ada@example.com")
    is_problem(await home.client.get("/api/runs"), 401, "unauthorized")
    home.client.cookies.clear()
    is_problem(await home.client.get("/api/runs", headers=bearer(token)), 401, "unauthorized")


async def test_roles_that_are_taken_away_are_gone_at_once(home: Home) -> None:
    csrf = (await sign_in(home)).json()["csrf"]
    await home.access.people.set_roles("ada@example.com", ["approver"])
    is_problem(await home.client.get("/api/runs"), 403, "forbidden")
    await home.access.people.set_roles("ada@example.com", [])
    answer = await home.client.get("/api/language", headers={"x-csrf-token": csrf})
    is_problem(answer, 403, "forbidden")


async def test_sign_in_may_not_be_tried_for_ever(home: Home) -> None:
    answers = await asyncio.gather(
        *(sign_in(home, "ada@example.com", password=f"wrong password {n}") for n in range(12))
    )
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [401] * 5 + [429] * 7
    late = await sign_in(home)
    is_problem(late, 429, "rate_limited")
    assert int(late.headers["retry-after"]) > 0
    # Another person signs in as ever.
    assert (await sign_in(home, "root")).status_code == 200


def test_the_limits_pass_with_time_and_count_what_failed_only() -> None:
    now = 0.0
    attempts = Attempts(lambda: now)
    for n in range(100):
        attempts.check("ada", f"10.0.0.{n}")
        attempts.failed("ada", f"10.0.0.{n}")
        attempts.succeeded("ada", f"10.0.0.{n}")
    for n in range(30):
        attempts.check(f"name-{n}", "10.9.9.9")
        attempts.failed(f"name-{n}", "10.9.9.9")
    with pytest.raises(RateLimited) as caught:
        attempts.check("one more", "10.9.9.9")
    assert caught.value.retry_after == 300
    attempts.check("one more", "10.9.9.8")
    now = 301.0
    attempts.check("one more", "10.9.9.9")


# --- tokens ---


async def test_a_token_is_good_for_its_roles_and_no_more(home: Home) -> None:
    given = await home.access.tokens.create("ci", ["viewer"], created_by="test")
    headers = bearer(given.token)
    assert (await home.client.get("/api/runs", headers=headers)).status_code == 200
    answer = await home.client.post("/api/runs/onboarding/u1/cancel", headers=headers)
    is_problem(answer, 403, "forbidden")
    assert "operator" in answer.json()["detail"]
    assert home.runs.done == []
    assert (await home.access.tokens.get(given.info.id)).used_at is not None


async def test_expired_and_revoked_tokens(home: Home) -> None:
    expired = await home.access.tokens.create(
        "old", ["admin"], created_by="test", expires_in=timedelta(microseconds=1)
    )
    revoked = await home.access.tokens.create("gone", ["admin"], created_by="test")
    await home.access.tokens.revoke(revoked.info.id)
    for given in (expired, revoked):
        answer = await home.client.get("/api/runs", headers=bearer(given.token))
        is_problem(answer, 401, "unauthorized")
        assert given.token not in answer.text


async def test_what_is_nearly_a_token(home: Home) -> None:
    given = await home.access.tokens.create("ci", ["admin"], created_by="test")
    other = await home.access.tokens.create("ci", ["viewer"], created_by="test")
    token = given.token
    for authorization in (
        token,
        f"Basic {token}",
        "Bearer",
        "Bearer ",
        f"Bearer {token[:-1]}",
        f"Bearer {token[:-1]}{'A' if token[-1] != 'A' else 'B'}",
        f"Bearer {token} {token}",
        f"Bearer hub_{given.info.id}_{other.token.rpartition('_')[2]}",
        f"Bearer hub_{given.info.id}_{'_' * 43}",
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290Iiwicm9sZXMiOlsiYWRtaW4iXX0.",
        f"Bearer {'x' * 5000}",
    ):
        answer = await home.client.get("/api/runs", headers={"authorization": authorization})
        is_problem(answer, 401, "unauthorized")


async def test_a_wrong_token_is_not_helped_by_a_good_cookie(home: Home) -> None:
    await sign_in(home)
    answer = await home.client.get("/api/runs", headers=bearer("hub_wrong"))
    is_problem(answer, 401, "unauthorized")


async def test_nobody_makes_a_token_that_may_do_more_than_they(home: Home) -> None:
    csrf = {"x-csrf-token": (await sign_in(home)).json()["csrf"]}
    for wanted in (
        {"roles": ["editor"]},
        {"roles": ["admin"]},
        {"roles": ["viewer"], "service": True},
        {"roles": ["approver"], "on_behalf": True},
    ):
        body = {"name": "mine", **wanted}
        is_problem(await home.client.post("/api/tokens", json=body, headers=csrf), 403, "forbidden")
    for wrong in (
        {"roles": []},
        {"roles": ["root"]},
        {"roles": ["viewer"], "expires_in": "soon"},
        {"roles": ["viewer"], "name": ""},
        {"roles": ["viewer"], "expires_in": "100y"},
    ):
        body = {"name": "mine", **wrong}
        is_problem(
            await home.client.post("/api/tokens", json=body, headers=csrf), 400, "bad_request"
        )
    body = {"name": "mine", "roles": ["operator"]}
    made = await home.client.post("/api/tokens", json=body, headers=csrf)
    assert made.status_code == 201, made.text
    token, info = made.json()["token"], made.json()["info"]
    assert (info["owner"], info["prefix"]) == ("ada@example.com", token[:16])
    home.client.cookies.clear()
    further = await home.client.post("/api/tokens", json=body, headers=bearer(token))
    is_problem(further, 403, "forbidden")
    # It follows its owner down, not up.
    await home.access.people.set_roles("ada@example.com", ["viewer"])
    cancelled = await home.client.post("/api/runs/onboarding/u1/cancel", headers=bearer(token))
    is_problem(cancelled, 403, "forbidden")
    listed = await home.client.get("/api/tokens", headers=bearer(token))
    assert [one["id"] for one in listed.json()["items"]] == [info["id"]]
    assert token not in listed.text


async def test_one_revokes_ones_own_and_an_admin_any(home: Home) -> None:
    service = await home.access.tokens.create("ci", ["viewer"], created_by="root")
    csrf = {"x-csrf-token": (await sign_in(home)).json()["csrf"]}
    answer = await home.client.delete(f"/api/tokens/{service.info.id}", headers=csrf)
    is_problem(answer, 404, "not_found")
    csrf = {"x-csrf-token": (await sign_in(home, "root")).json()["csrf"]}
    answer = await home.client.delete(f"/api/tokens/{service.info.id}", headers=csrf)
    assert answer.status_code == 204
    home.client.cookies.clear()
    answer = await home.client.get("/api/runs", headers=bearer(service.token))
    is_problem(answer, 401, "unauthorized")


# --- people ---


async def test_people_are_made_changed_and_removed_by_admins(home: Home) -> None:
    csrf = {"x-csrf-token": (await sign_in(home, "root")).json()["csrf"]}
    body = {"name": "Bob@Example.com", "password": "twelve letters", "roles": ["viewer"]}
    made = await home.client.post("/api/users", json=body, headers=csrf)
    assert (made.status_code, made.json()["name"]) == (201, "bob@example.com")
    assert "password" not in made.json()
    again = await home.client.post("/api/users", json=body, headers=csrf)
    is_problem(again, 409, "conflict")
    changed = await home.client.put(
        "/api/users/bob@example.com", json={"roles": ["editor"]}, headers=csrf
    )
    assert changed.json()["roles"] == ["editor"]
    is_problem(
        await home.client.put("/api/users/root", json={"roles": ["viewer"]}, headers=csrf),
        409,
        "conflict",
    )
    is_problem(await home.client.delete("/api/users/root", headers=csrf), 409, "conflict")
    listed = (await home.client.get("/api/users?limit=2")).json()
    assert [one["name"] for one in listed["items"]] == ["ada@example.com", "bob@example.com"]
    rest = (await home.client.get(f"/api/users?limit=2&cursor={listed['next']}")).json()
    assert ([one["name"] for one in rest["items"]], rest["next"]) == (["root"], None)
    is_problem(await home.client.get("/api/users?cursor=x"), 400, "bad_request")
    gone = await home.client.delete("/api/users/bob@example.com", headers=csrf)
    assert gone.status_code == 204
    written = [(e.action, e.object, e.outcome) for e in (await home.access.audit.list()).items]
    assert written[:4] == [
        ("user.remove", "bob@example.com", "done"),
        ("user.change", "bob@example.com", "done"),
        ("user.create", "bob@example.com", "refused"),
        ("user.create", "bob@example.com", "done"),
    ]


# --- the local user of `hub dev` ---


async def test_the_local_user_is_signed_in_from_this_machine_alone(tmp_path: Path) -> None:
    async with open_home(tmp_path, is_development=True) as home:
        shown = (await home.client.get("/api/session")).json()
        assert (shown["how"], shown["csrf"]) == ("development", None)
        for headers in (
            {"x-forwarded-for": "203.0.113.9"},
            {"forwarded": "for=203.0.113.9"},
            {"x-real-ip": "203.0.113.9"},
            bearer("hub_wrong"),
        ):
            answer = await home.client.get("/api/runs", headers=headers)
            is_problem(answer, 401, "unauthorized")
        away = httpx.ASGITransport(home.app, client=("192.168.1.20", 1234))
        async with httpx.AsyncClient(transport=away, base_url="http://localhost:8080") as client:
            is_problem(await client.get("/api/runs"), 401, "unauthorized")


async def test_who_listens_for_others_has_somebody_who_can_sign_in(tmp_path: Path) -> None:
    async with open_home(tmp_path) as home:
        access = home.access
        for host in ("127.0.0.1", "::1", "localhost"):
            await check_exposure(host, access)
        for host in ("0.0.0.0", "::", "10.0.0.1", "hub.example.com"):
            with pytest.raises(InvalidSetting, match="hub users create"):
                await check_exposure(host, access)
        given = await access.tokens.create("ci", ["admin"], created_by="test")
        await check_exposure("0.0.0.0", access)
        await access.tokens.revoke(given.info.id)
        with pytest.raises(InvalidSetting):
            await check_exposure("0.0.0.0", access)
        await access.people.create("ada", await access.passwords.hash(PASSWORD), ["viewer"])
        await check_exposure("0.0.0.0", access)
        without = Access(home.journal, SignInSettings(passwords=False), passwords=access.passwords)
        with pytest.raises(InvalidSetting):
            await check_exposure("0.0.0.0", without)
        oidc = OidcSettings(issuer="https://login.example.com", client_id="hub")
        provided = Access(home.journal, SignInSettings(oidc=oidc), passwords=access.passwords)
        await check_exposure("0.0.0.0", provided)
        await provided.close()


async def test_a_changed_section_counts_without_a_restart(tmp_path: Path) -> None:
    async with open_home(tmp_path, is_development=False) as home:
        access = Access(home.journal, SignInSettings(), passwords=home.access.passwords)
        assert access.ways() == Ways(password=True, provider=None)
        login = OidcSettings(issuer="https://login.example.com", client_id="hub", label="Login")
        access.use(SignInSettings(oidc=login, passwords=False))
        assert access.ways() == Ways(password=False, provider="Login")
        provider = access.provider
        # With other words in another part of it, what was fetched from the provider still counts.
        access.use(SignInSettings(oidc=login, session="1h"))
        assert access.provider is provider
        assert access.ways() == Ways(password=True, provider="Login")
        other = OidcSettings(issuer="https://other.example.com", client_id="hub", label="Other")
        access.use(SignInSettings(oidc=other))
        assert access.ways() == Ways(password=True, provider="Other")
        access.use(None)
        assert access.ways() == Ways(password=False, provider=None)
        await access.close()


# --- settings ---


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"sesion": "1h"}, "auth.sesion"),
        ({"session": "soon"}, "auth.session"),
        ({"session": "10s"}, "auth.session"),
        ({"oidc": {"client_id": "x", "everyone": "viewer"}}, "auth.oidc.issuer"),
        (
            {
                "oidc": {
                    "issuer": "http://login.example.com",
                    "client_id": "x",
                    "everyone": "viewer",
                }
            },
            "auth.oidc.issuer",
        ),
        ({"oidc": {"issuer": "https://l.example", "client_id": "x"}}, "auth.oidc"),
        (
            {"oidc": {"issuer": "https://l.example", "client_id": "x", "roles": {"a": "root"}}},
            "auth.oidc.roles[...]",
        ),
        (
            {
                "oidc": {
                    "issuer": "https://l.example",
                    "client_id": "x",
                    "everyone": "viewer",
                    "scopes": ["email"],
                }
            },
            "auth.oidc.scopes",
        ),
    ],
)
def test_a_wrong_section_lets_nobody_in_and_says_where(value: Any, place: str) -> None:
    settings, problems = read_sign_in(value)
    assert settings is None
    assert place in [problem.path for problem in problems]
