from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import BadRequest
from hub.payload import read_form, read_json

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=30,
)


@given(values, st.booleans())
def test_whatever_json_writes_is_read_the_same(value: Any, ascii_only: bool) -> None:
    assert read_json(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), values, min_size=1))
def test_a_repeated_name_is_found_wherever_its_colons_are(value: dict[str, Any]) -> None:
    name = json.dumps(next(iter(value)))
    members = json.dumps(value)[1:-1]
    with pytest.raises(BadRequest, match="twice"):
        read_json(f"[{{{members}, {name}: 1}}]".encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for read in (read_json, read_form):
        with suppress(BadRequest):
            read(body)


def test_the_deepest_and_the_largest_that_is_read() -> None:
    assert read_json(b"[" * 64 + b"]" * 64)
    assert read_json(b'[{"a":' * 32 + b"1" + b"}]" * 32)
    assert read_json(b"[" + b"[]," * 1000 + b"{}]")
    assert read_json(b"18446744073709551615") == 2**64 - 1
    assert read_json(b"-9223372036854775808") == -(2**63)
    assert read_json(b'{"a": "' + b"[" * 500 + b'"}')
    for body in (b'[{"a":' * 32 + b"[]" + b"}]" * 32, b"-9223372036854775809"):
        with pytest.raises(BadRequest):
            read_json(body)
