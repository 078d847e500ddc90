"""What the journal promises on every database, written once. Each database's tests inherit it."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from hub.errors import BadRequest, Busy, InvalidEvent, NotFound
from hub.event import Event
from hub.routing.journal import DeliveryRecord, Entry, Journal, Limits
from hub.routing.journal.tables import AnyText

LEASE = timedelta(minutes=1)
NOW = datetime.now(UTC)

OPEN_AND_DIE = """
import asyncio, os, signal, sys
from hub.event import Event
from hub.routing.journal import Journal

async def caller(journal, name):
    for n in range(10_000):
        event = Event(id=f"{name}-{n}", source="test", type="t", data={"n": n})
        for receipt in await journal.append("app", [event]):
            os.write(1, f"{receipt.id}\\n".encode())
        if name == 3 and n == 20:
            os.kill(os.getpid(), signal.SIGKILL)

async def main():
    journal = await Journal.open(sys.argv[1])
    await asyncio.gather(*(caller(journal, name) for name in range(8)))

asyncio.run(main())
"""

OPEN_AND_APPEND = """
import asyncio, sys
from hub.event import Event
from hub.routing.journal import Journal

async def main():
    journal = await Journal.open(sys.argv[1])
    for n in range(20):
        await journal.append("app", [Event(id=f"{sys.argv[2]}-{n}", source="test", type="t")])
    await journal.close()

