"""Checking what an action is given against what its connector takes."""

from __future__ import annotations

from typing import Any

import msgspec
import msgspec.inspect

from hub.connector import Action
from hub.errors import ExpressionError
from hub.expressions import compile_template
from hub.fitting import fit
from hub.tree.report import Report
from hub.tree.spec import common_fields
from hub.tree.words import Place, did_you_mean, listed

__all__ = ["check_arguments", "check_literals"]


def check_arguments(
    place: Place, arguments: dict[str, Any], action: Action, report: Report
) -> None:
    """Note arguments that the action does not have, needs, or cannot take.

    Values with `${{ }}` are known only when the run comes to them, so they are not looked at.
    """
    known = {spec.encode_name: spec for spec in msgspec.structs.fields(action.input)}
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
            _check_value((*place, key), key, spec, arguments[key], report)


def _check_value(place: Place, key: str, spec: Any, value: Any, report: Report) -> None:
    # One field by itself, so that what is wrong with it is said in words and with its place.
    alone = msgspec.defstruct("Argument", [("value", spec.type)], kw_only=True)
    _, problems = fit({"value": value}, alone)
    for problem in problems:
        inner = problem.path.removeprefix("value")
        report.problem(
            place,
            f"the argument {key + inner!r} {problem.message}",
            suggestion=problem.suggestion,
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
    if not isinstance(arguments, dict):
        return
    for spec in msgspec.structs.fields(action.input):
        instead = _literal(spec.type)
        value = arguments.get(spec.encode_name)
        if instead is not None and isinstance(value, str) and not _is_static(value):
            report.problem(
                (*place, spec.encode_name),
                f"`{spec.encode_name}` of `{action.name}` takes no `${{{{ }}}}`: a value that is "
                "put into this text could change what it does",
                suggestion=instead,
                code="template_in_literal",
            )


def _literal(kind: Any) -> str | None:
    described = msgspec.inspect.type_info(kind)
    rest: list[msgspec.inspect.Type] = [described]
    while rest:
        one = rest.pop()
        if isinstance(one, msgspec.inspect.Metadata):
            if one.extra and "literal" in one.extra:
                return str(one.extra["literal"])
            rest.append(one.type)
        elif isinstance(one, msgspec.inspect.UnionType):
            rest.extend(one.types)
    return None
