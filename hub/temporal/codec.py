"""Payloads on their way to Temporal: compressed where they are large, encrypted where there are keys.

Encryption is AES-256-GCM (NIST SP 800-38D) with a random nonce for each payload. The key's name
travels beside the cipher text, so keys can be changed while runs wait: the first key encrypts, every
key decrypts.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import re
import zlib
from collections.abc import Callable, Mapping, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from hub.errors import InvalidSetting

__all__ = ["COMPRESS_OVER", "HubCodec", "KeyRing"]

COMPRESS_OVER = 32 * 1024
"""Bytes from which on a payload is compressed."""
_LARGEST = 64 * 1024 * 1024
"""Bytes that a payload may have once it is decompressed; Temporal itself takes 2 MB."""
_BLOCKING = 128 * 1024
"""Bytes from which on the work is done beside the event loop."""
_ENCODING = "encoding"
_COMPRESSED = b"binary/zlib"
_ENCRYPTED = b"binary/encrypted"
_KEY_NAME = "encryption-key-id"
_NONCE = 12
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HOW = (
    "write HUB_ENCRYPTION_KEYS=name:key, with a key as `openssl rand -base64 32` makes it; "
    "further keys, for reading alone, after commas"
)


class KeyRing:
    """Named keys of 32 bytes. The first encrypts, all decrypt."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """Raises `InvalidSetting` where there is no key, or one that is not 32 bytes long."""
        if not keys:
            raise InvalidSetting(f"there is no encryption key; {_HOW}")
        for name, key in keys.items():
            if not _NAME.fullmatch(name):
                raise InvalidSetting(f"an encryption key has the name {name[:80]!r}; {_HOW}")
            if len(key) != 32:
                raise InvalidSetting(
                    f"the encryption key {name!r} has {len(key)} bytes instead of 32; {_HOW}"
                )
        self._ciphers = {name: AESGCM(key) for name, key in keys.items()}
        self.names = tuple(keys)

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self.names)})"

    @classmethod
    def read(cls, text: str) -> KeyRing:
        """Read `name:base64,name:base64`. Raises `InvalidSetting`, which never shows a key."""
        keys: dict[str, bytes] = {}
        for place, part in enumerate(filter(None, map(str.strip, text.split(","))), 1):
            name, colon, encoded = part.partition(":")
            try:
                if not colon:
                    raise ValueError
                key = base64.b64decode(encoded.strip(), validate=True)
            except (binascii.Error, ValueError):
                raise InvalidSetting(
                    f"encryption key number {place} cannot be read; {_HOW}"
                ) from None
            if name in keys:
                raise InvalidSetting(f"two encryption keys are named {name[:64]!r}; {_HOW}")
            keys[name] = key
        return cls(keys)

    def encrypt(self, plain: bytes) -> tuple[str, bytes]:
        """The name of the key that was taken, and nonce and cipher text together."""
        name = self.names[0]
        nonce = os.urandom(_NONCE)
        return name, nonce + self._ciphers[name].encrypt(nonce, plain, name.encode())

    def decrypt(self, name: str, sealed: bytes) -> bytes:
        """Raises `InvalidSetting` for an unknown key, and where the text is not the key's."""
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise InvalidSetting(
                f"a payload is encrypted with the key {name[:64]!r}, which this process does not "
                f"have (it has {', '.join(self.names)}); add it to HUB_ENCRYPTION_KEYS"
            )
        try:
            return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], name.encode())
        except InvalidTag:
            raise InvalidSetting(
                f"a payload that names the key {name!r} was not encrypted with it, or was changed "
                "since; check that all processes have the same HUB_ENCRYPTION_KEYS"
            ) from None


class HubCodec(PayloadCodec):
    """Compresses payloads of more than `compress_over` bytes, and encrypts all where there are keys.

    What was written without keys, or before there were any, is read as it is.
    """

    def __init__(self, keys: KeyRing | None = None, *, compress_over: int = COMPRESS_OVER) -> None:
        self._keys = keys
        self._compress_over = compress_over

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [await _beside(self._encode, one, len(one.data)) for one in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [await _beside(self._decode, one, len(one.data)) for one in payloads]

    def _encode(self, payload: Payload) -> Payload:
        if len(payload.data) > self._compress_over:
            small = zlib.compress(payload.SerializeToString(), level=1)
            if len(small) < len(payload.data):
                payload = Payload(metadata={_ENCODING: _COMPRESSED}, data=small)
        if self._keys is None:
            return payload
        name, sealed = self._keys.encrypt(payload.SerializeToString())
        return Payload(metadata={_ENCODING: _ENCRYPTED, _KEY_NAME: name.encode()}, data=sealed)

    def _decode(self, payload: Payload) -> Payload:
        if payload.metadata.get(_ENCODING) == _ENCRYPTED:
            name = payload.metadata.get(_KEY_NAME, b"").decode("ascii", "replace")
            if self._keys is None:
                raise InvalidSetting(
                    f"a payload is encrypted with the key {name[:64]!r}, and this process has no "
                    "keys; set HUB_ENCRYPTION_KEYS as the other processes have it"
                )
            payload = Payload.FromString(self._keys.decrypt(name, payload.data))
        if payload.metadata.get(_ENCODING) == _COMPRESSED:
            payload = Payload.FromString(_decompressed(payload.data))
        return payload


def _decompressed(data: bytes) -> bytes:
    """Raises `InvalidSetting` for what is no such text, or unfolds to far more than any payload."""
    unfolding = zlib.decompressobj()
    try:
        plain = unfolding.decompress(data, _LARGEST)
    except zlib.error:
        raise InvalidSetting("a compressed payload is damaged") from None
    if unfolding.unconsumed_tail or not unfolding.eof:
        raise InvalidSetting("a compressed payload is damaged, or larger than any payload may be")
    return plain


async def _beside(work: Callable[[Payload], Payload], payload: Payload, size: int) -> Payload:
    return work(payload) if size < _BLOCKING else await asyncio.to_thread(work, payload)
