"""Payloads as JSON by msgspec: structs in and out, the same bytes that other SDKs write."""

from __future__ import annotations

import dataclasses
import threading
from functools import cache
from typing import Any

import msgspec
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    DefaultPayloadConverter,
    EncodingPayloadConverter,
    JSONPlainPayloadConverter,
)

from hub.temporal.codec import HubCodec, KeyRing

__all__ = ["DATA_CONVERTER", "MsgspecPayloadConverter", "data_converter"]


_one_at_a_time = threading.Lock()


class _JsonConverter(EncodingPayloadConverter):
    @property
    def encoding(self) -> str:
        return "json/plain"

    def to_payload(self, value: Any) -> Payload | None:
        return Payload(metadata={"encoding": b"json/plain"}, data=msgspec.json.encode(value))

    def from_payload(self, payload: Payload, type_hint: Any = None) -> Any:
        try:
            return _decoder(Any if type_hint is None else type_hint).decode(payload.data)
        except msgspec.MsgspecError as error:
            raise RuntimeError(f"the payload does not decode: {error}") from error


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    # Each run has a thread, and msgspec may not learn a type in two of them at once.
    with _one_at_a_time:
        return msgspec.json.Decoder(kind)


class MsgspecPayloadConverter(CompositePayloadConverter):
    """Temporal's default converters, with msgspec in the place of the JSON one."""

    def __init__(self) -> None:
        defaults = DefaultPayloadConverter.default_encoding_payload_converters
        super().__init__(
            *(c for c in defaults if not isinstance(c, JSONPlainPayloadConverter)),
            _JsonConverter(),
        )


def data_converter(keys: KeyRing | None = None) -> DataConverter:
    """How values become payloads and back. With keys, all of a history that says anything about the
    world is encrypted: inputs, results, signals, memos, summaries and the texts of failures."""
    converter = dataclasses.replace(
        DataConverter.default,
        payload_converter_class=MsgspecPayloadConverter,
        payload_codec=HubCodec(keys),
    )
    if keys is None:
        return converter
    return dataclasses.replace(
        converter, failure_converter_class=DefaultFailureConverterWithEncodedAttributes
    )


DATA_CONVERTER = data_converter()
"""Without keys: only large payloads are changed, by compressing them."""
