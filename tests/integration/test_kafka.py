"""The Kafka trigger against a real broker: what is read, when it is committed, what goes wrong."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from hub.errors import Busy
from hub.event import Event
from hub.kafka import Security
from hub.ports import find_free
from hub.routing.dispatcher import Dispatcher
from hub.routing.intake import JournalIntake
from hub.routing.journal import Entry, Journal
from hub.routing.router import Router
from hub.temporal.client import TemporalRuns
from hub.temporal.connect import connect
from hub.temporal.dev_server import DevServer
from hub.tree import load_tree
from hub.trigger import ConsumerIntake, Receipt
from tests.kafka import PASSWORD, USER, KafkaServer
from tests.registry import registry_server
from triggers.kafka import Kafka, Settings
from triggers.kafka.settings import RegistrySettings

pytestmark = pytest.mark.timeout(120)


@pytest_asyncio.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    journal = await Journal.open(str(tmp_path / "journal.db"))
    yield journal
    await journal.close()


def trigger(kafka: KafkaServer, **settings: Any) -> Kafka:
    given = {
        "brokers": kafka.address,
        "group": f"g-{uuid.uuid4().hex[:12]}",
        "session_timeout": "2s",
        **settings,
    }
    return Kafka("orders", Settings(**given))


@asynccontextmanager
async def running(consumer: Kafka, intake: ConsumerIntake) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(consumer.run(intake))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(look: Callable[[], Any], patience: float = 60.0) -> None:
    deadline = asyncio.get_running_loop().time() + patience
    while not look():
        assert asyncio.get_running_loop().time() < deadline, "it did not come true"
        await asyncio.sleep(0.02)


async def entries(journal: Journal, count: int, patience: float = 60.0) -> list[Entry]:
    """The journal's entries in their order, as soon as there are so many."""
    deadline = asyncio.get_running_loop().time() + patience
    while True:
        counts = await journal.counts()
        there = sum(n for status, n in counts.items() if status != "duplicate")
        if there >= count:
            break
        assert asyncio.get_running_loop().time() < deadline, f"{there} of {count} came"
        await asyncio.sleep(0.02)
    found: list[Entry] = []
    cursor: str | None = None
    while True:
        page = await journal.list(limit=1000, cursor=cursor)
        found += page.items
        cursor = page.next
        if cursor is None:
            return sorted(found, key=lambda entry: entry.seq)


def numbers(found: Sequence[Entry]) -> dict[str, list[int]]:
    """Of each key the numbers of its messages, in the order of the journal."""
    by_key: dict[str, list[int]] = defaultdict(list)
    for entry in found:
        by_key[entry.event.data["key"]].append(entry.event.data["n"])
    return by_key


def numbered(keys: int, count: int, start: int = 0) -> list[dict[str, Any]]:
    return [
        {
            "key": f"k{n % keys}".encode(),
            "value": json.dumps({"key": f"k{n % keys}", "n": n}).encode(),
        }
        for n in range(start, start + count)
    ]


# --- what is read


async def test_messages_become_events(kafka: KafkaServer, journal: Journal) -> None:
    topic = await kafka.topic()
    await kafka.send(
        topic,
        {
            "value": b'{"type": "order.placed", "data": {"id": 7}}',
            "key": b"o7",
            "headers": [("traceparent", b"00-abc-def-01"), ("X-Odd", b"1")],
            "timestamp_ms": 1_700_000_000_123,
        },
        b"[1, 2]",
    )
    async with running(trigger(kafka, topic=topic), JournalIntake(journal)):
        first, second = await entries(journal, 2)
    assert first.id == f"{topic}-0-0-1700000000123"
    assert first.event.type == "order.placed"
    assert first.event.subject == "o7"
    assert first.event.data == {"id": 7}
    assert first.event.source == f"/kafka/{topic}"
    assert first.event.time is not None
    assert first.event.time.isoformat() == "2023-11-14T22:13:20.123000+00:00"
    assert first.event.extensions == {
        "traceparent": "00-abc-def-01",
        "kafkakey": "o7",
        "kafkatopic": topic,
        "kafkapartition": 0,
        "kafkaoffset": "0",
        "kafkatimestamp": "1700000000123",
    }
    assert second.event.type == "orders.received"
    assert second.event.data == [1, 2]
    assert second.id.startswith(f"{topic}-0-1-")


