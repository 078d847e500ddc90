"""One life of a member of a consumer group: from joining it to leaving it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from aiokafka.structs import ConsumerRecord

from hub.errors import Busy, HubError
from hub.event import Event
from hub.kafka import client_options, reason_of
from hub.trigger import ConsumerIntake, PartitionStatus
from triggers.kafka.dead_letters import DeadLetterTopic
from triggers.kafka.message import Message, Reader, Unreadable
from triggers.kafka.registry import RegistryAway
from triggers.kafka.settings import Settings
from triggers.kafka.standing import Standing

__all__ = ["Member"]

_BATCH_MESSAGES = 500
_BATCH_BYTES = 4 * 1024 * 1024
_POLL_SECONDS = 0.2
_COMMIT_EVERY = 1.0
_LOOK_EVERY = 5.0
_PATIENCE = 10.0
_GIVEN_UP = 60.0
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 10.0


class _Held(msgspec.Struct):
    """A message that is not yet in the journal; once it is read, an event or why there is none."""

    partition: TopicPartition
    message: Message
    event: Event | None = None
    error: str | None = None
    is_sent: bool = False
    """Whether the dead-letter topic has it."""


class Member(ConsumerRebalanceListener):  # type: ignore[misc]
    """Reads its partitions into the intake, and commits what the intake has.

    Of each partition only messages that follow on each other are handed in, beginning with one
    whose predecessors are in the journal. So whatever two members do that both believe to own a
    partition, events stand in the journal in the order of the partition.

    `known` are the partitions that were there when the process began; None while that is not known.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        group: str,
        reader: Reader,
        intake: ConsumerIntake,
        dead_letters: DeadLetterTopic,
        standing: Standing,
        known: set[TopicPartition] | None,
    ) -> None:
        self.known = known
        self._settings = settings
        self._reader = reader
        self._intake = intake
        self._dead_letters = dead_letters
        self._standing = standing
        self._consumer: Any = AIOKafkaConsumer(
            **client_options(settings.brokers, settings.security),
            group_id=group,
            enable_auto_commit=False,
            # Where a group begins is decided in `_open`. Here it is what happens when messages were
            # deleted before they were read: go on with the first that is left.
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            # Apache Kafka answers as soon as a message is there; others look only now and then meanwhile.
            fetch_max_wait_ms=int(_POLL_SECONDS * 1000),
            session_timeout_ms=int(settings.session_seconds * 1000),
            heartbeat_interval_ms=int(settings.session_seconds * 1000 / 4),
            # New topics and partitions are found by it.
            metadata_max_age_ms=int(_LOOK_EVERY * 1000),
        )
        self._assigned: set[TopicPartition] = set()
        self._generation = 0
        self._next: dict[TopicPartition, int] = {}
        """Of each opened partition the offset up to which the intake has all."""
        self._committed: dict[TopicPartition, int] = {}
        self._commit_at = 0.0
        self._held: deque[_Held] = deque()
        self._handing_in = asyncio.Lock()
        self._full_until: float | None = None
        self._pause = _FIRST_PAUSE
        self._heard_at = 0.0

    # --- the life ---

    async def run(self) -> None:
        """Consume until cancelled. Raises `KafkaError` or `TimeoutError` where a new life helps."""
        looking: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._consumer.start()
                if self.known is None:
                    self.known = await self._existing()
            self._heard_at = self._time()
            self._consumer.subscribe(pattern=self._settings.subscription, listener=self)
            looking = asyncio.create_task(self._look(), name="kafka look")
            while True:
                if looking.done():
                    await looking
                await self._open()
                self._pace()
                self._hold(
                    await self._consumer.getmany(
                        timeout_ms=int(self._wait() * 1000), max_records=_BATCH_MESSAGES
                    )
                )
                await self._hand_in()
                if self._time() >= self._commit_at:
                    await self._commit()
        finally:
            if looking is not None:
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)
            await self._leave()

    def partitions(self) -> list[PartitionStatus]:
        """What it reads just now."""
        found = []
        for partition, position in sorted(self._next.items()):
            end = None
            with suppress(IllegalStateError, AssertionError):
                end = self._consumer.highwater(partition)
            found.append(
                PartitionStatus(
                    topic=partition.topic,
                    partition=partition.partition,
                    position=position,
                    lag=None if end is None else max(0, end - position),
                )
            )
        return found

    async def _leave(self) -> None:
        """Commit and leave the group, so that the others need not wait for the session to end."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._commit()
                await self._consumer.stop()
        except (KafkaError, TimeoutError, OSError):
            # Without a goodbye the group finds out by itself.
            self._consumer._closed = True

    async def _look(self) -> None:
        """See that the brokers are there when nothing comes from them."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            if self._time() - self._heard_at < _LOOK_EVERY:
                continue
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self._consumer.topics()
            except (KafkaError, TimeoutError, OSError) as error:
                self._standing.now("away", reason_of(error))
                if self._time() - self._heard_at > _GIVEN_UP:
                    # All brokers may have moved; a new life asks the first addresses again.
                    raise
            else:
                self._heard_at = self._time()
                self._tell()

    def _tell(self) -> None:
        """Note that the brokers are there, and what is read from them."""
        if self._full_until is not None:
            return
        topics = self._consumer.subscription()
        missing = sorted(set(self._settings.named) - topics)
        detail = f"there is no topic {', '.join(missing)} yet" if missing else None
        if topics or self._assigned:
            self._standing.now("consuming", detail)
        else:
            self._standing.now("waiting", detail or "no topic matches the pattern yet")

    # --- partitions come and go ---

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Let what is being handed in be finished, commit it, and forget the rest."""
        async with self._handing_in:
            self._generation += 1
            self._assigned = set()
            self._held.clear()
            try:
                async with asyncio.timeout(self._settings.session_seconds / 2):
                    await self._commit()
            except TimeoutError:
                pass
            self._next.clear()
            self._committed.clear()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Take note; they are opened by the life itself, which can try again."""
        self._generation += 1
        self._assigned = set(assigned)
        self._heard_at = self._time()
        self._tell()

    async def _open(self) -> None:
        """Find out where each new partition is to be read from, and begin there."""
        new = sorted(self._assigned - self._next.keys())
        if not new:
            return
        generation = self._generation
        try:
            async with asyncio.timeout(_PATIENCE):
                found = await asyncio.gather(*(self._consumer.committed(one) for one in new))
                offsets = {
                    p: offset for p, offset in zip(new, found, strict=True) if offset is not None
                }
                first = await self._first(set(new) - offsets.keys())
                if first and generation == self._generation:
                    # Committed at once: what comes from here on is read whoever reads it.
                    await self._consumer.commit(first)
                    self._committed |= first
            if generation == self._generation:
                for partition, offset in (offsets | first).items():
                    # What was fetched before this moment is dropped, here and in the client.
                    self._consumer.seek(partition, offset)
                    self._next[partition] = offset
        except (KafkaError, TimeoutError) as error:
            if generation == self._generation:
                self._standing.now("away", reason_of(error))
                await asyncio.sleep(_POLL_SECONDS)
        else:
            self._heard_at = self._time()
            self._tell()

    async def _first(self, new: set[TopicPartition]) -> dict[TopicPartition, int]:
        """Where to begin with partitions that the group has never read."""
        late = new & (self.known or set()) if self._settings.start == "latest" else set()
        offsets: dict[TopicPartition, int] = {}
        if new - late:
            offsets |= await self._consumer.beginning_offsets(sorted(new - late))
        if late:
            offsets |= await self._consumer.end_offsets(sorted(late))
        return offsets

    async def _existing(self) -> set[TopicPartition]:
        # The consumer's own methods tell of topics that it has subscribed to, and of those too late.
        cluster = await self._consumer._client.fetch_all_metadata()
        return {
            TopicPartition(topic, number)
            for topic in cluster.topics()
            for number in cluster.partitions_for_topic(topic) or ()
        }

    # --- messages ---

    def _pace(self) -> None:
        """Pause the partitions while something is held, and resume them when nothing is."""
        partitions = self._consumer.assignment()
        if self._held:
            self._consumer.pause(*(partitions - self._consumer.paused()))
        elif paused := self._consumer.paused():
            self._consumer.resume(*paused)

    def _wait(self) -> float:
        """How long the client may wait for messages; none come while the partitions are paused."""
        if self._full_until is None:
            return _POLL_SECONDS
        return min(max(self._full_until - self._time(), 0.01), _POLL_SECONDS)

    def _hold(self, records: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> None:
        for partition, messages in records.items():
            if partition not in self._next:
                continue
            self._heard_at = self._time()
            self._held.extend(_Held(partition, _message(record)) for record in messages)

    async def _hand_in(self) -> None:
        """Hand in what is held, in its order; what the intake has no room for stays held."""
        if self._full_until is not None and self._time() < self._full_until:
            return
        while await self._read():
            # A rebalance waits for the one batch that is on its way, and finds the rest here.
            async with self._handing_in:
                if not self._held:
                    return
                batch = self._batch()
                try:
                    await self._accept(batch)
                except Busy as busy:
                    self._rest(busy.message, longest=busy.retry_after)
                    return
                for held in batch:
                    self._held.popleft()
                    self._next[held.partition] = held.message.offset + 1
                if self._full_until is not None:
                    self._full_until = None
                    self._pause = _FIRST_PAUSE
                self._tell()

    async def _read(self) -> bool:
        """Read what is handed in next. False while that cannot be known: it stays held, and waits."""
        batch = [held for held in self._batch() if held.event is None and held.error is None]
        if not batch:
            return True
        try:
            await self._reader.prepare([held.message for held in batch])
            for held in batch:
                try:
                    held.event = self._reader.read(held.message)
                except Unreadable as error:
                    held.error = error.reason
        except RegistryAway as away:
            self._rest(away.message, longest=_LONGEST_PAUSE)
            return False
        return True

    def _rest(self, why: str, *, longest: float) -> None:
        """Pause the partitions for a while, longer each time."""
        self._full_until = self._time() + self._pause
        self._pause = min(self._pause * 2, max(longest, _FIRST_PAUSE))
        self._standing.now("paused", why)

    def _batch(self) -> list[_Held]:
        batch: list[_Held] = []
        size = 0
        for held in self._held:
            size += held.message.size
            if batch and (size > _BATCH_BYTES or len(batch) >= _BATCH_MESSAGES):
                break
            batch.append(held)
        return batch

    async def _accept(self, batch: Sequence[_Held]) -> None:
        """Have the whole batch in the journal. Raises `Busy`; to be done again is harmless then."""
        await self._bury([held for held in batch if held.error is not None])
        good = [held for held in batch if held.event is not None]
        try:
            await self._append(good)
        except Busy:
            raise
        except HubError:
            # One of them is what no journal can hold. It is found by handing in each alone.
            for held in good:
                try:
                    await self._append([held])
                except Busy:
                    raise
                except HubError as error:
                    held.event, held.error = None, error.message
                    await self._bury([held])

    async def _append(self, good: Sequence[_Held]) -> None:
        if not good:
            return
        events = [held.event for held in good if held.event is not None]
        receipts = await self._intake.accept(self._standing.trigger, events)
        copies = sum(receipt.duplicate for receipt in receipts)
        self._standing.duplicates += copies
        self._standing.accepted += len(receipts) - copies

    async def _bury(self, dead: Sequence[_Held]) -> None:
        unsent = [held for held in dead if not held.is_sent]
        await self._dead_letters.send([(held.message, held.error or "") for held in unsent])
        for held in unsent:
            held.is_sent = True
        while dead:
            held, dead = dead[0], dead[1:]
            remains = self._reader.remains(held.message)
            receipt = await self._intake.bury(
                self._standing.trigger, remains, held.error or "it cannot be read"
            )
            self._standing.dead += not receipt.duplicate

    # --- offsets ---

    async def _commit(self) -> None:
        """Commit what the intake has. That it fails is made good by the next one, or by the next
        owner's duplicates."""
        self._commit_at = self._time() + _COMMIT_EVERY
        due = {p: o for p, o in self._next.items() if self._committed.get(p) != o}
        if not due:
            return
        with suppress(KafkaError, OSError):
            await self._consumer.commit(due)
            self._committed |= due
            self._heard_at = self._time()

    @staticmethod
    def _time() -> float:
        return asyncio.get_running_loop().time()


def _message(record: ConsumerRecord) -> Message:
    return Message(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=record.timestamp,
        key=record.key,
        value=record.value,
        headers=record.headers,
    )
