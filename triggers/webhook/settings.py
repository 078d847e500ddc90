"""What `hub.yaml` says of a webhook, whoever signs for it."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["Respond", "Settings", "TimedSettings", "parse_size"]

_UNITS = {"": 1, "b": 1, "kib": 1024, "kb": 1000, "mib": 1024**2, "mb": 1000**2}


class Respond(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the caller is answered, once its event is durable, instead of the hub's own 202.

    The body is `json` or `text`. They and `headers` may hold `${{ }}` over `event` and over the
    request's `body`, `headers` and `query`. Of several events in one request, `event` is the first.
    """

    status: int = 200
    headers: dict[str, str] = {}
    json: Any = msgspec.UNSET
    text: str | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every webhook has; a provider may add fields of its own.

    `secret` may be a list while it is rotated: a request that any of them proves is genuine.
    `max_body` is a number of bytes or a text such as "1 MiB". `content_types` lists what is taken
    (`application/json`, `text/*`); empty, all is. `rate_limit` is a number of requests and a time:
    "100/s", "600/10m". `respond` is what the caller is answered.

    `id`, `type`, `subject`, `time` and `data` say what of the request becomes the event, as
    `${{ }}` expressions over `body`, `headers` (lower-case names) and `query`; what is not said is
    as the provider has it.
    """

    provider: str = "hmac"
    secret: str | list[str] | None = None
    max_body: int | str = "1 MiB"
    content_types: list[str] = []
    rate_limit: str | None = None
    respond: Respond | None = None
    id: Any = None
    type: Any = None
    subject: Any = None
    time: Any = None
    data: Any = None

    @property
    def secrets(self) -> list[str]:
        """The secrets as a list, without empty ones."""
        given = [self.secret] if isinstance(self.secret, str) else self.secret or []
        return [secret for secret in given if secret]

    def __repr__(self) -> str:
        return f"<webhook settings, provider {self.provider!r}>"


class TimedSettings(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A webhook whose sender signs the time.

    A timestamp further than `tolerance` from the hub's clock, either way, is refused.
    """

    tolerance: str = "5m"


def parse_size(size: int | str) -> int | None:
    """A size in bytes: 1048576, "1 MiB", "512 KiB", "1 MB". None for what is no size."""
    if isinstance(size, int):
        return size if size > 0 else None
    number = size.strip().rstrip("KkMmIiBb ").strip()
    factor = _UNITS.get(size.strip()[len(number) :].strip().lower())
    if factor is None or not number.isdecimal() or not number.isascii() or len(number) > 12:
        return None
    return int(number) * factor or None
