"""The wording of what is wrong with a tree: places, lists of names, kinds of values, suggestions."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

__all__ = ["Place", "did_you_mean", "kind_of", "listed", "path_of", "type_in_words"]

Place = tuple[str | int, ...]
"""Where something stands in a document: keys and indexes from the root."""

_WORDS: dict[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a mapping",
    list: "a list",
    timedelta: "a length of time",
}


def path_of(place: Place) -> str:
    """A place as people write it: `do[1].fallback[0].wait_for`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def listed(names: Iterable[Any]) -> str:
    """Names for a sentence: `a`, `b`, `c`."""
    return ", ".join(f"`{name}`" for name in names)


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A suggestion where one of the known names is close to the written one."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else None


def kind_of(value: Any) -> str:
    """What a JSON value is, with its article."""
    if value is None:
        return "empty"
    return _WORDS.get(type(value), type(value).__name__)


def type_in_words(kind: Any) -> str:
    """What a field takes, with its article."""
    if kind == list[str]:
        return "a list of texts"
    return _WORDS.get(kind, "another kind of value")
