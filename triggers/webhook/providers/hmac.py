"""`provider: hmac`: any sender that signs the body with a shared secret (RFC 2104)."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from hub.durations import parse_duration
from hub.errors import BadSignature, Diagnostic
from hub.trigger import Request
from triggers.webhook.providers import checks
from triggers.webhook.providers.fields import find, text_of
from triggers.webhook.providers.provider import Draft, Provider
from triggers.webhook.providers.signature import check_clock, digests, matches, presented
from triggers.webhook.settings import TimedSettings

__all__ = ["Hmac", "HmacSettings"]

_ALGORITHMS = ("sha256", "sha512", "sha384", "sha1")
_ENCODINGS = ("hex", "base64")
_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_PLACEHOLDERS = ("body", "timestamp", "id")
_ID_HEADER = "webhook-id"


class HmacSettings(TimedSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A webhook whose body is signed.

    `header` carries the signature: `prefix`, then the HMAC in `encoding` (hex or base64).
    `signed` says what is signed: `{body}`, `{timestamp}` (the value of `timestamp_header`) and
    `{id}` (of the header `webhook-id`).
    """

    header: str = "x-signature"
    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""
    signed: str = "{body}"
    timestamp_header: str | None = None


class Hmac(Provider):
    """A signature over `signed`, in the header `header`."""

    name = "hmac"
    settings_type = HmacSettings
    cloudevents = True

    def __init__(self, settings: HmacSettings) -> None:
        super().__init__(settings)
        self._header = settings.header.lower()
        self._prefix = settings.prefix
        self._is_hex = settings.encoding == "hex"
        self._algorithm = settings.algorithm
        self._timestamp_header = (settings.timestamp_header or "").lower()
        self._tolerance = parse_duration(settings.tolerance)
        self._keys = [secret.encode() for secret in settings.secrets]
        # Odd places hold the names of what is put in, even ones the text between.
        self._parts = _PLACEHOLDER.split(settings.signed)
        self._signs_id = "id" in self._parts[1::2]

    @classmethod
    def check(cls, settings: HmacSettings) -> Iterator[Diagnostic]:
        yield from checks.secret_given(settings)
        yield from checks.tolerance(settings)
        yield from checks.choice("algorithm", settings.algorithm, _ALGORITHMS)
        yield from checks.choice("encoding", settings.encoding, _ENCODINGS)
        yield from checks.header_name("header", settings.header)
        if settings.timestamp_header is not None:
            yield from checks.header_name("timestamp_header", settings.timestamp_header)
        names = _PLACEHOLDER.findall(settings.signed)
        for name in names:
            if name not in _PLACEHOLDERS:
                yield Diagnostic(
                    message=f"{{{name}}} is nothing that can be signed",
                    path="signed",
                    code="unknown_placeholder",
                    suggestion="use {body}, {timestamp} and {id}",
                )
        if "body" not in names:
            yield Diagnostic(
                message="the body is not signed, so it could be changed on its way",
                path="signed",
                code="body_not_signed",
                suggestion='put {body} into it, such as "{timestamp}.{body}"',
            )
        if "timestamp" in names and not settings.timestamp_header:
            yield Diagnostic(
                message="{timestamp} is signed, but no header carries it",
                path="timestamp_header",
                code="missing_header",
                suggestion="timestamp_header: X-Timestamp",
            )
        if settings.timestamp_header and "timestamp" not in names:
            yield Diagnostic(
                message="the timestamp is not signed, so it proves nothing",
                path="signed",
                code="timestamp_not_signed",
                suggestion='signed: "{timestamp}.{body}"',
            )

    async def verify(self, request: Request) -> None:
        """Compare in constant time with the signature by each secret, then look at the clock."""
        given = presented(request, self._header)
        if not given.startswith(self._prefix):
            raise BadSignature(f"the header {self._header!r} does not begin with {self._prefix!r}")
        signature = given[len(self._prefix) :].strip()
        if self._is_hex:
            signature = signature.lower()
        expected = [self._written(digest) for digest in self._digests(request)]
        if not matches(expected, [signature]):
            raise BadSignature("the signature does not match the body")
        if self._timestamp_header:
            check_clock(request, request.headers[self._timestamp_header], self._tolerance)

    def draft(self, request: Request, body: Any) -> Sequence[Draft]:
        """As usual, but an id in the signed body comes before a header that is not signed."""
        usual = super().draft(request, body)
        if self._signs_id:
            return usual
        return [
            msgspec.structs.replace(draft, id=text_of(find(body, "id")) or draft.id)
            for draft in usual
        ]

    def _digests(self, request: Request) -> list[bytes]:
        parts: list[bytes] = []
        for place, part in enumerate(self._parts):
            if place % 2 == 0:
                parts.append(part.encode())
            elif part == "body":
                parts.append(request.body)
            else:
                header = self._timestamp_header if part == "timestamp" else _ID_HEADER
                value = request.headers.get(header)
                if value is None:
                    raise BadSignature(f"the header {header!r}, which is signed, is missing")
                parts.append(value.encode("latin-1", "replace"))
        return digests(self._keys, b"".join(parts), self._algorithm)

    def _written(self, digest: bytes) -> bytes:
        return digest.hex().encode() if self._is_hex else base64.b64encode(digest)
