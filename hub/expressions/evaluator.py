"""From syntax to a function: each node of the parsed expression becomes one small closure.

What an expression can do is what stands here and in `filters` and `methods`: nothing is looked up
on Python objects but data, and nothing is called but listed methods and functions of the scope.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import nodes

from hub.errors import ExpressionError
from hub.expressions.bounds import MAX_ITEMS, Work, kind_of, number_of, shown, text_of
from hub.expressions.filters import FILTERS
from hub.expressions.methods import MISSING, attribute, did_you_mean, keys_of, method, nearest
from hub.expressions.operators import compare, compute, hold
from hub.expressions.predicates import TESTS

__all__ = ["Evaluate", "evaluator", "names_of"]

Evaluate = Callable[[Work], Any]

_FUNCTIONS = frozenset({"range", "dict"})
_WORDS = {"null": "write none", "undefined": "write 'x is undefined'", "nil": "write none"}
_REFUSED_FILTERS = {
    "random": "expressions give the same result each time",
    "safe": "texts are never markup here",
    "attr": "write a.b or a['b']",
}


def names_of(root: nodes.Expr) -> frozenset[str]:
    """The names that the expression takes from its scope."""
    names: list[str] = []
    rest: list[nodes.Node] = [root]
    while rest:
        node = rest.pop()
        if isinstance(node, nodes.Name):
            names.append(node.name)
        children = list(node.iter_child_nodes())
        if _is_function(node):
            children.remove(node.node)  # type: ignore[attr-defined]
        rest.extend(children)
    return frozenset(names)


def evaluator(node: nodes.Expr, *, lenient: bool = False) -> Evaluate:
    """The function that evaluates a node.

    A lenient one gives `MISSING` for what is not there, where a strict one raises. Both this and
    the function raise `ExpressionError`.
    """
    if isinstance(node, nodes.Name):
        return _name(node, lenient)
    if isinstance(node, nodes.Getattr):
        return _attribute(node, lenient)
    if isinstance(node, nodes.Getitem):
        return _item(node, lenient)
    if isinstance(node, nodes.Filter):
        return _filter(node, lenient)
    build = _BUILDERS.get(type(node))
    if build is None:
        raise ExpressionError("uses what expressions do not have")
    return build(node)


# --- names and data ------------------------------------------------------------------------------


def _name(node: nodes.Name, lenient: bool) -> Evaluate:
    name = node.name

    def lenient_name(work: Work) -> Any:
        return work.scope.get(name, MISSING)

    def strict_name(work: Work) -> Any:
        try:
            return work.scope[name]
        except KeyError:
            raise _unknown_name(name, work.scope) from None

    return lenient_name if lenient else strict_name


def _unknown_name(name: str, scope: Mapping[str, Any]) -> ExpressionError:
    suggestion = did_you_mean(name, tuple(scope)) or _WORDS.get(name)
    return ExpressionError(f"there is no {name!r}", suggestion=suggestion)


def _attribute(node: nodes.Getattr, lenient: bool) -> Evaluate:
    base = evaluator(node.node, lenient=lenient)
    name = node.attr

    def find(work: Work) -> Any:
        target = base(work)
        value = target.get(name, MISSING) if type(target) is dict else attribute(target, name)
        if value is MISSING and not lenient:
            raise _no_such(node.node, target, name)
        return value

    return find


def _item(node: nodes.Getitem, lenient: bool) -> Evaluate:
    base = evaluator(node.node, lenient=lenient)
    if isinstance(node.arg, nodes.Slice):
        return _slice(base, node.arg, lenient)
    subscript = evaluator(node.arg)

    def find(work: Work) -> Any:
        target = base(work)
        key = subscript(work)
        if isinstance(target, Mapping):
            value = target.get(key, MISSING)
        elif isinstance(target, (list, tuple, str)) and isinstance(key, int):
            value = target[key] if -len(target) <= key < len(target) else MISSING
        elif isinstance(key, str):
            value = attribute(target, key)
        else:
            value = MISSING
        if value is MISSING and not lenient:
            raise _no_such(node.node, target, key)
        return value

    return find


def _slice(base: Evaluate, bounds: nodes.Slice, lenient: bool) -> Evaluate:
    parts = [
        None if part is None else evaluator(part)
        for part in (bounds.start, bounds.stop, bounds.step)
    ]

    def cut(work: Work) -> Any:
        target = base(work)
        if target is MISSING and lenient:
            return target
        if not isinstance(target, (list, tuple, str)):
            raise ExpressionError(f"{kind_of(target)} cannot be cut with [:]")
        start, stop, step = (None if part is None else part(work) for part in parts)
        work.reading(target)
        return target[start:stop:step]

    return cut


def _no_such(node: nodes.Expr, target: Any, key: Any) -> ExpressionError:
    place = _described(node)
    if isinstance(key, int) and isinstance(target, (list, tuple, str)):
        return ExpressionError(f"{place} has {len(target)} items, and none at {key}")
    if not isinstance(key, str):
        return ExpressionError(f"{place} is {kind_of(target)} and has no such item")
    if method(target, key) is not None:
        return ExpressionError(
            f"{place} has no {shown(key)!r}", suggestion=f"call it as a method: .{key}()"
        )
    keys = keys_of(target)
    what = f"{place} has no {shown(key)!r}"
    if not keys and not isinstance(target, Mapping):
        what = f"{place} is {kind_of(target)} and has no {shown(key)!r}"
    near = nearest(key, keys)
    if near is None:
        return ExpressionError(what)
    if near.isidentifier():
        return ExpressionError(what, suggestion=f"did you mean {near!r}?")
    return ExpressionError(what, suggestion=f"did you mean {place}[{near!r}]?")


def _described(node: nodes.Expr) -> str:
    """How the author wrote this part, for messages."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return shown(f"{_described(node.node)}.{node.attr}")
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        return shown(f"{_described(node.node)}[{node.arg.value!r}]")
    if isinstance(node, nodes.Filter):
        return f"the result of {node.name!r}"
    return "the value"


