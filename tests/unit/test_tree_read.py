"""Reading trees: types of fields, places, and that nothing that is written can break the reader."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hub.connector import installed_actions
from hub.errors import Diagnostic, InvalidDefinition
from hub.expressions import Expression, Template
from hub.tree import NODES, Node, Subscribed, Tree, load_tree, read_tree, tree_from_document
from hub.tree.explicit_types import TYPES
from hub.tree.node import Doc, Retry, Run, Span, node
from hub.tree.spec import common_fields, node_fields
from hub.tree.yaml import read_yaml

ROOT = Path(__file__).parent.parent.parent


def document(do: Any, **more: Any) -> dict[str, Any]:
    return {
        "tree": "t",
        "events": {"begun": {"webhook": "app", "key": "event.data.id"}},
        "start": "begun",
        "do": do,
        **more,
    }


def first(do: Any) -> Any:
    return read_tree(document(do)).do


def problems(do: Any, **more: Any) -> list[Diagnostic]:
    with pytest.raises(InvalidDefinition) as caught:
        read_tree(document(do, **more))
    return caught.value.diagnostics


# -- fields by their types --------------------------------------------------------------------------


class Inner(msgspec.Struct, frozen=True, kw_only=True):
    """A struct as a field's value, with nodes and expressions of its own."""

    when: Annotated[Expression, Doc("when")]
    do: Node
    times: int = 1


@dataclass(frozen=True, kw_only=True)
class Plain:
    """A dataclass as a field's value."""

    names: list[str]
    length: timedelta = timedelta(seconds=1)


@pytest.fixture
def sample() -> Any:
    @node("sample", primary="value")
    class Sample(Node):
        """A node with a field of every type."""

        value: Annotated[Template, Doc("a value")]
        text: str | None = None
        number: int | None = None
        ratio: float = 1.0
        flag: bool = False
        choice: Literal["a", "b"] = "a"
        span: Span | None = None
        fixed: timedelta | None = None
        event: Subscribed | None = None
        events: list[Subscribed] | None = None
        nodes: list[Node] | None = None
        by_name: dict[str, Node] | None = None
        inner: list[Inner] | None = None
        plain: Plain | None = None
        either: int | Expression | None = None
        one_or_more: str | list[str] | None = None
        anything: Any = None
        from_: str | None = None

        async def run(self, run: Run) -> Any:
            return None

    yield Sample
    del NODES["sample"]


def test_every_type_of_field(sample: Any) -> None:
    made = first(
        {
            "sample": {"a": "${{ 1 }}"},
            "text": "x",
            "number": 2,
            "ratio": 3,
            "flag": True,
            "choice": "b",
            "span": "1h",
            "fixed": "2h",
            "event": "begun",
            "events": ["begun"],
            "nodes": [{"log": "a"}],
            "by_name": {"x": [{"log": "a"}]},
            "inner": [{"when": "1 < 2", "do": {"log": "a"}}],
            "plain": {"names": ["a"], "length": "1m"},
            "either": "1 + 1",
            "one_or_more": ["a"],
            "anything": {"x": [1, None]},
            "from": "me",
        }
    )
    assert isinstance(made, sample)
    assert made.value.evaluate({}) == {"a": 1}
    assert (made.text, made.number, made.ratio, made.flag, made.choice) == ("x", 2, 3.0, True, "b")
    assert (made.span.fixed, made.fixed) == (timedelta(hours=1), timedelta(hours=2))
    assert (made.event, made.events, made.from_) == ("begun", ["begun"], "me")
    assert made.nodes[0].path == "do.nodes[0]"
    assert made.by_name["x"].path == "do.by_name.x"
    assert made.inner[0].do.path == "do.inner[0].do"
    assert made.inner[0].when.evaluate({}) is True
    assert made.plain == Plain(names=["a"], length=timedelta(minutes=1))
    assert made.either.evaluate({}) == 2
    assert made.one_or_more == ["a"]
    assert made.anything == {"x": [1, None]}


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ("text", 7, "do.text"),
        ("number", "7", "do.number"),
        ("number", True, "do.number"),
        ("number", 1.5, "do.number"),
        ("flag", "yes", "do.flag"),
        ("choice", "c", "do.choice"),
        ("choice", ["a"], "do.choice"),
        ("span", 7, "do.span"),
        ("fixed", "${{ 1 }}", "do.fixed"),
        ("event", "nothing", "do.event"),
        ("events", "begun", "do.events"),
        ("events", ["begun", "nothing"], "do.events[1]"),
        ("nodes", {"log": "a"}, "do.nodes"),
        ("nodes", [{"log": "a"}, 7], "do.nodes[1]"),
        ("by_name", ["a"], "do.by_name"),
        ("by_name", {"x": 7}, "do.by_name.x"),
        ("inner", {"when": "1"}, "do.inner"),
        ("inner", [{"do": {"log": "a"}}], "do.inner[0]"),
        ("inner", [{"when": "1 +", "do": {"log": "a"}}], "do.inner[0].when"),
        ("inner", [{"when": "1", "do": {"log": "a"}, "more": 1}], "do.inner[0].more"),
        ("plain", {"names": "a"}, "do.plain.names"),
        ("plain", {"names": ["a", 1]}, "do.plain.names[1]"),
        ("either", "1 +", "do.either"),
        ("from", 7, "do.from"),
    ],
)
def test_what_does_not_fit_is_said_at_its_place(
    sample: Any, field: str, value: Any, path: str
) -> None:
    found = problems({"sample": 1, field: value})
    assert [d.path for d in found] == [path]


