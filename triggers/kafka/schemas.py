"""Values that were written by a schema: Avro, and JSON that a JSON Schema describes.

The libraries are the extra `registry`; a trigger that names no registry needs none of them.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from hub.errors import InvalidEvent
from hub.payload import read_json
from triggers.kafka.registry import Decode, Schema

__all__ = ["make_decode"]

_MAX_DEPTH = 200


def make_decode(schema: Schema) -> Decode:
    """The way to read values of a schema. Raises `InvalidEvent` for a schema that cannot be used."""
    if schema.kind == "AVRO":
        return _avro(schema)
    if schema.kind == "JSON":
        return _json(schema)
    raise InvalidEvent(
        f"values of the kind {schema.kind[:40]!r} are not read here: Avro and JSON are"
    )


def _avro(schema: Schema) -> Decode:
    from fastavro import parse_schema, schemaless_reader

    named: dict[str, Any] = {}
    try:
        for text in schema.references.values():
            parse_schema(msgspec.json.decode(text), named_schemas=named)
        parsed = parse_schema(msgspec.json.decode(schema.text), named_schemas=named)
    except Exception as error:
        raise InvalidEvent(f"the Avro schema cannot be used ({type(error).__name__})") from None

    def decode(value: bytes) -> Any:
        source = io.BytesIO(value)
        try:
            read = schemaless_reader(source, parsed, None)
        except Exception as error:
            said = type(error).__name__
            raise InvalidEvent(f"the value does not fit its Avro schema ({said})") from None
        if source.tell() != len(value):
            raise InvalidEvent("the value does not fit its Avro schema: it is longer")
        return _plain(read)

    return decode


def _json(schema: Schema) -> Decode:
    import jsonschema_rs

    try:
        resources = [(name, msgspec.json.decode(text)) for name, text in schema.references.items()]
        # Nothing is fetched from elsewhere, whatever a schema refers to; and what is wrong is said
        # without the values, which may be anybody's secrets.
        validator = jsonschema_rs.validator_for(
            msgspec.json.decode(schema.text),
            registry=jsonschema_rs.Registry(resources) if resources else None,
            retriever=_refuse,
            mask="the value",
        )
    except Exception as error:
        raise InvalidEvent(f"the JSON Schema cannot be used ({type(error).__name__})") from None

    def decode(value: bytes) -> Any:
        read = read_json(value)
        wrong = next(iter(validator.iter_errors(read)), None)
        if wrong is not None:
            place = "".join(f".{step}" for step in wrong.instance_path)[:200]
            said = f"{place[1:]}: {wrong.message}" if place else wrong.message
            raise InvalidEvent(f"the value does not fit its JSON Schema: {said[:300]}")
        return read

    return decode


def _refuse(uri: str) -> Any:
    raise ValueError("schemas are not fetched from elsewhere")


def _plain(value: Any, depth: int = 0) -> Any:
    """The value as JSON has it: times as RFC 3339, decimals and UUIDs as texts, bytes as base64."""
    if depth > _MAX_DEPTH:
        raise InvalidEvent(f"the value is nested more than {_MAX_DEPTH} deep")
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(item, depth + 1) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return value.isoformat() if value.tzinfo is None else value.astimezone(UTC).isoformat()
    if isinstance(value, (date, clock_time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (Decimal, UUID)):
        return str(value)
    raise InvalidEvent(f"the value holds a {type(value).__name__}, which no event can")
