"""How a step says that it has begun: one datagram, sent by an activity, to whoever measures."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

__all__ = ["Told", "listening", "nothing", "tell"]


@cache
def _sender() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


async def tell(key: str, port: int) -> None:
    """Say that the step of this key has begun."""
    _sender().sendto(key.encode(), ("127.0.0.1", port))


async def nothing(n: int) -> int:
    """A step that costs nothing itself."""
    return n


class Told(asyncio.DatagramProtocol):
    """What was told, by key: when it came, by `time.perf_counter()`."""

    def __init__(self) -> None:
        self.port = 0
        self.at: dict[str, float] = {}
        self._waiting: dict[str, asyncio.Future[float]] = {}

    def datagram_received(self, data: bytes, addr: object) -> None:
        key, now = data.decode(), time.perf_counter()
        self.at.setdefault(key, now)
        waiting = self._waiting.pop(key, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(now)

    async def of(self, key: str, seconds: float = 180) -> float:
        """When the step of the key began. Raises `TimeoutError`."""
        if key not in self.at:
            future = self._waiting.setdefault(key, asyncio.get_running_loop().create_future())
            await asyncio.wait_for(future, seconds)
        return self.at[key]


@asynccontextmanager
async def listening() -> AsyncIterator[Told]:
    """A place that steps tell on this machine."""
    loop = asyncio.get_running_loop()
    transport, told = await loop.create_datagram_endpoint(Told, local_addr=("127.0.0.1", 0))
    told.port = transport.get_extra_info("sockname")[1]
    try:
        yield told
    finally:
        transport.close()
