from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import hmac
import json
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
import standardwebhooks
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from connectors.http import Http
from hub.connections import Connections
from hub.connector import Connector
from hub.errors import ActionFailed, ActionRefused
from tests.contracts.connector import PLANTED, ConnectorContract, FailingCall, GivenCall
from tests.http_peer import Received, answer, http_peer

SECRET = "${{ env.PLANTED }}"


async def call(
    project: Path,
    action: str,
    arguments: Mapping[str, Any],
    *,
    key: str = "tree/key:do[0]",
    **settings: Any,
) -> dict[str, Any]:
    connections = opened(project, **settings)
    try:
        return await ask(connections, action, arguments, key=key)
    finally:
        await connections.close()


def opened(project: Path, **settings: Any) -> Connections:
    return Connections(project, {"it": {"http": settings}}, {"PLANTED": PLANTED})


async def ask(
    connections: Connections,
    action: str,
    arguments: Mapping[str, Any],
    *,
    key: str = "tree/key:do[0]",
) -> dict[str, Any]:
    given = GivenCall(connections.project, idempotency_key=key)
    result: dict[str, Any] = await connections.run(f"http.{action}", arguments, given)
    return result


# -- requests and answers -----------------------------------------------------------------


async def test_a_path_is_below_the_base_url_and_json_comes_back(tmp_path: Path) -> None:
    async with http_peer(lambda r: {"hello": r.path}) as peer:
        got = await call(
            tmp_path, "get", {"url": "/users/1", "query": {"q": "ä b", "on": True, "n": [1, 2]}},
            base_url=f"{peer.url}/v1?site=a",
        )  # fmt: skip
    assert (got["status"], got["body"], got["shape"]) == (200, {"hello": "/v1/users/1"}, "json")
    assert peer.last.query == {"site": ["a"], "q": ["ä b"], "on": ["true"], "n": ["1", "2"]}


@pytest.mark.parametrize(
    ("body", "kind", "shape", "value"),
    [
        (b"caf\xe9", "text/plain; charset=latin-1", "text", "café"),
        (b"\x00\xff", "image/png", "base64", "AP8="),
        (b"", "application/json", "none", None),
        (b"[1]", "application/vnd.api+json", "json", [1]),
        (b"\xff", "text/html; charset=nonsense", "text", "�"),
    ],
)
async def test_other_bodies_are_told_by_their_shape(
    tmp_path: Path, body: bytes, kind: str, shape: str, value: Any
) -> None:
    async with http_peer(lambda _: answer(200, body, content_type=kind)) as peer:
        got = await call(tmp_path, "get", {"url": "/"}, base_url=peer.url)
    assert (got["shape"], got["body"]) == (shape, value)


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
async def test_a_change_carries_its_body_and_a_key(tmp_path: Path, method: str) -> None:
    async with http_peer(lambda _: answer(201, {"id": 7})) as peer:
        got = await call(tmp_path, method, {"url": "x", "json": {"a": "ä"}}, base_url=peer.url)
    assert got["body"] == {"id": 7}
    assert peer.last.method == method.upper()
    assert peer.last.json == {"a": "ä"}
    assert peer.last.headers["content-type"] == "application/json"
    assert peer.last.headers["idempotency-key"] == "tree/key:do[0]"


async def test_a_key_that_no_header_can_hold_is_hashed(tmp_path: Path) -> None:
    async with http_peer(lambda _: answer()) as peer:
        await call(tmp_path, "post", {"url": "x"}, base_url=peer.url, key="tree/Jürgen\r\nX: 1")
    key = peer.last.headers["idempotency-key"]
    assert key == hashlib.sha256("tree/Jürgen\r\nX: 1".encode()).hexdigest()
    assert "x" not in peer.last.headers


async def test_reading_carries_no_key(tmp_path: Path) -> None:
    async with http_peer(lambda _: answer()) as peer:
        await call(tmp_path, "get", {"url": "x"}, base_url=peer.url)
    assert "idempotency-key" not in peer.last.headers


