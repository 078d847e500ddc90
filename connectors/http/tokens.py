"""Access tokens of an OAuth 2.0 server: one for all calls of a worker, renewed once for all.

Source: RFC 6749, sections 2.3, 4.4, 5 and 6.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import msgspec
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_token_request

from connectors.http.answer import Answer
from connectors.http.settings import HEADER_VALUE, OAuth2
from hub.errors import ActionFailed, ActionRefused

__all__ = ["Tokens"]

_LEEWAY = 30.0
_FINAL = frozenset(
    {"invalid_client", "invalid_grant", "invalid_scope", "unauthorized_client"}
    | {"unsupported_grant_type", "access_denied"}
)

Exchange = Callable[[str, httpx.URL, dict[str, str], bytes], Awaitable[Answer]]


class Tokens:
    """The token of one connection.

    `exchange` makes a request. `learnt` is told every secret that the server hands out, before it
    is used anywhere. However many calls need a new token at once, the server is asked once, and
    all share what comes of it.
    """

    def __init__(
        self, settings: OAuth2, exchange: Exchange, learnt: Callable[[list[str]], None]
    ) -> None:
        self._settings = settings
        self._exchange = exchange
        self._learnt = learnt
        self._refresh_token = settings.refresh_token
        self._token: str | None = None
        self._expires = 0.0
        self._fetching: asyncio.Task[str] | None = None

    async def get(self) -> str:
        """The token to use now.

        Raises `ActionRefused` (`http_token_refused`) when the server will not give one, and
        `ActionFailed` (`http_token_unavailable`) when it could not be asked.
        """
        if self._token is not None and time.monotonic() < self._expires:
            return self._token
        return await self._fetch()

    async def renew(self, refused: str) -> str:
        """Another token than the one that was refused; perhaps somebody has fetched it already."""
        if self._token is not None and self._token != refused:
            return self._token
        return await self._fetch()

    async def close(self) -> None:
        """Give up on a request that is under way."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    async def _fetch(self) -> str:
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._request())
            self._fetching.add_done_callback(self._fetched)
        try:
            # A call that is cancelled does not take the token from those that wait with it.
            return await asyncio.shield(self._fetching)
        except ActionFailed as error:
            raise type(error)(error.failure, error.message, retry_after=error.retry_after) from None

    def _fetched(self, task: asyncio.Task[str]) -> None:
        self._fetching = None
        if not task.cancelled():
            task.exception()

    async def _request(self) -> str:
        settings = self._settings
        self._token = None
        fields = {"scope": settings.scope, "audience": settings.audience}
        if self._refresh_token is not None:
            body = prepare_token_request(
                "refresh_token", refresh_token=self._refresh_token, **fields
            )
        else:
            body = prepare_token_request("client_credentials", **fields)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        headers["Accept"] = "application/json"
        client = ClientAuth(settings.client_id, settings.client_secret or "", settings.client_auth)
        try:
            _, headers, body = client.prepare("POST", settings.token_url, headers, body)
        except UnicodeError:
            raise ActionRefused(
                "http_token_refused", "the client's id or secret has characters that cannot be sent"
            ) from None
        url = httpx.URL(settings.token_url)
        place = f"the token endpoint at {url.host}"
        try:
            answer = await self._exchange("POST", url, headers, body.encode())
        except ActionRefused as error:
            raise ActionRefused(error.failure, f"{place}: {error.message}") from None
        except ActionFailed as error:
            raise ActionFailed(
                "http_token_unavailable", f"{place}: {error.message}", retry_after=error.retry_after
            ) from None
        return self._accept(answer, place)

    def _accept(self, answer: Answer, place: str) -> str:
        try:
            given: Any = msgspec.json.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            given = None
        said = given.get("error") if isinstance(given, dict) else None
        if answer.status != 200 or said is not None:
            code = said if isinstance(said, str) and said in _FINAL else None
            if code is not None or answer.status in (401, 403):
                raise ActionRefused(
                    "http_token_refused",
                    f"{place} gives no token ({code or answer.status}): check the client's id, secret and scope",
                )
            raise ActionFailed(
                "http_token_unavailable",
                f"{place} says {answer.status}",
                retry_after=answer.retry_after,
            )
        token = given.get("access_token") if isinstance(given, dict) else None
        kind = given.get("token_type", "bearer") if isinstance(given, dict) else None
        if not isinstance(token, str) or not token or not HEADER_VALUE.fullmatch(token):
            raise ActionFailed("http_token_unavailable", f"{place} answers without a token")
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise ActionRefused("http_token_refused", f"{place} gives a token that is no bearer's")
        refresh = given.get("refresh_token")
        if self._refresh_token is not None and isinstance(refresh, str) and refresh:
            self._refresh_token = refresh
        self._learnt([token, *([self._refresh_token] if self._refresh_token else [])])
        lasts = _seconds(given.get("expires_in"))
        self._token = token
        self._expires = time.monotonic() + lasts - min(_LEEWAY, lasts / 10)
        return token


def _seconds(given: Any) -> float:
    """How long a token lasts. Without a word about it, until it is refused, or for an hour."""
    try:
        return min(max(float(given), 0.0), 30 * 24 * 3600.0)
    except (TypeError, ValueError):
        return 3600.0
