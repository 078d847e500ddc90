"""One service by HTTP: credentials, redirects, limits, and errors that say what to do.

Every connector that speaks HTTP stands on this client. Sources: RFC 9110 (redirects, section
15.4), the IETF draft "The Idempotency-Key HTTP Header Field".
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import re
import ssl
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import httpcore
import httpx
import msgspec

from connectors.http.answer import Answer, read_body
from connectors.http.failures import exchange_failure, retry_after, status_failure
from connectors.http.guard import AddressForbidden, Guard, GuardedBackend
from connectors.http.settings import Settings, check_header, check_url
from connectors.http.signing import signature_headers
from connectors.http.tokens import Tokens
from hub.errors import ActionFailed, ActionRefused
from hub.secrets import Redactor
from hub.telemetry.tracing import carry

__all__ = ["Ask", "Client", "host_of"]

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PLAIN_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_FOR_EVERYBODY: Final = frozenset({"accept", "user-agent", "accept-language"})
_MAX_URL: Final = 16_384

# At its most talkative the library logs the headers of answers, which may hold credentials.
logging.getLogger("httpcore").setLevel(logging.INFO)


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A request to be made. `url` is a whole one, or a path below the connection's `base_url`.

    `expect` are the statuses that are no failure; None stands for all from 200 to 299.
    """

    method: str
    url: str
    idempotency_key: str
    query: Mapping[str, Any] = {}
    headers: Mapping[str, str] = {}
    content: bytes | None = None
    content_type: str | None = None
    expect: Collection[int] | None = None
    timeout: float | None = None


