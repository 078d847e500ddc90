"""Writing documents as YAML: what is read back is the same, and comments stay."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.tree.write import write_yaml
from hub.tree.yaml import read_yaml

TEXT = """# Greets a user.
tree: greet   # its name
events:
  # comes from the app
  signed_up: {webhook: app, key: event.data.id}
start: signed_up
vars:
  "quoted": 'single'      # kept as written
do:
  # first
  - log: hello            # a greeting
  # second
  - delay: 7 days
  - log: |
      several
      lines
"""


def edited(change: Any) -> str:
    document = read_yaml(TEXT)
    value = read_yaml(TEXT).value
    change(value)
    text = write_yaml(value, like=document)
    assert read_yaml(text).value == value
    assert list(read_yaml(text).value) == list(value)
    return text


def test_what_has_not_changed_is_the_text_itself() -> None:
    assert edited(lambda value: None) == TEXT


def test_a_changed_value_leaves_the_rest() -> None:
    def change(value: Any) -> None:
        value["do"][1]["delay"] = "14 days"

    assert edited(change) == TEXT.replace("7 days", "14 days")


def test_comments_stay_with_their_nodes() -> None:
    text = edited(lambda value: value["do"].insert(0, {"log": "before all"}))
    for comment in (
        "# Greets a user.",
        "# its name",
        "# comes from the app",
        "# a greeting",
        "# second",
    ):
        assert comment in text
    assert "log: hello            # a greeting" in text


def test_removing_and_adding_fields() -> None:
    def change(value: Any) -> None:
        del value["vars"]
        value["title"] = "Greeting"

    text = edited(change)
    assert "quoted" not in text
    assert "# a greeting" in text


def test_order_has_a_meaning() -> None:
    def change(value: Any) -> None:
        value["do"].reverse()
        value["vars"]["another"] = 1
        value["vars"] = {"another": 1, "quoted": "single"}

    text = edited(change)
    assert list(read_yaml(text).value["vars"]) == ["another", "quoted"]
    assert "# a greeting" in text


def test_quotes_and_blocks_stay() -> None:
    text = edited(lambda value: value.update(title="x"))
    assert "\"quoted\": 'single'" in text
    assert "log: |\n" in text


def test_texts_that_look_like_other_things() -> None:
    value = {
        "a": "true",
        "b": "12:30",
        "c": "1",
        "d": "null",
        "e": "${{ vars.x }}",
        "f": "- x",
        "g": "",
    }
    assert read_yaml(write_yaml(value)).value == value


KEYS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P")), min_size=1, max_size=6)
TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z")) | st.sampled_from(" \n"),
    max_size=12,
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats(-1e6, 1e6) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=4)


def same(one: Any, other: Any) -> bool:
    """Equal, of the same types, and in the same order."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@settings(max_examples=200, deadline=None)
@given(DOCUMENTS)
def test_what_is_written_reads_back(value: Any) -> None:
    assert same(read_yaml(write_yaml(value)).value, value)


@settings(max_examples=200, deadline=None)
@given(DOCUMENTS, DOCUMENTS)
def test_any_change_reads_back(before: Any, after: Any) -> None:
    document = read_yaml(write_yaml(before))
    assert same(read_yaml(write_yaml(after, like=document)).value, after)


@st.composite
def edits(draw: st.DrawFn) -> tuple[Any, Any]:
    """A list of nodes, and the same with some taken out, put in, moved and changed."""
    before = draw(st.lists(st.fixed_dictionaries({"log": TEXTS}), max_size=6))
    after = list(before)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(after)))
        what = draw(st.sampled_from(["insert", "remove", "swap", "change"]))
        if what == "insert" or at >= len(after):
            after.insert(at, {"log": draw(TEXTS)})
        elif what == "remove":
            del after[at]
        elif what == "swap":
            after[at], after[-1] = after[-1], after[at]
        else:
            after[at] = {"log": draw(TEXTS), "id": "a"}
    return before, after


@settings(max_examples=200, deadline=None)
@given(edits())
def test_edited_lists_read_back(pair: tuple[Any, Any]) -> None:
    before, after = pair
    document = read_yaml(write_yaml({"do": before}))
    assert same(read_yaml(write_yaml({"do": after}, like=document)).value, {"do": after})


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 8), st.sets(st.integers(0, 7)))
def test_comments_go_with_their_nodes(count: int, removed: set[int]) -> None:
    lines = ["do:", *(f"  - log: n{index}  # comment {index}" for index in range(count))]
    kept = [index for index in range(count) if index not in removed]
    after = {"do": [{"log": f"n{index}"} for index in kept]}
    text = write_yaml(after, like=read_yaml("\n".join(lines) + "\n"))
    for index in range(count):
        assert (f"log: n{index}  # comment {index}" in text) == (index in kept)
