"""What every HTTP trigger must do, whoever signs for it. Each kind and provider inherits this."""

from __future__ import annotations

import hmac
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.api.body import read_headers
from hub.errors import BadSignature, Refused
from hub.event import Event
from hub.trigger import HttpTrigger, Request

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

GARBAGE: Mapping[str, bytes] = {
    "empty": b"",
    "spaces": b" \n\t",
    "cut short": b'{"type": "x", "data": {',
    "trailing": b'{"type": "x"} x',
    "two values": b"{}{}",
    "not UTF-8": b'{"type": "\xff\xfe"}',
    "UTF-16": '{"type": "x"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"type": "x"}',
    "NaN": b'{"n": NaN}',
    "infinity": b'{"n": -Infinity}',
    "number beyond a double": b'{"n": 1e999}',
    "integer beyond 64 bits": b'{"n": 18446744073709551616}',
    "integer far beyond": b'{"n": ' + b"9" * 5000 + b"}",
    "name twice": b'{"type": "x", "type": "y"}',
    "name twice, escaped": b'{"type": "x", "\\u0074ype": "y"}',
    "name twice, deep": b'{"data": [{"a": {"b": 1, "b": "c:d"}}]}',
    "deep list": b"[" * 65 + b"]" * 65,
    "deep object": b'{"a":' * 65 + b"1" + b"}" * 65,
    "very deep": b"[" * 200_000,
    "lone surrogate": b'{"type": "\\ud800 lone"}',
    "lone low surrogate": b'{"type": "\\udc00 lone"}',
    "surrogate in a name": b'{"\\ud800 lone": 1}',
    "surrogate bytes": b'{"type": "\xed\xa0\x80"}',
    "NUL bytes": b"\x00" * 100,
    "control character": b'{"type": "a\x01b"}',
    "HTML": b"<html></html>",
    "comment": b'{"type": "x"} // hello',
    "single quotes": b"{'type': 'x'}",
}