async def test_forms_and_files(tmp_path: Path) -> None:
    async with http_peer(lambda _: answer()) as peer:
        await call(
            tmp_path, "post", {"url": "x", "form": {"a": "1 2", "b": [1, True]}}, base_url=peer.url
        )
        assert peer.last.form == {"a": ["1 2"], "b": ["1", "true"]}
        files = [
            {"field": "doc", "name": "a.txt", "content": "hällo"},
            {"field": "raw", "name": "b", "content_base64": "AP8=", "type": "image/png"},
        ]
        await call(
            tmp_path, "post", {"url": "x", "form": {"a": "1"}, "files": files}, base_url=peer.url
        )
    kind = peer.last.headers["content-type"]
    assert kind.startswith("multipart/form-data; boundary=")
    for part in (b'name="doc"; filename="a.txt"', "hällo".encode(), b"\x00\xff", b'name="a"'):
        assert part in peer.last.body


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"json": 1, "text": "a"}, "text"),
        ({"files": [{"field": "a"}]}, "files[0]"),
        ({"files": [{"field": "a", "content_base64": "%"}]}, "content_base64"),
        ({"headers": {"Host": "internal"}}, "headers"),
        ({"headers": {"X": "a\r\nY: b"}}, "headers"),
        ({"url": "/a/../b"}, "url"),
        ({"url": "/a/%2e%2E/b"}, "url"),
        ({"url": "/a%2F..%2Fb"}, "url"),
        ({"url": "https://user:pw@example.com/"}, "url"),
        ({"url": "ftp://example.com/"}, "url"),
        ({"content_type": "a/b"}, "content_type"),
    ],
)
async def test_what_cannot_be_sent_is_refused_by_name(
    tmp_path: Path, arguments: dict[str, Any], field: str
) -> None:
    async with http_peer(lambda _: answer()) as peer:
        with pytest.raises(ActionRefused) as caught:
            await call(tmp_path, "post", {"url": "/", **arguments}, base_url=peer.url)
    assert caught.value.failure == "invalid_input"
    assert field in caught.value.message
    assert peer.received == []


async def test_a_body_that_is_null_is_sent_as_json(tmp_path: Path) -> None:
    async with http_peer(lambda _: answer()) as peer:
        await call(tmp_path, "post", {"url": "/", "json": None}, base_url=peer.url)
    assert peer.last.body == b"null"


async def test_expected_statuses_are_no_failure(tmp_path: Path) -> None:
    async with http_peer(lambda _: answer(404, {"no": 1})) as peer:
        for expect in (404, "404", "4xx", ["2xx", 404]):
            got = await call(tmp_path, "get", {"url": "/", "expect": expect}, base_url=peer.url)
            assert got["status"] == 404
        with pytest.raises(ActionRefused) as caught:
            await call(tmp_path, "get", {"url": "/", "expect": [200]}, base_url=peer.url)
    assert caught.value.failure == "http_404"


async def test_cookies_are_not_kept_and_not_shown(tmp_path: Path) -> None:
    async with http_peer(lambda _: answer(200, {}, set_cookie="session=1")) as peer:
        connections = opened(tmp_path, base_url=peer.url)
        got = await ask(connections, "get", {"url": "/"})
        await ask(connections, "get", {"url": "/"})
        await connections.close()
    assert "set-cookie" not in got["headers"]
    assert "cookie" not in peer.last.headers


async def test_a_service_that_sends_our_credentials_back_does_not_get_them_into_the_result(
    tmp_path: Path,
) -> None:
    async with http_peer(lambda r: {"you": r.headers["authorization"]}) as peer:
        got = await call(tmp_path, "get", {"url": "/"}, base_url=peer.url, auth={"bearer": SECRET})
    assert peer.last.headers["authorization"] == f"Bearer {PLANTED}"
    assert got["body"] == {"you": "Bearer [redacted]"}


# -- who we are ---------------------------------------------------------------------------


