from __future__ import annotations

import json
import string
from datetime import UTC, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import InvalidEvent
from hub.event import Event

ATTRIBUTES = {
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "data",
}
characters = st.characters(exclude_categories=["Cs"])
texts = st.text(characters, max_size=50)
required = st.text(characters, min_size=1, max_size=50)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=15,
)
names = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=20).filter(
    lambda name: name not in ATTRIBUTES
)
zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
events = st.builds(
    Event,
    id=required,
    source=required,
    type=required,
    subject=st.none() | texts,
    time=st.none() | st.datetimes(timezones=st.just(UTC) | zones),
    datacontenttype=st.none() | texts,
    dataschema=st.none() | texts,
    data=json_values,
    extensions=st.dictionaries(
        names, texts | st.integers(-(2**31), 2**31 - 1) | st.booleans(), max_size=4
    ),
)


@given(events)
def test_what_is_written_is_read_back(event: Event) -> None:
    document = json.loads(json.dumps(event.to_cloudevent()))
    again = Event.from_cloudevent(document)
    assert again == event
    assert again.to_cloudevent() == document


@given(events)
def test_it_survives_the_journal(event: Event) -> None:
    assert msgspec.json.decode(msgspec.json.encode(event), type=Event) == event


def document(**changes: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"} | changes


def test_utc_is_written_as_z() -> None:
    event = Event.from_cloudevent(document(time="2030-01-31T09:00:00+00:00"))
    assert event.to_cloudevent()["time"] == "2030-01-31T09:00:00Z"


def test_other_attributes_are_extensions() -> None:
    event = Event.from_cloudevent(document(traceparent="00-ab", partition=3, sampled=True))
    assert event.extensions == {"traceparent": "00-ab", "partition": 3, "sampled": True}


def test_null_attributes_are_absent() -> None:
    event = Event.from_cloudevent(document(subject=None, traceparent=None, data=None))
    assert event == Event(id="1", source="/s", type="t")


def test_binary_data_stays_base64() -> None:
    event = Event.from_cloudevent(document(data_base64="aGk="))
    assert event.data == "aGk="
    assert event.extensions == {"database64": True}


def test_it_cannot_be_changed() -> None:
    event = Event(id="1", source="/s", type="t")
    with pytest.raises(AttributeError):
        event.id = "2"  # type: ignore[misc]


def test_extensions_are_not_shared() -> None:
    first, second = (Event(id=i, source="/s", type="t") for i in "12")
    assert first.extensions is not second.extensions


@pytest.mark.parametrize(
    ("given_document", "says"),
    [
        ([], "JSON object"),
        (None, "JSON object"),
        ("text", "JSON object"),
        ({}, "specversion"),
        (document(specversion="0.3"), "specversion"),
        (document(specversion=1.0), "specversion"),
        (document(id=""), "'id' is required"),
        (document(id=None), "'id' is required"),
        (document(source=""), "'source' is required"),
        (document(type=None), "'type' is required"),
        (document(id=7), "'id' must be a string, not int"),
        (document(subject={"a": 1}), "'subject' must be a string, not dict"),
        (document(type="t" * 1025), "'type' is longer"),
        (document(time="yesterday"), "'time' is no RFC 3339 time"),
        (document(time="2030-01-31T09:00:00"), "'time' has no zone"),
        (document(time=12), "'time' must be a string"),
        (document(Trace="x"), "'Trace' is no attribute name"),
        (document(trace_id="x"), "'trace_id' is no attribute name"),
        (document(**{"": "x"}), "'' is no attribute name"),
        (document(**{"a" * 65: "x"}), "is no attribute name"),
        (document(ratio=0.5), "'ratio' must be a string, not float"),
        (document(list=[1]), "'list' must be a string, not list"),
        (document(data="x", data_base64="aGk="), "not both"),
        (document(data_base64=b"x"), "base64 text"),
        (document(data_base64=7), "base64 text"),
    ],
)
def test_refuses_what_is_no_event(given_document: object, says: str) -> None:
    with pytest.raises(InvalidEvent) as refusal:
        Event.from_cloudevent(given_document)
    assert says in refusal.value.message
