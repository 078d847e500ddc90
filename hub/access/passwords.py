"""Passwords: argon2id hashes, checked a few at a time and always for the same price."""

from __future__ import annotations

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from hub.errors import BadRequest

__all__ = ["Passwords"]

_SHORTEST = 12
_LONGEST = 256
_AT_ONCE = 2


class Passwords:
    """Hashes and checks passwords in threads, at most two at once: each takes 64 MiB for a while."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        # What is checked where there is no such person: that they exist must not show in the time.
        self._nobody = self._hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """The hash to keep. Raises `BadRequest` for a password that is too short or too long."""
        if not _SHORTEST <= len(password) <= _LONGEST:
            raise BadRequest(f"a password has {_SHORTEST} to {_LONGEST} characters")
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def matches(self, kept: str | None, password: str) -> bool:
        """Whether it is the password of that hash; takes as long where there is no hash."""
        async with self._turns:
            return await asyncio.to_thread(self._matches, kept, password[: _LONGEST + 1])

    def _matches(self, kept: str | None, password: str) -> bool:
        try:
            self._hasher.verify(kept or self._nobody, password)
        except (Argon2Error, InvalidHashError):
            return False
        return kept is not None
