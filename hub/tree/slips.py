"""What is wrong with text that is no YAML, in words for somebody who wants to write a tree."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Slip", "explain"]


class Slip(NamedTuple):
    """What is wrong, the way out, and the line and column (from 0) where it stands."""

    message: str
    suggestion: str
    line: int
    column: int


_GLUED = re.compile(r"^\s*(?:- +)?([A-Za-z_][\w.-]*):(?=[^\s:/])(\S.*)$")
_ENTRY = re.compile(r"^(\s*)(- +)?([\w.$-]+|\"[^\"]*\"|'[^']*'):(?:\s|$)")
_NOT_STARTING = {
    "@": "a text that begins with @",
    "`": "a text that begins with `",
    "%": "a text that begins with %",
}


def explain(
    problem: str, text: str, line: int, column: int, began: tuple[int, int] | None = None
) -> Slip:
    """Say what the parser stumbled over at that line and column (from 0).

    `began` is where the part stands that it was reading, such as an opening bracket.
    """
    lines = text.split("\n")
    here = lines[line] if line < len(lines) else ""
    tab = next((n for n in (line, line - 1) if 0 <= n < len(lines) and _has_tab(lines[n])), None)
    if tab is not None:
        return Slip(
            "a tab where YAML takes spaces only",
            "indent with two spaces a level; most editors can turn tabs into spaces",
            tab,
            lines[tab].index("\t"),
        )
    for number in (line, line - 1):
        glued = _GLUED.match(lines[number]) if 0 <= number < len(lines) else None
        if glued is not None and ("not allowed here" in problem or "could not find" in problem):
            key, value = glued.groups()
            return Slip(
                f"`{key}:` has no space after its colon, so the line is one text",
                f"write `{key}: {value}`",
                number,
                lines[number].index(f"{key}:"),
            )
    return (
        _braces(here, line, column)
        or _by_problem(problem, lines, here, line, column, began or (line, column))
        or Slip(
            "the text cannot be read as YAML here",
            "look at the indentation and at the quotes of this line and of the one before",
            line,
            column,
        )
    )


def _has_tab(line: str) -> bool:
    return "\t" in line[: len(line) - len(line.lstrip())]


def _braces(here: str, line: int, column: int) -> Slip | None:
    at = here.find("${{")
    if at < 0:
        return None
    before = here[:at]
    if before.count("{") + before.count("[") > before.count("}") + before.count("]"):
        return Slip(
            "a `${{ }}` inside { } or [ ] without quotes: YAML reads its braces as its own",
            'write it in quotes: `{to: "${{ vars.email }}"}`, or put each entry on its own line',
            line,
            at,
        )
    return Slip(
        "YAML reads a part of this text as its own signs",
        "put the whole value in quotes: `'${{ ... }}'`",
        line,
        at,
    )


def _by_problem(
    problem: str, lines: list[str], here: str, line: int, column: int, began: tuple[int, int]
) -> Slip | None:
    if "mapping values are not allowed" in problem:
        entry = _ENTRY.match(here)
        if entry is not None and column > entry.end() - 1 and here[entry.end() :].strip():
            return Slip(
                "a second `: ` on one line",
                "put the value in quotes if the colon belongs to it; otherwise begin a new line",
                line,
                column,
            )
        return _indented(lines, line, column)
    if "expected <block end>" in problem or "did not find expected" in problem:
        return _indented(lines, line, column)
    if "sequence entries are not allowed" in problem:
        return Slip(
            "a list cannot begin on the line of its key",
            "begin a new line, indent it, and write `- ` there",
            line,
            column,
        )
    if "expected ',' or" in problem:
        sign = "]" if "']'" in problem else "}"
        return Slip(
            f"a bracket that is opened here is not closed with {sign}",
            f"close it with {sign}, or write one entry a line without brackets",
            *began,
        )
    if "end of stream" in problem or "while scanning a quoted" in problem:
        return Slip("a text in quotes does not end", "close it with the same quote", *began)
    if "unknown escape" in problem:
        return Slip(
            'a backslash that begins no escape of a text in "double quotes"',
            "write the text in 'single quotes', where a backslash is a backslash",
            line,
            column,
        )
    if "alias" in problem:
        return Slip(
            "a value that begins with * means a part that was marked with & elsewhere",
            "put the value in quotes",
            line,
            column,
        )
    if "another document" in problem or "document separator" in problem:
        return Slip(
            "a second document begins here", "one file holds one: make two files", line, column
        )
    if "cannot start any token" in problem:
        sign = here[column : column + 1]
        what = _NOT_STARTING.get(sign, f"a text that begins with {sign!r}")
        return Slip(f"{what} needs quotes", "put the value in quotes", line, column)
    if "could not find expected ':'" in problem:
        return Slip(
            "a line that is neither `key: value` nor `- item`",
            "add the colon and a space, or indent the line if it goes on with the text above",
            max(line - 1, 0),
            0,
        )
    if "for merging" in problem:
        return Slip("`<<` is no field of a tree", "write the fields themselves", line, column)
    return None


def _indented(lines: list[str], line: int, column: int) -> Slip:
    above = next((n for n in range(line - 1, -1, -1) if lines[n].strip()), None)
    there = "" if above is None else f" (line {above + 1})"
    return Slip(
        f"this line is indented in a way that fits none of the lines above{there}",
        "parts of one mapping or one list begin in the same column; what belongs to a key is "
        "indented two spaces more than the key",
        line,
        len(lines[line]) - len(lines[line].lstrip()) if line < len(lines) else column,
    )