async def test_basic_and_api_keys(tmp_path: Path) -> None:
    async with http_peer(lambda _: answer()) as peer:
        await call(
            tmp_path, "get", {"url": "/"}, base_url=peer.url,
            auth={"basic": {"username": "ü", "password": SECRET}},
        )  # fmt: skip
        sent = peer.last.headers["authorization"].removeprefix("Basic ")
        assert base64.b64decode(sent).decode() == f"ü:{PLANTED}"
        await call(
            tmp_path, "get", {"url": "/"}, base_url=peer.url,
            auth={"api_key": {"header": "X-Key", "value": SECRET}},
        )  # fmt: skip
        assert peer.last.headers["x-key"] == PLANTED
        await call(
            tmp_path, "get", {"url": "/?a=1"}, base_url=peer.url,
            auth={"api_key": {"query": "key", "value": SECRET}},
        )  # fmt: skip
        assert peer.last.query == {"a": ["1"], "key": [PLANTED]}


@pytest.mark.parametrize(
    "settings",
    [
        {"auth": {"bearer": "token"}},
        {"base_url": "https://a.example", "auth": {}},
        {"base_url": "https://a.example", "auth": {"bearer": "a", "basic": {"username": "u", "password": "p"}}},
        {"base_url": "https://a.example", "auth": {"bearer": "a\nb"}},
        {"base_url": "https://u:p@a.example"},
        {"base_url": "file:///etc/passwd"},
        {"allow": ["10.0.0.0/99"]},
        {"sign": {"hmac": {"secret": "s"}, "standard_webhooks": {"secrets": ["whsec_" + "A" * 32]}}},
        {"sign": {"standard_webhooks": {"secrets": ["whsec_%"]}}},
        {"base_url": "https://a.example", "headers": {"Content-Length": "1"}},
    ],
)  # fmt: skip
async def test_settings_that_cannot_be_are_found_before_they_are_used(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    assert opened(tmp_path, **settings).check()


async def test_credentials_go_to_the_base_url_only(tmp_path: Path) -> None:
    async with http_peer(lambda _: answer()) as ours, http_peer(lambda _: answer()) as other:
        with pytest.raises(ActionRefused) as caught:
            await call(
                tmp_path, "get", {"url": f"{other.url}/x"}, base_url=ours.url,
                auth={"bearer": SECRET}, allow=["127.0.0.0/8"],
            )  # fmt: skip
    assert caught.value.failure == "invalid_input"
    assert other.received == []


async def test_hmac_over_time_and_body(tmp_path: Path) -> None:
    signing = {
        "hmac": {
            "secret": SECRET,
            "header": "X-Sig",
            "prefix": "v0=",
            "timestamp_header": "X-Time",
            "encoding": "base64",
        }
    }
    async with http_peer(lambda _: answer()) as peer:
        await call(tmp_path, "post", {"url": "/", "json": [1]}, base_url=peer.url, sign=signing)
    content = peer.last.headers["x-time"].encode() + b"." + peer.last.body
    digest = hmac.new(PLANTED.encode(), content, "sha256").digest()
    assert peer.last.headers["x-sig"] == "v0=" + base64.b64encode(digest).decode()


async def test_standard_webhooks_are_verified_by_its_own_library_with_either_key(
    tmp_path: Path,
) -> None:
    secrets = ["whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2)]
    async with http_peer(lambda _: answer()) as peer:
        settings: dict[str, Any] = {
            "base_url": peer.url,
            "sign": {"standard_webhooks": {"secrets": secrets}},
        }
        for _ in range(2):
            await call(tmp_path, "post", {"url": "/", "json": {"a": 1}}, **settings)
    for secret in secrets:
        verified = standardwebhooks.Webhook(secret).verify(peer.last.body, peer.last.headers)
        assert verified == {"a": 1}
    first, second = peer.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


# -- OAuth 2.0 ----------------------------------------------------------------------------


class TokenServer:
    """An OAuth 2.0 server for client credentials and refresh tokens, and the API behind it."""

    def __init__(self, **answer_with: Any) -> None:
        self.handed_out: list[str] = []
        self.valid: set[str] = set()
        self.answer_with = answer_with
        self.requests: list[Received] = []
        self.go = asyncio.Event()
        self.go.set()
        self.refresh = PLANTED
        self.refuses = False

    async def __call__(self, request: Received) -> bytes:
        if request.path != "/token":
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            return answer(200, {"token": token}) if self._takes(token) else answer(401, "no")
        self.requests.append(request)
        await self.go.wait()
        sent = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
        if sent != f"client:{PLANTED}":
            return answer(401, {"error": "invalid_client"})
        form = request.form
        if form["grant_type"] == ["refresh_token"] and form["refresh_token"] != [self.refresh]:
            return answer(400, {"error": "invalid_grant"})
        token = f"token-number-{len(self.handed_out)}"
        self.handed_out.append(token)
        self.valid.add(token)
        given: dict[str, Any] = {"access_token": token, "token_type": "Bearer", "expires_in": 3600}
        if form["grant_type"] == ["refresh_token"]:
            self.refresh = f"refresh-number-{len(self.handed_out)}"
            given["refresh_token"] = self.refresh
        return answer(200, {**given, **self.answer_with})

    def _takes(self, token: str) -> bool:
        return token in self.valid and not self.refuses


def oauth2(url: str, **more: Any) -> dict[str, Any]:
    client = {"token_url": f"{url}/token", "client_id": "client", "client_secret": SECRET}
    return {"base_url": url, "auth": {"oauth2": {**client, **more}}}


async def test_one_token_serves_all_calls_however_many_ask_at_once(tmp_path: Path) -> None:
    server = TokenServer()
    async with http_peer(server) as peer:
        server.go.clear()
        connections = opened(tmp_path, **oauth2(peer.url, scope="a b"))
        calls = [asyncio.create_task(ask(connections, "get", {"url": "/api"})) for _ in range(20)]
        while not server.requests:
            await asyncio.sleep(0)
        calls[0].cancel()
        server.go.set()
        got = await asyncio.gather(*calls, return_exceptions=True)
        await ask(connections, "get", {"url": "/api"})
        await connections.close()
    assert isinstance(got[0], asyncio.CancelledError)
    assert all(isinstance(g, dict) and g["status"] == 200 for g in got[1:])
    assert len(server.requests) == 1
    assert server.requests[0].form == {"grant_type": ["client_credentials"], "scope": ["a b"]}


async def test_a_token_withdrawn_in_the_middle_is_renewed_once_for_all(tmp_path: Path) -> None:
    server = TokenServer()
    async with http_peer(server) as peer:
        connections = opened(tmp_path, **oauth2(peer.url))
        await ask(connections, "get", {"url": "/api"})
        server.valid.clear()
        got = await asyncio.gather(
            *(ask(connections, "post", {"url": "/api", "json": 1}) for _ in range(10))
        )
        await connections.close()
    # The service sends the token back; it is not in the results.
    assert {g["body"]["token"] for g in got} == {"[redacted]"}
    assert len(server.requests) == 2


async def test_a_token_that_expires_is_fetched_anew(tmp_path: Path) -> None:
    server = TokenServer(expires_in=0)
    async with http_peer(server) as peer:
        connections = opened(tmp_path, **oauth2(peer.url))
        for _ in range(2):
            await ask(connections, "get", {"url": "/api"})
        await connections.close()
    assert len(server.requests) == 2


async def test_a_refresh_token_is_exchanged_for_the_next(tmp_path: Path) -> None:
    server = TokenServer(expires_in="0")
    async with http_peer(server) as peer:
        connections = opened(tmp_path, **oauth2(peer.url, refresh_token=SECRET))
        for _ in range(3):
            await ask(connections, "get", {"url": "/api"})
        await connections.close()
    sent = [request.form["refresh_token"][0] for request in server.requests]
    assert sent == [PLANTED, "refresh-number-1", "refresh-number-2"]


async def test_a_service_that_refuses_every_token_is_not_asked_for_ever(tmp_path: Path) -> None:
    server = TokenServer()
    async with http_peer(server) as peer:
        connections = opened(tmp_path, **oauth2(peer.url))
        await ask(connections, "get", {"url": "/api"})
        server.refuses = True
        with pytest.raises(ActionRefused) as caught:
            await ask(connections, "get", {"url": "/api"})
        await connections.close()
    assert caught.value.failure == "http_401"
    assert len(server.requests) == 2
    assert len(peer.received) == 5


# -- redirects and addresses --------------------------------------------------------------


async def test_redirects_within_a_host_keep_credentials_and_body(tmp_path: Path) -> None:
    def answers(request: Received) -> bytes:
        if request.path == "/old":
            return answer(308, location="/new?b=2")
        return answer(200, {})

    async with http_peer(answers) as peer:
        await call(
            tmp_path, "post", {"url": "/old", "json": {"a": 1}}, base_url=peer.url,
            auth={"bearer": SECRET},
        )  # fmt: skip
    assert (peer.last.method, peer.last.target, peer.last.json) == ("POST", "/new?b=2", {"a": 1})
    assert peer.last.headers["authorization"] == f"Bearer {PLANTED}"


async def test_after_a_post_303_is_got(tmp_path: Path) -> None:
    async with http_peer(
        lambda r: answer(303, location="/done") if r.method == "POST" else answer(200, {"ok": 1})
    ) as peer:
        got = await call(tmp_path, "post", {"url": "/", "json": 1}, base_url=peer.url)
    assert got["body"] == {"ok": 1}
    assert peer.last.body == b""
    assert "idempotency-key" not in peer.last.headers


async def test_nothing_of_ours_goes_along_to_another_host_nor_back_again(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        home = await stack.enter_async_context(
            http_peer(
                lambda r: (
                    answer(302, location=f"{away.url}/")
                    if r.path == "/"
                    else answer(200, {"admin": True})
                )
            )
        )
        away = await stack.enter_async_context(
            http_peer(lambda _: answer(302, location=f"{home.url}/admin"))
        )
        settings: dict[str, Any] = {
            "base_url": home.url,
            "auth": {"api_key": {"header": "X-Key", "value": SECRET}},
            "headers": {"X-Tenant": "us"},
            "allow": ["127.0.0.1"],
        }
        await call(tmp_path, "get", {"url": "/", "headers": {"X-Mine": "1"}}, **settings)
        assert not {"x-key", "x-tenant", "x-mine"} & set(away.last.headers)
        assert home.last.path == "/admin"
        assert not {"x-key", "x-tenant", "x-mine"} & set(home.last.headers)
        with pytest.raises(ActionRefused) as caught:
            await call(tmp_path, "request", {"url": "/", "method": "PUT", "text": "a"}, **settings)
    assert caught.value.failure == "http_redirect"
    assert len(away.received) == 1


@pytest.mark.parametrize(
    ("location", "failure"),
    [
        ("/again", "http_redirect"),
        ("http://169.254.169.254/latest/meta-data/", "http_forbidden_address"),
        ("http://[::ffff:169.254.169.254]/", "http_forbidden_address"),
        ("http://2852039166/", "http_forbidden_address"),
        ("http://0.0.0.0/", "http_forbidden_address"),
        ("http://localhost:1/", "http_forbidden_address"),
        ("gopher://example.com/", "http_redirect"),
        ("http://user:pw@example.com/", "http_redirect"),
    ],
)
async def test_redirects_to_where_nobody_should_go(
    tmp_path: Path, location: str, failure: str
) -> None:
    async with http_peer(lambda _: answer(302, location=location)) as peer:
        with pytest.raises(ActionRefused) as caught:
            await call(tmp_path, "get", {"url": "/"}, base_url=peer.url, max_redirects=3)
    assert caught.value.failure == failure


async def test_what_a_name_stands_for_is_checked_where_it_is_connected_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is public when it is looked at first, and ours when it is looked at again."""
    loop = asyncio.get_running_loop()
    lookups: list[str] = []

    async with http_peer(lambda _: answer(200, {"secret": 1})) as peer:

        async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
            lookups.append(host)
            address = "127.0.0.1" if len(lookups) > 1 else "93.184.216.34"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
        url = f"http://rebinding.example:{peer.port}/"
        connections = opened(tmp_path, connect_timeout=0.05)
        failures = []
        for _ in range(2):
            with pytest.raises(ActionFailed) as caught:
                await ask(connections, "get", {"url": url})
            failures.append(caught.value.failure)
        await connections.close()
    # One look-up for each attempt, and no connection but to what that one said.
    assert failures == ["http_connect", "http_forbidden_address"]
    assert lookups == ["rebinding.example"] * 2
    assert peer.received == []


async def test_allowed_networks_and_names_are_reached(tmp_path: Path) -> None:
    async with http_peer(lambda _: answer(200, {})) as peer:
        for allow in (["127.0.0.0/8"], ["127.0.0.1"], ["localhost"], ["local*"]):
            host = "localhost" if allow[0].startswith("local") else "127.0.0.1"
            url = f"http://{host}:{peer.port}/"
            assert (await call(tmp_path, "get", {"url": url}, allow=allow))["status"] == 200
        with pytest.raises(ActionRefused):
            await call(tmp_path, "get", {"url": f"{peer.url}/"}, allow=["localhost", "10.0.0.0/8"])


async def test_a_base_url_is_trusted_on_its_own_port_only(tmp_path: Path) -> None:
    async with http_peer(lambda _: answer()) as ours, http_peer(lambda _: answer()) as other:
        await call(tmp_path, "get", {"url": "/"}, base_url=ours.url)
        with pytest.raises(ActionRefused) as caught:
            await call(tmp_path, "get", {"url": other.url}, base_url=ours.url)
    assert caught.value.failure == "http_forbidden_address"


# -- too much, too slow, too odd ----------------------------------------------------------


async def test_fifty_megabytes_are_not_read(tmp_path: Path) -> None:
    async def endless(_: Received) -> Any:
        yield b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        for _i in range(800):
            yield b"10000\r\n" + b"x" * 65536 + b"\r\n"

    async with http_peer(endless) as peer:
        with pytest.raises(ActionRefused) as caught:
            await call(tmp_path, "get", {"url": "/"}, base_url=peer.url)
        await asyncio.wait_for(peer.broken_off.wait(), 10)
    assert caught.value.failure == "http_too_large"
    assert "max_response" in caught.value.message


async def test_a_compressed_bomb_is_not_inflated(tmp_path: Path) -> None:
    bomb = zlib.compress(b"\0" * 50_000_000)
    async with http_peer(lambda _: answer(200, bomb, content_encoding="deflate")) as peer:
        with pytest.raises(ActionRefused) as caught:
            await call(tmp_path, "get", {"url": "/"}, base_url=peer.url)
        assert caught.value.failure == "http_too_large"


async def test_compressed_answers_are_read(tmp_path: Path) -> None:
    body = gzip.compress(json.dumps(["a"] * 1000).encode())
    async with http_peer(
        lambda _: answer(200, body, content_encoding="gzip", content_type="application/json")
    ) as peer:
        got = await call(tmp_path, "get", {"url": "/"}, base_url=peer.url)
    assert got["body"] == ["a"] * 1000


async def test_a_server_that_drips_is_left_at_the_time_limit(tmp_path: Path) -> None:
    async def drip(_: Received) -> Any:
        yield b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n"
        while True:
            yield b"x"
            await asyncio.sleep(0.005)

    async with http_peer(drip) as peer:
        with pytest.raises(ActionFailed) as caught:
            await call(tmp_path, "get", {"url": "/", "timeout": 0.05}, base_url=peer.url)
    assert (caught.value.failure, caught.value.retryable) == ("http_timeout", True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "999999999999"}, 86400.0),
        ({"retry_after": "Mon, 01 Jan 2001 00:00:00 GMT"}, 0.0),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-5"}, None),
        ({}, None),
    ],
)
async def test_retry_after_is_passed_on(
    tmp_path: Path, headers: dict[str, str], seconds: float | None
) -> None:
    async with http_peer(lambda _: answer(503, "later", **headers)) as peer:
        with pytest.raises(ActionFailed) as caught:
            await call(tmp_path, "get", {"url": "/"}, base_url=peer.url)
    assert caught.value.retryable
    assert caught.value.retry_after == seconds


async def test_a_server_that_is_not_trusted_is_not_spoken_to(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(_hang, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(ActionRefused) as caught:
        await call(tmp_path, "get", {"url": "/"}, base_url=f"https://localhost:{port}")
    assert caught.value.failure == "http_tls"
    server.close()
    await server.wait_closed()


async def test_a_certificate_of_ones_own_is_trusted_when_it_is_named(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with http_peer(lambda _: answer(200, {"ok": 1}), tls=context) as peer:
        got = await call(
            tmp_path, "get", {"url": "/"}, base_url=f"https://localhost:{peer.port}",
            ca_file=certificate.name,
        )  # fmt: skip
    assert got["body"] == {"ok": 1}


async def test_a_call_that_is_cancelled_lets_its_connection_go(tmp_path: Path) -> None:
    async with http_peer(lambda _: None) as peer:
        connections = opened(tmp_path, base_url=peer.url, connections=1)
        waiting = asyncio.create_task(ask(connections, "get", {"url": "/"}))
        while not peer.received:
            await asyncio.sleep(0.001)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        second = asyncio.create_task(ask(connections, "get", {"url": "/"}))
        while len(peer.received) < 2:
            await asyncio.sleep(0.001)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        await connections.close()


# -- pages --------------------------------------------------------------------------------


def numbered(request: Received) -> bytes:
    page = int(request.query["page"][0])
    return answer(200, {"data": [page * 10, page * 10 + 1] if page <= 3 else []})


async def test_pages_by_number(tmp_path: Path) -> None:
    async with http_peer(numbered) as peer:
        pages = {"by": "number", "items": "body.data"}
        got = await call(tmp_path, "get", {"url": "/", "pages": pages}, base_url=peer.url)
        assert (got["body"], got["pages"], got["more"]) == ([10, 11, 20, 21, 30, 31], 4, False)
        few = {**pages, "max_pages": 2}
        got = await call(tmp_path, "get", {"url": "/", "pages": few}, base_url=peer.url)
        assert (got["body"], got["pages"], got["more"]) == ([10, 11, 20, 21], 2, True)


async def test_pages_by_cursor(tmp_path: Path) -> None:
    after = {"": "b=&1", "b=&1": "c", "c": None}

    def answers(request: Received) -> bytes:
        cursor = request.query.get("after", [""])[0]
        return answer(200, {"items": [cursor], "next": after[cursor]})

    async with http_peer(answers) as peer:
        pages = {"by": "cursor", "items": "body.items", "cursor": "body.next", "parameter": "after"}
        got = await call(
            tmp_path, "get", {"url": "/", "query": {"q": "1"}, "pages": pages}, base_url=peer.url
        )
    assert got["body"] == ["", "b=&1", "c"]
    assert peer.last.query == {"q": ["1"], "after": ["c"]}


async def test_pages_by_link(tmp_path: Path) -> None:
    def answers(request: Received) -> bytes:
        page = int(request.query.get("p", ["1"])[0])
        link = f'<https://x.example/>; rel="last", </list?p={page + 1}>; foo=bar; rel="next prev"'
        return answer(200, [page], **({"link": link} if page < 3 else {}))

    async with http_peer(answers) as peer:
        got = await call(
            tmp_path, "get", {"url": "/list", "pages": {"by": "link"}}, base_url=f"{peer.url}/",
            auth={"bearer": SECRET},
        )  # fmt: skip
    assert got["body"] == [1, 2, 3]
    assert all("authorization" in request.headers for request in peer.received)


@pytest.mark.parametrize(
    ("pages", "link", "said"),
    [
        ({"by": "link"}, '<https://evil.example/>; rel="next"', "another host"),
        ({"by": "link"}, '</>; rel="next"', "circle"),
        ({"by": "link", "items": "body.no"}, "", "items"),
        ({"by": "link", "items": "status"}, "", "no list"),
        ({"by": "cursor", "items": "[1]", "cursor": "{}"}, "", "cursor"),
    ],
)
async def test_what_is_no_proper_page(
    tmp_path: Path, pages: dict[str, Any], link: str, said: str
) -> None:
    async with http_peer(lambda _: answer(200, [], link=link)) as peer:
        with pytest.raises(ActionRefused) as caught:
            await call(tmp_path, "get", {"url": "/", "pages": pages}, base_url=peer.url)
    assert caught.value.failure == "http_pages"
    assert said in caught.value.message


async def test_all_pages_together_have_the_limit_of_one_answer(tmp_path: Path) -> None:
    async with http_peer(lambda _: answer(200, ["x" * 900])) as peer:
        with pytest.raises(ActionRefused) as caught:
            await call(
                tmp_path, "get", {"url": "/", "pages": {"by": "number"}}, base_url=peer.url,
                max_response=2048,
            )  # fmt: skip
    assert caught.value.failure == "http_too_large"
    assert len(peer.received) == 3


# -- what every connector promises --------------------------------------------------------


class TestHttp(ConnectorContract):
    kind: ClassVar[type[Connector]] = Http
    settings: ClassVar[Mapping[str, Any]] = {"base_url": "https://api.example.com"}
    arguments: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "http.request": {"url": "/", "method": "PUT", "json": {"a": 1}},
        "http.get": {"url": "/", "expect": ["2xx", 404]},
        **{f"http.{name}": {"url": "/"} for name in ("post", "put", "patch", "delete")},
    }

    @pytest.fixture
    async def failing_calls(self) -> AsyncIterator[Sequence[FailingCall]]:
        def answers(request: Received) -> Any:
            sent = request.headers.get("authorization", "") + request.target
            match request.path:
                case "/silent":
                    return None
                case "/garbage":
                    return b"SMTP ready\r\n\r\n" + sent.encode()
                case "/hangs-up":
                    return b""
                case "/half":
                    return b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"
                case "/no-json":
                    return answer(200, sent, content_type="application/json")
                case "/large":
                    return answer(200, sent * 1000)
                case "/brotli":
                    return answer(200, sent, content_encoding="br")
                case "/no-gzip":
                    return answer(200, sent, content_encoding="gzip")
                case "/away":
                    return answer(302, location=f"http://169.254.169.254/{PLANTED}")
                case "/loop":
                    return answer(302, location=request.target)
                case path:
                    return answer(int(path[1:]), {"error": {"message": f"you sent {sent}"}})

        server = TokenServer()
        async with http_peer(answers) as peer, http_peer(server) as tokens:
            basic = {"basic": {"username": "u", "password": SECRET}}
            query = {"api_key": {"query": "key", "value": SECRET}}
            found = []
            for path, failure, retryable in (
                ("/400", "http_400", False),
                ("/401", "http_401", False),
                ("/403", "http_403", False),
                ("/404", "http_404", False),
                ("/409", "http_409", False),
                ("/429", "http_429", True),
                ("/500", "http_500", True),
                ("/503", "http_503", True),
                ("/silent", "http_timeout", True),
                ("/garbage", "http_protocol", True),
                ("/hangs-up", "http_protocol", True),
                ("/half", "http_protocol", True),
                ("/no-json", "http_garbage", True),
                ("/large", "http_too_large", False),
                ("/brotli", "http_protocol", False),
                ("/no-gzip", "http_protocol", True),
                ("/away", "http_forbidden_address", False),
                ("/loop", "http_redirect", False),
            ):
                for auth in ({"bearer": SECRET}, basic, query):
                    settings: Any = {"base_url": peer.url, "auth": auth}
                    if path == "/silent":
                        settings["timeout"] = 0.05
                    settings["max_response"] = 1024
                    found.append(
                        FailingCall(
                            action="http.post",
                            settings=settings,
                            arguments={"url": path, "json": {"a": 1}},
                            failure=failure,
                            retryable=retryable,
                        )
                    )
            for settings, failure, retryable in (
                (oauth2(tokens.url, client_id="other"), "http_token_refused", False),
                (oauth2(tokens.url, refresh_token="old-" + SECRET), "http_token_refused", False),
                (oauth2(peer.url, token_url=f"{peer.url}/503"), "http_token_unavailable", True),
                (oauth2(peer.url, token_url=f"{peer.url}/garbage"), "http_token_unavailable", True),
                (oauth2(peer.url, token_url=f"{peer.url}/no-json"), "http_token_unavailable", True),
                ({"base_url": "http://127.0.0.1:9", "auth": basic}, "http_connect", True),
                ({"base_url": "http://no-such.invalid", "auth": basic}, "http_connect", True),
                ({"base_url": peer.url, "auth": basic, "ca_file": "no"}, "invalid_settings", False),
            ):
                found.append(
                    FailingCall(
                        action="http.get",
                        settings=settings,
                        arguments={"url": "/"},
                        failure=failure,
                        retryable=retryable,
                    )
                )
            yield found


async def _hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost and its key, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths
