"""A JSON value with `${{ }}` in its strings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hub.errors import ExpressionError
from hub.expressions.bounds import MAX_DEPTH, Work, size_of, text_of
from hub.expressions.expression import Expression, compile_expression
from hub.expressions.syntax import Hole, split

__all__ = ["Template", "compile_template"]

_Fill = Callable[[Work], Any]


class Template:
    """A compiled template. Make one with `compile_template`.

    `source` is the value it was made from, `names` are the names that it takes from its scope, and
    `is_static` tells that there is no `${{ }}` in it.
    """

    __slots__ = ("_fill", "is_static", "names", "source")

    def __init__(self, source: Any, names: frozenset[str], is_static: bool, fill: _Fill) -> None:
        self.source = source
        self.names = names
        self.is_static = is_static
        self._fill = fill

    def evaluate(self, scope: Mapping[str, Any]) -> Any:
        """The value with every `${{ }}` filled in. Its containers are new each time.

        Raises `ExpressionError`.
        """
        return self._fill(Work(scope))

    def __repr__(self) -> str:
        return f"Template({self.source!r})"


def compile_template(value: Any) -> Template:
    """Compile a JSON value in which strings may hold `${{ expression }}`.

    A string that is one whole `${{ }}` becomes the expression's value, of whatever type. In other
    strings the values stand as text: nothing for none, `true` and `false`, containers as compact
    JSON. `$${{` stands for a literal `${{`. Keys of objects are taken as they are.

    Raises `ExpressionError`.
    """
    expressions: list[Expression] = []
    fill = _value(value, expressions, MAX_DEPTH)
    names = frozenset(name for expression in expressions for name in expression.names)
    return Template(value, names, not expressions, fill)


def _value(value: Any, found: list[Expression], depth: int) -> _Fill:
    if depth == 0:
        raise ExpressionError(f"the value is nested more than {MAX_DEPTH} deep")
    if isinstance(value, str):
        return _string(value, found)
    if isinstance(value, Mapping):
        fields = [(key, _value(item, found, depth - 1)) for key, item in value.items()]
        return lambda work: {key: fill(work) for key, fill in fields}
    if isinstance(value, (list, tuple)):
        items = [_value(item, found, depth - 1) for item in value]
        return lambda work: [fill(work) for fill in items]
    return lambda work: value


def _string(text: str, found: list[Expression]) -> _Fill:
    if "${{" not in text:
        return lambda work: text
    parts: list[str | Expression] = []
    for part in split(text):
        if isinstance(part, Hole):
            expression = compile_expression(part.expression)
            found.append(expression)
            parts.append(expression)
        else:
            parts.append(part)
    if len(parts) == 1 and isinstance(whole := parts[0], Expression):
        return lambda work: _kept(whole, work)
    return lambda work: _joined(text, parts, work)


def _kept(expression: Expression, work: Work) -> Any:
    value = expression.evaluate_within(work)
    # The same large value in many places is paid for in each of them.
    if isinstance(value, (str, list, dict)):
        _pay(expression.text, work, size_of(value, work.left))
    return value


def _joined(text: str, parts: list[str | Expression], work: Work) -> str:
    try:
        texts = [
            part if isinstance(part, str) else text_of(part.evaluate_within(work), work)
            for part in parts
        ]
        work.text(sum(map(len, texts)))
    except ExpressionError as error:
        if error.expression is not None:
            raise
        raise ExpressionError(error.message, expression=text, suggestion=error.suggestion) from None
    return "".join(texts)


def _pay(text: str, work: Work, units: int) -> None:
    try:
        work.spend(units)
    except ExpressionError as error:
        raise ExpressionError(error.message, expression=text) from None