# --- calls, filters, tests -----------------------------------------------------------------------


def _arguments(node: Any) -> Callable[[Work], tuple[list[Any], dict[str, Any]]]:
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        raise ExpressionError("uses * or ** in a call, which expressions do not have")
    positional = [evaluator(argument) for argument in node.args]
    named = [(option.key, evaluator(option.value)) for option in node.kwargs]

    def collect(work: Work) -> tuple[list[Any], dict[str, Any]]:
        return [get(work) for get in positional], {name: get(work) for name, get in named}

    return collect


def _is_function(node: nodes.Node) -> bool:
    return (
        isinstance(node, nodes.Call)
        and isinstance(node.node, nodes.Name)
        and node.node.name in _FUNCTIONS
    )


def _call(node: nodes.Call) -> Evaluate:
    arguments = _arguments(node)
    called = node.node
    if isinstance(called, nodes.Getattr):
        return _method_call(called, arguments)
    if not isinstance(called, nodes.Name):
        raise ExpressionError("calls something that has no name")
    name = called.name
    if _is_function(node):
        function = _range if name == "range" else _dict
        return lambda work: _applied(function, f"{name}()", work, None, arguments)
    get = _name(called, lenient=False)

    def call(work: Work) -> Any:
        function = get(work)
        if not callable(function):
            raise ExpressionError(f"{name} is {kind_of(function)} and cannot be called")
        positional, named = arguments(work)
        return function(*positional, **named)

    return call


