"""What the sql connector promises before it meets a database: statements are literal texts."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sql.postgresql import _time
from connectors.sql.values import bound, json_value
from hub.connector import installed_actions
from hub.errors import ActionRefused, InvalidDefinition
from hub.tree import load_tree

TREE = """
tree: t
events:
  came: {webhook: app}
start: came
do:
  - %s
"""


@pytest.mark.parametrize(
    "step",
    [
        "sql.query: {sql: \"select * from t where a = '${{ event.data.a }}'\"}",
        'sql.execute: {sql: "${{ vars.sql }}"}',
        'sql.transaction: {statements: [{sql: "select 1"}, {sql: "delete from ${{ vars.t }}"}]}',
        'sql.transaction: {statements: "${{ vars.statements }}"}',
        'sql.transaction: {statements: ["${{ vars.statement }}"]}',
    ],
)
def test_no_value_becomes_part_of_a_statement(step: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        load_tree(TREE % step, actions=installed_actions())
    found = [d for d in caught.value.diagnostics if d.code == "template_in_literal"]
    assert len(found) == 1
    assert "params" in (found[0].suggestion or "")


def test_values_are_given_beside_it() -> None:
    step = 'sql.query: {sql: "select :a", params: {a: "${{ event.data.a }}"}}'
    load_tree(TREE % step, actions=installed_actions())
    inner = '{sql: "select :a", params: {a: "${{ event.data.a }}"}}'
    load_tree(TREE % f"sql.transaction: {{statements: [{inner}]}}", actions=installed_actions())


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("select :a, :b_1", {"a", "b_1"}),
        ("select a::int, '10\\:30'", set()),
        ("select cast(:a as int)", {"a"}),
        ("select x[1:2], :a", {"a"}),
    ],
)
def test_names_in_a_statement(sql: str, names: set[str]) -> None:
    statement, values = bound(sql, dict.fromkeys(names, 1), "key", "params")
    assert set(values) == names
    assert set(statement.compile().params) == names


def test_a_name_before_two_colons_is_none_and_it_is_said_what_to_write() -> None:
    with pytest.raises(ActionRefused, match=r"cast\(:a as"):
        bound("select :a::int", {"a": 1}, "key", "params")


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, "\ud800", [{}]])
def test_values_that_no_database_takes(value: Any) -> None:
    with pytest.raises(ActionRefused, match=r"params\.a"):
        bound("select :a", {"a": value}, "key", "params")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
        | st.decimals() | st.dates() | st.datetimes() | st.timedeltas() | st.uuids()
        | st.ip_addresses(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)  # fmt: skip
def test_whatever_a_database_gives_becomes_json_and_stays_itself(value: Any) -> None:
    made = json_value(value)
    again = msgspec.json.decode(msgspec.json.encode(made))
    assert again == made or _has_surrogates(made)


def _has_surrogates(value: Any) -> bool:
    return any(0xD800 <= ord(c) < 0xE000 for c in repr(value))


def test_how_values_are_written() -> None:
    given_values = [
        date(2026, 1, 2), datetime(2026, 1, 2, 3, tzinfo=UTC), Decimal("1.10"), b"\x00\xff",
        memoryview(b"a"), UUID(int=1), timedelta(days=1), math.inf, 2**64, (1, 2),
    ]  # fmt: skip
    assert [json_value(value) for value in given_values] == [
        "2026-01-02", "2026-01-02T03:00:00Z", "1.10", "AP8=",
        "YQ==", str(UUID(int=1)), "P1D", "inf", str(2**64), [1, 2],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-01-02 03:04:05+00", "2026-01-02T03:04:05Z"),
        ("2026-01-02 03:04:05.123-05", "2026-01-02T03:04:05.123-05:00"),
        ("2026-01-02 03:04:05+05:30", "2026-01-02T03:04:05+05:30"),
        ("2026-01-02 03:04:05", "2026-01-02T03:04:05"),
        ("-infinity", "-infinity"),
        ("0044-03-15 00:00:00+00 BC", "0044-03-15 00:00:00+00 BC"),
    ],
)
def test_times_of_postgresql(text: str, written: str) -> None:
    assert _time(text) == written
