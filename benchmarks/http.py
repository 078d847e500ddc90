"""A small HTTP client that costs little: one request at a time on each kept connection."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Self
from urllib.parse import urlsplit

__all__ = ["Connection", "Connections", "request"]


def request(
    method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> bytes:
    """The bytes of a request."""
    parts = urlsplit(url)
    lines = [f"{method} {parts.path or '/'} HTTP/1.1", f"host: {parts.netloc}"]
    given = {"content-type": "application/json", **(headers or {})}
    lines += [f"{name}: {value}" for name, value in given.items()]
    lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


_IDLE = 2.0


class _Wire(asyncio.Protocol):
    """One TCP connection, and the answer that it waits for."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[tuple[int, bytes]] | None = None
        self.closed = False
        self._received = b""
        self._wanted = -1

    def expect(self) -> asyncio.Future[tuple[int, bytes]]:
        self.answer = asyncio.get_running_loop().create_future()
        self._received, self._wanted = b"", -1
        return self.answer

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._wanted < 0:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._received[:end].lower()
            place = head.find(b"content-length:")
            length = int(head[place + 15 :].split(b"\r", 1)[0]) if place >= 0 else 0
            self._wanted = end + 4 + length
        if len(self._received) >= self._wanted and self.answer and not self.answer.done():
            status = int(self._received[9:12])
            body = self._received[self._received.find(b"\r\n\r\n") + 4 :]
            self.answer.set_result((status, body))

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        if self.answer and not self.answer.done():
            self.answer.set_exception(error or ConnectionError("the server closed it"))


class Connection:
    """One kept connection. Answers must have a `content-length`, as all of ours have."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._wire: _Wire | None = None
        self._transport: asyncio.WriteTransport | None = None
        self._used = 0.0

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect. Raises `OSError`."""
        connection = cls(url)
        await connection._connect()
        return connection

    async def send(self, data: bytes) -> tuple[int, bytes]:
        """Send a request's bytes; the status and the body of the answer."""
        loop = asyncio.get_running_loop()
        if self._wire is None or self._wire.closed or loop.time() - self._used > _IDLE:
            # Servers close connections on which nothing came for some seconds, maybe just now.
            await self._connect()
        assert self._wire is not None
        assert self._transport is not None
        answer = self._wire.expect()
        self._transport.write(data)
        try:
            return await answer
        finally:
            self._used = loop.time()

    async def _connect(self) -> None:
        self.close()
        loop = asyncio.get_running_loop()
        self._transport, self._wire = await loop.create_connection(_Wire, self._host, self._port)
        self._used = loop.time()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Connections:
    """A pool of kept connections to one server."""

    def __init__(self, connections: Sequence[Connection]) -> None:
        self._all = connections
        self._free: asyncio.Queue[Connection] = asyncio.Queue()
        for connection in connections:
            self._free.put_nowait(connection)

    @classmethod
    async def open(cls, url: str, count: int) -> Self:
        return cls([await Connection.open(url) for _ in range(count)])

    async def send(self, data: bytes) -> tuple[int, bytes]:
        connection = await self._free.get()
        try:
            return await connection.send(data)
        finally:
            self._free.put_nowait(connection)

    async def post(self, url: str, body: bytes) -> bytes:
        """Post a JSON body; what is answered. Raises `RuntimeError` unless that is a success."""
        status, answer = await self.send(request("POST", url, body))
        if not 200 <= status < 300:
            raise RuntimeError(f"{url} answers {status}: {answer[:200].decode(errors='replace')}")
        return answer

    def close(self) -> None:
        for connection in self._all:
            connection.close()
