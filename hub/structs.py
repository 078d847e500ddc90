"""What msgspec knows of our structs, made before there are threads.

msgspec learns a type when it is first used, and lets other threads see it half learnt: one that
decodes it just then reads what is not there yet, and the process dies of it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from weakref import WeakSet

import msgspec

__all__ = ["learn_structs"]

_OTHERS = "litestar."
"""It makes structs of its own for each application, which no other thread uses."""

_known: WeakSet[type] = WeakSet()
_learning = threading.Lock()


def learn_structs() -> None:
    """Learn each struct of ours that is defined by now. Call it where a thread is about to be started."""
    with _learning:
        for kind in _subclasses(msgspec.Struct):
            if kind not in _known:
                # What cannot be decoded says so where it is to be.
                with suppress(TypeError, NameError):
                    msgspec.json.Decoder(kind)
                _known.add(kind)


def _subclasses(kind: type) -> Iterator[type]:
    one: type
    for one in kind.__subclasses__():
        if one.__module__.startswith(_OTHERS):
            continue
        yield one
        yield from _subclasses(one)
