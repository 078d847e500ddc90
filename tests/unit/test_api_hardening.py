"""What strangers send, and what every answer brings along."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from hub.routing.project import load_project
from hub.routing.schedules import ProjectSchedules
from hub.routing.sources import TreeFiles
from tests.unit.api_home import Home, open_home
from tests.unit.test_access_approvals import ID, Decided
from tests.unit.test_api_ingress import is_problem
from tests.unit.test_api_schedules import Folder
from tests.unit.test_api_sources import TREE, project
from triggers.webhook import Settings, Webhook

CE = "application/cloudevents+json"


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    shop = Folder(tmp_path)
    async with open_home(
        tmp_path,
        files=TreeFiles(tmp_path, lambda: shop.project),
        schedules=ProjectSchedules(lambda: shop.project, shop.keep),
        approvals=Decided(),
        body_timeout=0.2,
    ) as home:
        yield home


# --- headers ---


async def test_every_answer_has_strict_headers(home: Home) -> None:
    answers = [
        await home.client.get("/"),
        await home.client.get("/runs/a/b"),
        await home.client.get("/api/runs"),
        await home.client.get("/api/runs/none"),
        await home.client.get("/nowhere"),
        await home.client.delete("/api/trees"),
        await home.client.get("/assets/none.js"),
        await home.client.get("/healthz"),
        await home.client.head("/healthz"),
        await home.client.get("/openapi.json"),
        await home.client.get("/api/runs", headers={"host": "evil.example"}),
        await home.client.get("/api/runs", headers={"authorization": "Bearer x"}),
        await home.client.post("/hooks/open", json={"id": "1", "type": "t"}),
        await home.client.post("/hooks/none"),
        await home.client.get(f"/callbacks/{home.token()}", headers={"accept": "text/html"}),
        await home.client.get("/callbacks/none", headers={"accept": "text/html"}),
        await home.client.get("/decisions/none"),
        await home.client.options("/api/runs"),
    ]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy, answer.url
        assert "frame-ancestors 'none'" in policy, answer.url
        assert "unsafe" not in policy, answer.url
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] in ("same-origin", "no-referrer")
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in answer.headers
        names = [name.lower() for name, _ in answer.headers.raw]
        assert len(names) == len(set(names)), answer.url
    assert answers[2].headers["cache-control"] == "no-store"


async def test_no_other_origin_reads_anything(home: Home) -> None:
    asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    answers = [
        await home.client.options("/api/runs", headers=asked),
        await home.client.options("/hooks/open", headers=asked),
        await home.client.get("/api/runs", headers={"origin": "https://evil.example"}),
        await home.client.get("/api/session", headers={"origin": "https://evil.example"}),
    ]
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_data_of_an_event_makes_no_header(home: Home) -> None:
    respond: Any = {"headers": {"x-id": "${{ body.id }}"}, "text": "ok"}
    settings = msgspec.convert({"provider": "none", "respond": respond}, Settings)
    triggers: dict[str, Any] = dict(home.project.triggers)
    home.project.triggers = triggers | {"told": Webhook("told", settings)}
    for text in ("a\r\nset-cookie: hub_session=x", "a\nx: y", "a\0b", "é💡"):
        event = {"id": text, "type": "t", "data": {}}
        answer = await home.client.post("/hooks/told", json=event)
        assert answer.status_code < 500, answer.text
        assert "set-cookie" not in answer.headers
        assert "x" not in answer.headers
        for _, value in answer.headers.raw:
            assert not set(value) & set(b"\r\n\0")


# --- names, bodies, cursors ---

NAMES = [
    "../hub",
    "..%2fhub",
    "%2e%2e%2fhub",
    "..\\hub",
    "/etc/passwd",
    "a/../../hub",
    "hub\0",
    ".hidden",
    "x.test",
    "X",
    "-",
    "a" * 101,
    "é",
    "",
]


async def test_a_trees_name_leads_nowhere_else(tmp_path: Path) -> None:
    files = project(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    async with open_home(tmp_path, files=files) as home:
        new = {"if-none-match": "*"}
        for name in NAMES:
            address = f"/api/trees/{quote(name, safe='')}"
            called = TREE.replace("tree: onboarding", f"tree: {msgspec.json.encode(name).decode()}")
            for answer in (
                await home.client.get(address),
                await home.client.put(address, json={"text": called}, headers=new),
                await home.client.put(address, json={"text": TREE}, headers=new),
            ):
                is_list = answer.url.path == "/api/trees/"
                assert 400 <= answer.status_code < 500 or is_list, (name, answer.text)
                assert "root:" not in answer.text
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    journal = ("journal.db", "journal.db-wal", "journal.db-shm")
    assert {p: c for p, c in after.items() if p.name not in journal} == before


async def test_an_assets_name_leads_nowhere_else(home: Home) -> None:
    for name in ("..%2f..%2f__init__.py", "..%2findex.html", ".hidden.js", "%00"):
        is_problem(await home.client.get(f"/assets/{name}"), 404, "not_found")


BODIES = [
    ("POST", "/api/events", CE),
    ("POST", "/api/events/e1/replay", "application/json"),
    ("POST", "/api/runs/onboarding/u1/cancel", "application/json"),
    ("POST", "/api/runs/onboarding/u1/terminate", "application/json"),
    ("POST", f"/api/approvals/{ID}/decision", "application/json"),
    ("POST", f"/api/approvals/{ID}/delegation", "application/json"),
    ("POST", "/api/schedules/report/due/trigger", "application/json"),
    ("POST", "/api/schedules/report/due/pause", "application/json"),
    ("POST", "/api/schedules/report/due/resume", "application/json"),
    ("POST", "/api/schedules/report/due/backfill", "application/json"),
    ("POST", "/api/trees/report/validate", "application/json"),
    ("PUT", "/api/trees/report", "application/json"),
    ("POST", "/api/session", "application/json"),
    ("POST", "/api/users", "application/json"),
    ("POST", "/api/tokens", "application/json"),
    ("POST", "/hooks/open", "application/json"),
]


async def test_bodies_that_are_too_large_or_too_slow(home: Home) -> None:
    home.runs.add("onboarding/u1")

    async def large() -> AsyncIterator[bytes]:
        for _ in range(80):
            yield b" " * 65536

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(600)
        yield b"}"

    for method, path, kind in BODIES:
        headers = {"content-type": kind, "if-none-match": "*"}
        send = home.client.request
        announced = await send(
            method, path, content=b" ", headers={**headers, "content-length": "9" * 12}
        )
        is_problem(announced, 413, "too_large")
        is_problem(await send(method, path, content=large(), headers=headers), 413, "too_large")
        late = await send(method, path, content=slow(), headers=headers)
        is_problem(late, 408, "too_slow")
        assert late.headers["connection"] == "close"
    assert home.runs.done == []


LISTS = [
    "/api/events",
    "/api/trees",
    "/api/triggers",
    "/api/schedules",
    "/api/users",
    "/api/tokens",
    "/api/audit",
]
CURSORS = [
    "x",
    "=",
    "%00",
    "é",
    "A" * 10_000,
    base64.urlsafe_b64encode(b"s" + b"9" * 40).decode(),
    base64.urlsafe_b64encode(b"s-1").decode(),
    base64.urlsafe_b64encode(b"q1").decode(),
    base64.urlsafe_b64encode(b"\xff\xfe").decode(),
]


async def test_cursors_that_were_tampered_with(home: Home) -> None:
    for path in LISTS:
        for cursor in CURSORS:
            answer = await home.client.get(path, params={"cursor": cursor})
            is_problem(answer, 400, "bad_request")


async def test_lists_come_in_pages(home: Home) -> None:
    first = (await home.client.get("/api/triggers?limit=2")).json()
    rest = (await home.client.get("/api/triggers", params={"cursor": first["next"]})).json()
    names = [one["name"] for one in [*first["items"], *rest["items"]]]
    assert names == ["app", "nightly", "open"]
    assert rest["next"] is None


async def test_a_tree_is_read_with_its_etag(tmp_path: Path) -> None:
    async with open_home(tmp_path, files=project(tmp_path)) as home:
        shown = await home.client.get("/api/trees/onboarding")
        assert shown.headers["etag"] == shown.json()["etag"]
        assert load_project(tmp_path, {}).trees
