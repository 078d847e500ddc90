from __future__ import annotations

import asyncio
import signal
import socket

import httpx
import pytest
from litestar import Litestar, get

from hub.errors import PortTaken
from hub.process.http import listen, serve_http


def free() -> socket.socket:
    return listen("127.0.0.1", 0, what="the hub", setting="HUB_PORT")


def url(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


async def test_serves_from_the_first_moment_of_the_block_to_its_last() -> None:
    @get("/")
    async def hello() -> str:
        return "hello"

    listener = free()
    address = url(listener)
    async with (
        httpx.AsyncClient(trust_env=False) as client,
        serve_http(Litestar([hello]), listener) as serving,
    ):
        assert (await client.get(address)).text == "hello"
        assert not serving.done()
    with pytest.raises(httpx.ConnectError):
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.get(address)


async def test_a_request_under_way_is_answered_when_the_hub_stops() -> None:
    begun, finish = asyncio.Event(), asyncio.Event()

    @get("/")
    async def slow() -> str:
        begun.set()
        await finish.wait()
        return "done"

    listener = free()
    async with httpx.AsyncClient(trust_env=False) as client:
        async with serve_http(Litestar([slow]), listener):
            answer = asyncio.create_task(client.get(url(listener)))
            await begun.wait()
            asyncio.get_running_loop().call_later(0.02, finish.set)
        assert (await answer).text == "done"


async def test_an_idle_kept_connection_does_not_hold_up_the_stop() -> None:
    @get("/")
    async def hello() -> str:
        return "hello"

    listener = free()
    async with (
        httpx.AsyncClient(trust_env=False) as client,
        serve_http(Litestar([hello]), listener),
    ):
        await client.get(url(listener))


async def test_signals_stay_with_the_hub() -> None:
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    async with serve_http(Litestar([]), free()):
        assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


async def test_a_taken_port_is_said_at_once() -> None:
    first = free()
    with first, pytest.raises(PortTaken, match=r"where the hub would listen.*HUB_PORT="):
        listen("127.0.0.1", first.getsockname()[1], what="the hub", setting="HUB_PORT")