asyncio.run(main())
"""


def event(name: str, *, kind: str = "order.placed", data: Any = None) -> Event:
    return Event(id=name, source="test", type=kind, data=data)


def delivery(
    *,
    tree: str = "onboarding",
    key: str | None = "u1",
    outcome: Any = "started",
    at: datetime = NOW,
) -> DeliveryRecord:
    return DeliveryRecord(
        tree=tree,
        subscription="signed_up",
        key=key,
        run_id=None if key is None else f"{tree}/{key}",
        outcome=outcome,
        at=at,
    )


async def take(journal: Journal, owner: str = "me", limit: int = 100) -> list[Entry]:
    return await journal.pending(0, limit, owner=owner, lease=LEASE)


def ids(entries: list[Entry]) -> list[str]:
    return [entry.id for entry in entries]


class JournalContract:
    """Subclasses give `url`, a database of the test's own, and `away`."""

    @pytest.fixture
    def away(self, url: str) -> Callable[[], AbstractAsyncContextManager[None]]:
        """Makes the database unable to take writes, for as long as its context lasts."""
        raise NotImplementedError

    @pytest_asyncio.fixture
    async def journals(self, url: str) -> AsyncIterator[Callable[..., Any]]:
        """Opens journals on the database and closes them in the end."""
        opened: list[Journal] = []

        async def open_journal(**options: Any) -> Journal:
            options.setdefault("busy_timeout", timedelta(milliseconds=30))
            opened.append(await Journal.open(url, **options))
            return opened[-1]

        yield open_journal
        for journal in opened:
            await journal.close()

    @pytest_asyncio.fixture
    async def journal(self, journals: Callable[..., Any]) -> Journal:
        opened: Journal = await journals()
        return opened

    # --- append ---

    async def test_what_was_appended_is_there_as_it_was(self, journal: Journal) -> None:
        given = Event(
            id="e1",
            source="/shop",
            type="order.placed",
            subject="o1",
            time=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
            datacontenttype="application/json",
            data={"total": 12.5, "lines": [1, None, True], "big": 2**70, "text": "grüße 🎉"},
            extensions={"traceparent": "00-1", "n": 5},
        )
        before = datetime.now(UTC) - timedelta(minutes=1)
        receipts = await journal.append("shop", [given])
        assert [(r.id, r.duplicate) for r in receipts] == [("e1", False)]
        entry = await journal.get("e1")
        assert entry.event == given
        assert (entry.id, entry.trigger, entry.status) == ("e1", "shop", "accepted")
        assert (entry.attempts, entry.error, entry.deliveries) == (0, None, [])
        assert before < entry.received_at < datetime.now(UTC) + timedelta(minutes=1)

    async def test_callers_at_the_same_time_share_transactions(self, journal: Journal) -> None:
        before = journal.transactions
        await asyncio.gather(*(journal.append("app", [event(str(n))]) for n in range(200)))
        assert journal.transactions - before <= 10
        assert (await journal.counts())["accepted"] == 200

    async def test_a_batch_has_bounds(self, journals: Callable[..., Any]) -> None:
        journal = await journals(limits=Limits(batch_rows=10))
        before = journal.transactions
        await asyncio.gather(*(journal.append("app", [event(str(n))]) for n in range(50)))
        assert journal.transactions - before >= 5

    async def test_one_call_is_one_transaction_however_large(
        self, journals: Callable[..., Any]
    ) -> None:
        journal = await journals(limits=Limits(batch_rows=10, queue_rows=20))
        before = journal.transactions
        receipts = await journal.append("app", [event(str(n)) for n in range(1500)])
        assert [r.id for r in receipts] == [str(n) for n in range(1500)]
        assert journal.transactions - before == 1

    async def test_numbers_follow_the_order_of_the_events(self, journal: Journal) -> None:
        names = [str(n) for n in range(300)]
        await journal.append("app", [event(name) for name in names])
        assert ids(await take(journal, limit=1000)) == names

    async def test_a_duplicate_is_said_so_and_counted(self, journal: Journal) -> None:
        first = await journal.append("app", [event("a", data=1), event("a", data=2)])
        again = await journal.append("app", [event("a", data=3), event("b")])
        other = await journal.append("other", [event("a")])
        assert [r.duplicate for r in first] == [False, True]
        assert [r.duplicate for r in again] == [True, False]
        assert [r.duplicate for r in other] == [False]
        entry = await journal.get("a", "app")
        assert (entry.event.data, entry.duplicates) == (1, 2)
        assert entry.last_duplicate_at is not None
        assert entry.last_duplicate_at >= entry.received_at
        found = await journal.list(status="duplicate")
        assert [(e.trigger, e.id) for e in found.items] == [("app", "a")]
        assert (await journal.counts())["duplicate"] == 2

    async def test_one_of_many_equal_events_at_once_is_new(self, journal: Journal) -> None:
        results = await asyncio.gather(*(journal.append("app", [event("a")]) for _ in range(50)))
        assert sorted(r.duplicate for (r,) in results) == [False] + [True] * 49
        assert (await journal.get("a")).duplicates == 49

    async def test_a_duplicate_is_known_after_a_restart(self, journals: Callable[..., Any]) -> None:
        journal = await journals()
        await journal.append("app", [event("a")])
        await journal.close()
        journal = await journals()
        assert [r.duplicate for r in await journal.append("app", [event("a")])] == [True]
        assert await journal.seen("app", ["a", "b"]) == {"a"}
        assert await journal.seen("other", ["a"]) == set()

    async def test_two_processes_agree_on_duplicates(self, journals: Callable[..., Any]) -> None:
        one, two = await journals(busy_timeout=LEASE), await journals(busy_timeout=LEASE)
        calls = [j.append("app", [event(str(n))]) for n in range(50) for j in (one, two)]
        receipts = [r for result in await asyncio.gather(*calls) for r in result]
        assert sum(not r.duplicate for r in receipts) == 50
        assert (await one.counts())["duplicate"] == 50

    @pytest.mark.parametrize("text", ["a\0b", "\ud800", "x\udfff\0", "ü" * 1024, "🎉" * 1024, "'"])
    async def test_hostile_texts(self, journal: Journal, text: str) -> None:
        given = Event(id=text, source="test", type=text, data={text: [text]})
        receipts = await journal.append("app", [given])
        plain = text.encode("utf-8", "backslashreplace").decode()
        assert [(r.id, r.duplicate) for r in receipts] == [(plain, False)]
        assert [r.duplicate for r in await journal.append("app", [given])] == [True]
        entry = await journal.get(plain)
        assert (await journal.get(text)).seq == entry.seq
        assert (entry.event.type, entry.event.data) == (plain, {plain: [plain]})
        record = DeliveryRecord(
            tree="t", subscription="s", key=text, run_id=text, outcome="failed", reason=text, at=NOW
        )
        await journal.settle(entry.seq, "delivered", [record])
        for page in (await journal.list(type=plain), await journal.list(key=text)):
            assert [e.deliveries for e in page.items] == [[record]]

    async def test_large_bodies(self, journal: Journal) -> None:
        big = "x" * 1024 * 1024
        await asyncio.gather(
            *(journal.append("app", [event(str(n), data={"n": n, "text": big})]) for n in range(20))
        )
        assert (await journal.get("7")).event.data == {"n": 7, "text": big}
        assert sum(len(e.event.data["text"]) for e in await take(journal)) == 20 * len(big)

    async def test_data_that_is_no_json_fails_its_caller_alone(self, journal: Journal) -> None:
        deep: Any = []
        for _ in range(100_000):
            deep = [deep]
        results = await asyncio.gather(
            journal.append("app", [event("a")]),
            journal.append("app", [event("ok", data=1), event("b", data=deep)]),
            journal.append("app", [event("c", data=object())]),
            return_exceptions=True,
        )
        assert [type(r) for r in results] == [list, InvalidEvent, InvalidEvent]
        assert ids((await journal.list()).items) == ["a"]
        while deep:
            deep = deep.pop()

    async def test_a_full_queue_refuses(self, journals: Callable[..., Any]) -> None:
        journal = await journals(limits=Limits(queue_rows=10))
        results = await asyncio.gather(
            *(journal.append("app", [event(str(n))]) for n in range(30)), return_exceptions=True
        )
        refused = [r for r in results if isinstance(r, Busy)]
        assert len(refused) == 20
        assert (await journal.counts())["accepted"] == 10
        await journal.append("app", [event("later")])

    async def test_a_cancelled_caller_disturbs_nobody(self, journal: Journal) -> None:
        for turns in range(12):
            names = [f"{turns}-{n}" for n in range(6)]
            tasks = [asyncio.create_task(journal.append("app", [event(n)])) for n in names]
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            for name, result in zip(names[1::2], results[1::2], strict=True):
                assert isinstance(result, list)
                assert result[0].id == name
        await journal.append("app", [event("last")])
        assert {f"{t}-{n}" for t in range(12) for n in (1, 3, 5)} | {"last"} <= set(
            ids((await journal.list(limit=1000)).items)
        )

    async def test_close_writes_what_waits(self, journals: Callable[..., Any]) -> None:
        journal = await journals()
        tasks = [asyncio.create_task(journal.append("app", [event(str(n))])) for n in range(20)]
        await asyncio.sleep(0)
        await journal.close()
        await asyncio.gather(*tasks)
        with pytest.raises(Busy):
            await journal.append("app", [event("late")])
        assert (await (await journals()).counts())["accepted"] == 20

    async def test_a_killed_process_loses_nothing_it_confirmed(
        self, url: str, journals: Callable[..., Any]
    ) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", OPEN_AND_DIE, url, stdout=subprocess.PIPE
        )
        output, _ = await process.communicate()
        assert process.returncode == -9
        confirmed = set(output.decode().splitlines())
        assert len(confirmed) > 20
        journal = await journals()
        found = await take(journal, limit=100_000)
        assert confirmed <= set(ids(found))
        assert [e.event.data["n"] for e in found] == [int(e.id.split("-")[1]) for e in found]

    async def test_two_processes_may_open_a_new_one_at_once(
        self, url: str, journals: Callable[..., Any]
    ) -> None:
        processes = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-W", "error", "-c", OPEN_AND_APPEND, url, name
            )
            for name in ("a", "b", "c")
        ]
        assert [await process.wait() for process in processes] == [0, 0, 0]
        assert (await (await journals()).counts())["accepted"] == 60

    async def test_several_may_open_it_at_once_in_one_process(
        self, journals: Callable[..., Any]
    ) -> None:
        opened = await asyncio.gather(*(journals(busy_timeout=LEASE) for _ in range(4)))
        await asyncio.gather(*(j.append("app", [event(str(n))]) for n, j in enumerate(opened)))
        assert (await opened[0].counts())["accepted"] == 4

    async def test_a_database_that_is_away_and_comes_back(
        self, journal: Journal, away: Callable[[], AbstractAsyncContextManager[None]]
    ) -> None:
        await journal.append("app", [event("before")])
        async with away():
            for n in range(3):
                with pytest.raises(Busy):
                    await journal.append("app", [event(f"meanwhile-{n}")])
            results = await asyncio.gather(
                *(journal.append("app", [event(f"many-{n}")]) for n in range(10)),
                return_exceptions=True,
            )
            assert {type(r) for r in results} == {Busy}
        receipts = await journal.append("app", [event("after"), event("meanwhile-1")])
        assert [r.duplicate for r in receipts] == [False, False]
        assert set(ids(await take(journal))) == {"before", "after", "meanwhile-1"}

    # --- pending ---

    async def test_entries_come_once_and_in_order(self, journal: Journal) -> None:
        await journal.append("app", [event(str(n)) for n in range(5)])
        assert ids(await take(journal, limit=2)) == ["0", "1"]
        await journal.append("app", [event("5")])
        assert ids(await take(journal, limit=2)) == ["2", "3"]
        assert ids(await take(journal)) == ["4", "5"]
        assert await take(journal) == []
        await journal.append("app", [event("6")])
        assert ids(await take(journal)) == ["6"]

    async def test_what_is_handed_over_is_what_was_stored(self, journal: Journal) -> None:
        assert await take(journal) == []
        await journal.append("app", [event("a", data={"x": "\ud800"})])
        (handed,) = await take(journal)
        assert handed == await journal.get("a")

    async def test_order_holds_when_more_comes_than_is_handed_over(self, journal: Journal) -> None:
        assert await take(journal) == []
        names = [str(n) for n in range(10_500)]
        for start in range(0, len(names), 700):
            await journal.append("app", [event(name) for name in names[start : start + 700]])
        taken: list[str] = []
        while found := await take(journal, limit=900):
            taken += ids(found)
            await journal.append("app", [event(f"then-{len(taken)}")])
            names.append(f"then-{len(taken)}")
            if len(names) > 10_520:
                break
        while found := await take(journal, limit=900):
            taken += ids(found)
        assert taken == names[: len(taken)]
        assert len(taken) == len(names)

    async def test_only_what_follows_a_number(self, journal: Journal) -> None:
        await journal.append("app", [event("a"), event("b")])
        first = (await journal.get("a")).seq
        found = await journal.pending(first, 10, owner="me", lease=LEASE)
        assert ids(found) == ["b"]
        await journal.append("app", [event("c"), event("d")])
        third = (await journal.get("c")).seq
        assert ids(await journal.pending(third, 10, owner="me", lease=LEASE)) == ["d"]
        assert "c" in ids(await take(journal))

    async def test_two_owners_share_the_work(self, journals: Callable[..., Any]) -> None:
        one, two = await journals(), await journals()
        await one.append("app", [event(str(n)) for n in range(10)])
        assert ids(await take(one, "one", limit=4)) == ["0", "1", "2", "3"]
        assert ids(await take(two, "two")) == ["4", "5", "6", "7", "8", "9"]
        assert await take(one, "one") == []

    async def test_owners_that_ask_at_once_never_get_the_same(
        self, journals: Callable[..., Any]
    ) -> None:
        opened = [await journals(busy_timeout=LEASE) for _ in range(3)]
        await opened[0].append("app", [event(str(n)) for n in range(90)])
        taken: list[str] = []
        for _ in range(40):
            calls = (take(j, f"owner-{n}", limit=5) for n, j in enumerate(opened))
            taken += [name for found in await asyncio.gather(*calls) for name in ids(found)]
        assert sorted(taken, key=int) == [str(n) for n in range(90)]

    async def test_a_dead_owner_s_entries_are_taken_over(
        self, journals: Callable[..., Any]
    ) -> None:
        dead, living = await journals(), await journals()
        await dead.append("app", [event("a"), event("b")])
        found = await dead.pending(0, 10, owner="dead", lease=timedelta(milliseconds=1))
        await dead.settle(found[0].seq, "delivered", [])
        await asyncio.sleep(0.01)
        assert ids(await take(living, "living")) == ["b"]

    async def test_what_was_handed_over_to_an_owner_that_died_is_not_lost(
        self, journals: Callable[..., Any]
    ) -> None:
        dead, living = await journals(), await journals()
        assert await dead.pending(0, 10, owner="dead", lease=LEASE) == []
        await dead.append("app", [event("a")])
        assert await take(living, "living") == []
        await dead.renew("dead", timedelta(milliseconds=1))
        await asyncio.sleep(0.01)
        living.appended.clear()
        await asyncio.wait_for(living.appended.wait(), 10)
        (entry,) = await take(living, "living")
        assert (entry.id, entry.attempts) == ("a", 1)
        assert (await living.get("a")).attempts == 1
        assert await dead.pending(0, 10, owner="dead", lease=LEASE) == []

    async def test_a_renewed_lease_holds(self, journals: Callable[..., Any]) -> None:
        one, two = await journals(), await journals()
        await one.append("app", [event("a")])
        await one.pending(0, 10, owner="one", lease=timedelta(milliseconds=30))
        await one.renew("one", LEASE)
        await asyncio.sleep(0.04)
        assert await take(two, "two") == []

    async def test_released_entries_are_free(self, journals: Callable[..., Any]) -> None:
        one, two = await journals(), await journals()
        await one.append("app", [event("a")])
        assert ids(await take(one, "one")) == ["a"]
        await one.append("app", [event("b")])
        await one.release("one")
        await one.append("app", [event("c")])
        two.appended.clear()
        await asyncio.wait_for(two.appended.wait(), 10)
        # What nobody had before may not have been delivered.
        again = [(entry.id, entry.attempts) for entry in await take(two, "two")]
        assert again == [("a", 1), ("b", 1), ("c", 0)]
        assert await take(one, "one") == []

    async def test_an_owner_that_starts_again_gets_what_it_held(
        self, journals: Callable[..., Any]
    ) -> None:
        journal = await journals()
        await journal.append("app", [event("a")])
        assert ids(await take(journal)) == ["a"]
        await journal.close()
        assert ids(await take(await journals())) == ["a"]

    async def test_a_cancelled_question_loses_no_entry(self, journal: Journal) -> None:
        await journal.append("app", [event(str(n)) for n in range(40)])
        taken: list[str] = []
        for turns in range(30):
            task = asyncio.create_task(take(journal, limit=5))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                taken += ids(await task)
        while found := await take(journal, limit=5):
            taken += ids(found)
        assert taken == [str(n) for n in range(40)]

    async def test_questions_at_once_never_get_the_same(self, journal: Journal) -> None:
        await journal.append("app", [event(str(n)) for n in range(40)])
        found = await asyncio.gather(*(take(journal, limit=5) for _ in range(8)))
        rest = await take(journal)
        assert sorted((name for part in [*found, rest] for name in ids(part)), key=int) == [
            str(n) for n in range(40)
        ]

    async def test_an_append_wakes_whoever_waits(self, journal: Journal) -> None:
        journal.appended.clear()
        assert await take(journal) == []
        waiting = asyncio.create_task(journal.appended.wait())
        await journal.append("app", [event("a")])
        await asyncio.wait_for(waiting, 10)
        journal.appended.clear()
        await journal.append("app", [event("a")])
        assert not journal.appended.is_set()

    async def test_another_process_s_events_wake_too(self, journals: Callable[..., Any]) -> None:
        one, two = await journals(), await journals()
        assert await take(two, "two") == []
        two.appended.clear()
        await one.append("app", [event("a")])
        await asyncio.wait_for(two.appended.wait(), 10)
        assert ids(await take(two, "two")) == ["a"]

    # --- what became of it ---

    async def test_settling(self, journal: Journal) -> None:
        await journal.append("app", [event("a"), event("b")])
        a, b = await take(journal)
        records = [delivery(key="u1"), delivery(tree="audit", key=None, outcome="filtered")]
        await journal.settle_many([(a.seq, "delivered", records), (b.seq, "unmatched", [])])
        entry = await journal.get("a")
        assert (entry.status, entry.deliveries) == ("delivered", records)
        assert (await journal.get("b")).status == "unmatched"
        assert journal.backlog == 0
        assert ids((await journal.list(key="u1")).items) == ["a"]
        await journal.release("me")
        assert await take(journal) == []

    async def test_settling_twice_is_settling_once(self, journal: Journal) -> None:
        await journal.append("app", [event("a")])
        (a,) = await take(journal)
        for _ in range(2):
            await journal.settle(a.seq, "delivered", [delivery()])
        assert len((await journal.get("a")).deliveries) == 1

    async def test_many_marks_share_a_transaction(self, journal: Journal) -> None:
        await journal.append("app", [event(str(n)) for n in range(100)])
        found = await take(journal)
        before = journal.transactions
        await asyncio.gather(*(journal.settle(e.seq, "delivered", [delivery()]) for e in found))
        assert journal.transactions - before <= 5
        assert (await journal.counts())["delivered"] == 100

    async def test_marking_what_is_not_there_fails_its_caller_alone(self, journal: Journal) -> None:
        await journal.append("app", [event("a")])
        (a,) = await take(journal)
        results = await asyncio.gather(
            journal.settle(a.seq, "delivered", [delivery()]),
            journal.settle(10_000, "delivered", [delivery()]),
            journal.append("app", [event("b")]),
            return_exceptions=True,
        )
        assert [type(r) for r in results] == [type(None), NotFound, list]
        assert (await journal.get("a")).status == "delivered"

    async def test_a_retry_comes_when_it_is_due(self, journal: Journal) -> None:
        await journal.append("app", [event("a"), event("b")])
        a, b = await take(journal)
        soon = datetime.now(UTC) + timedelta(milliseconds=40)
        await journal.retry_later(a.seq, 1, "no answer", soon, [delivery()])
        await journal.retry_later(b.seq, 1, "no answer", soon + timedelta(hours=1))
        journal.appended.clear()
        assert await take(journal) == []
        await asyncio.wait_for(journal.appended.wait(), 10)
        (again,) = await take(journal)
        assert (again.id, again.attempts, again.error) == ("a", 1, "no answer")
        assert again.deliveries == [delivery()]
        assert await take(journal) == []

    async def test_a_retry_is_due_after_a_restart_too(self, journals: Callable[..., Any]) -> None:
        journal = await journals()
        await journal.append("app", [event("a")])
        (a,) = await take(journal)
        await journal.retry_later(a.seq, 3, "no answer", datetime.now(UTC))
        await journal.close()
        (again,) = await take(await journals(), "another")
        assert again.attempts == 3

    async def test_nobody_takes_back_what_another_settled(self, journal: Journal) -> None:
        await journal.append("app", [event("a")])
        (a,) = await take(journal)
        await journal.settle(a.seq, "delivered", [delivery()])
        await journal.retry_later(a.seq, 1, "too late", datetime.now(UTC))
        await journal.bury(a.seq, "too late")
        assert (await journal.get("a")).status == "delivered"

    async def test_burying_and_opening_again(self, journal: Journal) -> None:
        await journal.append("app", [event("a")])
        (a,) = await take(journal)
        await journal.bury(a.seq, "undeliverable", attempts=10)
        entry = await journal.get("a")
        assert (entry.status, entry.error, entry.attempts) == ("dead", "undeliverable", 10)
        assert await take(journal) == []
        await journal.reopen(a.seq)
        (again,) = await take(journal)
        assert (again.id, again.attempts, again.error) == ("a", 0, None)

    async def test_the_run_s_own_word_replaces_delivered(self, journal: Journal) -> None:
        await journal.append("app", [event("a")])
        (a,) = await take(journal)
        await journal.settle(
            a.seq,
            "delivered",
            [
                delivery(outcome="delivered"),
                delivery(tree="other", key=None, outcome="delivered"),
                delivery(tree="third", outcome="started"),
            ],
        )
        await asyncio.gather(
            journal.update_delivery(a.seq, delivery(outcome="late")),
            journal.update_delivery(a.seq, delivery(tree="other", key=None, outcome="buffered")),
            journal.update_delivery(a.seq, delivery(tree="third", outcome="late")),
            journal.update_delivery(a.seq, delivery(tree="unknown", outcome="late")),
        )
        outcomes = {d.tree: d.outcome for d in (await journal.get("a")).deliveries}
        assert outcomes == {"onboarding": "late", "other": "buffered", "third": "started"}

    # --- looking things up ---

    async def test_what_is_not_there(self, journal: Journal) -> None:
        await journal.append("app", [event("a")])
        for arguments in (("b",), ("a", "other")):
            with pytest.raises(NotFound):
                await journal.get(*arguments)
        assert (await journal.list(type="none")).items == []
        with pytest.raises(BadRequest):
            await journal.list(cursor="no cursor")
        with pytest.raises(BadRequest):
            await journal.list(cursor="\ud800")

    async def test_filters(self, journal: Journal) -> None:
        await journal.append("app", [event("a", kind="x"), event("b", kind="y")])
        await journal.append("shop", [event("c", kind="x")])
        a, _, c = await take(journal)
        await journal.settle(a.seq, "delivered", [delivery(key="k1"), delivery(tree="t", key="k2")])
        await journal.settle(c.seq, "unmatched", [])

        async def found(**filters: Any) -> list[str]:
            return ids((await journal.list(**filters)).items)

        assert await found() == ["c", "b", "a"]
        assert await found(trigger="app") == ["b", "a"]
        assert await found(type="x") == ["c", "a"]
        assert await found(type="x", trigger="shop") == ["c"]
        assert await found(key="k2") == ["a"]
        assert await found(key="k1", status="unmatched") == []
        assert await found(status="accepted") == ["b"]
        assert await found(since=a.received_at) == ["c", "b", "a"]
        assert await found(since=c.received_at, until=c.received_at) == []
        assert await found(until=a.received_at) == []
        assert await found(since=c.received_at) == ["c"]
        assert await found(until=c.received_at) == ["b", "a"]
        assert await found(since=c.received_at + timedelta(days=1)) == []

    async def test_long_types_and_keys_are_told_apart(self, journal: Journal) -> None:
        long = "x" * 1000
        await journal.append("app", [event("a", kind=long + "1"), event("b", kind=long + "2")])
        a, b = await take(journal)
        await journal.settle(a.seq, "delivered", [delivery(key=long + "1")])
        await journal.settle(b.seq, "delivered", [delivery(key=long + "2")])
        assert ids((await journal.list(type=long + "2")).items) == ["b"]
        assert ids((await journal.list(key=long + "1")).items) == ["a"]

    async def test_pages_stand_still_while_events_come_in(self, journal: Journal) -> None:
        await journal.append("app", [event(str(n)) for n in range(25)])
        seen: list[str] = []
        cursor = None
        while True:
            page = await journal.list(limit=10, cursor=cursor)
            seen += ids(page.items)
            await journal.append("app", [event(f"new-{len(seen)}-{n}") for n in range(7)])
            if page.next is None:
                break
            cursor = page.next
        assert seen == [str(n) for n in reversed(range(25))]

    async def test_a_last_page_that_is_full_has_no_next(self, journal: Journal) -> None:
        await journal.append("app", [event(str(n)) for n in range(4)])
        first = await journal.list(limit=2)
        second = await journal.list(limit=2, cursor=first.next)
        assert (ids(second.items), second.next) == (["1", "0"], None)

    async def test_definitions(self, journal: Journal) -> None:
        await journal.keep_definition("h1", "onboarding", b"\x00one")
        await journal.keep_definition("h1", "onboarding", b"\x00one")
        await journal.keep_definition("h2", "audit", b"two")
        kept = await journal.definitions()
        assert [(d.hash, d.tree, d.document) for d in kept] == [
            ("h1", "onboarding", b"\x00one"),
            ("h2", "audit", b"two"),
        ]
        assert [d.hash for d in await journal.definitions("audit")] == ["h2"]
        await journal.drop_definition("h1")
        assert [d.hash for d in await journal.definitions()] == ["h2"]

    # --- housekeeping ---

    async def test_pruning(self, journals: Callable[..., Any]) -> None:
        journal = await journals(retention=timedelta(days=7))
        await journal.append("app", [event(str(n)) for n in range(1203)])
        found = await take(journal, limit=2000)
        await journal.settle_many((e.seq, "delivered", [delivery()]) for e in found[1:])
        assert await journal.prune(datetime.now(UTC)) == 0
        assert await journal.prune(datetime.now(UTC) + timedelta(days=7, minutes=1)) == 1202
        assert ids((await journal.list()).items) == ["0"]
        assert (await journal.list(key="u1")).items == []
        receipts = await journal.append("app", [event("0"), event("1")])
        assert [r.duplicate for r in receipts] == [True, False]

    async def test_numbers_are_never_given_out_again(self, journals: Callable[..., Any]) -> None:
        journal = await journals(retention=timedelta())
        await journal.append("app", [event("a")])
        (a,) = await take(journal)
        await journal.settle(a.seq, "delivered", [])
        assert await journal.prune(datetime.now(UTC) + timedelta(minutes=1)) == 1
        await journal.append("app", [event("b")])
        assert (await journal.get("b")).seq > a.seq

    async def test_the_schema_is_what_the_tables_say(self, journal: Journal) -> None:
        import sqlalchemy as sa
        from alembic.autogenerate import compare_metadata
        from alembic.migration import MigrationContext

        from hub.routing.journal.tables import metadata

        def compare(connection: sa.Connection) -> list[Any]:
            options = {"version_table": "journal_version", "compare_type": _compare_type}
            context = MigrationContext.configure(connection, opts=options)
            return list(compare_metadata(context, metadata))

        async with journal._database.read() as connection:
            import warnings

            with warnings.catch_warnings():
                # SQLite does not tell SQLAlchemy about the indexes over expressions.
                warnings.filterwarnings("ignore", message="Skipped unsupported reflection")
                warnings.filterwarnings("ignore", message="autogenerate skipping")
                differences = await connection.run_sync(compare)
        expressions = {
            "journal_entries_by_type",
            "journal_deliveries_by_key",
            "audit_log_by_who",
            "audit_log_by_object",
        }
        assert [d for d in differences if getattr(d[1], "name", "") not in expressions] == []


def _compare_type(
    context: Any, inspected: Any, declared: Any, inspected_type: Any, declared_type: Any
) -> bool | None:
    return False if isinstance(declared_type, AnyText) else None