async def test_cloudevents_are_read_in_both_modes(kafka: KafkaServer, journal: Journal) -> None:
    topic = await kafka.topic()
    structured = {"specversion": "1.0", "id": "s1", "source": "/x", "type": "a", "data": {"n": 1}}
    await kafka.send(
        topic,
        {
            "value": b'{"n": 2}',
            "headers": [
                ("ce_specversion", b"1.0"),
                ("ce_id", b"b1"),
                ("ce_source", b"/y"),
                ("ce_type", b"b"),
                ("ce_tenant", b"acme"),
                ("content-type", b"application/json"),
            ],
        },
        {
            "value": json.dumps(structured).encode(),
            "headers": [("Content-Type", b"application/cloudevents+json; charset=utf-8")],
        },
    )
    async with running(trigger(kafka, topic=topic, format="cloudevents"), JournalIntake(journal)):
        binary, whole = await entries(journal, 2)
    assert (binary.id, binary.event.type, binary.event.data) == ("b1", "b", {"n": 2})
    assert binary.event.extensions["tenant"] == "acme"
    assert (whole.id, whole.event.source, whole.event.data) == ("s1", "/x", {"n": 1})


async def test_a_tombstone_is_an_event_without_data(kafka: KafkaServer, journal: Journal) -> None:
    topic = await kafka.topic()
    await kafka.send(topic, {"key": b"gone", "value": None}, {"key": b"there", "value": b"null"})
    async with running(trigger(kafka, topic=topic), JournalIntake(journal)):
        gone, there = await entries(journal, 2)
    assert gone.event.data is None
    assert gone.event.subject == "gone"
    assert gone.event.extensions["tombstone"] is True
    assert "tombstone" not in there.event.extensions


async def test_expressions_say_what_the_event_is(kafka: KafkaServer, journal: Journal) -> None:
    topic = await kafka.topic()
    await kafka.send(topic, {"value": b'{"oid": 5, "v": {"x": 1}}', "headers": [("kind", b"new")]})
    consumer = trigger(
        kafka,
        topic=topic,
        id="${{ value.oid }}",
        type="order.${{ headers.kind }}",
        data="${{ value.v }}",
        subject="${{ topic ~ '/' ~ partition ~ '/' ~ offset }}",
    )
    async with running(consumer, JournalIntake(journal)):
        (entry,) = await entries(journal, 1)
    assert (entry.id, entry.event.type, entry.event.data) == ("5", "order.new", {"x": 1})
    assert entry.event.subject == f"{topic}/0/0"


async def test_a_message_that_cannot_be_read_is_kept_and_holds_nothing_up(
    kafka: KafkaServer, journal: Journal
) -> None:
    topic, dead = await kafka.topic(), await kafka.topic()
    poison = b'{"cut": \xff'
    await kafka.send(
        topic,
        b'{"n": 1}',
        {"value": poison, "key": b"p", "headers": [("from", b"x")]},
        b'{"n": 2}',
    )
    consumer = trigger(kafka, topic=topic, dead_letter=dead)
    async with running(consumer, JournalIntake(journal)):
        found = await entries(journal, 3)
        (letter,) = await kafka.read(dead, 1)
        assert consumer.status().dead == 1
        assert consumer.status().accepted == 2
    assert [e.event.data for e in found if e.status == "accepted"] == [{"n": 1}, {"n": 2}]
    (entry,) = [e for e in found if e.status == "dead"]
    assert entry.event.type == "orders.unreadable"
    assert base64.b64decode(entry.event.data) == poison
    assert entry.event.extensions["kafkakey"] == "p"
    assert entry.error
    assert (letter.key, letter.value) == (b"p", poison)
    headers = dict(letter.headers)
    assert headers["from"] == b"x"
    assert headers["hub_topic"] == topic.encode()
    assert headers["hub_offset"] == b"1"
    assert headers["hub_error"].decode() == entry.error
    assert await kafka.committed(consumer.group, topic) == {0: 3}


