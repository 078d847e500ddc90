"""Reading one field of a node by the type that its class declares for it."""

from __future__ import annotations

import dataclasses
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Literal, get_args, get_origin

import msgspec

from hub.durations import parse_duration
from hub.errors import ExpressionError, InvalidDuration
from hub.expressions import Expression, Template, compile_expression, compile_template
from hub.tree.node import Node, Retry, Span, Subscribed
from hub.tree.report import Report
from hub.tree.spec import is_struct, options_of, struct_fields
from hub.tree.tree import Subscription
from hub.tree.words import Place, did_you_mean, kind_of, listed, type_in_words

__all__ = ["FieldReader"]

_ID = re.compile(r"[a-z][a-z0-9_]*")
_SYNTAX = (
    "names stand bare (`event.data.total`), texts in quotes, `==` compares, `and`, `or` and `not` "
    "combine"
)


class FieldReader(ABC):
    """Reads values by type. What does not fit goes to the report, and the value is None."""

    def __init__(self, report: Report, subscriptions: Mapping[str, Subscription]) -> None:
        self.report = report
        self.subscriptions = subscriptions
        self.declared: frozenset[str] = frozenset()
        """The names of all events, also of those that could not be read."""

    @abstractmethod
    def body(self, place: Place, value: Any) -> Node | None:
        """One node, or a list of them, which is a sequence."""

    @abstractmethod
    def nodes(self, place: Place, value: Any) -> list[Node] | None:
        """A list of nodes."""

    def field(self, place: Place, kind: Any, value: Any) -> Any:
        """One field's value by the type that its class declares for it; None for None."""
        if value is None:
            return None
        kind = _suited(options_of(kind), value)
        origin = get_origin(kind)
        if origin is Literal:
            return self._choice(place, get_args(kind), value)
        if origin in (list, tuple):
            return self._list(place, origin, get_args(kind)[0], value)
        if origin in (dict, Mapping):
            return self._mapping(place, get_args(kind)[1], value)
        read = self._readers().get(kind)
        if read is not None:
            return read(place, value)
        if is_struct(kind):
            return self._struct(place, kind, value)
        return self._plain(place, kind, value)

    def _readers(self) -> Mapping[Any, Any]:
        return {
            Template: self.template,
            Expression: self.expression,
            Span: self.span,
            Subscribed: self.subscribed,
            Node: self.body,
            Retry: self._retry,
            timedelta: self._fixed_span,
            str: self.text,
            Any: lambda place, value: value,
        }

    # -- containers -----------------------------------------------------------------------

    def _list(self, place: Place, origin: Any, kind: Any, value: Any) -> Any:
        if kind is Node:
            return self.nodes(place, value)
        if not isinstance(value, list):
            hint = f"write [{value}]" if isinstance(value, (str, int)) else "begin each with `- `"
            self.report.problem(
                place, f"this is {kind_of(value)}, and must be a list", suggestion=hint
            )
            return None
        return origin(self.field((*place, index), kind, item) for index, item in enumerate(value))

    def _mapping(self, place: Place, kind: Any, value: Any) -> Any:
        if not isinstance(value, dict):
            self.report.problem(
                place,
                f"this is {kind_of(value)}, and must be a mapping",
                suggestion="write each entry as `name: value` on a line of its own",
            )
            return None
        if kind is Template:
            return self.templates(place, value)
        read = {key: self.field((*place, key), kind, item) for key, item in value.items()}
        return {key: item for key, item in read.items() if item is not None or kind is Any}

    def _struct(self, place: Place, kind: Any, value: Any) -> Any:
        known = struct_fields(kind)
        if not isinstance(value, dict):
            self.report.problem(
                place,
                f"this is {kind_of(value)}, and must be a mapping",
                suggestion=f"its fields: {listed(known)}",
            )
            return None
        whole = self.unknown_keys(place, value, known, "this")
        fields: dict[str, Any] = {}
        for key, spec in known.items():
            if value.get(key) is None:
                if spec.required:
                    self.report.problem(place, f"`{key}` is missing", suggestion=spec.doc)
                    whole = False
                continue
            fields[spec.attribute] = self.field((*place, key), spec.type, value[key])
            whole = whole and fields[spec.attribute] is not None
        return kind(**fields) if whole else None

    # -- single values --------------------------------------------------------------------

    def _plain(self, place: Place, kind: Any, value: Any) -> Any:
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError:
            hint = None
            if isinstance(value, str) and "${{" in value:
                hint = "this field takes no `${{ }}`; write the value itself"
            elif isinstance(value, str) and kind in (int, float, bool):
                hint = "write it without quotes"
            else:
                hint = f"write {type_in_words(kind)} in its place"
            self.report.problem(
                place,
                f"this is {kind_of(value)}, and must be {type_in_words(kind)}",
                suggestion=hint,
            )
            return None

    def text(self, place: Place, value: Any) -> str | None:
        """A text; None where there is none."""
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, (bool, int, float)):
            hint = f'write "{value}"'
        else:
            hint = "write it on one line, in quotes"
        self.report.problem(place, f"this is {kind_of(value)}, and must be a text", suggestion=hint)
        return None

    def _choice(self, place: Place, choices: tuple[Any, ...], value: Any) -> Any:
        if any(value == choice and type(value) is type(choice) for choice in choices):
            return value
        self.report.problem(
            place,
            f"{value!r} is not one of {listed(choices)}"
            if isinstance(value, (str, int, float))
            else f"this is {kind_of(value)}, and must be one of {listed(choices)}",
            suggestion=did_you_mean(str(value), [str(c) for c in choices])
            or f"write one of {listed(choices)}",
        )
        return None

    def expression(self, place: Place, value: Any) -> Expression | None:
        """A bare expression."""
        if value is None:
            return None
        if isinstance(value, bool):
            value = str(value).lower()
        elif isinstance(value, (int, float)):
            value = str(value)
        if not isinstance(value, str):
            self.report.problem(
                place,
                f"an expression is a text, not {kind_of(value)}",
                suggestion="write it on one line, such as `event.data.total > 100`",
            )
            return None
        try:
            return compile_expression(value)
        except ExpressionError as error:
            self.report.problem(
                place, error.message, suggestion=error.suggestion or _SYNTAX, code="expression"
            )
            return None

    def template(self, place: Place, value: Any) -> Template | None:
        """Any value with `${{ }}` in its texts."""
        try:
            return compile_template(value)
        except ExpressionError as error:
            self.report.problem(
                _culprit(place, value),
                error.message,
                suggestion=error.suggestion or _SYNTAX,
                code="expression",
            )
            return None

    def templates(self, place: Place, value: Any) -> dict[str, Template]:
        """Named values, each with `${{ }}` in its texts."""
        if not isinstance(value, dict):
            self.report.problem(
                place,
                f"this is {kind_of(value)}, and must be a mapping of names to values",
                suggestion="write each as `name: value` on a line of its own",
            )
            return {}
        read: dict[str, Template] = {}
        for name, item in value.items():
            self.check_id((*place, name), name, "a variable's name")
            template = self.template((*place, name), item)
            if template is not None:
                read[name] = template
        return read

    def span(self, place: Place, value: Any) -> Span | None:
        """A length of time, or `${{ }}` that gives one."""
        if isinstance(value, str) and "${{" in value:
            template = self.template(place, value)
            return None if template is None else Span(template=template)
        fixed = self._parsed(place, value)
        return None if fixed is None else Span(fixed=fixed)

    def _fixed_span(self, place: Place, value: Any) -> timedelta | None:
        if isinstance(value, str) and "${{" in value:
            self.report.problem(
                place, "this is a fixed length of time", suggestion="write for example 30s or 5m"
            )
            return None
        return self._parsed(place, value)

    def _parsed(self, place: Place, value: Any) -> timedelta | None:
        try:
            return parse_duration(value)
        except InvalidDuration as error:
            message, _, hint = error.message.rpartition(": ")
            self.report.problem(
                place,
                message or hint,
                suggestion=hint if message else None,
                code="invalid_duration",
            )
            return None

    def _retry(self, place: Place, value: Any) -> Retry | None:
        if isinstance(value, int) and not isinstance(value, bool):
            value = {"attempts": value}
        if not isinstance(value, dict):
            self.report.problem(
                place,
                f"`retry` is {kind_of(value)}, and must be a mapping",
                suggestion="write `retry: {attempts: 5}`",
            )
            return None
        if isinstance(value.get("unless"), str):
            value = {**value, "unless": [value["unless"]]}
        retry: Retry | None = self._struct(place, Retry, value)
        if retry is None:
            return None
        for key, least in (("attempts", 0), ("factor", 1)):
            if getattr(retry, key) < least:
                self.report.problem(
                    (*place, key),
                    f"`{key}` is {getattr(retry, key)}, and must be at least {least}",
                    suggestion="0 attempts are without end" if key == "attempts" else None,
                )
        # No pause stays none, however often it is multiplied.
        return retry if retry.backoff else dataclasses.replace(retry, factor=1.0)

    def subscribed(self, place: Place, value: Any) -> Subscribed | None:
        """The name of one of the tree's events."""
        if not isinstance(value, str):
            self.report.problem(
                place,
                f"this is {kind_of(value)}, and must be the name of an event",
                suggestion=f"its events: {listed(self.subscriptions)}",
            )
            return None
        if value not in self.subscriptions and value not in self.declared and self.subscriptions:
            self.report.problem(
                place,
                f"the tree has no event {value!r}",
                suggestion=did_you_mean(value, self.subscriptions)
                or f"its events: {listed(self.subscriptions)}; add it under `events:`",
                code="unknown_event",
            )
        return Subscribed(value)

    # -- names ----------------------------------------------------------------------------

    def check_id(self, place: Place, value: Any, what: str) -> None:
        """Note a name that expressions could not use."""
        if isinstance(value, str) and _ID.fullmatch(value):
            return
        better = re.sub(r"[^a-z0-9_]+", "_", str(value).lower()).strip("_")
        fits = _ID.fullmatch(better)
        self.report.problem(
            place,
            f"{what} is lower-case letters, digits and _, not {value!r}",
            suggestion=f"write `{better}`" if fits else "begin it with a letter: `step_1`",
        )

    def unknown_keys(
        self, place: Place, value: dict[str, Any], known: Iterable[str], what: str
    ) -> bool:
        """Note the keys that nobody reads. True when there are none."""
        known = list(known)
        strange = [key for key in value if key not in known]
        for key in strange:
            self.report.problem(
                (*place, key),
                f"{what} has no field {key!r}",
                suggestion=did_you_mean(key, known) or f"its fields: {listed(known)}",
                code="unknown_field",
            )
        return not strange


def _suited(options: tuple[Any, ...], value: Any) -> Any:
    """The member of a union that is meant by a value of that shape."""
    if len(options) == 1:
        return options[0]
    for option in options:
        origin = get_origin(option) or option
        if isinstance(value, dict) and (origin in (dict, Mapping) or is_struct(origin)):
            return option
        if isinstance(value, list) and origin in (list, tuple):
            return option
        if isinstance(value, (bool, int, float)):
            if origin is type(value) or (origin is float and isinstance(value, int)):
                return option
        elif isinstance(value, str) and (origin is str or origin is Subscribed):
            return option
    flexible = [o for o in options if o in (Template, Any, Expression, Span)]
    return flexible[0] if flexible else options[0]


def _culprit(place: Place, value: Any) -> Place:
    """The innermost part whose template does not compile."""
    items: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        try:
            compile_template(item)
        except ExpressionError:
            return _culprit((*place, key), item)
    return place
