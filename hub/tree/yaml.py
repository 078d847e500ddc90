"""YAML text to plain JSON values, with the line and column of every part kept beside them.

YAML 1.2 scalars (ruamel.yaml's default), so `on`, `yes` and `12:30` are texts. Times and dates
become the text that was written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError, RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import ScalarNode

from hub.errors import Diagnostic, InvalidDefinition

__all__ = ["Document", "Position", "read_yaml"]

Position = tuple[int, int]
Place = tuple[str | int, ...]

_MAX_TEXT = 1024 * 1024
_MAX_DEPTH = 64


class Document:
    """One YAML document: its plain value, and where each part of it stands.

    `value` holds only dicts, lists, strings, numbers, booleans and None. `commented` is
    ruamel's own form, which keeps comments and order for writing back.
    """

    def __init__(self, value: Any, commented: Any, positions: Mapping[Place, Position]) -> None:
        self.value = value
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
            raise _wrong(file, f"the file is not UTF-8 (byte {error.start})") from None
    if len(text) > _MAX_TEXT:
        raise _wrong(file, f"the file is larger than {_MAX_TEXT} characters")
    reader = YAML(typ="rt")
    reader.Constructor = _Constructor
    try:
        commented = reader.load(text)
        positions: dict[Place, Position] = {(): (1, 1)}
        value = _plain(commented, (), positions, file, 0)
    except DuplicateKeyError as error:
        mark = error.problem_mark
        problem = str(error.problem).split(" with value")[0].replace("found duplicate", "duplicate")
        raise _wrong(file, problem, mark, "write each key once") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _wrong(
            file, f"this is not YAML: {error.problem or error.context}", mark, _hint(text, mark)
        ) from None
    except (YAMLError, RecursionError, ValueError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise _wrong(file, f"this is not YAML: {reason.splitlines()[0]}") from None
    return Document(value, commented, positions)


def _hint(text: str, mark: Any) -> str | None:
    if mark is None:
        return None
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    if "${{" in line:
        return "put quotes around a value with `${{ }}` where it stands inside { } or [ ]"
    if "\t" in line:
        return "indent with spaces; YAML does not take tabs"
    return None


def _wrong(
    file: str | None, message: str, mark: Any = None, suggestion: str | None = None
) -> InvalidDefinition:
    return InvalidDefinition(
        [
            Diagnostic(
                message=message,
                code="syntax",
                file=file,
                line=None if mark is None else mark.line + 1,
                column=None if mark is None else mark.column + 1,
                suggestion=suggestion,
            )
        ]
    )


def _plain(
    value: Any, place: Place, positions: dict[Place, Position], file: str | None, depth: int
) -> Any:
    if depth > _MAX_DEPTH:
        raise RecursionError
    if isinstance(value, CommentedMap):
        result: dict[str, Any] = {}
        for key, item in value.items():
            line, column = value.lc.key(key)
            name = _key(key)
            positions[(*place, name)] = (line + 1, column + 1)
            result[name] = _plain(item, (*place, name), positions, file, depth + 1)
        return result
    if isinstance(value, CommentedSeq):
        items = []
        for index, item in enumerate(value):
            line, column = value.lc.item(index)
            positions[(*place, index)] = (line + 1, column + 1)
            items.append(_plain(item, (*place, index), positions, file, depth + 1))
        return items
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        # ruamel's integers and booleans with a memory of their writing are subclasses of int.
        return bool(value) if type(value).__name__ == "ScalarBoolean" else int(value)
    if isinstance(value, float):
        return float(value)
    raise ValueError(f"a value of the type {type(value).__name__} has no place in a tree")


def _key(key: Any) -> str:
    if isinstance(key, str):
        return str(key)
    if key is None or isinstance(key, bool):
        return "null" if key is None else str(key).lower()
    if isinstance(key, (int, float)):
        return str(key)
    # `{to: ${{ x }}}` without quotes reads as a mapping whose key is a mapping.
    raise ValueError("a key is no text; put quotes around a value with `${{ }}` inside { }")
