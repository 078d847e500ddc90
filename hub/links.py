"""Callback links: signed, expiring, single-purpose URLs that deliver an event to one run; decision
links, by which one person decides on one approval; and the tokens of buttons, by which people decide
where something else says who they are.

A link is `<base>/callbacks/<token>` or `<base>/decisions/<token>`; the token is a JWS in compact form
(RFC 7515), HS256. The keys are derived from the hub's one secret by HKDF (RFC 5869), a different one for each purpose, so that
a token of one kind can never stand for one of another.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from hub.errors import Gone, MissingSecret, NotFound

__all__ = [
    "ButtonClaims",
    "CallbackClaims",
    "DecisionClaims",
    "Links",
    "derive_key",
    "load_or_create_secret",
]

_AUDIENCE: Final = "hub/callback"
_DECISIONS: Final = "hub/decision"
_BUTTONS: Final = "hub/buttons"
_ALGORITHM: Final = "HS256"
_KEY_BYTES: Final = 32
_MIN_SECRET: Final = 16
_MAX_TOKEN: Final = 8192
_SECRET_FILE: Final = "secret.key"  # noqa: S105  (a file's name)


class CallbackClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What a callback link stands for.

    `run_id` is the run's workflow id (`tree/key`); `first_run_id` is the id of the first Temporal
    run of that chain, where the link must not reach a later run of the same key. `use` says how
    often the link delivers; `token_id` is what a used link is remembered by.
    """

    run_id: str
    subscription: str
    expires_at: datetime
    token_id: str
    first_run_id: str | None = None
    use: Literal["once", "many"] = "once"
    label: str | None = None


class DecisionClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision link stands for: who decides by it on which approval of which run.

    `approval` is the id of the very approval, so that a link does not reach a later one at the same
    `path`, be it of the same run or of another of its key.
    """

    run_id: str
    path: str
    approval: str
    who: str
    expires_at: datetime


class ButtonClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What the buttons of a post stand for: which approval of which run is decided by them.

    They prove nothing of who presses them.
    """

    run_id: str
    path: str
    approval: str
    expires_at: datetime


class _DecisionPayload(msgspec.Struct, frozen=True, kw_only=True):
    aud: Literal["hub/decision"]
    iat: int
    exp: int
    sub: str
    path: str
    approval: str
    who: str


class _ButtonPayload(msgspec.Struct, frozen=True, kw_only=True):
    aud: Literal["hub/buttons"]
    iat: int
    exp: int
    sub: str
    path: str
    approval: str


class _Payload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    aud: Literal["hub/callback"]
    iat: int
    exp: int
    jti: str
    sub: str
    subscription: str
    first: str | None = None
    use: Literal["once", "many"] = "once"
    label: str | None = None


class Links:
    """Signs callback links and reads them back.

    The first of `keys` signs; all of them verify, so that a key can be rotated while links of the
    old one are still out. `base_url` is where the hub is reached from outside.
    """

    def __init__(self, keys: Sequence[bytes], base_url: str) -> None:
        if not keys:
            raise ValueError("callback links need at least one key")
        if any(len(key) < _KEY_BYTES for key in keys):
            raise ValueError(f"a key of callback links has at least {_KEY_BYTES} bytes")
        self._keys = [OctKey.import_key(key) for key in keys]
        self._decision_keys = [OctKey.import_key(_derive(key, _DECISIONS.encode())) for key in keys]
        self._button_keys = [OctKey.import_key(_derive(key, _BUTTONS.encode())) for key in keys]
        self.base_url = base_url.rstrip("/")

    def sign(self, claims: CallbackClaims, now: datetime) -> str:
        """The link that stands for these claims. The same claims and time give the same link."""
        payload = _Payload(
            aud=_AUDIENCE,
            iat=int(now.timestamp()),
            exp=int(claims.expires_at.timestamp()),
            jti=claims.token_id,
            sub=claims.run_id,
            subscription=claims.subscription,
            first=claims.first_run_id,
            use=claims.use,
            label=claims.label,
        )
        return f"{self.base_url}/callbacks/{_signed(payload, self._keys[0])}"

    def sign_decision(self, claims: DecisionClaims, now: datetime) -> str:
        """The link by which a person decides. The same claims and time give the same link."""
        payload = _DecisionPayload(
            aud=_DECISIONS,
            iat=int(now.timestamp()),
            exp=int(claims.expires_at.timestamp()),
            sub=claims.run_id,
            path=claims.path,
            approval=claims.approval,
            who=claims.who,
        )
        return f"{self.base_url}/decisions/{_signed(payload, self._decision_keys[0])}"

    def sign_buttons(self, claims: ButtonClaims, now: datetime) -> str:
        """The token that buttons carry; no link. The same claims and time give the same token."""
        payload = _ButtonPayload(
            aud=_BUTTONS,
            iat=int(now.timestamp()),
            exp=int(claims.expires_at.timestamp()),
            sub=claims.run_id,
            path=claims.path,
            approval=claims.approval,
        )
        return _signed(payload, self._button_keys[0])

    def verify(self, token: str, now: datetime) -> CallbackClaims:
        """The claims of a token that this hub has signed.

        Raises `Gone` when it was a true link and its time is over, and `NotFound` for everything
        else, whatever is wrong with it: whoever guesses learns nothing from the answer.
        """
        payload = _read(token, self._keys, _Payload)
        expires_at = _in_time(payload.exp, now)
        return CallbackClaims(
            run_id=payload.sub,
            first_run_id=payload.first,
            subscription=payload.subscription,
            expires_at=expires_at,
            token_id=payload.jti,
            use=payload.use,
            label=payload.label,
        )

    def verify_decision(self, token: str, now: datetime) -> DecisionClaims:
        """The claims of a decision link's token. Raises as `verify` does."""
        payload = _read(token, self._decision_keys, _DecisionPayload)
        return DecisionClaims(
            run_id=payload.sub,
            path=payload.path,
            approval=payload.approval,
            who=payload.who,
            expires_at=_in_time(payload.exp, now),
        )

    def verify_buttons(self, token: str, now: datetime) -> ButtonClaims:
        """The claims of a button's token. Raises as `verify` does."""
        payload = _read(token, self._button_keys, _ButtonPayload)
        return ButtonClaims(
            run_id=payload.sub,
            path=payload.path,
            approval=payload.approval,
            expires_at=_in_time(payload.exp, now),
        )


