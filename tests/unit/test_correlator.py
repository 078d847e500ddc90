"""The correlator as a state machine: who gets which event, whatever comes when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.event import Event
from hub.run import Delivery
from hub.run.correlation import (
    MAX_KEPT,
    MAX_WAITERS,
    Correlator,
    CorrelatorState,
    Letter,
    Waiter,
    address_of,
    is_correlator,
)
from hub.run.state import Address
from hub.tree import Deliver, load_tree

NOW = datetime(2030, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def made(deliver: Deliver = "all") -> Correlator:
    address = Address(id="~match/t/s-1/v", tree="t", subscription="s", value="v", deliver=deliver)
    return Correlator(CorrelatorState(address=address))


def event(name: str, early: timedelta | None = HOUR) -> Delivery:
    return Delivery(
        event=Event(id=name, source="/test", type="s"),
        trigger="app",
        expires_at=None if early is None else NOW + early,
    )


def waiter(ticket: str, run: str | None = None, **more: Any) -> Waiter:
    return Waiter(ticket=ticket, run_id=f"t/{run or ticket}", run=run or ticket, **more)


def posted(core: Correlator, *gone: str, now: datetime = NOW) -> list[tuple[str, str]]:
    """Send all letters: the tickets and what they were given. Runs that are `gone` do not take it."""
    taken: list[tuple[str, str]] = []
    while letters := core.take_letters(10):
        for letter in letters:
            reached = letter.waiter.run_id not in gone
            if reached:
                taken.append((letter.waiter.ticket, _content(letter)))
            core.sent(letter, now, reached=reached)
    return taken


def _content(letter: Letter) -> str:
    if letter.delivery is not None:
        return letter.delivery.event.id
    assert letter.refusal is not None
    return letter.refusal.code


def test_all_who_wait_get_it() -> None:
    core = made()
    core.subscribe(waiter("a"), NOW)
    core.subscribe(waiter("b"), NOW)
    assert core.offer(event("e"), NOW) == "delivered"
    assert posted(core) == [("a", "e"), ("b", "e")]


def test_all_who_wait_later_get_it_too_while_it_is_kept() -> None:
    core = made()
    core.subscribe(waiter("a"), NOW)
    core.offer(event("e"), NOW)
    core.subscribe(waiter("b"), NOW + HOUR / 2)
    core.subscribe(waiter("c"), NOW + HOUR)
    assert posted(core) == [("a", "e"), ("b", "e")]


def test_one_gets_it_the_oldest_first() -> None:
    core = made("one")
    for name in ("a", "b"):
        core.subscribe(waiter(name), NOW)
    core.offer(event("e1"), NOW)
    core.offer(event("e2"), NOW)
    assert core.offer(event("e3"), NOW) == "buffered"
    core.subscribe(waiter("c"), NOW)
    core.subscribe(waiter("d"), NOW)
    assert posted(core) == [("a", "e1"), ("b", "e2"), ("c", "e3")]


def test_a_second_wait_is_rejected() -> None:
    core = made("reject")
    core.subscribe(waiter("a"), NOW)
    core.subscribe(waiter("b"), NOW)
    assert posted(core) == [("b", "already_awaited")]
    core.offer(event("e"), NOW)
    core.subscribe(waiter("c"), NOW)
    assert posted(core) == [("a", "e")]


def test_a_run_that_is_gone_swallows_nothing() -> None:
    core = made("one")
    for name in ("a", "b"):
        core.subscribe(waiter(name), NOW)
    core.offer(event("e1"), NOW)
    assert posted(core, "t/a") == [("b", "e1")]
    core.subscribe(waiter("c"), NOW)
    core.offer(event("e2"), NOW)
    assert posted(core, "t/c") == []
    assert core.word(event("e2").event).outcome == "buffered"  # type: ignore[union-attr]
    core.subscribe(waiter("d"), NOW)
    assert posted(core) == [("d", "e2")]


def test_what_is_given_back_goes_to_the_next_or_is_kept_in_its_place() -> None:
    core = made("one")
    core.subscribe(waiter("a"), NOW)
    core.offer(event("e1"), NOW)
    core.offer(event("e2"), NOW)
    assert posted(core) == [("a", "e1")]
    core.give_back("a", event("e1"), NOW)
    core.give_back("a", event("e1"), NOW)
    for name in ("b", "c", "d"):
        core.subscribe(waiter(name), NOW)
    assert posted(core) == [("b", "e1"), ("c", "e2")]


def test_a_new_correlator_takes_what_an_earlier_one_had_given() -> None:
    core = made("one")
    core.give_back("a", event("e1"), NOW)
    core.subscribe(waiter("b"), NOW)
    assert posted(core) == [("b", "e1")]


def test_an_event_and_a_wait_that_come_again_change_nothing() -> None:
    core = made("one")
    core.subscribe(waiter("a"), NOW)
    core.subscribe(waiter("a"), NOW)
    core.offer(event("e1"), NOW)
    assert core.offer(event("e1"), NOW) == "duplicate"
    # The worker that had said so died, and another says so again.
    core.subscribe(waiter("a"), NOW)
    core.offer(event("e2"), NOW)
    assert posted(core) == [("a", "e1")]


def test_a_wait_that_is_over_gets_nothing_though_its_opening_comes_late() -> None:
    core = made()
    core.unsubscribe("a")
    core.subscribe(waiter("a"), NOW)
    core.offer(event("e"), NOW)
    assert posted(core) == []


def test_the_time_is_looked_at_when_it_is_used() -> None:
    core = made("one")
    core.offer(event("e", HOUR), NOW)
    core.subscribe(waiter("a"), NOW + HOUR)
    assert posted(core) == []
    assert core.word(event("e").event).outcome == "no_run"  # type: ignore[union-attr]


def test_what_is_not_to_be_kept_is_for_those_who_wait_now() -> None:
    core = made("one")
    assert core.offer(event("e1", None), NOW) == "no_run"
    core.subscribe(waiter("a"), NOW)
    assert core.offer(event("e2", None), NOW) == "delivered"
    assert posted(core) == [("a", "e2")]


def test_a_fresh_wait_takes_nothing_of_before() -> None:
    core = made()
    core.offer(event("e1"), NOW)
    core.subscribe(waiter("a", fresh=True), NOW)
    core.offer(event("e2"), NOW)
    assert posted(core) == [("a", "e2")]


def test_an_event_is_for_one_wait_of_a_run() -> None:
    core = made()
    core.subscribe(waiter("a1", "a"), NOW)
    core.subscribe(waiter("a2", "a"), NOW)
    core.offer(event("e1"), NOW)
    core.subscribe(waiter("a3", "a"), NOW)
    assert posted(core) == [("a1", "e1")]
    core.offer(event("e2"), NOW)
    assert posted(core) == [("a2", "e2")]


def test_a_wait_is_given_nothing_that_is_not_for_it() -> None:
    core = made("one")
    core.subscribe(waiter("a"), NOW)
    core.offer(event("e1"), NOW)
    posted(core)
    again = waiter("b", "a", without=core.state.seen[:1])
    core.give_back("a", event("e1"), NOW)
    core.subscribe(again, NOW)
    assert posted(core) == []
    core.offer(event("e2"), NOW)
    assert posted(core) == [("b", "e2")]


def test_its_memory_is_bounded() -> None:
    core = made("one")
    for n in range(MAX_KEPT):
        assert core.offer(event(f"e{n}"), NOW) == "buffered"
    assert core.offer(event("one more"), NOW) == "rejected"
    large = made("one")
    body = Event(id="x", source="/test", type="s", data="x" * 600_000)
    assert (
        large.offer(Delivery(event=body, trigger="app", expires_at=NOW + HOUR), NOW) == "rejected"
    )
    for n in range(MAX_WAITERS):
        large.subscribe(waiter(f"w{n}"), NOW)
    large.subscribe(waiter("one more"), NOW)
    assert posted(large) == [("one more", "too_many_waits")]


def test_it_is_idle_when_nobody_waits_and_nothing_is_kept() -> None:
    core = made("one")
    assert core.is_idle(NOW)
    core.offer(event("e"), NOW)
    assert not core.is_idle(NOW)
    assert core.ends_at() == NOW + HOUR
    assert core.is_idle(NOW + HOUR)
    core.subscribe(waiter("a"), NOW)
    assert core.ends_at() is None
    core.offer(event("f"), NOW)
    (letter,) = core.take_letters(10)
    assert not core.is_idle(NOW + HOUR)
    core.sent(letter, NOW, reached=True)
    assert core.is_idle(NOW + HOUR)


def test_an_address_is_of_the_value_and_of_what_the_subscription_says() -> None:
    def address(where: str = "true", key: str = "event.data.id", value: str = "v") -> str:
        tree = load_tree(
            f"tree: t\nevents:\n  go: {{webhook: app, where: event.type == 'go'}}\n"
            f"  s: {{webhook: app, where: '{where}', key: {key}}}\nstart: go\n"
            "do: [{wait_for: {event: s, match: event.data.x}}]\n"
        )
        return address_of("t", tree.subscriptions["s"], value).id

    assert address() == address()
    assert is_correlator(address())
    assert (
        len({address(), address(where="false"), address(key="event.id"), address(value="w")}) == 4
    )
    assert len(address(value="v" * 5000)) < 200


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["one", "reject"]),
    st.lists(
        st.tuples(
            st.sampled_from(["offer", "subscribe", "unsubscribe", "send", "gone", "back", "part"]),
            st.integers(0, 5),
        ),
        max_size=40,
    ),
)
def test_no_event_is_lost_or_used_twice(deliver: Deliver, steps: list[tuple[str, int]]) -> None:
    """Whatever happens in which order: each event is in one place, and each wait gets one."""
    core = made(deliver)
    used: dict[str, str] = {}
    offered: set[str] = set()
    open_: set[str] = set()
    tickets = 0

    def send(*, alive: bool) -> None:
        for letter in core.take_letters(1):
            ticket = letter.waiter.ticket
            core.sent(letter, NOW, reached=alive)
            if not alive or letter.delivery is None:
                open_.discard(ticket)
            elif ticket in open_:
                open_.remove(ticket)
                assert letter.delivery.event.id not in used
                used[letter.delivery.event.id] = ticket
            else:
                core.give_back(ticket, letter.delivery, NOW)

    for what, n in steps:
        if what == "offer":
            offered.add(f"e{n}")
            core.offer(event(f"e{n}"), NOW)
        elif what == "subscribe":
            tickets += 1
            open_.add(f"w{tickets}")
            core.subscribe(waiter(f"w{tickets}"), NOW)
        elif what == "unsubscribe" and f"w{n}" in open_:
            open_.discard(f"w{n}")
            core.unsubscribe(f"w{n}")
        elif what in ("send", "gone"):
            send(alive=what == "send")
        elif what == "part" and core.is_quiet:
            carried = msgspec.json.decode(msgspec.json.encode(core.state), type=CorrelatorState)
            core = Correlator(carried)
    while not core.is_quiet:
        send(alive=True)
    kept = [one.delivery.event.id for one in core.state.kept]
    assert sorted([*kept, *used]) == sorted(offered)
    assert len(set(used.values())) == len(used)
    assert {one.ticket for one in core.state.waiters} == open_
    assert not (core.state.waiters and kept)


@pytest.mark.parametrize("deliver", ["all", "one", "reject"])
def test_it_is_carried_along_as_json(deliver: Deliver) -> None:
    core = made(deliver)
    core.subscribe(waiter("a"), NOW)
    core.offer(event("e1"), NOW)
    core.offer(event("e2"), NOW)
    posted(core)
    carried = msgspec.json.decode(msgspec.json.encode(core.state), type=CorrelatorState)
    assert carried == core.state
