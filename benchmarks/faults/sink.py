"""Where effects are counted: a real HTTP receiver, which notes what each request says it does."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from contextlib import suppress
from typing import Any

__all__ = ["Sink"]


class Sink:
    """A receiver as a careful one is: an effect is known by its `Idempotency-Key`.

    A request names in `effects` the events that it is for. `effects` has for each of them the keys
    of the requests that did something; a request that comes again with a key of before does nothing,
    and is counted in `repeats`. `order` has for each run the events in the order of their effects.
    """

    def __init__(self) -> None:
        self.effects: dict[str, set[str]] = defaultdict(set)
        self.order: dict[str, list[str]] = defaultdict(list)
        self.requests = 0
        self.repeats = 0
        self.last: dict[str, Any] = {}
        self._keys: set[str] = set()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self, port: int) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._open):
            writer.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._server.wait_closed(), 5)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {
                    name.strip().lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in head[1:] if line)
                }
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self._note(headers.get("idempotency-key", ""), json.loads(body))
                writer.write(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            # The worker was killed, or has no more to say.
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    def _note(self, key: str, said: dict[str, Any]) -> None:
        self.requests += 1
        if key in self._keys:
            self.repeats += 1
            return
        self._keys.add(key)
        for event_id in said.get("effects", ()):
            self.effects[event_id].add(key)
            self.order[str(said.get("run"))].append(event_id)
        self.last = said
