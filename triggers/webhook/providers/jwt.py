"""`provider: jwt`: a caller with a JSON Web Token that some issuer has signed (RFC 7519, RFC 8725)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwa import JWSAlgModel
from joserfc.jws import JWSRegistry

from hub.durations import parse_duration
from hub.errors import BadSignature, Diagnostic
from hub.jwks import RemoteKeys
from hub.trigger import Request
from triggers.webhook.providers import checks
from triggers.webhook.providers.bearer import bearer_token
from triggers.webhook.providers.provider import Provider
from triggers.webhook.settings import TimedSettings

__all__ = ["Jwt", "JwtSettings"]

ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "Ed25519",
    "EdDSA",
)
_LONGEST = 8192
_CHALLENGE = 'Bearer realm="hub", error="invalid_token"'


class JwtSettings(TimedSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A webhook whose caller has a token of an issuer.

    `jwks` is the address of the issuer's keys. Only tokens of this `issuer`, for this `audience`
    (one of them, where it is a list) and by one of these `algorithms` count, and only until they
    expire; `tolerance` is how far its clock may be off. The token is sent as `Authorization:
    Bearer ...`, or bare in another `header`.
    """

    jwks: str
    issuer: str
    audience: str | list[str]
    algorithms: list[str] = msgspec.field(default_factory=lambda: ["RS256"])
    header: str = "authorization"
    tolerance: str = "1m"


class Jwt(Provider):
    """A signed token in a header."""

    name = "jwt"
    settings_type = JwtSettings
    proves = "caller"
    cloudevents = True

    def __init__(self, settings: JwtSettings) -> None:
        super().__init__(settings)
        self._header = settings.header.lower()
        self._algorithms = settings.algorithms
        self._registry = _Registry(algorithms=settings.algorithms, strict_check_header=False)
        self._issuer = settings.issuer
        self._audience = _audiences(settings)
        self._tolerance = int(parse_duration(settings.tolerance).total_seconds())
        self._keys = RemoteKeys(settings.jwks)

    @classmethod
    def check(cls, settings: JwtSettings) -> Iterator[Diagnostic]:
        yield from checks.tolerance(settings)
        yield from checks.header_name("header", settings.header)
        yield from checks.no_secret(
            settings,
            "tokens are verified by the issuer's public keys, there is no secret to share",
            "jwks: https://issuer.example.com/.well-known/jwks.json",
        )
        if not _is_safe(settings.jwks):
            yield Diagnostic(
                message="the keys must come from an https address, or from this very machine",
                path="jwks",
                code="insecure_url",
                suggestion="whoever can change the keys on their way could sign for anybody",
            )
        if not settings.issuer:
            yield Diagnostic(message="the issuer is empty", path="issuer", code="invalid_value")
        if not _audiences(settings) or not all(_audiences(settings)):
            yield Diagnostic(
                message="the audience is empty, so tokens for others would count",
                path="audience",
                code="invalid_value",
            )
        if not settings.algorithms:
            yield Diagnostic(message="no algorithm counts", path="algorithms", code="invalid_value")
        for place, algorithm in enumerate(settings.algorithms):
            yield from checks.choice(f"algorithms[{place}]", algorithm, ALGORITHMS)

    async def verify(self, request: Request) -> None:
        """Look at the token's own words first: keys are fetched for one that may be genuine only."""
        token = bearer_token(request, self._header)
        head = _head(token)
        algorithm, kid = head.get("alg"), head.get("kid")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise _refused("the token is signed by an algorithm that is not taken here")
        if kid is not None and not isinstance(kid, str):
            raise _refused("the token's key id is no text")
        for key in await self._keys.find(kid, algorithm, request.received_at):
            try:
                claims = jwt.decode(token, key, registry=self._registry).claims
            except (JoseError, ValueError, TypeError):
                continue
            self._check_claims(claims, request)
            return
        raise _refused("the token is not signed by its issuer")

    def _check_claims(self, claims: dict[str, Any], request: Request) -> None:
        registry = jwt.JWTClaimsRegistry(
            now=int(request.received_at.timestamp()),
            leeway=self._tolerance,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "values": self._audience},
            exp={"essential": True},
        )
        try:
            registry.validate(claims)
        except (JoseError, ValueError, TypeError, OverflowError):
            raise _refused("the token has expired, or is of another issuer or audience") from None


class _Registry(JWSRegistry):
    """Headers that are not known are let be (RFC 7515, section 4).

    The algorithms are pinned in the settings, so none of them is warned of at each token.
    """

    def get_alg(self, name: str) -> JWSAlgModel:
        if name not in (self.allowed or ()):
            raise UnsupportedAlgorithmError(f"{name} is not taken here")
        return self.algorithms[name]


def _audiences(settings: JwtSettings) -> list[str]:
    given = settings.audience
    return [given] if isinstance(given, str) else given


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme == "https":
            return bool(host)
        return parts.scheme == "http" and (host == "localhost" or ip_address(host).is_loopback)
    except ValueError:
        return False


def _head(token: str) -> dict[str, Any]:
    segments = token.split(".")
    if len(token) > _LONGEST or len(segments) != 3:
        raise _refused("that is no token")
    decoded = [_decoded(segment) for segment in segments]
    try:
        head = msgspec.json.decode(decoded[0])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        head = None
    if not isinstance(head, dict):
        raise _refused("that is no token")
    return head


def _decoded(segment: str) -> bytes:
    # Only the one spelling of the bytes counts (RFC 7515, section 2), so that none can be varied.
    try:
        decoded = base64.b64decode(segment + "=" * (-len(segment) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _refused("that is no token") from None
    if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() != segment:
        raise _refused("that is no token")
    return decoded


def _refused(message: str) -> BadSignature:
    return BadSignature(message, challenge=_CHALLENGE)
