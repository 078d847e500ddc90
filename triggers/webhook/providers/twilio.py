"""`provider: twilio`: messages and calls of Twilio.

Source: Twilio Docs, "Webhooks security", and the official libraries. Twilio signs the address as
the sender has it, with the form's fields put behind it one after another, or with the digest of a
JSON body in the address. There is no time in it, and nothing between names and values.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from hub.errors import BadRequest, BadSignature, Diagnostic
from hub.payload import read_json
from hub.trigger import Request, Response
from triggers.webhook.providers import checks
from triggers.webhook.providers.fields import digest_of, text_of
from triggers.webhook.providers.provider import Draft, Provider
from triggers.webhook.providers.signature import digests, matches, presented
from triggers.webhook.settings import Settings

__all__ = ["Twilio", "TwilioSettings"]

_SIGNATURE = "x-twilio-signature"
_SCHEME = "x-twilio-webhooks-signature-settings"
_DIGEST = "bodySHA256"
_MOST_FIELDS = 1000
_PORTS = {"https": 443, "http": 80}
_SIDS = ("MessageSid", "CallSid", "SmsSid", "FaxSid", "RoomSid", "ConversationSid")
_TWIML = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'

Form = dict[str, list[str]]


class TwilioSettings(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A webhook of Twilio.

    `secret` is the account's auth token. `url` is the address that Twilio was given, without a
    query: it is part of what is signed. Unsaid, it is the hub's own public address and the path.
    """

    url: str | None = None


class Twilio(Provider):
    """`X-Twilio-Signature` over the address and the fields."""

    name = "twilio"
    settings_type = TwilioSettings
    answer = Response(status=200, headers={"content-type": "text/xml"}, body=_TWIML)

    def __init__(self, settings: TwilioSettings) -> None:
        super().__init__(settings)
        self._url = settings.url
        self._keys = [secret.encode() for secret in settings.secrets]

    @classmethod
    def check(cls, settings: TwilioSettings) -> Iterator[Diagnostic]:
        yield from checks.secret_given(settings, "TWILIO_AUTH_TOKEN")
        if settings.url is not None and not _is_address(settings.url):
            yield Diagnostic(
                message="that is no address that Twilio could call",
                path="url",
                code="invalid_value",
                suggestion="the whole one without a query: https://hub.example.com/hooks/twilio",
            )

    async def verify(self, request: Request) -> None:
        given = presented(request, _SIGNATURE)
        algorithm = (
            "sha256" if "algorithm=HMAC_SHA256" in request.headers.get(_SCHEME, "") else "sha1"
        )
        digest = _body_digest(request)
        fields = _fields_of(request) if digest is None else {}
        # The sender itself is not of one mind about the port, so both spellings are tried.
        expected = [
            base64.b64encode(own)
            for address in self._addresses(request)
            for own in digests(self._keys, _signed(address, fields), algorithm)
        ]
        genuine = matches(expected, [given])
        if digest is not None:
            body = hashlib.sha256(request.body).hexdigest().encode()
            genuine &= hmac.compare_digest(body, digest.encode("utf-8", "surrogatepass"))
        if not genuine:
            raise BadSignature(
                "the signature does not match; `url` must be the address that Twilio calls"
            )

    def read(self, request: Request) -> tuple[Any, bool]:
        """The fields as they were signed, or the JSON. The content type is not looked at."""
        if _body_digest(request) is not None:
            return read_json(request.body), False
        fields = _fields_of(request)
        return {
            name: values[0] if len(values) == 1 else values for name, values in fields.items()
        }, False

    def draft(self, request: Request, body: Any) -> Sequence[Draft]:
        """The id is of what was signed, so that no header can make a copy look new."""
        if not isinstance(body, dict) or not body:
            raise BadRequest("that is no request of Twilio")
        sid = next((sid for name in _SIDS if (sid := text_of(body.get(name)))), None)
        is_form = _body_digest(request) is None
        signed = _signed("", _fields_of(request)) if is_form else request.body
        return [
            Draft(
                body=body,
                id=digest_of(
                    request.path.encode() + b"\n" + request.query_string.encode() + b"\n" + signed
                ),
                type=_type(body),
                subject=sid,
                data=body,
            )
        ]

    def _addresses(self, request: Request) -> list[str]:
        url = self._url or f"{request.base_url}{request.path}"
        parts = urlsplit(url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        user, at, _ = parts.netloc.rpartition("@")
        port = parts.port or _PORTS.get(parts.scheme, 443)
        query = f"?{request.query_string}" if request.query_string else ""
        return [
            f"{parts.scheme}://{user}{at}{netloc}{parts.path}{query}"
            for netloc in (host, f"{host}:{port}")
        ]


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in _PORTS
            and bool(parts.hostname)
            and (parts.port or 1) > 0
            and "?" not in url
            and "#" not in url
        )
    except ValueError:
        return False


def _body_digest(request: Request) -> str | None:
    try:
        return parse_qs(request.query_string, max_num_fields=100).get(_DIGEST, [None])[0]
    except ValueError:
        return None


def _fields_of(request: Request) -> Form:
    """The form's fields, each with its different values in order, which is all that is signed.

    A field without "=" is refused: names and values are signed without anything between them, and
    the sender always writes it.
    """
    if not request.body:
        return {}
    try:
        pairs = parse_qsl(
            request.body.decode(),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise BadSignature("the body is no form, so it cannot be what was signed") from None
    fields: dict[str, set[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, set()).add(value)
    return {name: sorted(values) for name, values in fields.items()}


def _signed(address: str, fields: Form) -> bytes:
    parts = [f"{name}{value}" for name in sorted(fields) for value in fields[name]]
    return (address + "".join(parts)).encode("utf-8", "surrogatepass")


def _type(body: dict[str, Any]) -> str | None:
    if event := text_of(body.get("EventType")):
        return event
    for kind, name in (
        ("message", "MessageStatus"),
        ("message", "SmsStatus"),
        ("call", "CallStatus"),
        ("recording", "RecordingStatus"),
    ):
        if status := text_of(body.get(name)):
            return f"{kind}.{status}"
    return None
