"""How often sign-in may be tried."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable

from hub.errors import RateLimited

__all__ = ["Attempts"]

_SPAN = 300.0
_MOST_KEYS = 10_000


class Attempts:
    """Counts what failed: 5 of one name from one address, 50 of one name, 30 from one address, each
    within five minutes; then further ones are refused unseen. It counts within this process.

    That a name has so many more from all addresses together keeps a stranger from locking its owner
    out with a handful of requests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: OrderedDict[tuple[str, ...], deque[float]] = OrderedDict()

    def check(self, name: str, address: str) -> None:
        """Raises `RateLimited` where one more may not be tried."""
        now = self._clock()
        for key, most in _keys(name, address):
            times = self._failed.get(key)
            while times and times[0] <= now - _SPAN:
                times.popleft()
            if times and len(times) >= most:
                wait = max(1, round(times[0] + _SPAN - now))
                raise RateLimited(
                    "too many sign-ins have failed; try again later", retry_after=wait
                )

    def failed(self, name: str, address: str) -> None:
        """One has failed, or is being tried: what has succeeded is taken back by `succeeded`."""
        now = self._clock()
        for key, most in _keys(name, address):
            times = self._failed.setdefault(key, deque(maxlen=most))
            times.append(now)
            self._failed.move_to_end(key)
        while len(self._failed) > _MOST_KEYS:
            self._failed.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """The last one was right."""
        for key, _ in _keys(name, address):
            if times := self._failed.get(key):
                times.pop()


def _keys(name: str, address: str) -> list[tuple[tuple[str, ...], int]]:
    return [
        (("both", name, address), 5),
        (("name", name), 50),
        (("address", address), 30),
    ]
