from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.api_home import Home, open_home

HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
JSON = {"accept": "application/json"}


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with open_home(tmp_path) as home:
        yield home


def is_page(response: Any, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert "noindex" in response.headers["x-robots-tag"]
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    text = str(response.text)
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "<script" not in text
    assert ' style="' not in text
    assert text.count("<h1>") == 1
    assert '<html lang="en">' in text
    assert 'name="viewport"' in text
    return text


async def test_get_shows_what_will_happen_and_changes_nothing(home: Home) -> None:
    url = f"/callbacks/{home.token(subscription='email_verified')}"
    for _ in range(3):
        page = is_page(await home.client.get(url, headers=HTML), 200)
    assert "email verified" in page
    assert "onboarding" in page
    assert "shop" in page
    assert '<form method="post">' in page
    assert "<button" in page
    assert await home.journaled() == []


async def test_head_changes_nothing(home: Home) -> None:
    response = await home.client.head(f"/callbacks/{home.token()}")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["cache-control"] == "no-store"
    assert (await home.client.head("/callbacks/forged")).status_code == 404
    assert await home.journaled() == []


async def test_the_button_delivers(home: Home) -> None:
    response = await home.client.post(
        f"/callbacks/{home.token(first_run_id='first')}",
        headers=HTML | {"origin": "null", "host": "tunnel.example"},
        data={"comment": "yes <b>", "tag": ["a", "b"]},
    )
    assert "Thank you" in is_page(response, 200)
    entry = await home.journal.get("t-1")
    assert entry.trigger == "callback"
    assert entry.event.type == "hub.callback"
    assert entry.event.source == "/callbacks"
    assert entry.event.subject == "onboarding/u1"
    assert entry.event.data == {"comment": "yes <b>", "tag": ["a", "b"]}
    assert entry.event.extensions == {
        "hubrun": "onboarding/u1",
        "hubsubscription": "verified",
        "hubfirstrun": "first",
    }


async def test_pressing_twice_is_no_fault(home: Home) -> None:
    url = f"/callbacks/{home.token()}"
    is_page(await home.client.post(url, headers=HTML), 200)
    assert "Already received" in is_page(await home.client.post(url, headers=HTML), 200)
    assert len(await home.journaled()) == 1


async def test_a_link_for_many_uses_is_a_new_event_each_time(home: Home) -> None:
    url = f"/callbacks/{home.token(use='many')}"
    for _ in range(2):
        assert "Thank you" in is_page(await home.client.post(url, headers=HTML), 200)
    assert len(await home.journaled()) == 2


async def test_programs_are_answered_in_json(home: Home) -> None:
    url = f"/callbacks/{home.token()}"
    shown = await home.client.get(url, headers=JSON)
    assert shown.json()["subscription"] == "verified"
    first = await home.client.post(url, headers=JSON, json={"n": 1})
    assert (first.status_code, first.json()) == (202, {"id": "t-1"})
    again = await home.client.post(url, headers=JSON)
    assert (again.status_code, again.json()) == (202, {"id": "t-1", "duplicate": True})
    forged = await home.client.post(f"{url}x", headers=JSON)
    assert forged.headers["content-type"] == "application/problem+json"
    assert forged.headers["cache-control"] == "no-store"
    assert forged.json()["code"] == "not_found"


async def test_expired_links(home: Home) -> None:
    url = f"/callbacks/{home.token(expires_in=timedelta(seconds=-5))}"
    for method in ("GET", "POST"):
        page = is_page(await home.client.request(method, url, headers=HTML), 410)
        assert "has expired" in page
        assert "<form" not in page
    assert await home.journaled() == []


async def test_forged_links(home: Home) -> None:
    genuine = home.token()
    head, payload, signature = genuine.split(".")
    for token in (
        "x",
        f"{head}.{payload}.",
        f"{head}.{payload}.{signature[::-1]}",
        "é",
        "a" * 9000,
    ):
        for method in ("GET", "POST"):
            response = await home.client.request(method, f"/callbacks/{token}", headers=HTML)
            assert "is not valid" in is_page(response, 404)
    assert await home.journaled() == []


async def test_what_stands_in_the_link_is_escaped(home: Home) -> None:
    token = home.token(label="<script>alert(1)</script> & more", run_id="<i>/x")
    page = is_page(await home.client.get(f"/callbacks/{token}", headers=HTML), 200)
    assert "&lt;script&gt;" in page
    assert "<i>" not in page
    thanks = is_page(await home.client.post(f"/callbacks/{token}", headers=HTML), 200)
    assert "&lt;script&gt;" in thanks


async def test_bodies_that_are_no_form(home: Home) -> None:
    url = f"/callbacks/{home.token()}"
    is_page(await home.client.post(url, headers=HTML, json=[1]), 400)
    is_page(await home.client.post(url, headers=HTML, content=b"x" * 70_000), 413)
    assert await home.journaled() == []


async def test_a_full_hub_says_that_nothing_was_kept(tmp_path: Path) -> None:
    async with open_home(tmp_path, max_backlog=0) as home:
        response = await home.client.post(f"/callbacks/{home.token()}", headers=HTML)
        assert "not been recorded" in is_page(response, 503)
        assert int(response.headers["retry-after"]) > 0
