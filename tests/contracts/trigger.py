"""What every HTTP trigger must do, whoever signs for it. Each kind and provider inherits this."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import msgspec
import pytest

from hub.errors import BadSignature, Refused
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

    def body(self) -> bytes:
        """A genuine body of one event."""
        return msgspec.json.encode({"type": "user.signed_up", "id": "e1", "data": {"user": "u1"}})

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

    async def test_genuine_is_accepted(self) -> None:
        body = self.body()
        received = await self.trigger(self.secret).receive(
            self.request(body, self.headers(body, self.secret, NOW))
        )
        assert len(received.events) == 1
        assert received.events[0].source

    async def test_every_flipped_byte_of_the_body_is_refused(self) -> None:
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
        name = self.proof()[0]
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