async def test_without_a_dead_letter_topic_to_write_to_the_journal_keeps_it(
    kafka: KafkaServer, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("triggers.kafka.dead_letters._PATIENCE", 0.5)
    topic = await kafka.topic()
    await kafka.send(topic, b"{", b"1")
    if not kafka.is_apache:
        pytest.skip("the embedded broker makes every topic that is written to")
    consumer = trigger(kafka, topic=topic, dead_letter="there-is-no-such-topic")
    async with running(consumer, JournalIntake(journal)):
        found = await entries(journal, 2)
    assert sorted(e.status for e in found) == ["accepted", "dead"]


async def test_dead_letters_are_not_dispatched(journal: Journal) -> None:
    intake = JournalIntake(journal)
    event = Event(id="x", source="/", type="orders.unreadable", data="AA==")
    assert not (await intake.bury("orders", event, "it cannot be read")).duplicate
    assert (await intake.bury("orders", event, "it cannot be read")).duplicate
    assert journal.backlog == 0
    entry = await journal.get("x")
    assert (entry.status, entry.error) == ("dead", "it cannot be read")


# --- where it begins, and what it commits


async def test_it_goes_on_where_it_stopped(kafka: KafkaServer, journal: Journal) -> None:
    topic = await kafka.topic()
    consumer = trigger(kafka, topic=topic)
    await kafka.send(topic, b"1", b"2")
    async with running(consumer, JournalIntake(journal)):
        await entries(journal, 2)
    assert await kafka.committed(consumer.group, topic) == {0: 2}
    await kafka.send(topic, b"3")
    async with running(consumer, JournalIntake(journal)):
        found = await entries(journal, 3)
    assert [entry.event.data for entry in found] == [1, 2, 3]
    assert sum(entry.duplicates for entry in found) == 0


async def test_latest_begins_after_what_is_there_and_loses_nothing_from_then_on(
    kafka: KafkaServer, journal: Journal
) -> None:
    topic = await kafka.topic()
    await kafka.send(topic, b'"old"')
    consumer = trigger(kafka, topic=topic, start="latest")
    async with running(consumer, JournalIntake(journal)):
        await until(lambda: consumer.status().partitions)
    # It has read nothing, and still its place is known: what comes while it is away is not missed.
    await kafka.send(topic, b'"new"')
    async with running(consumer, JournalIntake(journal)):
        (entry,) = await entries(journal, 1)
    assert entry.event.data == "new"


async def test_topics_that_come_later_are_read_from_their_beginning(
    kafka: KafkaServer, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("triggers.kafka.member._LOOK_EVERY", 0.3)
    prefix = f"p-{uuid.uuid4().hex[:8]}"
    await kafka.topic(name=f"{prefix}-a")
    consumer = trigger(kafka, pattern=f"{re.escape(prefix)}-.", start="latest")
    async with running(consumer, JournalIntake(journal)):
        await until(lambda: consumer.status().partitions)
        await kafka.topic(name=f"{prefix}-b")
        await kafka.topic(name=f"{prefix}-not")
        await kafka.send(f"{prefix}-not", b"0")
        await kafka.send(f"{prefix}-b", b"1")
        (entry,) = await entries(journal, 1)
    assert entry.event.extensions["kafkatopic"] == f"{prefix}-b"


async def test_a_topic_that_does_not_exist_is_waited_for(
    kafka: KafkaServer, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("triggers.kafka.member._LOOK_EVERY", 0.3)
    name = f"t-{uuid.uuid4().hex[:12]}"
    consumer = trigger(kafka, topic=name, start="latest")
    async with running(consumer, JournalIntake(journal)):
        await until(lambda: consumer.status().state == "waiting")
        assert consumer.status().detail == f"there is no topic {name} yet"
        await kafka.topic(name=name)
        await kafka.send(name, b"1")
        (entry,) = await entries(journal, 1)
        assert entry.event.data == 1
        await until(lambda: consumer.status().state == "consuming")


async def test_a_topic_that_is_made_anew_is_not_taken_for_the_old_one(
    kafka: KafkaServer, journal: Journal
) -> None:
    topic = await kafka.topic()
    await kafka.send(topic, {"value": b'"old"', "timestamp_ms": 1_700_000_000_000})
    async with running(trigger(kafka, topic=topic), JournalIntake(journal)):
        await entries(journal, 1)
    await kafka.delete_topic(topic)
    await kafka.topic(name=topic)
    await kafka.send(topic, {"value": b'"new"', "timestamp_ms": 1_700_000_000_001})
    async with running(trigger(kafka, topic=topic), JournalIntake(journal)):
        await entries(journal, 2)
    found = await entries(journal, 2)
    assert [entry.event.data for entry in found] == ["old", "new"]


async def test_lag_is_known(kafka: KafkaServer, journal: Journal) -> None:
    topic = await kafka.topic()
    await kafka.send(topic, *numbered(1, 10))
    consumer = trigger(kafka, topic=topic)
    async with running(consumer, JournalIntake(journal)):
        await entries(journal, 10)
        await until(lambda: [p.lag for p in consumer.status().partitions] == [0])
        (partition,) = consumer.status().partitions
        assert (partition.topic, partition.partition, partition.position) == (topic, 0, 10)
    assert consumer.status().state == "stopped"


# --- the hub is full, slow, or refuses


async def test_a_full_hub_pauses_it_and_nothing_is_lost(
    kafka: KafkaServer, journal: Journal
) -> None:
    topic = await kafka.topic(3)
    await kafka.send(topic, *numbered(7, 900))
    consumer = trigger(kafka, topic=topic)
    async with running(consumer, JournalIntake(journal, max_backlog=1, retry_after=0)):
        await until(lambda: consumer.status().state == "paused")
        before = len(await entries(journal, 1))
        assert before < 900
        settled = 0
        while settled < 900:
            taken = [e for e in await entries(journal, 1) if e.status == "accepted"]
            await journal.settle_many([(e.seq, "unmatched", []) for e in taken])
            settled += len(taken)
            await asyncio.sleep(0.01)
        found = await entries(journal, 900)
    assert all(len(ns) == len(set(ns)) and ns == sorted(ns) for ns in numbers(found).values())
    assert len(found) == 900


class SlowIntake:
    """An intake that is busy every other time and slow else."""

    def __init__(self, journal: Journal) -> None:
        self._intake = JournalIntake(journal)
        self._calls = 0

    async def accept(self, trigger: str, events: Sequence[Event]) -> Sequence[Receipt]:
        self._calls += 1
        if self._calls % 2:
            raise Busy(retry_after=0)
        await asyncio.sleep(0.02)
        return await self._intake.accept(trigger, events)

    async def bury(self, trigger: str, event: Event, error: str) -> Receipt:
        return await self._intake.bury(trigger, event, error)


async def test_a_rebalance_while_the_hub_is_slow_loses_and_doubles_nothing(
    kafka: KafkaServer, journal: Journal
) -> None:
    topic = await kafka.topic(6)
    group = f"g-{uuid.uuid4().hex[:12]}"
    first, second = (trigger(kafka, topic=topic, group=group) for _ in range(2))
    await kafka.send(topic, *numbered(20, 2000))
    async with running(first, SlowIntake(journal)):
        await until(lambda: first.status().accepted)
        async with running(second, SlowIntake(journal)):
            await until(lambda: second.status().partitions)
            await kafka.send(topic, *numbered(20, 1000, start=2000))
            await until(lambda: second.status().accepted)
        found = await entries(journal, 3000)
    for key, ns in numbers(found).items():
        assert ns == list(range(int(key[1:]), 3000, 20))


# --- brokers come and go


async def test_brokers_that_are_down_at_the_start_are_waited_for(journal: Journal) -> None:
    nobody = f"127.0.0.1:{find_free()}"
    consumer = Kafka("orders", Settings(topic="t", brokers=nobody))
    async with running(consumer, JournalIntake(journal)) as task:
        await until(lambda: consumer.status().state == "away")
        assert consumer.status().detail == "the brokers do not answer"
        assert not task.done()


async def test_a_broker_that_restarts_is_used_again(
    apache_kafka: KafkaServer, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("triggers.kafka.member._LOOK_EVERY", 0.5)
    topic = await apache_kafka.topic(2)
    consumer = trigger(apache_kafka, topic=topic)
    async with running(consumer, JournalIntake(journal)):
        await apache_kafka.send(topic, *numbered(5, 100))
        await entries(journal, 100)
        await apache_kafka.stop(kill=True)
        await until(lambda: consumer.status().state == "away")
        await apache_kafka.start()
        await apache_kafka.send(topic, *numbered(5, 100, start=100))
        found = await entries(journal, 200)
        await until(lambda: consumer.status().state == "consuming")
    for key, ns in numbers(found).items():
        assert ns == list(range(int(key[1:]), 200, 5))


# --- who is let in


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_it_logs_in(apache_kafka: KafkaServer, journal: Journal, mechanism: Any) -> None:
    if apache_kafka.sasl_address is None:
        pytest.skip("this broker has no listener with SASL")
    topic = await apache_kafka.topic()
    await apache_kafka.send(topic, b"1")
    security = Security(mechanism=mechanism, username=USER, password=PASSWORD)
    consumer = trigger(
        apache_kafka, topic=topic, brokers=apache_kafka.sasl_address, security=security
    )
    async with running(consumer, JournalIntake(journal)):
        await entries(journal, 1)


async def test_a_wrong_password_is_said_and_tried_on(
    apache_kafka: KafkaServer, journal: Journal
) -> None:
    if apache_kafka.sasl_address is None:
        pytest.skip("this broker has no listener with SASL")
    security = Security(mechanism="PLAIN", username=USER, password="wr0ng-password")
    consumer = trigger(
        apache_kafka, topic="t", brokers=apache_kafka.sasl_address, security=security
    )
    async with running(consumer, JournalIntake(journal)):
        await until(lambda: consumer.status().state == "away")
        assert "refuse access" in (consumer.status().detail or "")
    assert "wr0ng-password" not in repr(consumer.settings)


async def test_it_speaks_tls(apache_kafka: KafkaServer, journal: Journal) -> None:
    if apache_kafka.tls_address is None:
        pytest.skip("this broker has no listener with TLS")
    topic = await apache_kafka.topic()
    await apache_kafka.send(topic, b"1")
    consumer = trigger(
        apache_kafka,
        topic=topic,
        brokers=apache_kafka.tls_address,
        security=Security(tls=True, ca=apache_kafka.ca),
    )
    async with running(consumer, JournalIntake(journal)):
        await entries(journal, 1)


async def test_a_broker_that_nobody_vouches_for_is_not_used(
    apache_kafka: KafkaServer, journal: Journal
) -> None:
    if apache_kafka.tls_address is None:
        pytest.skip("this broker has no listener with TLS")
    topic = await apache_kafka.topic()
    await apache_kafka.send(topic, b"1")
    consumer = trigger(
        apache_kafka, topic=topic, brokers=apache_kafka.tls_address, security=Security(tls=True)
    )
    async with running(consumer, JournalIntake(journal)):
        await until(lambda: consumer.status().state == "away")
        assert "certificate is not trusted" in (consumer.status().detail or "")
    assert (await journal.counts())["accepted"] == 0


# --- a schema registry, and a slow hub


async def test_values_of_a_schema_registry(kafka: KafkaServer, journal: Journal) -> None:
    topic, dead = await kafka.topic(), await kafka.topic()
    with registry_server() as registry:
        number = registry.register("orders-value", "string")
        hello = b"\0" + number.to_bytes(4, "big") + b"\x0ahello"
        await kafka.send(topic, hello, b"\0\0\0\0\x63x", b"{}", hello)
        consumer = trigger(
            kafka,
            topic=topic,
            dead_letter=dead,
            format="registry",
            registry=RegistrySettings(url=registry.url),
        )
        async with running(consumer, JournalIntake(journal)):
            found = await entries(journal, 4)
            good = [entry.event.data for entry in found if entry.status == "accepted"]
            bad = [entry.error or "" for entry in found if entry.status == "dead"]
            assert good == ["hello", "hello"]
            assert ["has no schema 99" in bad[0], "zero byte" in bad[1]] == [True, True]

            # While the registry is away nothing is buried and nothing lost: the partitions pause.
            other = registry.register("orders-value", "long")
            registry.stop()
            await kafka.send(topic, b"\0" + other.to_bytes(4, "big") + b"\x0e", hello)
            await until(lambda: consumer.status().state == "paused")
            assert "schema registry" in str(consumer.status().detail)
            await asyncio.sleep(1)
            assert sum((await journal.counts()).values()) == 4
            registry.start()
            found = await entries(journal, 6)
            assert [entry.event.data for entry in found[4:]] == [7, "hello"]
            await until(lambda: consumer.status().state == "consuming")
    letters = await kafka.read(dead, 2)
    errors = [dict(letter.headers)["hub_error"] for letter in letters]
    assert b"has no schema 99" in errors[0]
    assert b"zero byte" in errors[1]


@asynccontextmanager
async def link_to(address: str) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A way to a server on which nothing moves until the event is set; its address."""
    host, _, port = address.rpartition(":")
    moves = asyncio.Event()
    tasks: list[asyncio.Task[Any]] = []

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                await moves.wait()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(port))
        for one in (carry(reader, back), carry(there, writer)):
            tasks.append(asyncio.create_task(one))

    door = await asyncio.start_server(meet, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{door.sockets[0].getsockname()[1]}", moves
    finally:
        door.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await door.wait_closed()
        # What was closed is gone in the loop's next turn.
        await asyncio.sleep(0)


async def test_while_temporal_does_not_answer_the_partitions_pause_and_nothing_is_lost(
    kafka: KafkaServer, journal: Journal, server: DevServer
) -> None:
    topic, name, count = await kafka.topic(3), f"slow-{uuid.uuid4().hex[:8]}", 700
    tree = load_tree(
        f"tree: {name}\nevents:\n  number: {{kafka: orders, key: event.data.key}}\n"
        "start: number\ndo:\n  - delay: 1 day\n"
    )
    consumer = trigger(kafka, topic=topic)
    async with link_to(server.address) as (address, moves):
        moves.set()
        runs = TemporalRuns(await connect(address), task_queue=name)
        moves.clear()
        dispatcher = Dispatcher(journal, runs, lambda: Router([tree]), owner=name)
        dispatching = asyncio.create_task(dispatcher.run())
        try:
            await kafka.send(topic, *numbered(7, count))
            async with running(consumer, JournalIntake(journal, max_backlog=50, retry_after=0)):
                await until(lambda: consumer.status().state == "paused")
                await asyncio.sleep(1)
                # What waits is bounded, in the journal and in memory: one batch over the limit, and
                # one poll.
                assert (await journal.counts())["accepted"] <= 50 + 500
                assert consumer._member is not None
                assert len(consumer._member._held) <= 500
                moves.set()
                deadline = asyncio.get_running_loop().time() + 100
                while (await journal.counts()).get("delivered", 0) < count:
                    assert asyncio.get_running_loop().time() < deadline, await journal.counts()
                    await asyncio.sleep(0.1)
        finally:
            dispatching.cancel()
            await asyncio.gather(dispatching, return_exceptions=True)
    found = await entries(journal, count)
    assert sorted(entry.event.data["n"] for entry in found) == list(range(count))
    # One run got them all once, and in their order.
    client = await connect(server.address)
    history = await client.get_workflow_handle(f"{name}/k3").fetch_history()
    told = [
        json.loads(event.workflow_execution_signaled_event_attributes.input.payloads[0].data)
        for event in history.events
        if event.HasField("workflow_execution_signaled_event_attributes")
    ]
    ns = [delivery["event"]["data"]["n"] for delivery in told]
    assert ns in (list(range(3, count, 7)), list(range(10, count, 7)))
