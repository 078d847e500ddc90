"""What is wrong with settings that several providers have."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from hub.durations import parse_duration
from hub.errors import Diagnostic, InvalidDuration
from triggers.webhook.settings import Settings, TimedSettings

__all__ = ["choice", "header_name", "no_secret", "secret_given", "tolerance"]

_HEADER = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def secret_given(settings: Settings, example: str = "WEBHOOK_SECRET") -> Iterator[Diagnostic]:
    """Without a secret, anybody could sign."""
    given = settings.secret if isinstance(settings.secret, list) else [settings.secret]
    if not given or not all(given):
        yield Diagnostic(
            message="the secret is missing or empty, so anybody could sign",
            path="secret",
            code="missing_secret",
            suggestion=f"secret: ${{{{ env.{example} }}}}, or provider: none to verify nothing",
        )


def no_secret(settings: Settings, message: str, suggestion: str) -> Iterator[Diagnostic]:
    """A secret that nothing looks at promises a safety that is not there."""
    if settings.secret is not None:
        yield Diagnostic(
            message=message, path="secret", code="unused_secret", suggestion=suggestion
        )


def tolerance(settings: TimedSettings) -> Iterator[Diagnostic]:
    """The tolerance is a duration."""
    try:
        parse_duration(settings.tolerance)
    except InvalidDuration as error:
        yield Diagnostic(message=error.message, path="tolerance", code=error.code)


def header_name(path: str, name: str) -> Iterator[Diagnostic]:
    """The name is one that a header can have (RFC 9110, section 5.1)."""
    if not _HEADER.fullmatch(name):
        yield Diagnostic(
            message=f"{name!r} is no name of a header",
            path=path,
            code="invalid_value",
            suggestion="such as X-Signature",
        )


def choice(path: str, value: str, choices: Collection[str]) -> Iterator[Diagnostic]:
    """The value is one of the choices."""
    if value not in choices:
        yield Diagnostic(
            message=f"{value!r} is not known",
            path=path,
            code="invalid_value",
            suggestion="one of " + ", ".join(choices),
        )
