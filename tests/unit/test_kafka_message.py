from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.event import Event
from hub.routing.journal.entry import store
from tests.contracts.trigger import GARBAGE
from triggers.kafka.message import Message, Reader, Unreadable
from triggers.kafka.settings import Settings

STRUCTURED = ("content-type", b"application/cloudevents+json")


def message(value: bytes | None = b"{}", **fields: Any) -> Message:
    given: dict[str, Any] = {
        "topic": "orders",
        "partition": 3,
        "offset": 42,
        "timestamp": 1_700_000_000_000,
        "key": None,
        "headers": (),
        **fields,
    }
    return Message(value=value, **given)


def read(sent: Message, **settings: Any) -> Event:
    return Reader("shop", Settings(topic="orders", **settings)).read(sent)


def test_without_a_word_in_the_settings_the_message_says_it_all() -> None:
    event = read(message(b'{"type": "order.placed", "data": {"id": 1}, "x": 2}', key=b"o1"))
    assert event.id == "orders-3-42-1700000000000"
    assert (event.type, event.source, event.subject) == ("order.placed", "/kafka/orders", "o1")
    assert event.data == {"id": 1}


@pytest.mark.parametrize("value", [b"[1]", b'"x"', b"7", b"null", b'{"type": 5}', b'{"type": ""}'])
def test_a_value_without_a_type_is_received(value: bytes) -> None:
    event = read(message(value))
    assert event.type == "shop.received"
    assert event.data == json.loads(value)


def test_a_topic_made_anew_does_not_repeat_ids() -> None:
    assert read(message(timestamp=1)).id != read(message(timestamp=2)).id


@pytest.mark.parametrize("name", GARBAGE)
def test_what_is_no_json_is_kept_whole(name: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(message(GARBAGE[name], key=b"\xff", headers=[("h", b"\xff"), ("n", None)]))
    remains = caught.value.remains
    assert base64.b64decode(remains.data) == GARBAGE[name]
    assert remains.extensions["database64"] is True
    assert remains.extensions["kafkakey"] == base64.b64encode(b"\xff").decode()
    assert remains.type == "shop.unreadable"
    assert len(caught.value.reason) < 300


def test_a_tombstone_has_no_data() -> None:
    event = read(message(None, key=b"o1"))
    assert event.data is None
    assert event.extensions["tombstone"] is True
    assert "tombstone" not in read(message(b"null")).extensions


def test_raw_values_are_texts_or_base64() -> None:
    assert (
        read(message(b"\xc3\xbc{", headers=[("ce_specversion", b"9")]), format="raw").data == "ü{"
    )
    event = read(message(b"\xff"), format="raw")
    assert (event.data, event.extensions["database64"]) == ("/w==", True)


def test_headers_become_extensions_where_their_names_allow() -> None:
    headers = [
        ("traceparent", b"00-1"),
        ("X-Y", b"no"),
        ("Tenant", b"acme"),
        ("id", b"evil"),
        ("type", b"evil"),
        ("kafkaoffset", b"7"),
        ("long", b"x" * 2000),
        ("twice", b"1"),
        ("twice", b"2"),
    ]
    event = read(message(headers=headers))
    assert event.extensions == {
        "traceparent": "00-1",
        "tenant": "acme",
        "twice": "2",
        "kafkatopic": "orders",
        "kafkapartition": 3,
        "kafkaoffset": "42",
        "kafkatimestamp": "1700000000000",
    }


def test_a_key_that_is_too_long_for_an_attribute_is_left_out() -> None:
    event = read(message(key=b"k" * 2000))
    assert event.subject is None
    assert "kafkakey" not in event.extensions


def test_no_timestamp_is_no_time() -> None:
    assert read(message(timestamp=-1)).time is None


def test_cloudevents_say_themselves_what_they_are() -> None:
    headers = [
        ("ce_specversion", b"1.0"),
        ("CE_ID", b"e1"),
        ("ce_source", b"/s"),
        ("ce_type", "größe".encode()),
        ("ce_time", b"2026-01-01T00:00:00Z"),
        ("content-type", b"text/plain"),
    ]
    event = read(message(b"hello", headers=headers), type="ignored")
    assert (event.id, event.type, event.data) == ("e1", "größe", "hello")
    assert event.datacontenttype == "text/plain"
    assert event.extensions["kafkaoffset"] == "42"


def test_a_cloudevent_without_a_value_is_a_tombstone() -> None:
    headers = [("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"/"), ("ce_type", b"t")]
    event = read(message(None, headers=headers), format="cloudevents")
    assert event.data is None
    assert event.extensions["tombstone"] is True


@pytest.mark.parametrize(
    ("value", "headers"),
    [
        (b"{}", [("ce_specversion", b"0.3"), ("ce_id", b"1")]),
        (b"{}", [("ce_specversion", b"1.0")]),
        (b"{}", [("ce_specversion", b"1.0"), ("ce_data", b"x")]),
        (b"[]", [STRUCTURED]),
        (None, [STRUCTURED]),
        (b"{}", [("content-type", b"application/cloudevents+avro")]),
        (b"{}", []),
    ],
)
def test_what_is_no_cloudevent_is_refused(value: bytes | None, headers: Any) -> None:
    with pytest.raises(Unreadable):
        read(message(value, headers=headers), format="cloudevents")


def test_expressions_see_all_of_the_message() -> None:
    event = read(
        message(b'{"a": {"b": 5}}', key=b"k", headers=[("h", b"v")]),
        id="${{ value.a.b }}",
        type="${{ headers.h }}.${{ topic }}",
        subject="${{ key ~ partition ~ offset }}",
        time="${{ timestamp }}",
        data="${{ value.a }}",
    )
    assert (event.id, event.type, event.subject) == ("5", "v.orders", "k342")
    assert event.data == {"b": 5}
    assert event.time is not None


@pytest.mark.parametrize(
    "settings",
    [{"id": "${{ value.nothing }}"}, {"id": "${{ value }}"}, {"time": "soon"}, {"type": ""}],
)
def test_an_expression_that_gives_nothing_fit_makes_the_message_unreadable(settings: Any) -> None:
    with pytest.raises(Unreadable):
        read(message(b'{"a": 1}'), **settings)


@given(
    value=st.none() | st.binary(max_size=200) | st.from_type(dict).map(lambda d: b"{}"),
    key=st.none() | st.binary(max_size=50),
    headers=st.lists(
        st.tuples(st.text(max_size=20), st.none() | st.binary(max_size=30)), max_size=5
    ),
    timestamp=st.integers(-1, 2**62),
    format_=st.sampled_from(["json", "raw", "cloudevents"]),
)
def test_whatever_comes_is_an_event_or_kept_and_fits_the_journal(
    value: bytes | None, key: bytes | None, headers: Any, timestamp: int, format_: Any
) -> None:
    sent = message(value, key=key, headers=headers, timestamp=timestamp)
    event = read_or_keep(sent, format_)
    if event.type == "shop.unreadable":
        assert event.data is None or base64.b64decode(event.data) == value
    store(event)
    Event.from_cloudevent(json.loads(json.dumps(event.to_cloudevent())))
    assert read_or_keep(sent, format_) == event


def read_or_keep(sent: Message, format_: Any) -> Event:
    try:
        return read(sent, format=format_)
    except Unreadable as error:
        return error.remains
