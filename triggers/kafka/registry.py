"""A schema registry that speaks Confluent's protocol: the schemas that values were written with.

Source: Confluent's "Schema Registry API Reference" and "Wire format": a value begins with a zero byte and
the schema's id in four bytes, the highest first. Apicurio and Karapace speak the same.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from hub.errors import HubError, InvalidEvent
from hub.secrets import redact
from triggers.kafka.settings import RegistrySettings

__all__ = ["Decode", "Registry", "RegistryAway", "Schema", "schema_id"]

Decode = Callable[[bytes], Any]
"""Reads what follows the five bytes. Raises `InvalidEvent`."""

_MAGIC = b"\0"
_HEAD = 5
_MAX_SCHEMA = 2 * 1024 * 1024
_MAX_REFERENCES = 100
_KEPT = 2000
_UNKNOWN_FOR = 30.0
_UNKNOWN_CODES = (40401, 40402, 40403)


class RegistryAway(HubError):
    """The schema registry does not answer as it should. What waits for it is not lost."""

    code = "registry_away"


class Schema(msgspec.Struct, frozen=True, kw_only=True):
    """A schema as it is registered: its text, its kind, and the schemas that it names, by name."""

    text: str
    kind: str
    references: Mapping[str, str]


class _Reference(msgspec.Struct, frozen=True):
    name: str
    subject: str
    version: int


class _Registered(msgspec.Struct, frozen=True, rename="camel"):
    schema: str
    schema_type: str = "AVRO"
    references: list[_Reference] = []


class _Known(msgspec.Struct):
    """A schema's way to read values, or why there is none, and until when that is believed."""

    decode: Decode | None
    reason: str = ""
    until: float = float("inf")


def schema_id(value: bytes) -> int:
    """The id of the schema that a value was written with. Raises `InvalidEvent`."""
    if len(value) < _HEAD or value[:1] != _MAGIC:
        raise InvalidEvent(
            "the value does not begin with a zero byte and a schema's id, as values that are written "
            "by a schema registry do"
        )
    return int.from_bytes(value[1:_HEAD], "big")


class Registry:
    """The schemas of one registry, each asked for once: a schema of an id never changes.

    `make` makes the way to read values of a schema; it raises `InvalidEvent` for one that cannot be
    used.
    """

    def __init__(self, settings: RegistrySettings, make: Callable[[Schema], Decode]) -> None:
        self._settings = settings
        self._make = make
        self._known: OrderedDict[int, _Known] = OrderedDict()
        self._client: httpx.AsyncClient | None = None

    def decode(self, value: bytes) -> Any:
        """The value itself. Raises `InvalidEvent`, and `RegistryAway` where `fetch` was not asked."""
        number = schema_id(value)
        known = self._find(number)
        if known is None:
            raise RegistryAway(f"the schema {number} has not been fetched")
        if known.decode is None:
            raise InvalidEvent(known.reason)
        return known.decode(value[_HEAD:])

    async def fetch(self, values: Collection[bytes]) -> None:
        """Have the schemas of all of the values that have one. Raises `RegistryAway`."""
        missing: dict[int, None] = {}
        for value in values:
            with suppress(InvalidEvent):
                if self._find(number := schema_id(value)) is None:
                    missing[number] = None
        for number in missing:
            self._known[number] = await self._look_up(number)
        while len(self._known) > max(_KEPT, len(missing)):
            self._known.popitem(last=False)

    async def close(self) -> None:
        """Let go of the registry."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _find(self, number: int) -> _Known | None:
        known = self._known.get(number)
        if known is None or known.until < time.monotonic():
            return None
        self._known.move_to_end(number)
        return known

    async def _look_up(self, number: int) -> _Known:
        try:
            found = await self._get(f"/schemas/ids/{number}")
            if found is None:
                raise InvalidEvent(f"the schema registry has no schema {number}")
            references: dict[str, str] = {}
            await self._follow(found.references, references)
            schema = Schema(text=found.schema, kind=found.schema_type, references=references)
            return _Known(await asyncio.to_thread(self._make, schema))
        except InvalidEvent as error:
            # It may be registered yet, where replicas of the registry lag behind.
            return _Known(None, error.message, time.monotonic() + _UNKNOWN_FOR)

    async def _follow(self, references: list[_Reference], found: dict[str, str]) -> None:
        """All schemas that are named, those first that the others name."""
        for one in references:
            if one.name in found:
                continue
            if len(found) >= _MAX_REFERENCES:
                raise InvalidEvent(f"the schema names more than {_MAX_REFERENCES} others")
            path = f"/subjects/{quote(one.subject, safe='')}/versions/{one.version}"
            named = await self._get(path)
            if named is None:
                raise InvalidEvent(f"the schema registry has no {one.subject!r} {one.version}")
            found[one.name] = ""  # a schema that names itself ends here
            await self._follow(named.references, found)
            del found[one.name]
            found[one.name] = named.schema

    async def _get(self, path: str) -> _Registered | None:
        """What the registry has there; None where it says that it has nothing."""
        if self._client is None:
            self._client = _client(self._settings)
        try:
            async with (
                asyncio.timeout(self._settings.timeout),
                self._client.stream("GET", path) as answer,
            ):
                body = b""
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > _MAX_SCHEMA:
                        raise InvalidEvent(f"the schema has more than {_MAX_SCHEMA:,} bytes")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
            said = redact(str(error))[:200] or type(error).__name__
            raise RegistryAway(f"the schema registry does not answer: {said}") from None
        if answer.status_code == 404 and _error_code(body) in _UNKNOWN_CODES:
            return None
        if answer.status_code in (401, 403):
            raise RegistryAway(f"the schema registry refuses the login ({answer.status_code})")
        if answer.status_code != 200:
            raise RegistryAway(f"the schema registry answers {answer.status_code}")
        try:
            return msgspec.json.decode(body, type=_Registered)
        except msgspec.MsgspecError:
            raise RegistryAway("what answers there is no schema registry") from None


def _error_code(body: bytes) -> Any:
    try:
        answer = msgspec.json.decode(body)
    except msgspec.MsgspecError:
        return None
    return answer.get("error_code") if isinstance(answer, dict) else None


def _client(settings: RegistrySettings) -> httpx.AsyncClient:
    headers = {"accept": "application/vnd.schemaregistry.v1+json, application/json"}
    auth = None
    if settings.token is not None:
        headers["authorization"] = f"Bearer {settings.token}"
    elif settings.username is not None:
        auth = httpx.BasicAuth(settings.username, settings.password or "")
    return httpx.AsyncClient(
        base_url=settings.url,
        headers=headers,
        auth=auth,
        verify=settings.trust(),
        timeout=settings.timeout,
        trust_env=False,
    )
