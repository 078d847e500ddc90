"""Connections as they are shown: where they lead and how they do, never with what opens them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub.connections import Connections
from hub.errors import ActionFailed, ActionRefused
from tests.contracts.connector import GivenCall
from tests.unit.api_home import open_home
from tests.unit.test_api_ingress import is_problem

SECRET = "hush-hush-hush"


async def test_where_they_lead_is_shown_and_no_secret(tmp_path: Path) -> None:
    given = {
        "shop": {"sql": {"url": "sqlite:///shop.db"}},
        "crm": {
            "http": {
                "base_url": f"https://user:{SECRET}@crm.example.com/api?key={SECRET}",
                "auth": {"bearer": SECRET},
            }
        },
        "team": {"slack": {"webhook_url": f"https://hooks.slack.com/services/{SECRET}"}},
        "books": {"sql": {"url": f"postgresql+asyncpg://u:{SECRET}@db.example.com/books"}},
        "broken": {"email": {"host": "${{ env.NOT_SET }}"}},
    }
    async with open_home(tmp_path, connections=given) as home:
        answer = await home.client.get("/api/connections")
        assert SECRET not in answer.text
        items = {one["name"]: one for one in answer.json()["items"]}
    assert list(items) == ["books", "broken", "crm", "shop", "team"]
    assert items["shop"]["address"] == "sqlite:///shop.db"
    assert items["team"]["address"] == "https://hooks.slack.com"
    assert items["books"]["address"].endswith("db.example.com/books")
    assert "NOT_SET" in items["broken"]["problem"]
    assert items["shop"]["use"]["at"] is None


async def test_a_test_asks_the_other_side(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 401 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    given = {
        "shop": {"sql": {"url": "sqlite:///shop.db"}},
        "closed": {"http": {"base_url": f"http://127.0.0.1:{port}", "allow": ["127.0.0.1"]}},
        "team": {"slack": {"webhook_url": f"https://hooks.slack.com/services/{SECRET}"}},
    }
    async with open_home(tmp_path, connections=given) as home, server:
        shop = (await home.client.post("/api/connections/shop/test")).json()
        assert (shop["ok"], shop["detail"]) == (True, "the database answers")
        closed = (await home.client.post("/api/connections/closed/test")).json()
        assert closed["ok"] is False
        assert "401" in closed["detail"]
        # What can only be tried by posting is not tried.
        team = (await home.client.post("/api/connections/team/test")).json()
        assert team["ok"] is None
        is_problem(await home.client.post("/api/connections/none/test"), 404, "not_found")
        await home.project.connections.close()


async def test_what_was_done_last_and_what_failed_is_remembered(tmp_path: Path) -> None:
    connections = Connections(tmp_path, {"shop": {"sql": {"url": "sqlite:///shop.db"}}}, {})
    call: Any = GivenCall(tmp_path)
    await connections.run("sql.query", {"sql": "select 1 as one"}, call)
    (state,) = await connections.states()
    assert (state.use.action, state.use.failure) == ("sql.query", None)
    with pytest.raises(ActionFailed):
        await connections.run("sql.query", {"sql": "select nothing"}, call)
    await connections.run("sql.query", {"sql": "select 1 as one"}, call)
    (state,) = await connections.states()
    assert state.use.failure is not None
    assert state.use.failed_at is not None
    assert state.use.at is not None
    assert state.use.at > state.use.failed_at
    await connections.close()


async def test_one_that_only_the_overrides_make_is_there_too(tmp_path: Path) -> None:
    connections = Connections(
        tmp_path, {}, {}, overrides={"email": {"host": "127.0.0.1", "port": 1, "tls": "none"}}
    )
    (state,) = await connections.states()
    assert (state.name, state.address) == ("email", "127.0.0.1:1")
    with pytest.raises(ActionFailed) as caught:
        await connections.check_one("email")
    assert not isinstance(caught.value, ActionRefused)
    assert msgspec.to_builtins(state)["use"]["at"] is None
