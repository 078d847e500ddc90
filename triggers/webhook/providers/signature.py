"""What verifying has in common, whoever signs: presence, comparison in constant time, the clock."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from hub.errors import BadSignature
from hub.trigger import Request
from triggers.webhook.providers.fields import moment_of

__all__ = [
    "check_clock",
    "decode_base64",
    "digests",
    "matches",
    "presented",
    "same_text",
]

_MOST_SIGNATURES = 20


def presented(request: Request, header: str) -> str:
    """The value of a header that proves something. Raises `BadSignature` when there is none."""
    value = request.headers.get(header)
    if not value:
        raise BadSignature(f"the header {header!r} is missing")
    return value


def digests(keys: Iterable[bytes], signed: bytes, algorithm: str = "sha256") -> list[bytes]:
    """The HMAC (RFC 2104) of what is signed, by each of the keys."""
    return [hmac.digest(key, signed, algorithm) for key in keys]


def matches(expected: Sequence[bytes], given: Sequence[str]) -> bool:
    """Whether any of the given signatures is an expected one, in constant time."""
    found = False
    for signature in given[:_MOST_SIGNATURES]:
        presented_bytes = signature.encode("utf-8", "surrogatepass")
        for own in expected:
            # No early end: the time taken must not tell which secret has matched.
            found |= hmac.compare_digest(own, presented_bytes)
    return found


def same_text(expected: Iterable[bytes], given: bytes) -> bool:
    """Whether a secret that was sent as it is, is an expected one.

    Digests are compared, so that not even the length shows in the time taken.
    """
    found = False
    seen = hashlib.sha256(given).digest()
    for own in expected:
        found |= hmac.compare_digest(hashlib.sha256(own).digest(), seen)
    return found


def check_clock(request: Request, timestamp: str, tolerance: timedelta) -> datetime:
    """The time that was signed. Raises `BadSignature` when it is too far from the hub's clock."""
    time = moment_of(timestamp)
    if time is None:
        raise BadSignature("the timestamp of the signature is no time")
    if abs(request.received_at - time) > tolerance:
        raise BadSignature("the timestamp of the signature is too far from the hub's clock")
    return time


def decode_base64(text: str) -> bytes | None:
    """The bytes of a base64 text (RFC 4648, section 4); None unless it is their only spelling."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded if base64.b64encode(decoded).decode() == text else None
