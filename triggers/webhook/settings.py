"""What `hub.yaml` says of a webhook."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["Settings", "parse_size"]

_UNITS = {"": 1, "b": 1, "kib": 1024, "kb": 1000, "mib": 1024**2, "mb": 1000**2}


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One webhook.

    `secret` may be a list while it is rotated: a request that any of them has signed is genuine.
    `header` carries the signature: `prefix`, then the HMAC in `encoding` (hex or base64).
    `signed` says what is signed: `{body}`, `{timestamp}` (the value of `timestamp_header`) and
    `{id}` (of the header `webhook-id`). A timestamp further than `tolerance` from the hub's clock
    is refused. `max_body` is a number of bytes or a text such as "1 MiB". `content_types` lists
    what is taken (`application/json`, `text/*`); empty, all is.

    `id`, `type`, `subject`, `time` and `data` say what of the request becomes the event, as
    `${{ }}` expressions over `body`, `headers` (lower-case names) and `query`.
    """

    provider: str = "hmac"
    secret: str | list[str] | None = None
    header: str = "x-signature"
    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""
    signed: str = "{body}"
    timestamp_header: str | None = None
    tolerance: str = "5m"
    max_body: int | str = "1 MiB"
    content_types: list[str] = []
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


def parse_size(size: int | str) -> int | None:
    """A size in bytes: 1048576, "1 MiB", "512 KiB", "1 MB". None for what is no size."""
    if isinstance(size, int):
        return size if size > 0 else None
    number = size.strip().rstrip("KkMmIiBb ").strip()
    factor = _UNITS.get(size.strip()[len(number) :].strip().lower())
    if factor is None or not number.isdecimal() or not number.isascii() or len(number) > 12:
        return None
    return int(number) * factor or None
