"""`provider: standard-webhooks`: the many senders that follow one specification.

Source: the Standard Webhooks specification, "Signature scheme" and "Webhook headers". It signs
`id.timestamp.body` by HMAC (`v1`) or ed25519 (`v1a`), several times over while a secret is rotated.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hub.durations import parse_duration
from hub.errors import BadSignature, Diagnostic
from hub.trigger import Request
from triggers.webhook.providers import checks
from triggers.webhook.providers.fields import find, moment_of, text_of
from triggers.webhook.providers.provider import Draft, Provider
from triggers.webhook.providers.signature import (
    check_clock,
    decode_base64,
    digests,
    matches,
    presented,
)
from triggers.webhook.settings import TimedSettings

__all__ = ["Keys", "StandardWebhooks", "key_faults", "read_keys", "verify_standard"]

_ID = "webhook-id"
_TIME = "webhook-timestamp"
_SIGNATURE = "webhook-signature"
_SHARED = "whsec_"
_PUBLIC = "whpk_"
_PRIVATE = "whsk_"
_MOST_SIGNATURES = 20


class Keys(msgspec.Struct, frozen=True):
    """What signatures are verified by: secrets shared with the sender, and its public keys."""

    shared: list[bytes]
    public: list[Ed25519PublicKey]


class StandardWebhooks(Provider):
    """`Webhook-Signature` over id, time and body."""

    name = "standard-webhooks"
    settings_type = TimedSettings
    cloudevents = True

    def __init__(self, settings: TimedSettings) -> None:
        super().__init__(settings)
        self._keys = read_keys(settings.secrets)
        self._tolerance = parse_duration(settings.tolerance)

    @classmethod
    def check(cls, settings: TimedSettings) -> Iterator[Diagnostic]:
        yield from checks.secret_given(settings)
        yield from checks.tolerance(settings)
        yield from key_faults("secret", settings.secrets)

    async def verify(self, request: Request) -> None:
        verify_standard(request, self._keys, self._tolerance)

    def draft(self, request: Request, body: Any) -> Sequence[Draft]:
        """The id is a signed header; type, time and data are in the body, as the specification asks."""
        (usual,) = super().draft(request, body)
        return [
            msgspec.structs.replace(
                usual,
                id=text_of(request.headers[_ID]),
                time=moment_of(find(body, "timestamp")) or moment_of(request.headers[_TIME]),
            )
        ]


def key_faults(path: str, secrets: Sequence[str]) -> Iterator[Diagnostic]:
    """What is wrong with secrets as the specification writes them, without quoting them."""
    for secret in secrets:
        if secret.startswith(_PRIVATE):
            yield Diagnostic(
                message="that is the sender's private key, which only the sender may have",
                path=path,
                code="invalid_secret",
                suggestion="use its public key, whpk_...",
            )
        elif secret.startswith(_PUBLIC):
            if len(_decoded(secret.removeprefix(_PUBLIC)) or b"") != 32:
                yield Diagnostic(
                    message="the public key is not the base64 of 32 bytes (ed25519)",
                    path=path,
                    code="invalid_secret",
                )
        elif not _decoded(secret.removeprefix(_SHARED)):
            yield Diagnostic(
                message="the secret is no base64",
                path=path,
                code="invalid_secret",
                suggestion="take it whole as the sender shows it, such as whsec_...",
            )


def read_keys(secrets: Sequence[str]) -> Keys:
    """The keys of secrets that `key_faults` finds no fault with."""
    return Keys(
        shared=[
            _decoded(secret.removeprefix(_SHARED)) or b""
            for secret in secrets
            if not secret.startswith(_PUBLIC)
        ],
        public=[
            Ed25519PublicKey.from_public_bytes(_decoded(secret.removeprefix(_PUBLIC)) or b"")
            for secret in secrets
            if secret.startswith(_PUBLIC)
        ],
    )


def verify_standard(request: Request, keys: Keys, tolerance: timedelta) -> None:
    """Verify the three headers over the body. Raises `BadSignature`."""
    message_id = presented(request, _ID)
    time = presented(request, _TIME)
    given = [item.partition(",") for item in presented(request, _SIGNATURE).split(" ")]
    signed = b".".join(
        [
            message_id.encode("utf-8", "surrogatepass"),
            time.encode("utf-8", "surrogatepass"),
            request.body,
        ]
    )
    expected = [base64.b64encode(digest) for digest in digests(keys.shared, signed)]
    genuine = matches(expected, [value for version, _, value in given if version == "v1"])
    if not genuine and keys.public:
        asymmetric = [value for version, _, value in given if version == "v1a"]
        genuine = any(
            _is_by(key, value, signed)
            for key in keys.public
            for value in asymmetric[:_MOST_SIGNATURES]
        )
    if not genuine:
        raise BadSignature("no signature matches the body")
    check_clock(request, time, tolerance)


def _is_by(key: Ed25519PublicKey, value: str, signed: bytes) -> bool:
    signature = decode_base64(value)
    if signature is None:
        return False
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def _decoded(text: str) -> bytes | None:
    return decode_base64(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))
