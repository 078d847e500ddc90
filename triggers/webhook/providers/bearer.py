"""`provider: bearer`: any sender that sends a fixed token along (RFC 6750, or a header of its own)."""

from __future__ import annotations

from collections.abc import Iterator

from hub.errors import BadSignature, Diagnostic
from hub.trigger import Request
from triggers.webhook.providers import checks
from triggers.webhook.providers.provider import Provider
from triggers.webhook.providers.signature import same_text
from triggers.webhook.settings import Settings

__all__ = ["Bearer", "BearerSettings", "bearer_token"]

_CHALLENGE = 'Bearer realm="hub"'


class BearerSettings(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A webhook whose caller has a token.

    `secret` is the token. It is sent as `Authorization: Bearer ...`, or bare in another `header`.
    """

    header: str = "authorization"


class Bearer(Provider):
    """A token in a header."""

    name = "bearer"
    settings_type = BearerSettings
    proves = "caller"
    cloudevents = True

    def __init__(self, settings: BearerSettings) -> None:
        super().__init__(settings)
        self._header = settings.header.lower()
        self._tokens = [secret.encode() for secret in settings.secrets]

    @classmethod
    def check(cls, settings: BearerSettings) -> Iterator[Diagnostic]:
        yield from checks.secret_given(settings, "WEBHOOK_TOKEN")
        yield from checks.header_name("header", settings.header)

    async def verify(self, request: Request) -> None:
        token = bearer_token(request, self._header)
        if not same_text(self._tokens, token.encode("utf-8", "surrogatepass")):
            raise BadSignature("the token is not right", challenge=_CHALLENGE)


def bearer_token(request: Request, header: str) -> str:
    """The token in this header; behind `Bearer` if it is Authorization. Raises `BadSignature`."""
    value = request.headers.get(header, "")
    if header == "authorization":
        scheme, _, value = value.partition(" ")
        if scheme.lower() != "bearer":
            value = ""
    if not value:
        raise BadSignature(f"the header {header!r} with the token is missing", challenge=_CHALLENGE)
    return value
