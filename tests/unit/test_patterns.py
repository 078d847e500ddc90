"""Regular expressions in expressions: what Python's `re` finds, in bounded time."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import ExpressionError
from hub.expressions import compile_expression


def extract(text: str, pattern: str, group: int | str = 0) -> str | None:
    found = compile_expression("text | regex_extract(pattern, group)").evaluate(
        {"text": text, "pattern": pattern, "group": group}
    )
    assert found is None or isinstance(found, str)
    return found


@pytest.mark.parametrize(
    ("text", "pattern", "group", "wanted"),
    [
        ("order 42 of 7", "order ([0-9]+)", 1, "42"),
        ("order 42", r"\d+", 0, "42"),
        ("nothing", r"\d+", 0, None),
        ("a@example.com, b@example.org", r"[\w.]+@([\w.]+)", 1, "example.com"),
        ("<a><b>", "<.*?>", 0, "<a>"),
        ("<a><b>", "<.*>", 0, "<a><b>"),
        ("colour", "colou?r", 0, "colour"),
        ("abcabc", "(?:abc){2}", 0, "abcabc"),
        ("2024-05-01", r"(?P<year>\d{4})-(?P<month>\d\d)", "month", "05"),
        ("ERROR: disk", "(?i)error: (.*)$", 1, "disk"),
        ("ab", "(a)|(b)", 2, None),
        ("cat concat", r"\bcat\b", 0, "cat"),
        ("a]b-c", r"[]\-]", 0, "]"),
        ("x{y", "x{y", 0, "x{y"),
        ("", "a*", 0, ""),
        ("foobar", "foo|foobar", 0, "foo"),
        # A turn that takes no character is the last one of its repetition.
        ("a", "(?:a??)+", 0, ""),
        ("aab", "(?:a??)+b", 0, "aab"),
        ("aaabc", "(?:|a|aaa){0,2}(?:ab|bc)", 0, "aaab"),
        ("ab", "((?:a*?)*?)b", 1, "a"),
        ("b", "(?:(a|b)*)*", 1, "b"),
        ("ÄRGER", "(?i)ärger", 0, "ÄRGER"),
    ],
)
def test_extract(text: str, pattern: str, group: int | str, wanted: str | None) -> None:
    assert extract(text, pattern, group) == wanted


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        ")",
        "a)",
        "[",
        "[a",
        "*",
        "a**",
        "(?=a)",
        "(?<=a)",
        r"\1",
        r"\q",
        "a{3,2}",
        "a{2000}",
        "(?P<a",
        "[z-a]",
        "((((a{99}){99}){99}){99})",
        "^*",
        "\\",
        "(" * 60 + ")" * 60,
        "a" * 1001,
    ],
)
def test_refuses_with_a_reason(pattern: str) -> None:
    with pytest.raises(ExpressionError, match="pattern"):
        extract("a", pattern)


def test_a_group_that_is_not_there() -> None:
    with pytest.raises(ExpressionError, match="no group 2"):
        extract("a", "(a)", 2)


@pytest.mark.parametrize(
    "pattern", ["(a*)*b", "(a+)+b", "(a|aa)+b", "(.*)*x", "((?:(?:a??)*)+)*b", "a?" * 50 + "a" * 50]
)
def test_patterns_that_explode_elsewhere(pattern: str) -> None:
    assert extract("a" * 2000, pattern) in (None, "a" * 50, "a" * 100)


def test_much_work_is_refused_before_it_is_done() -> None:
    with pytest.raises(ExpressionError, match="too much"):
        extract("a" * 500_000, "(a|b|c|d)*e")


ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\w", r"\s", "1"])
REPEATS = ["*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,2}", "{0,3}?"]
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})"),
        st.tuples(inner, st.sampled_from(REPEATS)).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        inner.map(lambda part: f"({part})"),
    ),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None)
@given(PATTERNS, st.text(alphabet="ab1 \n", max_size=12))
def test_finds_what_re_finds(pattern: str, text: str) -> None:
    wanted = re.search(pattern, text)
    for group in range(re.compile(pattern).groups + 1):
        assert extract(text, pattern, group) == (None if wanted is None else wanted[group])
