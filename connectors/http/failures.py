"""What a failed exchange means for the run: try again, when, or not at all.

Sources: RFC 9110 (status codes, `Retry-After`), RFC 6585 (429), RFC 9457 (problem details).
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpcore
import msgspec

from connectors.http.guard import AddressForbidden
from hub.errors import ActionFailed, ActionRefused

__all__ = ["exchange_failure", "retry_after", "status_failure"]

_RETRYABLE: Final = frozenset(
    {408, 421, 425, 429, 500, 502, 503, 504, 507, 520, 521, 522, 523, 524}
)
_LONGEST_WAIT: Final = 24 * 3600.0
_SHOWN: Final = 300


def status_failure(
    place: str, status: int, headers: Mapping[str, str], body: bytes, now: datetime
) -> ActionFailed:
    """The failure for an answer whose status was not expected. Its code is `http_<status>`."""
    said = _said(body)
    message = f"{place} says {status}" + (f": {said}" if said else "")
    code = f"http_{status}"
    wait = retry_after(headers, now)
    # GitHub and others say 403 where they mean 429, and tell it by these headers.
    limited = status == 403 and (wait is not None or headers.get("x-ratelimit-remaining") == "0")
    if status in _RETRYABLE or limited:
        return ActionFailed(code, message, retry_after=wait)
    return ActionRefused(code, message)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """The seconds that the other side asks to be left alone for, at most a day."""
    given = headers.get("retry-after", "").strip()
    seconds: float | None = None
    if given.isascii() and given.replace(".", "", 1).isdigit():
        seconds = float(given)
    elif given:
        try:
            time = parsedate_to_datetime(given)
            seconds = (time.replace(tzinfo=time.tzinfo or UTC) - now).total_seconds()
        except (ValueError, OverflowError):
            return None
    elif headers.get("x-ratelimit-remaining") == "0":
        reset = headers.get("x-ratelimit-reset", "")
        if reset.isascii() and reset.isdigit():
            seconds = float(reset) - now.timestamp()
    return None if seconds is None else min(max(seconds, 0.0), _LONGEST_WAIT)


def exchange_failure(error: Exception, place: str) -> ActionFailed:
    """The failure for an exchange that came to no answer."""
    match error:
        case AddressForbidden():
            return ActionRefused(
                "http_forbidden_address",
                f"{error} is not on the public internet, so requests to it are refused. If it is "
                "meant, name it in the connection's `allow`",
            )
        case httpcore.UnsupportedProtocol():
            return ActionRefused("http_forbidden_address", f"{place} is no http or https address")
        case httpcore.ConnectError() if _is_certificate(error):
            return ActionRefused(
                "http_tls", f"{place} has no certificate that is trusted (`ca_file`)"
            )
        case httpcore.ConnectTimeout() | httpcore.PoolTimeout():
            return ActionFailed("http_connect", f"{place}: no connection in time")
        case httpcore.ConnectError():
            return ActionFailed("http_connect", f"{place}: no connection")
        case httpcore.TimeoutException() | TimeoutError():
            return ActionFailed("http_timeout", f"{place} did not answer in time")
        case httpcore.NetworkError() | OSError():
            return ActionFailed("http_connect", f"{place}: the connection broke off")
        case httpcore.LocalProtocolError():
            return ActionRefused("invalid_input", f"{place}: the request cannot be written")
        case _:
            return ActionFailed("http_protocol", f"{place} does not answer in proper HTTP")


def _is_certificate(error: BaseException) -> bool:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _said(body: bytes) -> str:
    """What an answer says in words: the usual fields of JSON errors, or the beginning of a text."""
    try:
        value: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        text = body[: _SHOWN * 4].decode("utf-8", "replace")
        return "" if text.lstrip()[:1] == "<" else _line(text)
    if isinstance(value, dict):
        error = value.get("error")
        if isinstance(error, dict):
            value = {**error, "error": None}
        for name in ("detail", "message", "error_description", "title", "error", "msg"):
            if isinstance(value.get(name), str):
                return _line(value[name])
    return _line(body[: _SHOWN * 4].decode("utf-8", "replace"))


def _line(text: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"