class Client:
    """The client of one connection. Its connections are kept open and shared by all calls."""

    def __init__(self, settings: Settings, project: Path, secrets: Collection[str] = ()) -> None:
        self.settings = settings
        self._base = None if settings.base_url is None else httpx.URL(settings.base_url)
        self._project = project
        self._pool: httpcore.AsyncConnectionPool | None = None
        self._own_secrets = [*secrets, *_secrets(settings)]
        self._known = Redactor()
        self._learn([])
        oauth2 = settings.auth.oauth2 if settings.auth else None
        self._tokens = None if oauth2 is None else Tokens(oauth2, self._exchange_alone, self._learn)

    async def close(self) -> None:
        """Close all connections."""
        if self._tokens is not None:
            await self._tokens.close()
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.aclose()

    async def send(self, ask: Ask) -> Answer:
        """Make the request and give its answer, when its status is one that is expected.

        Raises `ActionRefused` and `ActionFailed` with `http_<status>` for other statuses,
        `http_connect`, `http_timeout`, `http_protocol`, `http_tls`, `http_too_large`,
        `http_redirect`, `http_forbidden_address`, `http_token_refused`, `http_token_unavailable`.
        """
        url = self._url(ask)
        place = _place(ask.method, url)
        async with self._said_well(place, ask.timeout):
            answer = await self._follow(ask, url)
        if answer.status in ask.expect if ask.expect is not None else 200 <= answer.status < 300:
            return answer
        raise self._scrubbed(
            status_failure(place, answer.status, answer.headers, answer.body, datetime.now(UTC))
        )

    def address(self) -> str | None:
        """The base URL for people to read: without user, password and query."""
        if self._base is None:
            return None
        plain = self._base.copy_with(username=None, password=None, query=None, fragment=None)
        return str(self._known.redact_value(str(plain)))

    async def check(self, method: str, url: str, *, expect: Collection[int] | None = None) -> str:
        """Ask for something that changes nothing; says what was answered.

        Raises as `send` does, and `http_401` or `http_403` where nobody is let in.
        """
        ask = Ask(method=method, url=url, idempotency_key=f"check-{uuid.uuid4().hex}")
        allowed = None if expect is None else [one for one in expect if one not in (401, 403)]
        answer = await self.send(msgspec.structs.replace(ask, expect=allowed))
        return f"answered with status {answer.status}"

    def scrub(self, value: Any) -> Any:
        """The value without a secret of this connection, should the other side have sent it back."""
        return self._known.redact_value(value)

    def url_of(self, ask: Ask) -> httpx.URL:
        """The whole URL that a request goes to first."""
        return self._url(ask)

    # -- one request, with all that it leads to -------------------------------------------

    async def _follow(self, ask: Ask, url: httpx.URL) -> Answer:
        method, content, given = ask.method, ask.content, dict(ask.headers)
        at_home, renewed = True, False
        redirects = self.settings.max_redirects
        while True:
            headers = {**given}
            if content is not None and ask.content_type is not None:
                headers.setdefault("content-type", ask.content_type)
            if at_home:
                headers |= self._marks(ask, method, content)
            token: str | None = None
            target = url
            if at_home and self._is_ours(url):
                own = {name.lower(): value for name, value in self.settings.headers.items()}
                headers = {**own, **headers}
                token = None if self._tokens is None else await self._tokens.get()
                target = self._with_credentials(url, headers, token)
            answer = await self._exchange(method, target, headers, content)
            if answer.status == 401 and token is not None and not renewed and self._tokens:
                # It may have been withdrawn before its time. Once: then the answer stands.
                renewed = True
                await self._tokens.renew(token)
                continue
            if not self._is_redirect(ask, answer):
                return answer
            if redirects == 0:
                raise _redirect(url, f"redirects more than {self.settings.max_redirects} times")
            redirects -= 1
            new = _location(url, answer.headers["location"])
            if url.scheme == "https" and new.scheme == "http":
                raise _redirect(url, "redirects to a connection that is not encrypted")
            if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
                method, content = ("HEAD" if method == "HEAD" else "GET"), None
                given.pop("content-type", None)
            if not _same_origin(url, new):
                if content is not None or method not in SAFE:
                    raise _redirect(
                        url, f"redirects a {method} to {new.host}; what it holds is not sent there"
                    )
                given = {k: v for k, v in given.items() if k in _FOR_EVERYBODY}
                # For good: another host does not choose what is asked with our credentials.
                at_home = False
            url = new

    def _is_redirect(self, ask: Ask, answer: Answer) -> bool:
        return (
            answer.status in _REDIRECTS
            and "location" in answer.headers
            and self.settings.max_redirects > 0
            and (ask.expect is None or answer.status not in ask.expect)
        )

    def _marks(self, ask: Ask, method: str, content: bytes | None) -> dict[str, str]:
        """The headers that say which step this is, and that it comes from us."""
        marks: dict[str, str] = {}
        if method in SAFE:
            return marks
        name = self.settings.idempotency_header
        if name is not None and name.lower() not in ask.headers:
            marks[name.lower()] = key_header(ask.idempotency_key)
        if self.settings.sign is not None:
            marks |= signature_headers(
                self.settings.sign, content or b"", ask.idempotency_key, datetime.now(UTC)
            )
        return marks

    def _with_credentials(
        self, url: httpx.URL, headers: dict[str, str], token: str | None
    ) -> httpx.URL:
        auth = self.settings.auth
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        elif auth is None:
            pass
        elif auth.basic is not None:
            headers["authorization"] = _basic(auth.basic.username, auth.basic.password)
        elif auth.bearer is not None:
            headers["authorization"] = f"Bearer {auth.bearer}"
        elif auth.api_key is not None and auth.api_key.header is not None:
            headers[auth.api_key.header.lower()] = auth.api_key.value
        elif auth.api_key is not None and auth.api_key.query is not None:
            return url.copy_set_param(auth.api_key.query, auth.api_key.value)
        return url

    # -- one exchange ---------------------------------------------------------------------

    async def _exchange_alone(
        self, method: str, url: httpx.URL, headers: dict[str, str], content: bytes
    ) -> Answer:
        async with self._said_well(_place(method, url), None):
            return await self._exchange(method, url, headers, content)

    async def _exchange(
        self, method: str, url: httpx.URL, headers: Mapping[str, str], content: bytes | None
    ) -> Answer:
        settings = self.settings
        sent = {
            "host": url.netloc.decode("ascii"),
            "user-agent": "event-hub",
            "accept": "*/*",
            "accept-encoding": "gzip",
            **{name.lower(): value for name, value in headers.items()},
        }
        carry(sent)
        if content is not None or method in ("POST", "PUT", "PATCH"):
            sent["content-length"] = str(len(content or b""))
        request = httpcore.Request(
            method,
            httpcore.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            headers=[(n.encode("ascii"), v.encode("latin-1")) for n, v in sent.items()],
            content=content or b"",
            extensions={
                "timeout": {
                    "connect": settings.connect_timeout,
                    "pool": settings.timeout,
                    "read": settings.timeout,
                    "write": settings.timeout,
                }
            },
        )
        response = await self._connections().handle_async_request(request)
        try:
            received: dict[str, str] = {}
            for raw_name, raw_value in response.headers:
                name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
                received[name] = f"{received[name]}, {value}" if name in received else value
            received.pop("set-cookie", None)
            place = _place(method, url)
            if method == "HEAD":
                body = b""
            else:
                async with aclosing(_chunks(response)) as chunks:
                    body = await read_body(chunks, received, settings.max_response, place)
        finally:
            await response.aclose()
        return Answer(
            status=response.status,
            headers=received,
            body=body,
            url=str(url.copy_with(query=None, fragment=None)),
            retry_after=retry_after(received, datetime.now(UTC)),
        )

    @asynccontextmanager
    async def _said_well(self, place: str, timeout: float | None) -> AsyncIterator[None]:
        # The libraries' errors quote requests, and requests hold secrets: only their kind is told.
        try:
            async with asyncio.timeout(timeout or self.settings.timeout):
                yield
        except ActionFailed as error:
            raise self._scrubbed(error) from None
        except (
            AddressForbidden,
            TimeoutError,
            OSError,
            httpcore.UnsupportedProtocol,
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.TimeoutException,
        ) as error:
            raise self._scrubbed(exchange_failure(error, place)) from None

    def _connections(self) -> httpcore.AsyncConnectionPool:
        if self._pool is None:
            settings = self.settings
            trusted = []
            urls = [self._base]
            if settings.auth is not None and settings.auth.oauth2 is not None:
                urls.append(httpx.URL(settings.auth.oauth2.token_url))
            trusted = [(url.raw_host.decode(), _port(url)) for url in urls if url is not None]
            self._pool = httpcore.AsyncConnectionPool(
                ssl_context=self._tls(),
                max_connections=settings.connections,
                max_keepalive_connections=min(20, settings.connections),
                keepalive_expiry=15.0,
                network_backend=GuardedBackend(Guard(settings.allow, trusted)),
            )
        return self._pool

    def _tls(self) -> ssl.SSLContext:
        file = self.settings.ca_file
        if file is None:
            return httpx.create_ssl_context()
        try:
            return ssl.create_default_context(cafile=str(self._project / file))
        except OSError:
            raise ActionRefused(
                "invalid_settings", f"the file {file} (`ca_file`) cannot be read as PEM"
            ) from None

    # -- where to, and what is secret -----------------------------------------------------

    def _url(self, ask: Ask) -> httpx.URL:
        for name, value in ask.headers.items():
            try:
                check_header(name, value)
            except ValueError as error:
                raise ActionRefused("invalid_input", f"headers: {error}") from None
        try:
            if "://" in ask.url[:12] or self._base is None:
                url = httpx.URL(ask.url)
                check_url("url", ask.url)
            else:
                url = _below(self._base, ask.url)
            if ask.query:
                url = url.copy_merge_params(_flat(ask.query))
        except (httpx.InvalidURL, ValueError, TypeError) as error:
            said = str(error) if type(error) is ValueError else "url is no URL"
            if self._base is None and "://" not in ask.url[:12]:
                said = (
                    "url must begin with https:// or http://, as the connection has no `base_url`"
                )
            raise ActionRefused("invalid_input", said) from None
        if len(str(url)) > _MAX_URL:
            raise ActionRefused("invalid_input", "url is too long")
        if self._base is not None and not self._is_ours(url) and self.settings.auth is not None:
            raise ActionRefused(
                "invalid_input",
                f"url is at {url.host}, and this connection's credentials are for "
                f"{self._base.host} only: use another connection",
            )
        return url

    def _is_ours(self, url: httpx.URL) -> bool:
        return self._base is not None and _same_origin(self._base, url)

    def _learn(self, secrets: list[str]) -> None:
        """Know the connection's secrets and these, which take the place of those learnt before."""
        known = Redactor()
        for secret in [*self._own_secrets, *secrets]:
            known.add(secret)
        self._known = known

    def _scrubbed(self, error: ActionFailed) -> ActionFailed:
        return type(error)(
            error.failure, self._known.redact(error.message), retry_after=error.retry_after
        )


