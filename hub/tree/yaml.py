"""YAML text to plain JSON values, with the line and column of every part kept beside them.

YAML 1.2 scalars (ruamel.yaml's default), so `on`, `yes` and `12:30` are texts. Times and dates
become the text that was written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError, RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.scanner import RoundTripScanner

from hub.errors import Diagnostic, InvalidDefinition
from hub.tree.slips import explain

__all__ = ["Document", "Position", "read_yaml"]

Position = tuple[int, int]
Place = tuple[str | int, ...]

_MAX_TEXT = 1024 * 1024
_MAX_DEPTH = 64
_MAX_PARTS = 200_000


class Document:
    """One YAML document: its plain value, and where each part of it stands.

    `value` holds only dicts, lists, strings, numbers, booleans and None. `commented` is
    ruamel's own form, which keeps comments and order for writing back, `text` is as it was read.
    """

    def __init__(
        self, value: Any, commented: Any, positions: Mapping[Place, Position], text: str = ""
    ) -> None:
        self.value = value
        self.text = text
        self.commented = commented
        self._positions = positions

    def position(self, place: Sequence[str | int]) -> Position | None:
        """The line and column (from 1) of the part at that place, or of its nearest parent."""
        at = tuple(place)
        while True:
            found = self._positions.get(at)
            if found is not None or not at:
                return found
            at = at[:-1]


class _Scanner(RoundTripScanner):
    """Stops where brackets are too deep: its time would grow with the square of their number."""

    def fetch_flow_collection_start(self, TokenClass: Any, to_push: str) -> None:  # noqa: N803
        super().fetch_flow_collection_start(TokenClass, to_push)
        if len(self.flow_context) > _MAX_DEPTH:
            raise RecursionError


class _Constructor(RoundTripConstructor):
    """Reads YAML 1.2 without the timestamp type: a time in a tree is a text."""


def _as_text(self: _Constructor, node: ScalarNode) -> Any:
    return self.construct_yaml_str(node)


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", _as_text)


def read_yaml(text: str | bytes, *, file: str | None = None) -> Document:
    """Read one YAML document. Raises `InvalidDefinition` with the place of what is wrong."""
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise _wrong(
                file,
                f"the file is not UTF-8 (byte {error.start})",
                suggestion="save it with the encoding UTF-8",
            ) from None
    if len(text) > _MAX_TEXT:
        raise _wrong(file, f"the file is larger than {_MAX_TEXT:,} characters")
    reader = YAML(typ="rt")
    reader.Constructor = _Constructor
    reader.Scanner = _Scanner
    reader.preserve_quotes = True
    try:
        commented = reader.load(text)
    except DuplicateKeyError as error:
        raise _twice(error, file) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (0, 0) if mark is None else (mark.line, mark.column)
        problem = f"{error.context or ''} {error.problem or ''}"
        start = error.context_mark
        began = None if start is None else (start.line, start.column)
        slip = explain(problem, text, line, column, began)
        raise _wrong(file, slip.message, (slip.line, slip.column), slip.suggestion) from None
    except RecursionError:
        raise _too_deep(file) from None
    except (YAMLError, ValueError):
        # A character that no YAML may hold; ruamel tells its place only in a sentence.
        raise _wrong(
            file,
            "the file holds a character that cannot stand in a text file",
            _unprintable(text),
            "remove it, or write it as an escape in double quotes",
        ) from None
    plain = _Plain(file)
    try:
        value = plain.read(commented, (), 0)
    except RecursionError:
        raise _too_deep(file) from None
    return Document(value, commented, plain.positions, text)


def _too_deep(file: str | None) -> InvalidDefinition:
    return _wrong(
        file,
        f"the file is nested more than {_MAX_DEPTH} deep",
        suggestion="make trees of their own of its inner parts",
    )


def _twice(error: DuplicateKeyError, file: str | None) -> InvalidDefinition:
    found = re.search(r'duplicate key "([^"]*)"', str(error.problem))
    key = f" `{found[1]}`" if found else ""
    mark = error.problem_mark
    return _wrong(
        file,
        f"the key{key} stands twice in one mapping",
        None if mark is None else (mark.line, mark.column),
        "keep one of the two; the items of a list each begin with `- `",
    )


def _unprintable(text: str) -> Position | None:
    for number, line in enumerate(text.split("\n")):
        for column, character in enumerate(line):
            if not character.isprintable() and character not in "\t\r\ufeff":
                return number, column
    return None


def _wrong(
    file: str | None, message: str, at: Position | None = None, suggestion: str | None = None
) -> InvalidDefinition:
    return InvalidDefinition(
        [
            Diagnostic(
                message=message,
                code="syntax",
                file=file,
                line=None if at is None else at[0] + 1,
                column=None if at is None else at[1] + 1,
                suggestion=suggestion,
            )
        ]
    )


class _Plain:
    """Turns ruamel's values into plain ones, and notes where each stands."""

    def __init__(self, file: str | None) -> None:
        self.file = file
        self.positions: dict[Place, Position] = {(): (1, 1)}
        self.parts = 0

    def read(self, value: Any, place: Place, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise RecursionError
        # Aliases of aliases make much out of little.
        self.parts += 1
        if self.parts > _MAX_PARTS:
            raise _wrong(self.file, f"the file holds more than {_MAX_PARTS:,} parts")
        if isinstance(value, CommentedMap):
            result: dict[str, Any] = {}
            for key, item in value.items():
                line, column = value.lc.key(key)
                name = self._key(key, (line, column))
                self.positions[(*place, name)] = (line + 1, column + 1)
                result[name] = self.read(item, (*place, name), depth + 1)
            return result
        if isinstance(value, CommentedSeq):
            items = []
            for index, item in enumerate(value):
                line, column = value.lc.item(index)
                self.positions[(*place, index)] = (line + 1, column + 1)
                items.append(self.read(item, (*place, index), depth + 1))
            return items
        return self._scalar(value, place)

    def _scalar(self, value: Any, place: Place) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return str(value)
        if isinstance(value, int):
            # ruamel's numbers and booleans with a memory of their writing are subclasses.
            return bool(value) if type(value).__name__ == "ScalarBoolean" else int(value)
        if isinstance(value, float):
            if not math.isfinite(value):
                raise self._wrong_at(place, "a number that is not finite", "write a number")
            return float(value)
        raise self._wrong_at(
            place,
            "a value that begins with `!` is a tag to YAML",
            "put the value in quotes; in an expression write `not` instead of `!`",
        )

    def _wrong_at(self, place: Place, message: str, suggestion: str) -> InvalidDefinition:
        while place and place not in self.positions:
            place = place[:-1]
        line, column = self.positions[place]
        return _wrong(self.file, message, (line - 1, column - 1), suggestion)

    def _key(self, key: Any, at: Position) -> str:
        if isinstance(key, str):
            return str(key)
        if key is None or isinstance(key, bool):
            return "null" if key is None else str(key).lower()
        if isinstance(key, (int, float)):
            return str(key)
        # `{{ x }}` without quotes reads as a mapping whose key is a mapping.
        raise _wrong(
            self.file,
            "a key that is no text: YAML reads { } here as its own braces",
            at,
            "put quotes around a value with `${{ }}` or `{{ }}`",
        )
