"""Signatures over what we send, so that the receiver knows whom it is from.

Source: the Standard Webhooks specification 1.0, "Signature scheme".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connectors.http.settings import Hmac, Signing, StandardWebhooks, webhook_key

__all__ = ["signature_headers"]


def signature_headers(
    signing: Signing, body: bytes, idempotency_key: str, now: datetime
) -> dict[str, str]:
    """The headers that sign this body. The id of a webhook is the same in every attempt."""
    timestamp = str(int(now.timestamp()))
    if signing.hmac is not None:
        return _hmac(signing.hmac, body, timestamp)
    assert signing.standard_webhooks is not None
    return _standard(signing.standard_webhooks, body, idempotency_key, timestamp)


def _hmac(how: Hmac, body: bytes, timestamp: str) -> dict[str, str]:
    headers = {}
    if how.timestamp_header is not None:
        headers[how.timestamp_header] = timestamp
        body = timestamp.encode() + b"." + body
    digest = hmac.new(how.secret.encode(), body, how.algorithm).digest()
    written = digest.hex() if how.encoding == "hex" else base64.b64encode(digest).decode()
    return {**headers, how.header: how.prefix + written}


def _standard(
    how: StandardWebhooks, body: bytes, idempotency_key: str, timestamp: str
) -> dict[str, str]:
    message_id = "msg_" + hashlib.sha256(idempotency_key.encode()).hexdigest()[:32]
    content = f"{message_id}.{timestamp}.".encode() + body
    signatures = []
    for secret in how.secrets:
        key = webhook_key(secret)
        if secret.startswith("whsk_"):
            signed = Ed25519PrivateKey.from_private_bytes(key[:32]).sign(content)
            signatures.append("v1a," + base64.b64encode(signed).decode())
        else:
            digest = hmac.new(key, content, "sha256").digest()
            signatures.append("v1," + base64.b64encode(digest).decode())
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }
