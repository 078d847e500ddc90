"""Fitting JSON values to a struct: all that does not fit at once, each with its place and in words.

msgspec stops at the first thing that is wrong and words it for programmers, sometimes with the
value in it. Settings and arguments are written by people and may hold secrets, so here every field
is tried by itself and said without its value.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, TypeVar, get_args

import msgspec
from msgspec import inspect

from hub.errors import Diagnostic

__all__ = ["fit"]

_S = TypeVar("_S", bound=msgspec.Struct)

_WORDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
    "bytes": "base64 text",
    "date": "a date",
    "datetime": "a time (RFC 3339)",
    "duration": "a duration",
    "uuid": "a UUID",
}
_EXPECTED = re.compile(r"Expected `([^`]+)`(?: (.+?))?(?:, got `([^`]+)`)?")
_PLACE = re.compile(r" - at `(?:key in )?\$?([^`]*)`$")
_FIELD = re.compile(r"(missing required|contains unknown) field `([^`]+)`")


def fit(
    value: Any, kind: type[_S], path: str = "", *, unknown: Collection[str] = ()
) -> tuple[_S | None, list[Diagnostic]]:
    """The value as a struct of this kind, or None and everything that does not fit.

    Numbers and booleans may be given as texts, as environment variables are. `path` is the place
    of the value and begins the place of each error. Fields in `unknown` are given, with values
    that are not known yet: they are not checked, and then no struct is made.
    """
    if not isinstance(value, Mapping):
        return None, [_problem(path, f"is {_word_of(value)}, and must be a mapping")]
    fields = _fields_of(kind)
    problems: list[Diagnostic] = []
    for name in value:
        if name not in fields:
            close = get_close_matches(str(name), fields, n=1)
            problems.append(
                _problem(
                    _join(path, str(name)),
                    "there is no such field",
                    f"did you mean `{close[0]}`?"
                    if close
                    else f"the fields are: {', '.join(fields)}",
                )
            )
    for name, field in fields.items():
        if name in unknown:
            continue
        if name not in value:
            if field.required:
                problems.append(_problem(_join(path, name), "is required"))
            continue
        try:
            msgspec.convert(value[name], field.type, strict=False)
        except msgspec.ValidationError as error:
            problems.append(_said(str(error), field.type, _join(path, name)))
    if problems or unknown:
        return None, problems
    try:
        return msgspec.convert(value, kind, strict=False), []
    except msgspec.ValidationError as error:
        # What is left is the struct's own rule over several fields, in its own words.
        return None, [_said(str(error), kind, path)]


@lru_cache(maxsize=1024)
def _fields_of(kind: type[msgspec.Struct]) -> Mapping[str, msgspec.structs.FieldInfo]:
    """The fields by the names that they are given by; each look resolves all annotations anew."""
    return {field.encode_name: field for field in msgspec.structs.fields(kind)}


def _said(text: str, kind: Any, path: str) -> Diagnostic:
    place = _PLACE.search(text)
    if place is not None:
        path += place[1]
        text = text[: place.start()]
    if field := _FIELD.search(text):
        missing = field[1] == "missing required"
        return _problem(
            _join(path, field[2]), "is required" if missing else "there is no such field"
        )
    if found := _EXPECTED.fullmatch(text):
        types, rule, got = found.groups()
        message = "must be " + " or ".join(_WORDS.get(name, name) for name in types.split(" | "))
        message += f" {rule}" if rule else ""
        return _problem(path, message + (f", not {_WORDS.get(got, got)}" if got else ""))
    if text.startswith("Invalid enum value"):
        choices = _choices(kind)
        return _problem(
            path, f"must be one of: {', '.join(choices)}" if choices else "is no choice"
        )
    if text.startswith("Invalid "):
        return _problem(path, f"is no valid {text.removeprefix('Invalid ').split(' ')[0]}")
    return _problem(path, text)


def _choices(kind: Any) -> list[str]:
    def within(described: inspect.Type) -> list[str]:
        if isinstance(described, inspect.LiteralType):
            return [str(value) for value in described.values]
        if isinstance(described, inspect.EnumType):
            return [str(member.value) for member in described.cls]
        if isinstance(described, inspect.UnionType):
            return [choice for option in described.types for choice in within(option)]
        if isinstance(described, inspect.Metadata):
            return within(described.type)
        return []

    return within(inspect.type_info(kind)) if get_args(kind) or isinstance(kind, type) else []


def _problem(path: str, message: str, suggestion: str | None = None) -> Diagnostic:
    return Diagnostic(message=message, path=path, code="invalid_value", suggestion=suggestion)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _word_of(value: Any) -> str:
    if value is None:
        return "empty"
    names = {str: "str", bool: "bool", int: "int", float: "float", list: "array"}
    return _WORDS.get(names.get(type(value), ""), "something else")
