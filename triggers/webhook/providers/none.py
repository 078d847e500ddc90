"""`provider: none`: nothing is verified, and that is said out loud."""

from __future__ import annotations

from collections.abc import Iterator

from hub.errors import Diagnostic
from hub.trigger import Request
from triggers.webhook.providers import checks
from triggers.webhook.providers.provider import Provider
from triggers.webhook.settings import Settings

__all__ = ["Unverified"]


class Unverified(Provider):
    """Accepts anything from anybody."""

    name = "none"
    proves = "caller"
    cloudevents = True

    @classmethod
    def check(cls, settings: Settings) -> Iterator[Diagnostic]:
        yield from checks.no_secret(
            settings,
            "a secret is set, but with provider 'none' nothing is verified",
            "use provider: hmac, or take the secret away",
        )

    async def verify(self, request: Request) -> None:
        """Nothing to prove."""
