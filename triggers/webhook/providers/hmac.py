"""`provider: hmac`: any sender that signs the body with a shared secret (RFC 2104)."""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterator
from datetime import UTC, datetime

from hub.durations import parse_duration
from hub.errors import BadSignature, Diagnostic, InvalidDuration
from hub.trigger import Request
from triggers.webhook.providers.provider import Provider
from triggers.webhook.settings import Settings

__all__ = ["Hmac"]

_ALGORITHMS = ("sha256", "sha512", "sha384", "sha1")
_ENCODINGS = ("hex", "base64")
_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_PLACEHOLDERS = ("body", "timestamp", "id")
_HEADER = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_ID_HEADER = "webhook-id"
# Seconds since 1970 stay below this until the year 5138, milliseconds have passed it in 1973.
_MILLISECONDS = 100_000_000_000


class Hmac(Provider):
    """A signature over `signed`, in the header `header`."""

    name = "hmac"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._header = settings.header.lower()
        self._timestamp_header = (settings.timestamp_header or "").lower()
        self._tolerance = parse_duration(settings.tolerance)
        self._keys = [secret.encode() for secret in settings.secrets]
        # Odd places hold the names of what is put in, even ones the text between.
        self._parts = _PLACEHOLDER.split(settings.signed)

    @classmethod
    def check(cls, settings: Settings) -> Iterator[Diagnostic]:
        given = settings.secret if isinstance(settings.secret, list) else [settings.secret]
        if not given or not all(given):
            yield Diagnostic(
                message="the secret is missing or empty, so anybody could sign",
                path="secret",
                code="missing_secret",
                suggestion="secret: ${{ env.WEBHOOK_SECRET }}, or provider: none to verify nothing",
            )
        yield from _one_of("algorithm", settings.algorithm, _ALGORITHMS)
        yield from _one_of("encoding", settings.encoding, _ENCODINGS)
        for field in ("header", "timestamp_header"):
            name = getattr(settings, field)
            if name is not None and not _HEADER.fullmatch(name):
                yield Diagnostic(
                    message=f"{name!r} is no name of a header",
                    path=field,
                    code="invalid_value",
                    suggestion="such as X-Signature",
                )
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
        try:
            parse_duration(settings.tolerance)
        except InvalidDuration as error:
            yield Diagnostic(message=error.message, path="tolerance", code=error.code)

    def verify(self, request: Request) -> None:
        """Compare in constant time with the signature by each secret, then look at the clock."""
        presented = request.headers.get(self._header)
        if presented is None:
            raise BadSignature(f"the header {self._header!r} with the signature is missing")
        prefix = self.settings.prefix
        if not presented.startswith(prefix):
            raise BadSignature(f"the header {self._header!r} does not begin with {prefix!r}")
        signature = presented[len(prefix) :].strip()
        if self.settings.encoding == "hex":
            signature = signature.lower()
        given = signature.encode("utf-8", "surrogateescape")
        signed = self._signed(request)
        genuine = False
        for key in self._keys:
            # No early end: the time taken must not tell which secret has matched.
            genuine |= hmac.compare_digest(self._signature(key, signed), given)
        if not genuine:
            raise BadSignature("the signature does not match the body")
        if self._timestamp_header:
            self._check_time(request)

    def _signed(self, request: Request) -> bytes:
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
        return b"".join(parts)

    def _signature(self, key: bytes, signed: bytes) -> bytes:
        digest = hmac.digest(key, signed, self.settings.algorithm)
        if self.settings.encoding == "base64":
            return base64.b64encode(digest)
        return digest.hex().encode()

    def _check_time(self, request: Request) -> None:
        text = request.headers.get(self._timestamp_header, "")
        time = _read_time(text)
        if time is None:
            raise BadSignature(f"the header {self._timestamp_header!r} is no time")
        if abs(request.received_at - time) > self._tolerance:
            raise BadSignature(
                f"the timestamp is more than {self.settings.tolerance} from the hub's clock"
            )


def _read_time(text: str) -> datetime | None:
    try:
        if text.isascii() and text.replace(".", "", 1).isdecimal():
            seconds = float(text)
            if seconds >= _MILLISECONDS:
                seconds /= 1000
            return datetime.fromtimestamp(seconds, UTC)
        time = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        return None
    return time if time.tzinfo is not None else None


def _one_of(field: str, value: str, choices: tuple[str, ...]) -> Iterator[Diagnostic]:
    if value not in choices:
        yield Diagnostic(
            message=f"{value!r} is not known",
            path=field,
            code="invalid_value",
            suggestion="one of " + ", ".join(choices),
        )
