"""What the interpreter is told of how the hub works."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from hub.process import tuning


class Link:
    """One of two that hold each other."""

    other: Link


def garbage() -> weakref.ref[Link]:
    one, two = Link(), Link()
    one.other, two.other = two, one
    return weakref.ref(one)


@pytest.fixture
def only_when_told() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("only_when_told")
async def test_garbage_is_looked_for_when_nothing_else_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tuning, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(tuning, "_IDLE", 1.0)
    looking = asyncio.create_task(tuning.collect_when_idle())
    await asyncio.sleep(0)
    left = garbage()
    await asyncio.sleep(0.2)
    assert left() is not None, "nothing much has been made since"
    gc.collect(0)
    left = garbage()
    async with asyncio.timeout(10):
        while left() is not None:
            await asyncio.sleep(0.02)
    looking.cancel()


@pytest.mark.usefixtures("only_when_told")
async def test_who_is_busy_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(tuning, "_IDLE", -1.0)
    looking = asyncio.create_task(tuning.collect_when_idle())
    await asyncio.sleep(0)
    gc.collect(0)
    left = garbage()
    await asyncio.sleep(0.3)
    assert left() is not None
    looking.cancel()
