"""An HTTP server for tests: what it answers is a function, and it may also be slow or hostile."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

__all__ = ["Peer", "Received", "answer", "http_peer"]


@dataclass(frozen=True)
class Received:
    """One request, as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, list[str]]:
        return parse_qs(self.body.decode(), keep_blank_values=True)


@dataclass
class Peer:
    """The running server and what came to it."""

    port: int
    received: list[Received] = field(default_factory=list)
    broken_off: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a client has gone away in the middle of an answer."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def last(self) -> Received:
        return self.received[-1]


Answers = Callable[[Received], Any]
"""Bytes are sent as they are; None is silence; a dict or list is JSON; awaitables are awaited."""


def answer(
    status: int = 200,
    body: bytes | str | dict[str, Any] | list[Any] = b"",
    **headers: str,
) -> bytes:
    """A whole answer. Underscores in names of headers stand for hyphens."""
    lines = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    if isinstance(body, (dict, list)):
        body = json.dumps(body)
        lines.setdefault("content-type", "application/json")
    content = body.encode() if isinstance(body, str) else body
    lines.setdefault("content-length", str(len(content)))
    lines["connection"] = "close"
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + content


@asynccontextmanager
async def http_peer(answers: Answers, tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    """A server on a free port of this machine."""
    tasks: list[asyncio.Task[Any]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        try:
            request = await _read(reader)
            peer.received.append(request)
            given = answers(request)
            if asyncio.iscoroutine(given):
                given = await given
            if hasattr(given, "__aiter__"):
                async for chunk in given:
                    writer.write(chunk)
                    await writer.drain()
            elif given is None:
                await asyncio.Event().wait()
            else:
                writer.write(given if isinstance(given, bytes) else answer(200, given))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            peer.broken_off.set()
        except asyncio.CancelledError:
            pass
        finally:
            try:
                writer.close()
                await writer.wait_closed()
            except (ConnectionError, asyncio.CancelledError):
                pass

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    peer = Peer(server.sockets[0].getsockname()[1])
    try:
        yield peer
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def _read(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, target, headers, body)
