"""`provider: github`: repositories, organisations and apps on GitHub.

Source: GitHub Docs, "Validating webhook deliveries" and "Webhook events and payloads". GitHub signs
the body alone, with no time in it; it wants any 2xx within 10 seconds and does not retry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from hub.errors import BadRequest, BadSignature, Diagnostic, UnsupportedType
from hub.payload import media_type, read_form, read_json
from hub.trigger import Request
from triggers.webhook.providers import checks
from triggers.webhook.providers.fields import find, text_of
from triggers.webhook.providers.provider import Draft, Provider
from triggers.webhook.providers.signature import digests, matches, presented
from triggers.webhook.settings import Settings

__all__ = ["GitHub"]

_EVENT = re.compile(r"[a-z][a-z0-9_]{0,99}")
_NUMBERED = ("issue", "pull_request", "discussion")


class GitHub(Provider):
    """`X-Hub-Signature-256` over the body, as JSON or as a form's `payload`."""

    name = "github"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._keys = [secret.encode() for secret in settings.secrets]

    @classmethod
    def check(cls, settings: Settings) -> Iterator[Diagnostic]:
        yield from checks.secret_given(settings, "GITHUB_WEBHOOK_SECRET")

    async def verify(self, request: Request) -> None:
        given = presented(request, "x-hub-signature-256")
        expected = [
            b"sha256=" + digest.hex().encode() for digest in digests(self._keys, request.body)
        ]
        if not matches(expected, [given]):
            raise BadSignature("the signature does not match the body")

    def read(self, request: Request) -> tuple[Any, bool]:
        kind = media_type(request.headers.get("content-type", ""))
        if kind == "application/json":
            return read_json(request.body), False
        if kind != "application/x-www-form-urlencoded":
            raise UnsupportedType(f"GitHub sends JSON or a form, not {kind or 'no content type'!r}")
        payload = read_form(request.body).get("payload")
        if not isinstance(payload, str):
            raise BadRequest("the form has no field 'payload'")
        return read_json(payload.encode()), False

    def draft(self, request: Request, body: Any) -> Sequence[Draft]:
        """Id and event are headers, which GitHub does not sign; the action is in the body."""
        event = request.headers.get("x-github-event", "")
        delivery = text_of(request.headers.get("x-github-delivery"))
        if not _EVENT.fullmatch(event) or delivery is None or not isinstance(body, dict):
            raise BadRequest("that is no delivery of GitHub: X-GitHub-Event, X-GitHub-Delivery")
        action = body.get("action")
        return [
            Draft(
                body=body,
                id=delivery,
                type=f"{event}.{action}" if isinstance(action, str) and action else event,
                subject=_subject(body),
            )
        ]


def _subject(body: dict[str, Any]) -> str | None:
    owner = text_of(find(body, "repository", "full_name")) or text_of(
        find(body, "organization", "login")
    )
    number = next((n for kind in _NUMBERED if (n := find(body, kind, "number"))), None)
    return f"{owner}#{number}" if owner and isinstance(number, int) else owner
