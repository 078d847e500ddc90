"""An issuer's public keys, fetched from where it publishes them (RFC 7517) and kept for a while."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from functools import cache
from ssl import SSLContext
from typing import Any

import httpx
import msgspec
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import Key, import_key

from hub.errors import Busy

__all__ = ["RemoteKeys"]

LIFETIME = timedelta(minutes=10)
"""After this the keys are asked for anew, so that one that was taken back stops counting."""
PATIENCE = timedelta(hours=1)
"""For so long old keys count while new ones cannot be had."""
PAUSE = timedelta(seconds=30)
"""Between two fetches for the sake of a key that is not known: tokens can name any."""
PAUSE_AFTER_FAILURE = timedelta(seconds=5)
TIMEOUT = 3.0
"""Seconds for one fetch, all in all."""
MAX_SIZE = 256 * 1024
"""Bytes of a key set."""
_MOST_KEYS = 100
_KINDS = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
_log = structlog.get_logger("hub.jwks")


class RemoteKeys:
    """The keys at one address.

    They are fetched when first needed, when they are older than `LIFETIME`, and when a token names
    one that is not known, which is how an issuer's rotation is noticed; never twice within `PAUSE`.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: list[Key] = []
        self._fetched_at: datetime | None = None
        self._asked_at: datetime | None = None
        self._pause = PAUSE
        self._lock = asyncio.Lock()

    async def find(self, kid: str | None, algorithm: str, now: datetime) -> list[Key]:
        """The keys that a token with this key id and algorithm may be signed by.

        Raises `Busy` while no keys can be had: whether the token is genuine cannot be told.
        """
        if self._fetched_at is None or abs(now - self._fetched_at) >= LIFETIME:
            await self._refresh(now)
        found = self._matching(kid, algorithm)
        if not found:
            await self._refresh(now)
            found = self._matching(kid, algorithm)
        if self._fetched_at is None or abs(now - self._fetched_at) >= PATIENCE:
            raise Busy("the keys of the tokens' issuer cannot be had just now", retry_after=5)
        return found

    def _matching(self, kid: str | None, algorithm: str) -> list[Key]:
        kind = _KINDS[algorithm[:2]]
        return [
            key
            for key in self._keys
            if key.key_type == kind
            and (kid is None or key.kid == kid)
            and key.get("alg") in (None, algorithm)
        ]

    async def _refresh(self, now: datetime) -> None:
        async with self._lock:
            if self._asked_at is not None and abs(now - self._asked_at) < self._pause:
                return
            self._asked_at = now
            try:
                async with asyncio.timeout(TIMEOUT):
                    self._keys = _read(await self._fetch())
            except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError) as error:
                self._pause = PAUSE_AFTER_FAILURE
                _log.warning(
                    "the issuer's keys cannot be fetched", url=self._url, reason=str(error)
                )
                return
            self._fetched_at = now
            self._pause = PAUSE

    async def _fetch(self) -> bytes:
        async with (
            httpx.AsyncClient(verify=_tls(), timeout=TIMEOUT, follow_redirects=False) as client,
            client.stream("GET", self._url, headers={"accept": "application/json"}) as response,
        ):
            if response.status_code != 200:
                raise ValueError(f"it answers {response.status_code}")
            content = bytearray()
            async for part in response.aiter_bytes():
                content += part
                if len(content) > MAX_SIZE:
                    raise ValueError(f"it answers with more than {MAX_SIZE} bytes")
            return bytes(content)


@cache
def _tls() -> SSLContext:
    # Reading the certificates takes a while, in which nothing else is done.
    return httpx.create_ssl_context()


def _read(content: bytes) -> list[Key]:
    try:
        document = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("it answers with no JSON") from None
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("it answers with no key set")
    return [key for item in listed[:_MOST_KEYS] if (key := _key(item)) is not None]


def _key(item: Any) -> Key | None:
    if not isinstance(item, dict) or item.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    if item.get("use", "sig") != "sig":
        return None
    try:
        return import_key(item)
    except (JoseError, ValueError, TypeError, KeyError):
        # One key that is not understood must not take the others along (RFC 7517, section 5).
        return None
