"""`provider: stripe`: events of Stripe accounts.

Source: Stripe Docs, "Resolve webhook signature verification errors", and the official libraries.
Stripe signs `timestamp.body`, several times over while a secret is rolled; it wants a 2xx soon.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from hub.durations import parse_duration
from hub.errors import BadRequest, BadSignature, Diagnostic
from hub.payload import read_json
from hub.trigger import Request
from triggers.webhook.providers import checks
from triggers.webhook.providers.fields import find, moment_of, text_of
from triggers.webhook.providers.provider import Draft, Provider
from triggers.webhook.providers.signature import check_clock, digests, matches, presented
from triggers.webhook.settings import TimedSettings

__all__ = ["Stripe"]


class Stripe(Provider):
    """`Stripe-Signature: t=...,v1=...` over the time and the body."""

    name = "stripe"
    settings_type = TimedSettings

    def __init__(self, settings: TimedSettings) -> None:
        super().__init__(settings)
        self._keys = [secret.encode() for secret in settings.secrets]
        self._tolerance = parse_duration(settings.tolerance)

    @classmethod
    def check(cls, settings: TimedSettings) -> Iterator[Diagnostic]:
        yield from checks.secret_given(settings, "STRIPE_WEBHOOK_SECRET")
        yield from checks.tolerance(settings)

    async def verify(self, request: Request) -> None:
        items = [item.partition("=") for item in presented(request, "stripe-signature").split(",")]
        times = [value for name, _, value in items if name.strip() == "t"]
        signatures = [value for name, _, value in items if name.strip() == "v1"]
        if len(times) != 1:
            raise BadSignature("the header 'stripe-signature' has not one time in it")
        signed = times[0].encode("utf-8", "surrogatepass") + b"." + request.body
        expected = [digest.hex().encode() for digest in digests(self._keys, signed)]
        if not matches(expected, signatures):
            raise BadSignature("no signature matches the body")
        check_clock(request, times[0], self._tolerance)

    def read(self, request: Request) -> tuple[Any, bool]:
        return read_json(request.body), False

    def draft(self, request: Request, body: Any) -> Sequence[Draft]:
        """Everything is in the signed body. An event without `data` is a thin one."""
        event_id, event_type = text_of(find(body, "id")), find(body, "type")
        if event_id is None or not isinstance(event_type, str):
            raise BadRequest("that is no event of Stripe: it has no id or no type")
        extensions: dict[str, str | int | bool] = {}
        if isinstance(livemode := find(body, "livemode"), bool):
            extensions["livemode"] = livemode
        if account := text_of(find(body, "account")):
            extensions["account"] = account
        return [
            Draft(
                body=body,
                id=event_id,
                type=event_type,
                subject=text_of(find(body, "data", "object", "id"))
                or text_of(find(body, "related_object", "id")),
                time=moment_of(find(body, "created")),
                data=body.get("data", msgspec.UNSET),
                extensions=extensions,
            )
        ]
