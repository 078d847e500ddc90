"""`provider: none`: nothing is verified, and that is said out loud."""

from __future__ import annotations

from collections.abc import Iterator

from hub.errors import Diagnostic
from hub.trigger import Request
from triggers.webhook.providers.provider import Provider
from triggers.webhook.settings import Settings

__all__ = ["Unverified"]


class Unverified(Provider):
    """Accepts anything from anybody."""

    name = "none"

    @classmethod
    def check(cls, settings: Settings) -> Iterator[Diagnostic]:
        if settings.secret is not None:
            yield Diagnostic(
                message="a secret is set, but with provider 'none' nothing is verified",
                path="secret",
                code="unused_secret",
                suggestion="use provider: hmac, or take the secret away",
            )

    def verify(self, request: Request) -> None:
        """Nothing to prove."""
