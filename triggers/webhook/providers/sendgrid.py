"""`provider: sendgrid`: what became of mails sent through SendGrid.

Source: SendGrid Docs, "Getting started with the Event Webhook security features", and the official
library. SendGrid signs `timestamp` and body together by ECDSA, and sends events in batches.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hub.durations import parse_duration
from hub.errors import BadRequest, BadSignature, Diagnostic
from hub.payload import read_json
from hub.trigger import Request
from triggers.webhook.providers import checks
from triggers.webhook.providers.fields import digest_of, moment_of, text_of
from triggers.webhook.providers.provider import Draft, Provider
from triggers.webhook.providers.signature import check_clock, decode_base64, presented
from triggers.webhook.settings import TimedSettings

__all__ = ["SendGrid", "SendGridSettings"]

_SIGNATURE = "x-twilio-email-event-webhook-signature"
_TIME = "x-twilio-email-event-webhook-timestamp"


class SendGridSettings(TimedSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A webhook of SendGrid.

    `public_key` is the verification key as SendGrid shows it; a list while it is rotated.
    """

    public_key: str | list[str]

    @property
    def public_keys(self) -> list[str]:
        """The keys as a list."""
        return [self.public_key] if isinstance(self.public_key, str) else self.public_key


class SendGrid(Provider):
    """`X-Twilio-Email-Event-Webhook-Signature` over the time and the body."""

    name = "sendgrid"
    settings_type = SendGridSettings

    def __init__(self, settings: SendGridSettings) -> None:
        super().__init__(settings)
        self._keys = [key for text in settings.public_keys if (key := _read_key(text))]
        self._tolerance = parse_duration(settings.tolerance)

    @classmethod
    def check(cls, settings: SendGridSettings) -> Iterator[Diagnostic]:
        yield from checks.tolerance(settings)
        yield from checks.no_secret(
            settings,
            "SendGrid signs by a key pair, there is no secret to share",
            "public_key: ${{ env.SENDGRID_PUBLIC_KEY }}",
        )
        if not settings.public_keys or not all(map(_read_key, settings.public_keys)):
            yield Diagnostic(
                message="the public key is missing or is no ECDSA key",
                path="public_key",
                code="invalid_key",
                suggestion="take the verification key whole as SendGrid shows it, in base64",
            )

    async def verify(self, request: Request) -> None:
        signature = decode_base64(presented(request, _SIGNATURE))
        time = presented(request, _TIME)
        signed = time.encode("utf-8", "surrogatepass") + request.body
        if signature is None or not any(_is_by(key, signature, signed) for key in self._keys):
            raise BadSignature("the signature does not match the body")
        check_clock(request, time, self._tolerance)

    def read(self, request: Request) -> tuple[Any, bool]:
        return read_json(request.body), False

    def draft(self, request: Request, body: Any) -> Sequence[Draft]:
        """One event for each in the list; everything of it is in the signed body."""
        if not isinstance(body, list) or not all(isinstance(item, dict) for item in body):
            raise BadRequest("SendGrid sends a list of events")
        return [
            Draft(
                body=item,
                id=text_of(item.get("sg_event_id")) or digest_of(b"%d\n%b" % (place, request.body)),
                type=text_of(item.get("event")),
                subject=text_of(item.get("email")),
                time=moment_of(item.get("timestamp")),
                data=item,
            )
            for place, item in enumerate(body)
        ]


def _read_key(text: str) -> ec.EllipticCurvePublicKey | None:
    lines = [line.strip() for line in text.strip().splitlines() if not line.startswith("-----")]
    try:
        key = load_der_public_key(base64.b64decode("".join(lines), validate=True))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, ec.EllipticCurvePublicKey) else None


def _is_by(key: ec.EllipticCurvePublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True
