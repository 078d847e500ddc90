"""OpenID Connect (Core 1.0, Discovery 1.0): the authorization code flow with PKCE (RFC 7636).

What a provider says counts only where it was asked by this sign-in: the code is bound to the
verifier, the ID token to the nonce, the answer to the state, and that to the browser.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import httpx
import msgspec
import structlog
from joserfc import jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwa import JWSAlgModel
from joserfc.jws import JWSRegistry

from hub.access.secret_texts import same
from hub.access.sign_ins import SignIn
from hub.errors import Unauthorized, Unreachable
from hub.jwks import RemoteKeys
from hub.sign_in import OidcSettings, is_loopback_name

__all__ = ["Identity", "Provider"]

_ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA",
)  # fmt: skip
"""Signatures by the provider's own key. Never `none`, and never one by a secret that others share."""
_DISCOVERED_FOR: Final = 3600.0
_LEEWAY: Final = 60
_OLDEST: Final = 600
_TIMEOUT: Final = 10.0
_MAX_SIZE: Final = 256 * 1024
_log = structlog.get_logger("hub.access")


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Whom the provider vouches for: `subject` is its own id of them, never given to another."""

    subject: str
    name: str
    groups: list[str]


class _Metadata(msgspec.Struct, frozen=True, kw_only=True):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: list[str] = msgspec.field(
        default_factory=lambda: ["client_secret_basic"]
    )
    authorization_response_iss_parameter_supported: bool = False


class _Registry(JWSRegistry):
    """Algorithms are pinned here, so none of them is warned of at each token."""

    def get_alg(self, name: str) -> JWSAlgModel:
        if name not in _ALGORITHMS:
            raise UnsupportedAlgorithmError(f"{name} is not taken here")
        return self.algorithms[name]


class Provider:
    """One OpenID provider. Its metadata and keys are fetched when first needed."""

    def __init__(self, settings: OidcSettings) -> None:
        self.settings = settings
        self._http = httpx.AsyncClient(
            timeout=_TIMEOUT,
            follow_redirects=False,
            trust_env=not is_loopback_name(urlsplit(settings.issuer).hostname or ""),
        )
        self._metadata: _Metadata | None = None
        self._discovered_at = 0.0
        self._keys: RemoteKeys | None = None
        self._registry = _Registry(algorithms=list(_ALGORITHMS), strict_check_header=False)

    async def close(self) -> None:
        await self._http.aclose()

    async def address(self, sign_in: SignIn, redirect_uri: str) -> str:
        """Where to send the browser. Raises `Unreachable`."""
        metadata = await self._discover()
        hashed = hashlib.sha256(sign_in.verifier.encode()).digest()
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self.settings.client_id,
                "redirect_uri": redirect_uri,
                "scope": " ".join(self.settings.scopes),
                "state": sign_in.state,
                "nonce": sign_in.nonce,
                "code_challenge": base64.urlsafe_b64encode(hashed).decode().rstrip("="),
                "code_challenge_method": "S256",
            }
        )
        separator = "&" if "?" in metadata.authorization_endpoint else "?"
        return f"{metadata.authorization_endpoint}{separator}{query}"

    async def identify(
        self, *, code: str, verifier: str, nonce: str, redirect_uri: str, issuer: str | None
    ) -> Identity:
        """Whom the code stands for. `issuer` is the answer's `iss` (RFC 9207), where it had one.

        Raises `Unauthorized` for a code or a token that does not hold, and `Unreachable`.
        """
        metadata = await self._discover()
        if issuer is None and metadata.authorization_response_iss_parameter_supported:
            raise Unauthorized("the provider's answer does not say whose it is")
        if issuer is not None and issuer != metadata.issuer:
            raise Unauthorized("the answer is another provider's")
        answer = await self._exchange(metadata, code, verifier, redirect_uri)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise Unauthorized("the provider gave no ID token")
        claims = await self._verified(token, metadata, nonce)
        if not {self._first(self.settings.name), self._first(self.settings.groups)} <= set(claims):
            claims = await self._userinfo(metadata, answer, claims)
        return self._identity(claims)

    # --- what the provider says about itself ---

    async def _discover(self) -> _Metadata:
        now = time.monotonic()
        if self._metadata is None or now - self._discovered_at > _DISCOVERED_FOR:
            issuer = self.settings.issuer
            url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
            found = self._read(await self._ask("GET", url), _Metadata)
            if found.issuer != issuer:
                raise Unreachable(
                    f"the provider at {issuer} calls itself {found.issuer[:200]!r}; "
                    "the issuer in `auth:` must be the same, to the letter"
                )
            for address in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri):
                self._check_address(address)
            if self._metadata is None or self._metadata.jwks_uri != found.jwks_uri:
                self._keys = RemoteKeys(found.jwks_uri)
            self._metadata, self._discovered_at = found, now
        return self._metadata

    def _check_address(self, address: str) -> None:
        """An issuer on this machine, as in tests, may use plain HTTP; no other may."""
        own, parts = urlsplit(self.settings.issuer), urlsplit(address)
        plain = own.scheme == "http" and is_loopback_name(parts.hostname or "")
        if parts.scheme != "https" and not (parts.scheme == "http" and plain):
            raise Unreachable("the provider names an address that is not https")

    # --- the code, and what it is changed into ---

    async def _exchange(
        self, metadata: _Metadata, code: str, verifier: str, redirect_uri: str
    ) -> Mapping[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        client_id, secret = self.settings.client_id, self.settings.client_secret
        auth = None
        if secret is None:
            form["client_id"] = client_id
        elif "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            # RFC 6749, section 2.3.1: both are form-encoded before.
            auth = httpx.BasicAuth(_form_encoded(client_id), _form_encoded(secret))
        else:
            form |= {"client_id": client_id, "client_secret": secret}
        response = await self._ask("POST", metadata.token_endpoint, data=form, auth=auth)
        if response.status_code in (400, 401, 403):
            reason = _error_of(response)
            _log.warning("the provider refuses a code", reason=reason)
            raise Unauthorized(f"the provider does not accept the sign-in: {reason}")
        answer: dict[str, Any] = self._read(response, dict)
        return answer

    async def _verified(self, token: str, metadata: _Metadata, nonce: str) -> dict[str, Any]:
        """The ID token's claims (Core 1.0, section 3.1.3.7)."""
        head = _head_of(token)
        algorithm, kid = head.get("alg"), head.get("kid")
        if algorithm not in _ALGORITHMS or not isinstance(kid, str | None):
            raise Unauthorized("the ID token is signed in a way that is not taken here")
        assert self._keys is not None
        for key in await self._keys.find(kid, algorithm, datetime.now(UTC)):
            try:
                claims: dict[str, Any] = jwt.decode(token, key, registry=self._registry).claims
            except (JoseError, ValueError, TypeError):
                continue
            self._check(claims, metadata, nonce)
            return claims
        raise Unauthorized("the ID token is not signed by the provider")

    def _check(self, claims: dict[str, Any], metadata: _Metadata, nonce: str) -> None:
        now = int(time.time())
        registry = jwt.JWTClaimsRegistry(
            now=now,
            leeway=_LEEWAY,
            iss={"essential": True, "value": metadata.issuer},
            aud={"essential": True, "value": self.settings.client_id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
        )
        try:
            registry.validate(claims)
            is_old = claims["iat"] < now - _OLDEST
        except (JoseError, ValueError, TypeError, OverflowError):
            raise Unauthorized(
                "the ID token has expired, or is of another issuer or for somebody else"
            ) from None
        audience = claims["aud"]
        several = isinstance(audience, list) and len(audience) > 1
        if claims.get("azp", None if several else self.settings.client_id) != (
            self.settings.client_id
        ):
            raise Unauthorized("the ID token was issued to somebody else")
        said = claims.get("nonce")
        if not isinstance(said, str) or not same(said, nonce):
            raise Unauthorized("the ID token is of another sign-in")
        if is_old or not isinstance(claims["sub"], str) or not claims["sub"]:
            raise Unauthorized("the ID token is too old, or of nobody")

    async def _userinfo(
        self, metadata: _Metadata, answer: Mapping[str, Any], claims: dict[str, Any]
    ) -> dict[str, Any]:
        """The claims with those of the userinfo endpoint, which must be of the same subject."""
        token = answer.get("access_token")
        if metadata.userinfo_endpoint is None or not isinstance(token, str):
            return claims
        self._check_address(metadata.userinfo_endpoint)
        response = await self._ask(
            "GET", metadata.userinfo_endpoint, headers={"authorization": f"Bearer {token}"}
        )
        told: dict[str, Any] = self._read(response, dict)
        if told.get("sub") != claims["sub"]:
            raise Unauthorized("the provider speaks of two different people")
        return {**told, **claims}

    def _identity(self, claims: dict[str, Any]) -> Identity:
        name = _at(claims, self.settings.name)
        if not isinstance(name, str) or not name.strip():
            raise Unauthorized(
                f"the provider does not say the claim {self.settings.name!r} that names a person; "
                "`auth.oidc.scopes` may have to ask for it"
            )
        if self.settings.name == "email" and claims.get("email_verified", True) is not True:
            raise Unauthorized("the provider has not verified this person's address")
        groups = _at(claims, self.settings.groups)
        listed = [groups] if isinstance(groups, str) else groups
        return Identity(
            subject=claims["sub"],
            name=name,
            groups=[one for one in listed if isinstance(one, str)]
            if isinstance(listed, list)
            else [],
        )

    # --- HTTP ---

    async def _ask(self, method: str, url: str, **options: Any) -> httpx.Response:
        options.setdefault("headers", {})["accept"] = "application/json"
        try:
            async with self._http.stream(method, url, **options) as response:
                content = bytearray()
                async for part in response.aiter_bytes():
                    content += part
                    if len(content) > _MAX_SIZE:
                        raise Unreachable("the provider answers with too much")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            _log.warning("the provider does not answer", url=url, reason=type(error).__name__)
            raise Unreachable("the provider of sign-ins does not answer; try again") from None
        return httpx.Response(response.status_code, content=bytes(content))

    def _read(self, response: httpx.Response, kind: Any) -> Any:
        if response.status_code == 200:
            try:
                return msgspec.json.decode(response.content, type=kind)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass
        raise Unreachable(
            f"the provider of sign-ins answers {response.status_code} with what cannot be read"
        )

    @staticmethod
    def _first(path: str) -> str:
        return path.partition(".")[0]


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """A claim; one with dots in its very name comes before one that lies deeper."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _head_of(token: str) -> dict[str, Any]:
    try:
        raw = token.partition(".")[0]
        head = msgspec.json.decode(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)))
    except (ValueError, msgspec.DecodeError, RecursionError):
        head = None
    return head if isinstance(head, dict) else {}


def _error_of(response: httpx.Response) -> str:
    """The error's code of RFC 6749, section 5.2; nothing else of a stranger's words is passed on."""
    try:
        code = msgspec.json.decode(response.content, type=dict[str, Any]).get("error")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        code = None
    return code if isinstance(code, str) and code.replace("_", "").isalnum() else "it says not why"


def _form_encoded(text: str) -> str:
    return urlencode({"": text})[1:]
