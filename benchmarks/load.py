"""The load generator: a process of its own that posts signed events and measures the answers.

    python -m benchmarks.load URL --connections 64 --seconds 5 --size 1024 --secret s3cret

Each connection has one request under way at a time. Every body is an event of its own, with an
HMAC-SHA256 of it in `x-signature`; where the URL has `{id}`, it gets the event's id. It says what it
found, and what part of a core it used itself, as one line of JSON; a part near 1 would mean that it was
the bottleneck.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import sys
import time
import uuid

from benchmarks.frame.spread import quantiles
from benchmarks.http import Connection, request

__all__ = ["main"]


class _Load:
    def __init__(self, url: str, *, size: int, secret: str, prefix: str, until: float) -> None:
        self._url = url
        self._secret = secret.encode()
        self._until = until
        self._prefix = prefix or uuid.uuid4().hex[:12]
        self._count = 0
        head = request("POST", url, b"", {"x-signature": "@" * 64})
        self._head, _, _ = head.rpartition(b"content-length: 0")
        filler = max(0, size - 120)
        self._tail = b'","type":"bench.none","data":{"text":"%s"}}' % (b"x" * filler)
        self.took: list[float] = []
        self.failed: dict[int, int] = {}

    def _request(self) -> bytes:
        self._count += 1
        event_id = b"%s-%d" % (self._prefix.encode(), self._count)
        body = b'{"id":"%s%s' % (event_id, self._tail)
        signature = hmac.digest(self._secret, body, hashlib.sha256).hex().encode()
        head = self._head.replace(b"@" * 64, signature).replace(b"{id}", event_id)
        return b"%scontent-length: %d\r\n\r\n%s" % (head, len(body), body)

    async def keep_posting(self, connection: Connection) -> None:
        while (began := time.perf_counter()) < self._until:
            status, _ = await connection.send(self._request())
            if status == 202:
                self.took.append((time.perf_counter() - began) * 1000)
            else:
                self.failed[status] = self.failed.get(status, 0) + 1


async def _run(
    url: str, connections: int, seconds: float, size: int, secret: str, prefix: str
) -> dict[str, object]:
    opened = [await Connection.open(url) for _ in range(connections)]
    began, cpu = time.perf_counter(), time.process_time()
    load = _Load(url, size=size, secret=secret, prefix=prefix, until=began + seconds)
    await asyncio.gather(*map(load.keep_posting, opened))
    took = time.perf_counter() - began
    used = time.process_time() - cpu
    for connection in opened:
        connection.close()
    return {
        "count": len(load.took),
        "accepts": len(load.took) / took,
        **quantiles(load.took or [0.0]),
        "failed": load.failed,
        "own_cpu": used / took,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--size", type=int, default=1024, help="of a body, in bytes")
    parser.add_argument("--secret", default="s3cret")
    parser.add_argument("--prefix", default="", help="of the events' ids: PREFIX-1, PREFIX-2, ...")
    given = parser.parse_args()
    work = _run(**vars(given))
    try:
        import uvloop

        found = uvloop.run(work)
    except ImportError:
        found = asyncio.run(work)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
