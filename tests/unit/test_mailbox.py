"""The mailbox: what is kept, what is recognised, and where it ends."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from hub.event import Event
from hub.run.mailbox import MAX_STORED, MAX_STORED_BYTES, Mailbox
from hub.run.state import MailboxState

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def event(identifier: object, **options: Any) -> Event:
    return Event(id=str(identifier), source="/test", type="paid", **options)


async def test_a_full_mailbox_rejects_and_says_so() -> None:
    box = Mailbox(MailboxState())
    outcomes = [box.offer(event(n), ["paid"], NOW) for n in range(MAX_STORED + 1)]
    assert outcomes == ["buffered"] * MAX_STORED + ["rejected"]
    assert box.take("do[0]", "paid", now=NOW) is not None
    assert box.offer(event("next"), ["paid"], NOW) == "buffered"


async def test_large_events_fill_it_sooner() -> None:
    box = Mailbox(MailboxState())
    size = MAX_STORED_BYTES // 3
    outcomes = [box.offer(event(n, data="x" * size), ["paid"], NOW) for n in range(3)]
    assert outcomes == ["buffered", "buffered", "rejected"]


async def test_what_it_remembers_is_bounded_and_the_oldest_is_forgotten() -> None:
    box = Mailbox(MailboxState())
    for number in range(3000):
        box.offer(event(number), [], NOW)
    assert (len(box.state.seen), len(box.state.handled)) == (1000, 200)
    assert box.offer(event(2999), ["paid"], NOW) == "duplicate"
    assert box.offer(event(0), ["paid"], NOW) == "buffered"


async def test_it_is_the_same_after_it_was_carried_over() -> None:
    box = Mailbox(MailboxState())
    for number in range(5):
        box.offer(event(number), ["paid"], NOW)
    carried = msgspec.json.decode(msgspec.json.encode(box.state), type=MailboxState)
    again = Mailbox(carried)
    assert again.offer(event(3), ["paid"], NOW) == "duplicate"
    taken = again.take("do[0]", "paid", now=NOW)
    assert taken is not None
    assert taken.event.id == "0"


async def test_an_event_given_to_a_wait_that_is_given_up_goes_to_the_next() -> None:
    box = Mailbox(MailboxState())
    first = asyncio.ensure_future(_wait(box, "do[0]"))
    second = asyncio.ensure_future(_wait(box, "do[1]"))
    await asyncio.sleep(0)
    assert box.offer(event(1), ["paid"], NOW) == "resumed"
    first.cancel()
    assert (await second).id == "1"


async def test_early_events_keep_their_own_deadlines() -> None:
    box = Mailbox(MailboxState())
    for number in range(3):
        box.offer(event(number), ["paid"], NOW, expires_at=NOW + timedelta(hours=number))
    box.wake(NOW + timedelta(hours=1))
    assert [stored.event.id for stored in box.state.stored] == ["2"]
    assert box.state.stored[0].expires_at is None
    assert [h.id for h in box.state.handled if h.outcome == "late"] == ["0", "1"]


async def test_the_run_that_follows_knows_what_was_used_but_not_what_is_its_own() -> None:
    box = Mailbox(MailboxState())
    for number in range(3):
        box.offer(event(number), [], NOW)
    following = Mailbox(MailboxState())
    following.recognise(box.seen_without([event(2)]))
    outcomes = [following.offer(event(n), ["paid"], NOW) for n in range(3)]
    assert outcomes == ["duplicate", "duplicate", "buffered"]


async def _wait(box: Mailbox, path: str) -> Event:
    turn = box.turn()
    stored = await box.wait(path, "paid", after=0, turn=turn, late="discard", now=NOW)
    return stored.event
