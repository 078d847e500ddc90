"""`provider: basic`: any sender that sends a name and a password along (RFC 7617)."""

from __future__ import annotations

from collections.abc import Iterator

from hub.errors import BadSignature, Diagnostic
from hub.trigger import Request
from triggers.webhook.providers import checks
from triggers.webhook.providers.provider import Provider
from triggers.webhook.providers.signature import decode_base64, same_text
from triggers.webhook.settings import Settings

__all__ = ["Basic", "BasicSettings"]

_CHALLENGE = 'Basic realm="hub", charset="UTF-8"'


class BasicSettings(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A webhook whose caller has a `username`, and a password as its `secret`."""

    username: str


class Basic(Provider):
    """`Authorization: Basic` with a name and a password."""

    name = "basic"
    settings_type = BasicSettings
    proves = "caller"
    cloudevents = True

    def __init__(self, settings: BasicSettings) -> None:
        super().__init__(settings)
        self._pairs = [f"{settings.username}:{secret}".encode() for secret in settings.secrets]

    @classmethod
    def check(cls, settings: BasicSettings) -> Iterator[Diagnostic]:
        yield from checks.secret_given(settings, "WEBHOOK_PASSWORD")
        if not settings.username or ":" in settings.username:
            yield Diagnostic(
                message="the user name is empty, or has a colon in it",
                path="username",
                code="invalid_value",
            )

    async def verify(self, request: Request) -> None:
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        pair = decode_base64(value) if scheme.lower() == "basic" else None
        if not pair:
            raise BadSignature("the name and the password are missing", challenge=_CHALLENGE)
        if not same_text(self._pairs, pair):
            raise BadSignature("the name or the password is not right", challenge=_CHALLENGE)