async def _chunks(response: httpcore.Response) -> AsyncGenerator[bytes, None]:
    chunks = response.aiter_stream()
    try:
        async for chunk in chunks:
            yield chunk
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()


def key_header(idempotency_key: str) -> str:
    """The key as it stands in a header: as it is, or hashed where it has other characters."""
    if _PLAIN_KEY.fullmatch(idempotency_key):
        return idempotency_key
    return hashlib.sha256(idempotency_key.encode("utf-8", "surrogatepass")).hexdigest()


def _secrets(settings: Settings) -> list[str]:
    found: list[str | None] = []
    if (auth := settings.auth) is not None:
        found.append(auth.bearer)
        if auth.basic is not None:
            basic = _basic(auth.basic.username, auth.basic.password)
            found += [auth.basic.password, basic.removeprefix("Basic ")]
        if auth.api_key is not None:
            found.append(auth.api_key.value)
        if auth.oauth2 is not None:
            found += [auth.oauth2.client_secret, auth.oauth2.refresh_token]
    if (sign := settings.sign) is not None:
        if sign.hmac is not None:
            found.append(sign.hmac.secret)
        if sign.standard_webhooks is not None:
            found += sign.standard_webhooks.secrets
    return [secret for secret in found if secret]


def host_of(url: str) -> str:
    """Whose URL it is. The rest of a webhook's URL is a secret."""
    given = httpx.URL(url)
    return f"{given.scheme}://{given.netloc.decode('ascii')}"


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def _below(base: httpx.URL, path: str) -> httpx.URL:
    if not path:
        return base
    path, mark, query = path.partition("?")
    if any(unquote(part) in (".", "..") for part in re.split(r"[/\\]|%2[fF]|%5[cC]", path)):
        raise ValueError("url must not leave the connection's `base_url`")
    joined = str(base.copy_with(query=None, fragment=None)).rstrip("/")
    if path.strip("/"):
        joined += "/" + path.lstrip("/")
    elif path:
        joined += "/"
    url = httpx.URL(joined + mark + query)
    if base.query:
        url = url.copy_merge_params(httpx.QueryParams(base.query.decode()))
    return url


def _flat(query: Mapping[str, Any]) -> httpx.QueryParams:
    return httpx.QueryParams({name: value for name, value in query.items() if value is not None})


def _location(url: httpx.URL, location: str) -> httpx.URL:
    try:
        new = url.join(location).copy_with(fragment=None)
        check_url("location", str(new))
    except (httpx.InvalidURL, ValueError, TypeError):
        raise _redirect(url, "redirects to what is no web address") from None
    return new


def _redirect(url: httpx.URL, what: str) -> ActionRefused:
    return ActionRefused("http_redirect", f"{url.scheme}://{url.netloc.decode()} {what}")


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    return (one.scheme, one.host, _port(one)) == (other.scheme, other.host, _port(other))


def _place(method: str, url: httpx.URL) -> str:
    # Paths are left out: those of webhooks are secrets.
    return f"{method} {url.scheme}://{url.netloc.decode()}"
