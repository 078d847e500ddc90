"""`provider: zoom`: event subscriptions of a Zoom app.

Source: Zoom Docs, "Using webhooks", and Zoom's own sample. Zoom signs `v0:timestamp:body`, wants a
200 or 204 within three seconds, and has the address validated anew every 72 hours.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from hub.durations import parse_duration
from hub.errors import BadRequest, BadSignature, Diagnostic
from hub.payload import read_json
from hub.trigger import Request, Response
from triggers.webhook.providers import checks
from triggers.webhook.providers.fields import digest_of, find, moment_of, text_of
from triggers.webhook.providers.provider import Draft, Provider
from triggers.webhook.providers.signature import check_clock, digests, matches, presented
from triggers.webhook.settings import TimedSettings

__all__ = ["Zoom"]

_SIGNATURE = "x-zm-signature"
_TIME = "x-zm-request-timestamp"
_JSON = {"content-type": "application/json"}


class Zoom(Provider):
    """`X-Zm-Signature` over the time and the body, by the app's secret token."""

    name = "zoom"
    settings_type = TimedSettings
    answer = Response(status=200)

    def __init__(self, settings: TimedSettings) -> None:
        super().__init__(settings)
        self._keys = [secret.encode() for secret in settings.secrets]
        self._tolerance = parse_duration(settings.tolerance)

    @classmethod
    def check(cls, settings: TimedSettings) -> Iterator[Diagnostic]:
        yield from checks.secret_given(settings, "ZOOM_WEBHOOK_SECRET_TOKEN")
        yield from checks.tolerance(settings)

    async def verify(self, request: Request) -> None:
        if not self._signers(request):
            raise BadSignature("the signature does not match the body")
        check_clock(request, request.headers[_TIME], self._tolerance)

    def read(self, request: Request) -> tuple[Any, bool]:
        return read_json(request.body), False

    def handshake(self, request: Request, body: Any) -> Response | None:
        """Zoom has a token signed, to see that the address knows the secret.

        The token is signed with the very key that signs requests. What looks like the beginning of
        a request is therefore never signed, or the answer would be a forged request's signature.
        """
        if find(body, "event") != "endpoint.url_validation":
            return None
        token = text_of(find(body, "payload", "plainToken"))
        if token is None or token.startswith("v0:"):
            raise BadRequest("the request to validate the address has no plainToken")
        key = self._signers(request)[0]
        answer = {
            "plainToken": token,
            "encryptedToken": hmac.digest(key, token.encode(), "sha256").hex(),
        }
        return Response(headers=_JSON, body=msgspec.json.encode(answer))

    def draft(self, request: Request, body: Any) -> Sequence[Draft]:
        """Zoom gives an event no id; the body has its time in milliseconds, and so stands for it."""
        event = find(body, "event")
        if not isinstance(event, str):
            raise BadRequest("that is no event of Zoom: it has no event")
        return [
            Draft(
                body=body,
                id=digest_of(request.body),
                type=event,
                subject=text_of(find(body, "payload", "object", "id"))
                or text_of(find(body, "payload", "object", "uuid")),
                time=moment_of(find(body, "event_ts")),
                data=body.get("payload", msgspec.UNSET),
            )
        ]

    def _signers(self, request: Request) -> list[bytes]:
        given = presented(request, _SIGNATURE)
        time = presented(request, _TIME).encode("utf-8", "surrogatepass")
        signed = b"v0:" + time + b":" + request.body
        return [
            key
            for key, digest in zip(self._keys, digests(self._keys, signed), strict=True)
            if matches([b"v0=" + digest.hex().encode()], [given])
        ]
