"""An issuer of tokens for tests: a server on loopback that publishes keys, well or badly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

__all__ = ["Issuer", "open_issuer"]

Answer = bytes | Callable[[], bytes]


class Issuer:
    """`answers` holds what is answered at each path, `asked` which paths were asked for."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.base = ""
        self.hold: asyncio.Event | None = None
        """While this is not set, nothing is answered."""

    def publish(self, path: str, content: bytes, status: str = "200 OK") -> str:
        """Answer this at that path from now on; its address."""
        head = f"HTTP/1.1 {status}\r\ncontent-length: {len(content)}\r\nconnection: close\r\n\r\n"
        self.answers[path] = head.encode() + content
        return self.base + path

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ")[1].decode()
            self.asked.append(path)
            if self.hold is not None:
                await self.hold.wait()
            answer = self.answers.get(path, b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            writer.write(answer() if callable(answer) else answer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def open_issuer() -> AsyncIterator[Issuer]:
    """An issuer that listens on loopback for as long as the block lasts."""
    issuer = Issuer()
    server = await asyncio.start_server(issuer.serve, "127.0.0.1", 0)
    try:
        issuer.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield issuer
    finally:
        if issuer.hold is not None:
            issuer.hold.set()
        server.close()
        await server.wait_closed()