class HttpTriggerContract(ABC):
    """Inherit, and say how your provider signs."""

    can_rotate: ClassVar[bool] = True
    signs_time: ClassVar[bool] = False
    covers_body: ClassVar[bool] = True
    """Is a body that was changed on its way refused?"""
    speaks_json: ClassVar[bool] = True
    compares: ClassVar[bool] = True
    """Is there a secret to compare with, rather than a public key?"""
    clock_may_be_off: ClassVar[timedelta] = timedelta(minutes=4)
    unsigned: ClassVar[frozenset[str]] = frozenset()
    """The headers that the event is made of though nobody has signed them, as the docs say."""
    secret: ClassVar[str] = "the-right-secret"
    other_secret: ClassVar[str] = "another-secret"

    @abstractmethod
    def trigger(self, *secrets: str) -> HttpTrigger:
        """The trigger under test, with these secrets."""

    @abstractmethod
    def headers(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        """The headers with which a genuine sender sends this body at that time."""

    @abstractmethod
    def proof(self) -> list[str]:
        """The headers without any one of which a request is not genuine, the signature first."""

    def body(self, text: str = "Ada") -> bytes:
        """A genuine body of one event, with this text somewhere in its data."""
        return msgspec.json.encode({"type": "user.signed_up", "id": "e1", "data": {"name": text}})

    def request(
        self, body: bytes, headers: Mapping[str, str], *, received_at: datetime = NOW
    ) -> Request:
        return Request(
            method="POST",
            path="/hooks/app",
            headers={"content-type": "application/json", **headers},
            query={},
            body=body,
            received_at=received_at,
        )

    async def receive(
        self, trigger: HttpTrigger, body: bytes, headers: Mapping[str, str], **options: Any
    ) -> Sequence[Event]:
        return (await trigger.receive(self.request(body, headers, **options))).events

    async def test_genuine_is_accepted(self) -> None:
        body = self.body()
        received = await self.trigger(self.secret).receive(
            self.request(body, self.headers(body, self.secret, NOW))
        )
        assert len(received.events) == 1
        assert received.events[0].source

    async def test_every_flipped_byte_of_the_body_is_refused(self) -> None:
        if not self.covers_body:
            pytest.skip("this provider proves the caller, not the body")
        trigger = self.trigger(self.secret)
        body = self.body()
        headers = self.headers(body, self.secret, NOW)
        for place in range(len(body)):
            changed = bytearray(body)
            changed[place] ^= 1
            with pytest.raises(BadSignature):
                await trigger.receive(self.request(bytes(changed), headers))

    async def test_every_changed_character_of_the_signature_is_refused(self) -> None:
        trigger = self.trigger(self.secret)
        body = self.body()
        headers = self.headers(body, self.secret, NOW)
        for name in self.proof():
            genuine = headers[name]
            for place, character in enumerate(genuine):
                other = "0" if character != "0" else "1"
                forged = genuine[:place] + other + genuine[place + 1 :]
                with pytest.raises(BadSignature):
                    await trigger.receive(self.request(body, headers | {name: forged}))

    @pytest.mark.parametrize("forged", ["", " ", "0", "é" * 64, "\udcff", "a" * 10_000, ",", "="])
    async def test_nonsense_for_a_signature_is_refused(self, forged: str) -> None:
        body = self.body()
        headers = self.headers(body, self.secret, NOW) | {self.proof()[0]: forged}
        with pytest.raises(BadSignature):
            await self.trigger(self.secret).receive(self.request(body, headers))

    async def test_wrong_secret_is_refused(self) -> None:
        body = self.body()
        with pytest.raises(BadSignature):
            await self.trigger(self.secret).receive(
                self.request(body, self.headers(body, self.other_secret, NOW))
            )

    async def test_each_missing_header_is_refused(self) -> None:
        body = self.body()
        for name in self.proof():
            headers = self.headers(body, self.secret, NOW)
            del headers[name]
            with pytest.raises(BadSignature):
                await self.trigger(self.secret).receive(self.request(body, headers))

    @pytest.mark.parametrize("off", [timedelta(days=-1), timedelta(days=1)])
    async def test_old_and_future_requests_are_refused(self, off: timedelta) -> None:
        if not self.signs_time:
            pytest.skip("this provider signs no time")
        body = self.body()
        headers = self.headers(body, self.secret, NOW + off)
        with pytest.raises(BadSignature):
            await self.trigger(self.secret).receive(self.request(body, headers))

    async def test_any_secret_counts_while_they_are_rotated(self) -> None:
        if not self.can_rotate:
            pytest.skip("this provider has one secret")
        trigger = self.trigger(self.other_secret, self.secret)
        body = self.body()
        for secret in (self.other_secret, self.secret):
            received = await trigger.receive(self.request(body, self.headers(body, secret, NOW)))
            assert received.events
        with pytest.raises(BadSignature):
            await trigger.receive(self.request(body, self.headers(body, "a third one", NOW)))

    @pytest.mark.parametrize("name", GARBAGE)
    async def test_signed_garbage_is_a_bad_request(self, name: str) -> None:
        if not self.speaks_json:
            pytest.skip("this provider sends no JSON")
        body = GARBAGE[name]
        with pytest.raises(Refused) as caught:
            await self.trigger(self.secret).receive(
                self.request(body, self.headers(body, self.secret, NOW))
            )
        assert caught.value.status == 400
        assert len(caught.value.message) < 300

    @pytest.mark.parametrize("name", GARBAGE)
    async def test_unsigned_garbage_is_never_read(self, name: str) -> None:
        with pytest.raises(BadSignature):
            await self.trigger(self.secret).receive(self.request(GARBAGE[name], {}))

    @pytest.mark.parametrize("sign", [-1, 1])
    async def test_a_clock_may_be_off_a_little(self, sign: int) -> None:
        body = self.body()
        headers = self.headers(body, self.secret, NOW + sign * self.clock_may_be_off)
        assert await self.receive(self.trigger(self.secret), body, headers)

    async def test_a_request_that_was_kept_and_sent_later_is_refused(self) -> None:
        if not self.signs_time:
            pytest.skip("this provider signs no time")
        trigger = self.trigger(self.secret)
        body = self.body()
        headers = self.headers(body, self.secret, NOW)
        assert await self.receive(trigger, body, headers)
        with pytest.raises(BadSignature):
            await self.receive(trigger, body, headers, received_at=NOW + timedelta(hours=1))

    async def test_a_copy_has_the_id_of_the_first(self) -> None:
        body = self.body()
        headers = self.headers(body, self.secret, NOW)
        first = await self.receive(self.trigger(self.secret), body, headers)
        copy = await self.receive(
            self.trigger(self.secret), body, headers, received_at=NOW + timedelta(seconds=20)
        )
        assert [event.id for event in copy] == [event.id for event in first]

    async def test_a_retry_has_the_id_of_the_first(self) -> None:
        trigger = self.trigger(self.secret)
        body = self.body()
        first = await self.receive(trigger, body, self.headers(body, self.secret, NOW))
        later = NOW + timedelta(seconds=20)
        retry = await self.receive(
            trigger, body, self.headers(body, self.secret, later), received_at=later
        )
        assert retry[0].id == first[0].id

    async def test_what_is_secret_is_compared_in_constant_time(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not self.compares:
            pytest.skip("this provider verifies with a public key")
        body = self.body()
        headers = self.headers(body, self.secret, NOW)
        trigger = self.trigger(self.other_secret, self.secret) if self.can_rotate else None
        trigger = trigger or self.trigger(self.secret)
        compared: list[tuple[Any, Any]] = []

        def differ(own: Any, given: Any) -> bool:
            compared.append((own, given))
            return False

        monkeypatch.setattr(hmac, "compare_digest", differ)
        with pytest.raises(BadSignature):
            await self.receive(trigger, body, headers)
        # Nothing else decides, and each secret is tried even when an earlier one has matched.
        assert len(compared) >= (2 if self.can_rotate else 1)
        assert any(own == given for own, given in compared)

    async def test_header_names_in_any_case(self) -> None:
        body = self.body()
        headers = {"content-type": "application/json"} | self.headers(body, self.secret, NOW)
        plain = await self.receive(self.trigger(self.secret), body, headers)
        for spelled in (str.upper, str.title):
            read = read_headers(
                {
                    "headers": [  # type: ignore[typeddict-item]
                        (spelled(name).encode(), value.encode("latin-1"))
                        for name, value in headers.items()
                    ]
                }
            )
            assert await self.receive(self.trigger(self.secret), body, read) == plain

    async def test_a_header_that_is_repeated_proves_nothing_more(self) -> None:
        trigger = self.trigger(self.secret)
        body = self.body()
        headers = self.headers(body, self.secret, NOW)
        plain = await self.receive(trigger, body, headers)
        forged = self.headers(body, self.other_secret, NOW)
        for name in self.proof():
            for values in (
                [headers[name], headers[name]],
                [headers[name], forged[name]],
                [forged[name], headers[name]],
            ):
                pairs = [(n.encode(), v.encode()) for n, v in headers.items() if n != name]
                pairs += [(name.encode(), value.encode()) for value in values]
                read = read_headers({"headers": pairs})  # type: ignore[typeddict-item]
                try:
                    assert await self.receive(trigger, body, read) == plain
                except Refused:
                    continue

    @pytest.mark.parametrize(
        "text", ["Ädä Łoveläce", "\u65e5\u672c\u8a9e", "\U0001f98a", "a\u0301\u200f"]
    )
    async def test_any_writing(self, text: str) -> None:
        body = self.body(text)
        events = await self.receive(
            self.trigger(self.secret), body, self.headers(body, self.secret, NOW)
        )
        assert text in msgspec.json.encode(events[0].data).decode()

    async def test_an_empty_body_is_no_event(self) -> None:
        with pytest.raises(Refused):
            await self.receive(self.trigger(self.secret), b"", self.headers(b"", self.secret, NOW))

    async def test_a_huge_header_does_no_harm(self) -> None:
        trigger = self.trigger(self.secret)
        body = self.body()
        headers = self.headers(body, self.secret, NOW)
        plain = await self.receive(trigger, body, headers)
        assert await self.receive(trigger, body, headers | {"x-huge": "a" * 1_000_000}) == plain
        for name in self.proof():
            for huge in ("9" * 1_000_000, "v1=,t=1 v1," * 100_000, headers[name] + "." * 100_000):
                with pytest.raises(Refused):
                    await self.receive(trigger, body, headers | {name: huge})

    @settings(
        max_examples=150, deadline=None, suppress_health_check=[HealthCheck.differing_executors]
    )
    @given(data=st.data())
    async def test_a_mutated_request_is_refused_or_the_same_event(
        self, data: st.DataObject
    ) -> None:
        trigger = self.trigger(self.secret)
        body = self.body()
        headers = {"content-type": "application/json"} | self.headers(body, self.secret, NOW)
        plain = await self.receive(trigger, body, headers)
        parts = sorted(headers) + (["body"] * len(headers) if self.covers_body else [])
        part = data.draw(st.sampled_from(parts))
        whole = body if part == "body" else headers[part].encode("latin-1")
        # Some signatures differ in length each time; what is drawn may not depend on that.
        place = data.draw(st.integers(0, 65_535)) % len(whole)
        byte = data.draw(st.binary(min_size=1, max_size=1))
        end = data.draw(st.sampled_from([place, place + 1]))
        changed = whole[:place] + data.draw(st.sampled_from([byte, b""])) + whole[end:]
        if part == "body":
            body = changed
        else:
            headers[part] = changed.decode("latin-1").strip()
        try:
            events = await self.receive(trigger, body, headers)
        except Refused:
            return
        if part == "content-type":
            # How a body is read is not signed; the bytes of it are.
            assert part in self.unsigned or events == plain
        elif part in self.unsigned:
            assert [event.data for event in events] == [event.data for event in plain]
        else:
            assert events == plain
