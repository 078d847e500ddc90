from __future__ import annotations

import base64
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload

from hub.errors import InvalidSetting
from hub.temporal.codec import COMPRESS_OVER, HubCodec, KeyRing
from hub.temporal.converter import data_converter

OLD, NEW = b"o" * 32, b"n" * 32


def ring(**keys: bytes) -> KeyRing:
    return KeyRing(keys)


def text(name: str, key: bytes) -> str:
    return f"{name}:{base64.b64encode(key).decode()}"


async def there_and_back(value: Any, written: HubCodec, read: HubCodec) -> Payload:
    payload = Payload(metadata={"encoding": b"json/plain"}, data=value)
    (encoded,) = await written.encode([payload])
    assert (await read.decode([encoded])) == [payload]
    return encoded


@given(st.binary(max_size=200))
async def test_what_is_encrypted_comes_back(data: bytes) -> None:
    codec = HubCodec(ring(new=NEW))
    encoded = await there_and_back(data, codec, codec)
    assert encoded.metadata["encoding"] == b"binary/encrypted"
    assert len(data) < 4 or data not in encoded.data


async def test_what_an_old_key_wrote_is_read_after_a_rotation() -> None:
    before, after = HubCodec(ring(old=OLD)), HubCodec(ring(new=NEW, old=OLD))
    await there_and_back(b"secret", before, after)
    encoded = await there_and_back(b"secret", after, after)
    assert encoded.metadata["encryption-key-id"] == b"new"


async def test_what_was_written_before_there_were_keys_is_read() -> None:
    await there_and_back(b"open", HubCodec(), HubCodec(ring(new=NEW)))


async def test_the_same_value_never_looks_the_same() -> None:
    codec = HubCodec(ring(new=NEW))
    payload = Payload(data=b"twice")
    one, other = await codec.encode([payload, payload])
    assert one.data != other.data


async def test_large_payloads_are_compressed_and_then_encrypted() -> None:
    large = b'{"a":"b"}' * COMPRESS_OVER
    plain = await there_and_back(large, HubCodec(), HubCodec())
    assert plain.metadata["encoding"] == b"binary/zlib"
    assert len(plain.data) < len(large) / 50
    sealed = await there_and_back(large, HubCodec(ring(new=NEW)), HubCodec(ring(new=NEW)))
    assert len(sealed.data) < len(large) / 50


async def test_an_unknown_key_is_named_and_the_way_out() -> None:
    (sealed,) = await HubCodec(ring(old=OLD)).encode([Payload(data=b"x")])
    with pytest.raises(InvalidSetting, match=r"'old'.*does not have.*new.*HUB_ENCRYPTION_KEYS"):
        await HubCodec(ring(new=NEW)).decode([sealed])
    with pytest.raises(InvalidSetting, match="has no keys"):
        await HubCodec().decode([sealed])


@pytest.mark.parametrize("place", [0, 5, 20, -1])
async def test_a_changed_byte_is_noticed(place: int) -> None:
    (sealed,) = await HubCodec(ring(new=NEW)).encode([Payload(data=b"x" * 50)])
    changed = bytearray(sealed.data)
    changed[place] ^= 1
    forged = Payload(metadata=sealed.metadata, data=bytes(changed))
    with pytest.raises(InvalidSetting, match="was changed"):
        await HubCodec(ring(new=NEW)).decode([forged])


async def test_a_key_of_another_name_does_not_pass() -> None:
    (sealed,) = await HubCodec(ring(one=NEW)).encode([Payload(data=b"x")])
    renamed = Payload(metadata={**sealed.metadata, "encryption-key-id": b"other"}, data=sealed.data)
    with pytest.raises(InvalidSetting, match="was changed"):
        await HubCodec(ring(one=NEW, other=NEW)).decode([renamed])


async def test_a_bomb_is_not_unfolded() -> None:
    bomb = zlib.compress(bytes(80 * 1024 * 1024), 9)
    payload = Payload(metadata={"encoding": b"binary/zlib"}, data=bomb)
    with pytest.raises(InvalidSetting, match="larger than any payload"):
        await HubCodec().decode([payload])


@pytest.mark.parametrize("data", [b"", b"no zlib", zlib.compress(b"x" * 900)[:-6]])
async def test_a_damaged_payload_is_said_to_be_so(data: bytes) -> None:
    with pytest.raises(InvalidSetting, match="damaged"):
        await HubCodec().decode([Payload(metadata={"encoding": b"binary/zlib"}, data=data)])


def test_keys_are_read_in_order() -> None:
    read = KeyRing.read(f"{text('b', NEW)}, {text('a', OLD)},")
    assert read.names == ("b", "a")
    assert repr(read) == "KeyRing(b, a)"


@pytest.mark.parametrize(
    ("given_text", "said"),
    [
        ("", "no encryption key"),
        ("abc", "number 1 cannot be read"),
        ("a:not base64!", "number 1 cannot be read"),
        (text("a", b"short"), "5 bytes instead of 32"),
        (f"{text('a', NEW)},{text('a', OLD)}", "two encryption keys"),
        (text("a b", NEW), "the name 'a b'"),
    ],
)
def test_a_wrong_setting_is_said_without_the_key(given_text: str, said: str) -> None:
    with pytest.raises(InvalidSetting, match=said) as caught:
        KeyRing.read(given_text)
    assert "openssl rand" in caught.value.message
    assert base64.b64encode(NEW).decode() not in caught.value.message


async def test_the_text_of_a_failure_is_encrypted_too() -> None:
    from temporalio.api.failure.v1 import Failure
    from temporalio.exceptions import ApplicationError

    converter = data_converter(ring(new=NEW))
    failure = Failure()
    await converter.encode_failure(ApplicationError("the number is 4711", type="no"), failure)
    assert b"4711" not in failure.SerializeToString()
    back = await converter.decode_failure(failure)
    assert "4711" in str(back)