def test_retry() -> None:
    assert first({"check": "1", "retry": 5}).retry == Retry(attempts=5)
    made = first(
        {"check": "1", "retry": {"attempts": 0, "backoff": "0s", "unless": "timeout"}}
    ).retry
    assert made == Retry(attempts=0, backoff=timedelta(0), factor=1.0, unless=("timeout",))
    assert made.pause(10) == timedelta(0)
    assert [d.path for d in problems({"check": "1", "retry": {"attempts": -1}})] == [
        "do.retry.attempts"
    ]
    assert [d.path for d in problems({"check": "1", "retry": {"factor": 0.5}})] == [
        "do.retry.factor"
    ]
    assert [d.path for d in problems({"check": "1", "retry": "often"})] == ["do.retry"]


@pytest.mark.parametrize(
    "written",
    [
        {"log": {"message": "a", "level": "warning"}},
        {"log": "a", "level": "warning"},
    ],
)
def test_fields_stand_beside_the_verb_or_below_it(written: Any) -> None:
    made = first(written)
    assert (made.message.source, made.level) == ("a", "warning")


def test_a_value_that_is_a_mapping_is_no_list_of_fields() -> None:
    assert first({"log": {"level": "warning"}}).message.source == {"level": "warning"}
    assert first({"succeed": {"result": 1, "more": 2}}).result.source == {"result": 1, "more": 2}
    assert list(first({"set": {"values": 1}}).values) == ["values"]
    assert first({"try": {"log": "a"}, "finally": "fail"}).body.verb == "log"


def test_if_is_a_field_and_a_node() -> None:
    assert first({"log": "a", "if": "1 > 2"}).if_.text == "1 > 2"
    made = first({"if": "1 > 2", "then": {"log": "a"}, "else": [{"log": "b"}]})
    assert (made.verb, made.if_, made.else_.verb) == ("if", None, "sequence")


def test_all_problems_at_once() -> None:
    found = problems([{"delay": 7}, {"wait_for": "x"}, {"nothing": 1}], start="nothing", vars=[])
    assert [d.path for d in found] == [
        "start",
        "vars",
        "do[0].delay",
        "do[1].wait_for",
        "do[2].nothing",
    ]


def test_a_definition_has_the_name_of_its_content() -> None:
    one, other = read_tree(document({"log": "a"})), read_tree(document({"log": "b"}))
    assert one.hash != other.hash
    assert tree_from_document(one.document).hash == one.hash
    assert tree_from_document(one.document) is tree_from_document(one.document)


# -- nothing that is written breaks the reader --------------------------------------------------------

