"""How many requests a webhook takes in a time: a bucket of tokens that fills again steadily."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta

import msgspec

from hub.durations import parse_duration
from hub.errors import InvalidDuration, RateLimited

__all__ = ["Rate", "TokenBucket", "parse_rate"]

_RATE = re.compile(r"\s*([0-9]{1,9})\s*(?:/|per)\s*(.+)", re.DOTALL)
_LONGEST = timedelta(days=1)


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """At most `count` requests at once, and as many again in each `per`."""

    count: int
    per: timedelta


class TokenBucket:
    """Lets the first `count` requests through at once, and later ones as tokens come back."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._tokens = float(rate.count)
        self._filled_at: datetime | None = None

    def take(self, now: datetime) -> None:
        """Take one token. Raises `RateLimited`, with the seconds until there is one again."""
        rate = self._rate
        per_second = rate.count / rate.per.total_seconds()
        if self._filled_at is not None:
            # A clock that is set back gives nothing, and takes nothing away.
            passed = max(0.0, (now - self._filled_at).total_seconds())
            self._tokens = min(rate.count, self._tokens + passed * per_second)
        self._filled_at = now
        if self._tokens < 1:
            raise RateLimited(
                f"this webhook takes {rate.count} requests in {rate.per}; come back later",
                retry_after=max(1, math.ceil((1 - self._tokens) / per_second)),
            )
        self._tokens -= 1


def parse_rate(text: str) -> Rate | None:
    """Read "100/s", "600/10m" or "5 per hour"; at most a day. None for what is no rate."""
    found = _RATE.fullmatch(text)
    if found is None or not int(found[1]):
        return None
    per = found[2].strip()
    try:
        length = parse_duration(per if per[:1].isdecimal() else f"1 {per}")
    except InvalidDuration:
        return None
    if not timedelta() < length <= _LONGEST:
        return None
    return Rate(count=int(found[1]), per=length)
