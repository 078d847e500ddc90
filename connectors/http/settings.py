"""The settings of an HTTP connection: where, as whom, and within which bounds."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated, Final, Literal

import httpx
import msgspec
from msgspec import Meta

from connectors.http.guard import check_allow

__all__ = ["ApiKey", "Auth", "Basic", "Hmac", "OAuth2", "Settings", "Signing", "StandardWebhooks"]

HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
RESERVED: Final = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization"}
    | {"proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "accept-encoding"}
)
"""Headers that belong to the connection itself, so nobody else may set them."""

_Secret = Annotated[str, Meta(min_length=1)]


class Basic(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A user and a password (RFC 7617)."""

    username: Annotated[str, Meta(description="User", pattern="^[^:]*$")]
    password: Annotated[str, Meta(description="The user's password")]


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key in a header or, where nothing else is taken, in the query."""

    value: Annotated[_Secret, Meta(description="The key")]
    header: Annotated[str | None, Meta(description="The header that it goes in")] = None
    query: Annotated[str | None, Meta(description="The parameter that it goes in")] = None

    def __post_init__(self) -> None:
        if (self.header is None) == (self.query is None):
            raise ValueError("api_key needs either `header` or `query`")
        if self.header is not None:
            check_header(self.header, self.value)


class OAuth2(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token of an OAuth 2.0 server (RFC 6749): client credentials, or a refresh token."""

    token_url: Annotated[str, Meta(description="The server's token endpoint")]
    client_id: Annotated[str, Meta(min_length=1, description="Id of the client")]
    client_secret: Annotated[
        str | None, Meta(description="Secret of the client; none if it is public")
    ] = None
    scope: Annotated[str | None, Meta(description="Scopes to ask for, with spaces between")] = None
    audience: Annotated[
        str | None, Meta(description="The API that the token is for, where the server asks for it")
    ] = None
    refresh_token: Annotated[
        str | None,
        Meta(
            description="Act for a user by this token, instead of client credentials; a new one "
            "that the server gives in exchange is kept only until the worker stops"
        ),
    ] = None
    client_auth: Annotated[
        Literal["client_secret_basic", "client_secret_post", "none"],
        Meta(description="How the client shows who it is at the token endpoint"),
    ] = "client_secret_basic"

    def __post_init__(self) -> None:
        check_url("token_url", self.token_url)


class Auth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As whom requests are made: exactly one of these."""

    basic: Annotated[Basic | None, Meta(description="User and password")] = None
    bearer: Annotated[_Secret | None, Meta(description="A token that does not change")] = None
    api_key: Annotated[ApiKey | None, Meta(description="A key in a header or the query")] = None
    oauth2: Annotated[OAuth2 | None, Meta(description="A token that a server hands out")] = None

    def __post_init__(self) -> None:
        given = [n for n in self.__struct_fields__ if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError("auth needs exactly one of `basic`, `bearer`, `api_key`, `oauth2`")
        if self.bearer is not None:
            check_header("Authorization", self.bearer)


class Hmac(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A keyed hash of the body in a header."""

    secret: Annotated[_Secret, Meta(description="The shared secret")]
    header: Annotated[str, Meta(description="The header that it goes in")] = "X-Signature"
    prefix: Annotated[str, Meta(description="Text before it, such as `sha256=`")] = ""
    algorithm: Annotated[
        Literal["sha1", "sha256", "sha384", "sha512"], Meta(description="The hash function")
    ] = "sha256"
    encoding: Annotated[Literal["hex", "base64"], Meta(description="How it is written")] = "hex"
    timestamp_header: Annotated[
        str | None,
        Meta(
            description="Send the Unix time in this header, and sign `time.body` instead of the body"
        ),
    ] = None

    def __post_init__(self) -> None:
        check_header(self.header, self.prefix)
        if self.timestamp_header is not None:
            check_header(self.timestamp_header, "")


