from __future__ import annotations

import gzip
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from litestar import Litestar

from hub.api.problems import respond_with_problem
from hub.api.web import VIEWS, web
from hub.errors import HubError
from tests.unit.api_home import open_home

SCRIPT = b"export const words = 'one two three';\n" * 100
PAGE = b'<!doctype html><meta name="style-nonce" nonce="%NONCE%"><script src="/theme.js"></script>'


@pytest.fixture
def built(tmp_path: Path) -> Path:
    folder = tmp_path / "web"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_bytes(PAGE)
    (folder / "theme.js").write_bytes(b"1;")
    (folder / "assets" / "index-abc123.js").write_bytes(SCRIPT)
    (folder / "assets" / "font.woff2").write_bytes(b"w" * 5000)
    (folder / "secret.js").write_bytes(b"2;")
    return folder


@pytest.fixture
async def client(built: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = Litestar(
        web(built),
        exception_handlers={HubError: respond_with_problem},
        openapi_config=None,
        logging_config=None,
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.mark.parametrize("path", ["/", *(f"/{view}" for view in VIEWS), "/runs/shop/u%2F1"])
async def test_every_view_is_answered_with_the_page(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"


async def test_the_policy_lets_nothing_in_from_elsewhere(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    policy = dict(
        part.strip().partition(" ")[::2]
        for part in answer.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert not any("unsafe" in part or "http" in part for part in policy.values())


async def test_each_answer_has_a_nonce_of_its_own(client: httpx.AsyncClient) -> None:
    found = []
    for _ in range(2):
        answer = await client.get("/")
        (nonce,) = re.findall(r'nonce="([^"]+)"', answer.text)
        assert f"'nonce-{nonce}'" in answer.headers["content-security-policy"]
        found.append(nonce)
    assert found[0] != found[1]
    assert "%NONCE%" not in found[0]


async def test_hashed_files_are_kept_for_ever(client: httpx.AsyncClient) -> None:
    answer = await client.get("/assets/index-abc123.js")
    assert answer.content == SCRIPT
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    unhashed = await client.get("/theme.js")
    assert unhashed.headers["cache-control"] == "no-cache"


async def test_scripts_are_packed_for_who_takes_that(client: httpx.AsyncClient) -> None:
    request = client.build_request("GET", "/assets/index-abc123.js")
    packed = await client.send(request, stream=True)
    raw = b"".join([part async for part in packed.aiter_raw()])
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw) == SCRIPT
    plain = await client.get("/assets/index-abc123.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    font = await client.get("/assets/font.woff2")
    assert "content-encoding" not in font.headers


async def test_a_file_built_anew_is_served_anew(client: httpx.AsyncClient, built: Path) -> None:
    await client.get("/theme.js")
    (built / "theme.js").write_bytes(b"3;")
    assert (await client.get("/theme.js")).content == b"3;"


@pytest.mark.parametrize(
    "path",
    [
        "/assets/none.js",
        "/assets/..%2Fsecret.js",
        "/assets/%2e%2e/secret.js",
        "/assets/..%2Findex.html",
        "/assets/.",
        "/assets/a%00.js",
        "/assets/plain",
    ],
)
async def test_nothing_else_is_served(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


async def test_without_a_built_page_it_says_so(tmp_path: Path) -> None:
    app = Litestar(web(tmp_path / "none"), openapi_config=None, logging_config=None)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/runs")
    assert answer.status_code == 503
    assert "make setup" in answer.text


async def test_an_unknown_address_stays_a_problem(tmp_path: Path) -> None:
    async with open_home(tmp_path) as home:
        for path in ("/nothing", "/api/nothing", "/api"):
            answer = await home.client.get(path)
            assert answer.status_code == 404
            assert answer.headers["content-type"] == "application/problem+json"