WORDS = sorted(
    {*NODES, *common_fields(), *(k for kind in NODES.values() for k in node_fields(kind))}
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-10, 10),
    st.floats(allow_nan=False, allow_infinity=False, width=16),
    st.sampled_from(
        [
            *WORDS,
            "begun",
            "7 days",
            "${{ vars.x }}",
            "${{ steps.a.b",
            "1 < 2",
            "vars.x",
            "email.send",
            "12:30",
            "a-b",
            "",
            "\x00",
            *TYPES,
        ]
    ),
    st.text(max_size=8),
)
KEYS = st.sampled_from(
    [*WORDS, "email.send", "sql.query", "type", "config", "props", "children", "to"]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "tree": st.just("t") | SCALARS,
        "events": st.dictionaries(st.sampled_from(["begun", "a b", "x"]), VALUES, max_size=3),
        "start": st.just("begun") | VALUES,
        "vars": VALUES,
        "do": VALUES,
        "type": SCALARS,
        "children": VALUES,
        "config": VALUES,
        "on": VALUES,
    },
)


def read_or_refuse(value: Any) -> Tree | None:
    try:
        return read_tree(value, actions=installed_actions(), kinds=["webhook", "kafka"])
    except InvalidDefinition as error:
        found = error.diagnostics
    assert any(d.severity == "error" for d in found)
    assert all(d.message and d.suggestion for d in found)
    return None


@settings(max_examples=400, deadline=None)
@given(st.one_of(VALUES, PARTS, VALUES.map(document)))
@example(document({"id": [], "wait_for": None}))
@example(document({"approval": None, "quorum": []}))
def test_any_value_is_read_or_refused(value: Any) -> None:
    tree = read_or_refuse(value)
    if tree is not None:
        assert tree_from_document(tree.document).hash == tree.hash


@settings(max_examples=300, deadline=None)
@given(
    st.text(st.sampled_from("ab:-{}[]#'\"|>&*!%@`$ \n\t,?~"), max_size=40) | st.text(max_size=40)
)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_yaml(text)
    except InvalidDefinition as error:
        (found,) = error.diagnostics
        assert found.code == "syntax"
        assert found.suggestion


EXAMPLE = (ROOT / "examples" / "trees" / "user-onboarding.yaml").read_text(encoding="utf-8")


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 10_000), st.sampled_from(["drop", "double", "indent", "dedent", "glue", "char"])
)
def test_a_damaged_tree_is_read_or_refused(seed: int, damage: str) -> None:
    lines = EXAMPLE.split("\n")
    at = random.Random(seed).randrange(len(lines))
    line = lines[at]
    lines[at : at + 1] = {
        "drop": [],
        "double": [line, line],
        "indent": ["  " + line],
        "dedent": [line[1:]],
        "glue": [line.replace(": ", ":")],
        "char": [
            line[: seed % (len(line) + 1)] + "{\"'[:-#"[seed % 7] + line[seed % (len(line) + 1) :]
        ],
    }[damage]
    try:
        load_tree("\n".join(lines), file="x.yaml", actions=installed_actions(), kinds=["webhook"])
    except InvalidDefinition as error:
        for found in error.diagnostics:
            assert found.line is not None
            assert found.suggestion


# -- text -------------------------------------------------------------------------------------------


def test_scalars_are_those_of_yaml_1_2() -> None:
    value = read_yaml(
        "on: yes\nat: 12:30\nday: 2024-05-01\noctal: 010\nyes: true\nnone: null\n"
    ).value
    assert value == {
        "on": "yes",
        "at": "12:30",
        "day": "2024-05-01",
        "octal": 10,
        "yes": True,
        "none": None,
    }


def test_positions() -> None:
    read = read_yaml("a:\n  - b: 1\n    c: [x, y]\n")
    assert read.position(("a", 0, "c", 1)) == (3, 12)
    assert read.position(("a", 0, "nothing")) == (2, 5)
    assert read.position(("nothing",)) == (1, 1)


def test_aliases_cannot_make_much_out_of_little() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(InvalidDefinition, match="more than"):
        read_yaml("\n".join(lines))


@pytest.mark.parametrize("text", ["[" * 1_000_000, "{a: " * 500, "- " * 3000])
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(InvalidDefinition, match="more than 64 deep"):
        read_yaml(text)


def test_an_alias_that_holds_itself_ends() -> None:
    assert read_yaml("a: &a [*a]").value == {"a": [None]}


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(InvalidDefinition, match="UTF-8"):
        read_yaml(b"a: \xff")
    assert read_yaml("\ufeffa: ä".encode()).value == {"a": "ä"}