def _method_call(
    called: nodes.Getattr, arguments: Callable[[Work], tuple[list[Any], dict[str, Any]]]
) -> Evaluate:
    base = evaluator(called.node)
    name = called.attr

    def call(work: Work) -> Any:
        target = base(work)
        if isinstance(target, Mapping) and callable(function := target.get(name)):
            positional, named = arguments(work)
            return function(*positional, **named)
        found = method(target, name)
        if found is None:
            value = attribute(target, name)
            if value is MISSING:
                raise ExpressionError(
                    f"{_described(called.node)} is {kind_of(target)} and has no {name!r} to call"
                )
            raise ExpressionError(f"{_described(called)} is {kind_of(value)} and cannot be called")
        return _applied(found, f".{name}()", work, target, arguments)

    return call


def _applied(
    function: Callable[..., Any],
    name: str,
    work: Work,
    target: Any,
    arguments: Callable[[Work], tuple[list[Any], dict[str, Any]]],
) -> Any:
    positional, named = arguments(work)
    try:
        return function(work, target, *positional, **named)
    except UnicodeError:
        raise
    except (TypeError, ValueError, AttributeError):
        given = ", ".join(kind_of(a) for a in (*positional, *named.values())) or "no arguments"
        on = "" if target is None else f" on {kind_of(target)}"
        raise ExpressionError(f"{name} does not work{on} with {given}") from None


def _range(work: Work, _: None, *bounds: int) -> list[int]:
    numbers = range(*bounds)
    # len() of a range that is too long is an error of its own.
    if numbers and (numbers[-1] - numbers[0]) // numbers.step >= MAX_ITEMS:
        raise ExpressionError(f"the range has more than {MAX_ITEMS:,} items")
    work.items(len(numbers))
    return list(numbers)


def _dict(work: Work, _: None, /, **items: Any) -> dict[str, Any]:
    for value in items.values():
        hold(work, value)
    return items


def _listed(
    kind: str, table: Mapping[str, Callable[..., Any]], node: nodes.Filter | nodes.Test
) -> Callable[..., Any]:
    function = table.get(node.name)
    if function is None:
        why = _REFUSED_FILTERS.get(node.name) if kind == "filter" else None
        raise ExpressionError(
            f"uses the unknown {kind} {shown(node.name)!r}",
            suggestion=why or did_you_mean(node.name, tuple(table)),
        )
    try:
        options: dict[str, None] = {str(option.key): None for option in node.kwargs}
        inspect.signature(function).bind(None, None, *node.args, **options)
    except TypeError as error:
        raise ExpressionError(
            f"calls the {kind} {node.name!r} with the wrong arguments: {error}"
        ) from None
    return function


def _filter(node: nodes.Filter, lenient: bool) -> Evaluate:
    function = _listed("filter", FILTERS, node)
    name = node.name
    if node.node is None:
        raise ExpressionError("has a filter without a value")
    base = evaluator(node.node, lenient=name in ("default", "d"))
    arguments = _arguments(node)

    def apply(work: Work) -> Any:
        value = _applied(function, f"the filter {name!r}", work, base(work), arguments)
        if value is MISSING and not lenient:
            raise ExpressionError(f"the filter {name!r} finds nothing in an empty list")
        return value

    return apply


def _test(node: nodes.Test) -> Evaluate:
    function = _listed("test", TESTS, node)
    name = node.name
    base = evaluator(node.node, lenient=name in ("defined", "undefined"))
    arguments = _arguments(node)
    return lambda work: bool(_applied(function, f"the test {name!r}", work, base(work), arguments))


# --- literals ------------------------------------------------------------------------------------


def _constant(node: nodes.Const) -> Evaluate:
    value = node.value
    number_of(value)
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        raise ExpressionError("has half a character in a text")
    return lambda work: value


def _list(node: nodes.List | nodes.Tuple) -> Evaluate:
    items = [evaluator(item) for item in node.items]
    return lambda work: [hold(work, item(work)) for item in items]


def _object(node: nodes.Dict) -> Evaluate:
    pairs = [(evaluator(pair.key), evaluator(pair.value)) for pair in node.items]

    def build(work: Work) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for get_key, get_value in pairs:
            key = get_key(work)
            if not isinstance(key, (str, int, float)):
                raise ExpressionError(f"the key of an object cannot be {kind_of(key)}")
            result[key] = hold(work, get_value(work))
        return result

    return build


