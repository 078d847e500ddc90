"""The HTTP server inside of the hub's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn

from hub.errors import PortTaken
from hub.ports import taken

__all__ = ["listen", "serve_http"]

_BACKLOG = 2048


def listen(host: str, port: int, *, what: str, setting: str) -> socket.socket:
    """A socket that listens there, so that the port is ours before anything else is started.

    Raises `PortTaken`.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        if error.errno == errno.EACCES:
            raise PortTaken(
                f"{what} may not listen on port {port}: ports under 1024 need a privilege. "
                f"Set {setting} to a higher one."
            ) from None
        raise PortTaken(taken(host, port, what=what, setting=setting, error=error)) from None
    return listener


@contextlib.asynccontextmanager
async def serve_http(
    app: Any, listener: socket.socket, *, grace: float = 2.0
) -> AsyncIterator[asyncio.Task[None]]:
    """Serve the application until the block ends; gives the server's task.

    At the end no new connection is taken, and requests under way have `grace` seconds to finish.
    """
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        lifespan="on",
        timeout_graceful_shutdown=max(1, round(grace)),
        server_header=False,
        ws="none",
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    try:
        while not server.started:
            if serving.done():
                await serving
                raise RuntimeError("the HTTP server ended while it started")
            await asyncio.sleep(0.005)
        yield serving
    finally:
        server.should_exit = True
        # Nothing waits behind a connection that its client keeps open for the next request.
        await asyncio.gather(serving, return_exceptions=True)
        listener.close()


class _Server(uvicorn.Server):
    """Leaves the signals to the hub, which stops its parts in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