class StandardWebhooks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The signature of standardwebhooks.com: `webhook-id`, `-timestamp` and `-signature`."""

    secrets: Annotated[
        Annotated[list[str], Meta(min_length=1)],
        Meta(
            description="`whsec_...` or, for ed25519, `whsk_...`; with two, both sign, so that the "
            "receiver can change from one to the other"
        ),
    ]

    def __post_init__(self) -> None:
        for secret in self.secrets:
            key = webhook_key(secret)
            if secret.startswith("whsk_") and len(key) not in (32, 64):
                raise ValueError("secrets: a `whsk_` key has 32 or 64 bytes")


class Signing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How requests with a body are signed: exactly one of these."""

    hmac: Annotated[Hmac | None, Meta(description="A keyed hash in a header")] = None
    standard_webhooks: Annotated[
        StandardWebhooks | None, Meta(description="As standardwebhooks.com has it")
    ] = None

    def __post_init__(self) -> None:
        if (self.hmac is None) == (self.standard_webhooks is None):
            raise ValueError("sign needs either `hmac` or `standard_webhooks`")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """A service that is called by HTTP. All of it may be left out for public ones."""

    base_url: Annotated[
        str | None,
        Meta(
            description="What paths in trees are appended to. Credentials go to this host only, and "
            "it may be reached wherever it is"
        ),
    ] = None
    auth: Annotated[Auth | None, Meta(description="As whom requests are made")] = None
    sign: Annotated[Signing | None, Meta(description="How requests are signed")] = None
    headers: Annotated[
        dict[str, str], Meta(description="Headers of every request to this service")
    ] = {}
    allow: Annotated[
        list[str],
        Meta(
            description="What may be reached beside the public internet: networks, addresses, "
            "names of hosts, also with `*`"
        ),
    ] = []
    ca_file: Annotated[
        str | None,
        Meta(description="Certificates to trust instead of the usual: a PEM file of the project"),
    ] = None
    timeout: Annotated[
        float, Meta(gt=0, le=300, description="Longest time for one exchange, in seconds")
    ] = 30.0
    connect_timeout: Annotated[
        float, Meta(gt=0, le=60, description="Longest wait for a connection, in seconds")
    ] = 5.0
    max_response: Annotated[
        int,
        Meta(
            ge=1024,
            le=64 * 1024 * 1024,
            description="Largest answer that is taken, in bytes, after decompression",
        ),
    ] = 1024 * 1024
    max_redirects: Annotated[
        int, Meta(ge=0, le=20, description="How many redirects are followed; 0 for none")
    ] = 5
    connections: Annotated[
        int, Meta(ge=1, le=1000, description="Most connections that a worker opens at once")
    ] = 50
    idempotency_header: Annotated[
        str | None,
        Meta(
            description="Header that carries a key which is the same in every attempt of a step; "
            "not sent with GET, HEAD and OPTIONS"
        ),
    ] = "Idempotency-Key"

    def __post_init__(self) -> None:
        if self.base_url is not None:
            check_url("base_url", self.base_url)
        if self.auth is not None and self.base_url is None:
            raise ValueError("auth needs `base_url`: credentials go to that host only")
        check_allow(self.allow)
        for name, value in self.headers.items():
            check_header(name, value)
        if self.headers and self.base_url is None:
            raise ValueError("headers need `base_url`: they go to that host only")
        if self.idempotency_header is not None:
            check_header(self.idempotency_header, "")


def check_url(field: str, text: str) -> None:
    """Raise `ValueError` for what is no http or https URL with a host, or has a password in it."""
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError, TypeError):
        raise ValueError(f"{field} is no URL") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"{field} must begin with https:// or http:// and a host")
    if url.userinfo:
        raise ValueError(f"{field} must not hold a user or a password; they belong in `auth`")


def check_header(name: str, value: str) -> None:
    """Raise `ValueError` for a header that cannot be sent. The value is never in the message."""
    if not HEADER_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a header")
    if name.lower() in RESERVED:
        raise ValueError(f"the header {name} is set by the connection itself")
    if not HEADER_VALUE.fullmatch(value) or value != value.strip():
        raise ValueError(f"the value of the header {name} must be one line of plain characters")


def webhook_key(secret: str) -> bytes:
    """The key in a `whsec_...` or `whsk_...` secret. Raises `ValueError`."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_").removeprefix("whsk_"), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("secrets: each is `whsec_` or `whsk_` and base64") from None
    if len(key) < 16:
        raise ValueError("secrets: a key has at least 16 bytes")
    return key