def _concatenation(node: nodes.Concat) -> Evaluate:
    parts = [evaluator(part) for part in node.nodes]

    def join(work: Work) -> str:
        texts = [text_of(part(work), work) for part in parts]
        work.text(sum(map(len, texts)))
        return "".join(texts)

    return join


# --- logic ---------------------------------------------------------------------------------------


def _flat(node: nodes.BinExpr, kind: type[nodes.BinExpr]) -> list[Evaluate]:
    operands: list[nodes.Expr] = []
    rest: list[nodes.Expr] = [node]
    while rest:
        operand = rest.pop()
        if isinstance(operand, kind):
            rest += [operand.right, operand.left]
        else:
            operands.append(operand)
    return [evaluator(operand) for operand in operands]


def _and(node: nodes.And) -> Evaluate:
    operands = _flat(node, nodes.And)

    def every(work: Work) -> Any:
        value: Any = True
        for operand in operands:
            value = operand(work)
            if not value:
                return value
        return value

    return every


def _or(node: nodes.Or) -> Evaluate:
    operands = _flat(node, nodes.Or)

    def some(work: Work) -> Any:
        value: Any = False
        for operand in operands:
            value = operand(work)
            if value:
                return value
        return value

    return some


def _not(node: nodes.Not) -> Evaluate:
    operand = evaluator(node.node)
    return lambda work: not operand(work)


def _condition(node: nodes.CondExpr) -> Evaluate:
    test, yes = evaluator(node.test), evaluator(node.expr1)
    otherwise: nodes.Expr = nodes.Const(None) if node.expr2 is None else node.expr2
    no = evaluator(otherwise)
    return lambda work: yes(work) if test(work) else no(work)


def _comparison(node: nodes.Compare) -> Evaluate:
    first = evaluator(node.expr)
    steps = [(operand.op, evaluator(operand.expr)) for operand in node.ops]
    if len(steps) == 1 and steps[0][0] == "eq":
        only = steps[0][1]
        return lambda work: first(work) == only(work)

    def every(work: Work) -> bool:
        left = first(work)
        for name, get in steps:
            right = get(work)
            if not compare(work, name, left, right):
                return False
            left = right
        return True

    return every


# --- arithmetic ----------------------------------------------------------------------------------


_ARITHMETIC = (
    nodes.Add,
    nodes.Sub,
    nodes.Mul,
    nodes.Div,
    nodes.FloorDiv,
    nodes.Mod,
    nodes.Pow,
)


def _binary(node: nodes.BinExpr) -> Evaluate:
    sign = node.operator
    get_left, get_right = evaluator(node.left), evaluator(node.right)
    return lambda work: compute(work, sign, get_left(work), get_right(work))


def _unary(node: nodes.UnaryExpr) -> Evaluate:
    sign, operation = ("-", operator.neg) if isinstance(node, nodes.Neg) else ("+", operator.pos)
    operand = evaluator(node.node)

    def negate(work: Work) -> Any:
        value = operand(work)
        try:
            return number_of(operation(value))
        except TypeError:
            raise ExpressionError(f"{sign} {kind_of(value)} cannot be computed") from None

    return negate


_BUILDERS: dict[type[nodes.Node], Callable[[Any], Evaluate]] = {
    nodes.And: _and,
    nodes.Call: _call,
    nodes.Compare: _comparison,
    nodes.Concat: _concatenation,
    nodes.CondExpr: _condition,
    nodes.Const: _constant,
    nodes.Dict: _object,
    nodes.List: _list,
    nodes.Neg: _unary,
    nodes.Not: _not,
    nodes.Or: _or,
    nodes.Pos: _unary,
    nodes.Test: _test,
    nodes.Tuple: _list,
    **dict.fromkeys(_ARITHMETIC, _binary),
}