_Read = TypeVar("_Read", _Payload, _DecisionPayload, _ButtonPayload)


def _signed(payload: _Payload | _DecisionPayload | _ButtonPayload, key: OctKey) -> str:
    return jws.serialize_compact(
        {"alg": _ALGORITHM}, msgspec.json.encode(payload), key, [_ALGORITHM]
    )


def _read(token: str, keys: Sequence[OctKey], kind: type[_Read]) -> _Read:
    """The payload of a token that one of the keys has signed. Raises `NotFound`."""
    if len(token) <= _MAX_TOKEN and token.isascii():
        for key in keys:
            try:
                signed = jws.deserialize_compact(token, key, [_ALGORITHM])
            except (JoseError, ValueError, TypeError):
                continue
            try:
                return msgspec.json.decode(signed.payload, type=kind)
            except msgspec.MsgspecError:
                break
    raise NotFound("This link is not valid.")


def _in_time(exp: int, now: datetime) -> datetime:
    """When the link expires. Raises `Gone` when it has."""
    expires_at = datetime.fromtimestamp(exp, UTC)
    if now >= expires_at:
        raise Gone(f"This link expired on {expires_at:%Y-%m-%d at %H:%M} UTC.")
    return expires_at


def derive_key(secret: str, purpose: str) -> bytes:
    """A key of 32 bytes for one purpose, from the hub's secret (HKDF with SHA-256, RFC 5869).

    Raises `MissingSecret` when the secret is too short to keep anything secret.
    """
    if len(secret) < _MIN_SECRET:
        raise MissingSecret(
            f"HUB_SECRET_KEY has fewer than {_MIN_SECRET} characters; set a random one, "
            "such as `openssl rand -hex 32` prints"
        )
    return _derive(secret.encode(), b"hub/" + purpose.encode())


def _derive(secret: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=info).derive(secret)


def load_or_create_secret(state: Path) -> str:
    """The secret of a hub that was given none: made once and kept in the state folder.

    The file is readable by its owner alone. Processes that start at the same moment agree on one
    secret, and one that dies half way leaves none behind.
    """
    path = state / _SECRET_FILE
    try:
        return _read_secret(path)
    except FileNotFoundError:
        pass
    state.mkdir(parents=True, exist_ok=True)
    draft = state / f".{_SECRET_FILE}.{os.getpid()}.{secrets.token_hex(4)}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            # A link fails where the name is taken, so the first of several processes wins.
            path.hardlink_to(draft)
        except FileExistsError:
            pass
    finally:
        draft.unlink(missing_ok=True)
    return _read_secret(path)


def _read_secret(path: Path) -> str:
    secret = path.read_text(encoding="ascii", errors="replace").strip()
    if len(secret) < _MIN_SECRET:
        raise MissingSecret(
            f"{path} does not hold a secret; delete it to have a new one made "
            "(links that were signed with the old one then stop working)"
        )
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
    return secret
