"""Checking what an action is given against what its connector takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import msgspec.inspect

from hub.connector import Action
from hub.errors import ExpressionError
from hub.expressions import compile_template
from hub.fitting import fit
from hub.tree.report import Report
from hub.tree.spec import common_fields, struct_fields
from hub.tree.words import Place, did_you_mean, listed

__all__ = ["check_arguments", "check_literals"]


def check_arguments(
    place: Place, arguments: dict[str, Any], action: Action, report: Report
) -> None:
    """Note arguments that the action does not have, needs, or cannot take.

    Values with `${{ }}` are known only when the run comes to them, so they are not looked at.
    """
    known = {spec.encode_name: spec for spec in msgspec.structs.fields(action.input)}
    docs = {key.rstrip("_"): spec.doc for key, spec in struct_fields(action.input).items()}
    for key in arguments:
        if key in known:
            continue
        if key in common_fields():
            hint = f"it belongs to the node: indent it as deep as `{action.name}`"
        else:
            hint = did_you_mean(key, known) or f"its arguments: {listed(known)}"
        report.problem(
            (*place, key),
            f"`{action.name}` has no argument {key!r}",
            suggestion=hint,
            code="unknown_field",
        )
    for key, spec in known.items():
        if key not in arguments:
            if spec.required:
                report.problem(
                    place,
                    f"`{action.name}` needs the argument {key!r}",
                    suggestion=f"add `{key}: ...` below it",
                    code="missing_field",
                )
        elif _is_static(arguments[key]):
            about = docs.get(key.rstrip("_"))
            _check_value((*place, key), key, spec, arguments[key], about, report)


def _way_out(value: Any, message: str, about: str | None) -> str:
    if "a text" in message and isinstance(value, (bool, int, float)):
        return f'write "{value}", in quotes'
    return f"it is: {about}" if about else "write a value of that kind"


def _check_value(
    place: Place, key: str, spec: Any, value: Any, about: str | None, report: Report
) -> None:
    # One field by itself, so that what is wrong with it is said in words and with its place.
    alone = msgspec.defstruct("Argument", [("value", spec.type)], kw_only=True)
    _, problems = fit({"value": value}, alone)
    for problem in problems:
        inner = problem.path.removeprefix("value")
        report.problem(
            place,
            f"the argument {key + inner!r} {problem.message}",
            suggestion=problem.suggestion or _way_out(value, problem.message, about),
            code="invalid_value",
        )


def _is_static(value: Any) -> bool:
    try:
        return compile_template(value).is_static
    except ExpressionError:
        return False


def check_literals(place: Place, arguments: Any, action: Action, report: Report) -> None:
    """Note `${{ }}` in arguments whose text must not be put together from values.

    A connector marks such a field with `Meta(extra={"literal": "what to write instead"})`.
    """
    _check_literals(place, arguments, msgspec.inspect.type_info(action.input), action, report)


def _check_literals(
    place: Place, value: Any, kind: msgspec.inspect.Type, action: Action, report: Report
) -> None:
    instead = _literal(kind)
    if instead is not None and isinstance(value, str) and not _is_static(value):
        report.problem(
            place,
            f"`{place[-1]}` of `{action.name}` takes no `${{{{ }}}}`: a value that is "
            "put into this text could change what it does",
            suggestion=instead,
            code="template_in_literal",
        )
        return
    for one in _options(kind):
        if isinstance(one, msgspec.inspect.StructType) and isinstance(value, dict):
            for spec in one.fields:
                if spec.encode_name in value:
                    inner = (*place, spec.encode_name)
                    _check_literals(inner, value[spec.encode_name], spec.type, action, report)
        elif isinstance(one, msgspec.inspect.ListType) and isinstance(value, list):
            for index, item in enumerate(value):
                _check_literals((*place, index), item, one.item_type, action, report)


def _literal(kind: msgspec.inspect.Type, seen: tuple[type, ...] = ()) -> str | None:
    """What to write instead of a template, where a text of this kind takes none.

    A template in the place of a whole list or object would bring such texts with it.
    """
    if isinstance(kind, msgspec.inspect.Metadata) and kind.extra and "literal" in kind.extra:
        return str(kind.extra["literal"])
    for one in _options(kind):
        inner: list[msgspec.inspect.Type] = []
        if isinstance(one, msgspec.inspect.Metadata):
            inner = [one]
        elif isinstance(one, msgspec.inspect.StructType) and one.cls not in seen:
            inner = [spec.type for spec in one.fields]
            seen = (*seen, one.cls)
        elif isinstance(one, msgspec.inspect.ListType):
            inner = [one.item_type]
        for kind_ in inner:
            if (found := _literal(kind_, seen)) is not None:
                return found
    return None


def _options(kind: msgspec.inspect.Type) -> Iterator[msgspec.inspect.Type]:
    """The kind without what is said about it, and each of several that it may be."""
    if isinstance(kind, msgspec.inspect.Metadata) and not (kind.extra and "literal" in kind.extra):
        yield from _options(kind.type)
    elif isinstance(kind, msgspec.inspect.UnionType):
        for one in kind.types:
            yield from _options(one)
    else:
        yield kind
