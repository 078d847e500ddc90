"""A gRPC server that refuses whatever it is asked: just enough of HTTP/2 (RFC 9113) for that."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _PING = 0, 1, 4, 6
_ACK = _END_STREAM = 1
_END_HEADERS = 4


@asynccontextmanager
async def refusing(status: int, message: str) -> AsyncIterator[str]:
    """Answers every call with this gRPC status; gives the address."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            await _answer(reader, writer, status, message)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"{host}:{port}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: int, message: str
) -> None:
    assert await reader.readexactly(len(_PREFACE)) == _PREFACE
    writer.write(_frame(_SETTINGS, 0, 0))
    while True:
        head = await reader.readexactly(9)
        size = int.from_bytes(head[:3])
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:]) & 0x7FFFFFFF
        payload = await reader.readexactly(size)
        if kind == _SETTINGS and not flags & _ACK:
            writer.write(_frame(_SETTINGS, _ACK, 0))
        elif kind == _PING and not flags & _ACK:
            writer.write(_frame(_PING, _ACK, 0, payload))
        elif kind in (_DATA, _HEADERS) and flags & _END_STREAM:
            writer.write(
                _frame(_HEADERS, _END_HEADERS | _END_STREAM, stream, _refusal(status, message))
            )
        await writer.drain()


def _refusal(status: int, message: str) -> bytes:
    """Headers and trailers in one (HPACK, RFC 7541: literals without indexing)."""
    fields = {"content-type": "application/grpc", "grpc-status": str(status)}
    literals = [
        b"\x00" + _text(name) + _text(value)
        for name, value in {**fields, "grpc-message": message}.items()
    ]
    # 0x88 is `:status: 200` of the static table.
    return b"\x88" + b"".join(literals)


def _text(text: str) -> bytes:
    encoded = text.encode()
    assert len(encoded) < 127
    return bytes([len(encoded)]) + encoded


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + struct.pack(">BBI", kind, flags, stream) + payload
