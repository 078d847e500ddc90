"""Server-sent events: one way to write them, and all that are open at a time.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from litestar import Request, Response
from litestar.response.base import ASGIResponse

from hub.errors import Busy

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

__all__ = [
    "EVENT_STREAM",
    "Ended",
    "EventStream",
    "Nothing",
    "Source",
    "Streams",
    "frame",
    "wants_stream",
]

EVENT_STREAM = "text/event-stream"
_BEAT = b": \n\n"
_OPENING = b"retry: 2000\n\n"
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


class Ended(Exception):
    """Nothing more will come of this source."""


class Source(Protocol):
    """What one client is sent. Many sources may share one look at what they tell of."""

    async def next(self) -> bytes:
        """The next frames. May be cancelled at any time, and then loses nothing. Raises `Ended`."""

    def close(self) -> None:
        """Nobody listens any more."""


class Streams:
    """The streams that are open. `most` at a time; `beat` is the seconds between signs of life.

    A client that takes nothing for `patience` seconds is let go. So is, to come again where it was,
    one that has listened for `lasts` seconds: whoever may listen no longer is then turned away.
    """

    def __init__(
        self,
        *,
        most: int = 4096,
        beat: float = 15.0,
        patience: float = 30.0,
        lasts: float = 900.0,
    ) -> None:
        self.most = most
        self.beat = beat
        self.patience = patience
        self.lasts = lasts
        self.open = 0
        self._closing = asyncio.Event()

    def close(self) -> None:
        """End every stream. Clients come again by themselves, and find another process."""
        self._closing.set()

    def admit(self) -> None:
        """Raises `Busy` when as many are open as may be."""
        if self.open >= self.most or self._closing.is_set():
            raise Busy("too many live streams are open; come again in a moment", retry_after=5)

    async def run(self, source: Source, send: Send, receive: Receive) -> None:
        """Send what the source gives until either side ends it."""
        self.open += 1
        feeding = asyncio.create_task(self._feed(source, send))
        leaving = asyncio.create_task(_gone(receive))
        closing = asyncio.create_task(self._closing.wait())
        tasks: list[asyncio.Task[Any]] = [feeding, leaving, closing]
        try:
            await asyncio.wait(tasks, timeout=self.lasts, return_when=asyncio.FIRST_COMPLETED)
            if feeding.done():
                feeding.result()
            elif not leaving.done():
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
            if not leaving.done():
                await self._send(send, b"", more=False)
        except TimeoutError:
            # The client takes nothing. The server closes a connection that is left like this.
            pass
        finally:
            self.open -= 1
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _feed(self, source: Source, send: Send) -> None:
        await self._send(send, _OPENING)
        while True:
            try:
                async with asyncio.timeout(self.beat):
                    frames = await source.next()
            except TimeoutError:
                frames = _BEAT
            except Ended:
                return
            await self._send(send, frames)

    async def _send(self, send: Send, body: bytes, *, more: bool = True) -> None:
        async with asyncio.timeout(self.patience):
            await send({"type": "http.response.body", "body": body, "more_body": more})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class EventStream(Response[Any]):
    """The answer that is a stream: what the source gives, as it comes."""

    def __init__(self, source: Source, streams: Streams) -> None:
        super().__init__(b"", media_type=EVENT_STREAM, headers=_HEADERS)
        self._source = source
        self._streams = streams

    def to_asgi_response(self, *arguments: Any, **options: Any) -> ASGIResponse:
        plain = super().to_asgi_response(*arguments, **options)
        return _Streaming(plain, self._source, self._streams)


class Nothing(Response[Any]):
    """The answer by which a browser's EventSource comes no more: there is nothing to follow."""

    def __init__(self) -> None:
        super().__init__(None, status_code=204)


class _Streaming(ASGIResponse):
    """As any other response in its headers and cookies; its body goes on."""

    def __init__(self, plain: ASGIResponse, source: Source, streams: Streams) -> None:
        super().__init__(background=plain.background, media_type=EVENT_STREAM)
        del plain.headers["content-length"]
        self.headers = plain.headers
        self._encoded_cookies = plain._encoded_cookies
        self.status_code = plain.status_code
        self.is_head_response = plain.is_head_response
        self._source = source
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._source.close()

    async def send_body(self, send: Send, receive: Receive) -> None:
        await self._streams.run(self._source, send, receive)


def frame(event: str, data: bytes, *, id: str | None = None) -> bytes:  # noqa: A002
    """One event. `data` is one line of JSON, so it needs no further framing."""
    head = b"" if id is None else b"id: %s\n" % id.encode()
    return b"%sevent: %s\ndata: %s\n\n" % (head, event.encode(), data)


def wants_stream(request: Request[Any, Any, Any]) -> bool:
    """Does the caller ask for server-sent events? A browser's EventSource always does."""
    accepted = request.headers.get("accept", "")
    kinds = [kind.partition(";")[0].strip().lower() for kind in accepted.split(",")]
    return EVENT_STREAM in kinds
