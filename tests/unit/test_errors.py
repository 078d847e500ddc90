from __future__ import annotations

import inspect
import re

import pytest

from hub import errors
from hub.errors import Diagnostic, HubError, InvalidDefinition


def classes() -> list[type[HubError]]:
    found: list[type[HubError]] = []
    rest: list[type[HubError]] = [HubError]
    while rest:
        kind = rest.pop()
        if kind.__module__ == errors.__name__:
            found.append(kind)
        rest.extend(kind.__subclasses__())
    return found


def drawn() -> dict[str, str | None]:
    """Each class of the drawing with its parent: four columns of the drawing are one level."""
    tree: dict[str, str | None] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"^((?:│   |    )*(?:[├└]── )?)([A-Z]\w+)(?:\s{2,}|$)", line):
            level = len(match[1]) // 4
            above[level:] = [match[2]]
            tree[match[2]] = above[level - 1] if level else None
    return tree


def test_the_drawing_is_the_tree() -> None:
    parents = {
        kind.__name__: None if kind is HubError else kind.__bases__[0].__name__
        for kind in classes()
    }
    assert drawn() == parents


def test_every_error_says_what_it_is_in_the_drawing() -> None:
    lines = (errors.__doc__ or "").splitlines()
    for kind in classes():
        if kind is not HubError:
            assert any(re.search(rf"\b{kind.__name__}\s{{2,}}\S", line) for line in lines)


def test_codes_are_unique() -> None:
    codes = [kind.code for kind in classes()]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"[a-z][a-z_]*", code) for code in codes)


def test_each_class_has_a_code_of_its_own() -> None:
    assert [kind.__name__ for kind in classes() if "code" not in vars(kind)] == []


def test_everything_is_exported() -> None:
    public = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and value.__module__ == errors.__name__ and name[0] != "_"
    }
    assert set(errors.__all__) == public
    assert list(errors.__all__) == sorted(errors.__all__)


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)
def test_statuses_and_exit_codes_are_known_ones(kind: type[HubError]) -> None:
    assert 400 <= kind.status <= 599
    assert kind.exit_code in (1, 2, 3)
    assert (kind.__doc__ or "").strip()


def test_the_message_is_the_docstring_unless_given() -> None:
    assert str(HubError()) == "The hub cannot do what was asked."
    assert str(errors.Gone("used already")) == "used already"
    assert errors.Gone().message == "The link has expired."


def test_a_definition_shows_every_diagnostic() -> None:
    first = Diagnostic(message="no such node", file="a.yaml", line=3, column=5, suggestion="delay?")
    second = Diagnostic(message="no start", path="start")
    error = InvalidDefinition([first, second])
    assert error.diagnostics == [first, second]
    assert str(error) == (
        "a.yaml:3:5: error: no such node\n    delay?\n<tree>: error: no start (at start)"
    )
    assert InvalidDefinition([]).message == "The definition has errors."
