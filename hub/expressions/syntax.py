"""From text to syntax: where the `${{ }}` of a text are, and Jinja2's reading of what is in them.

Only Jinja2's lexer and parser are used. Its compiler is not: `evaluator` walks what the parser made
with operations of our own, so that there is no Python code to break out into.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.parser import Parser

from hub.errors import ExpressionError
from hub.expressions.bounds import MAX_DEPTH, MAX_SOURCE, shown

__all__ = ["Hole", "parse", "split"]

_ENVIRONMENT = Environment(autoescape=False)  # noqa: S701 - it parses; it renders nothing
_OPENING = re.compile(r"\$?\$\{\{")
_PAIRS = {")": "(", "]": "[", "}": "{"}
_ESCAPES = frozenset("\n\\'\"abfnrtvxNuU01234567")
_MAX_BRACKETS = 32
_NOT_JINJA = (
    (re.compile(r"==="), "write '=='"),
    (re.compile(r"&&"), "write 'and'"),
    (re.compile(r"\|\|"), "write 'or'"),
    (re.compile(r"!(?!=)"), "write 'not'"),
    (re.compile(r"(?<![=!<>])=(?!=)"), "write '==' to compare"),
    (re.compile(r"\?"), "write 'a if condition else b', or | default(...)"),
    (re.compile(r"\bfor\b|\blambda\b"), "use the filters map, select and reject"),
    (re.compile(r"\$\{?"), "inside an expression, names stand as they are: event.data"),
)


class Hole(NamedTuple):
    """One `${{ }}` of a text: the expression in it, and the offset of its `$`."""

    expression: str
    offset: int


def split(text: str) -> list[str | Hole]:
    """Cut a text into its literal parts and its `${{ }}`. `$${{` stands for a literal `${{`.

    Raises `ExpressionError` for a `${{` that is not closed.
    """
    parts: list[str | Hole] = []
    literal = ""
    position = 0
    while opening := _OPENING.search(text, position):
        literal += text[position : opening.start()]
        if opening.group() == "$${{":
            literal += "${{"
            position = opening.end()
            continue
        end = _closing(text, opening.end())
        if end is None:
            raise ExpressionError(
                f"the '${{{{' at offset {opening.start()} is not closed",
                expression=text,
                suggestion="end it with '}}', or write '$${{' for a literal '${{'",
            )
        if literal:
            parts.append(literal)
            literal = ""
        parts.append(Hole(text[opening.end() : end], opening.start()))
        position = end + 2
    literal += text[position:]
    if literal or not parts:
        parts.append(literal)
    return parts


def _closing(text: str, position: int) -> int | None:
    """Where the `}}` stands that ends the expression which begins at `position`."""
    depth = 0
    end = len(text)
    while position < end:
        character = text[position]
        if character in "'\"":
            after = _after_string(text, position)
            if after is None:
                return None
            position = after
            continue
        if character == "}" and depth == 0 and text.startswith("}}", position):
            return position
        if character in "([{":
            depth += 1
        elif character in ")]}" and depth:
            depth -= 1
        position += 1
    return None


def _after_string(text: str, position: int) -> int | None:
    quote = text[position]
    position += 1
    while position < len(text):
        if text[position] == "\\":
            position += 2
        elif text[position] == quote:
            return position + 1
        else:
            position += 1
    return None


def parse(text: str) -> nodes.Expr:
    """Parse one bare expression.

    Raises `ExpressionError` for a text that is none, is too long or is nested too deeply.
    """
    if len(text) > MAX_SOURCE:
        raise ExpressionError(f"is longer than {MAX_SOURCE:,} characters")
    if not text.strip():
        raise ExpressionError("is empty")
    code = _check_text(text)
    try:
        parser = Parser(_ENVIRONMENT, text, state="variable")
        node = parser.parse_expression()
        if not parser.stream.eos:
            token = parser.stream.current
            raise ExpressionError(
                f"has {shown(str(token.value))!r} where it should end", suggestion=_slip(code)
            )
    except TemplateSyntaxError as error:
        raise ExpressionError(_reason(error), suggestion=_slip(code)) from None
    except RecursionError:
        raise ExpressionError("is nested too deeply") from None
    except (ValueError, OverflowError):
        raise ExpressionError("has a number that is too long") from None
    _check_depth(node)
    return node


def _check_text(text: str) -> str:
    """Check strings and brackets, and return the text without what stands in its strings."""
    code: list[str] = []
    open_brackets: list[str] = []
    position = 0
    while position < len(text):
        character = text[position]
        if character in "'\"":
            after = _after_string(text, position)
            if after is None:
                raise ExpressionError(f"has a text without its closing {character}")
            _check_escapes(text[position + 1 : after - 1])
            code.append("''")
            position = after
            continue
        if character in "([{":
            open_brackets.append(character)
            if len(open_brackets) > _MAX_BRACKETS:
                raise ExpressionError(
                    f"is nested too deeply: more than {_MAX_BRACKETS} brackets inside each other"
                )
        elif character in ")]}" and (not open_brackets or open_brackets.pop() != _PAIRS[character]):
            raise ExpressionError(f"has a {character!r} that closes nothing, at offset {position}")
        code.append(character)
        position += 1
    if open_brackets:
        raise ExpressionError(f"has a {open_brackets[-1]!r} that is not closed")
    return "".join(code)


def _check_escapes(inside: str) -> None:
    position = inside.find("\\")
    while position >= 0:
        character = inside[position + 1]
        if character not in _ESCAPES:
            raise ExpressionError(
                f"has the unknown escape '\\{character}' in a text",
                suggestion=f"write '\\\\{character}'",
            )
        position = inside.find("\\", position + 2)


def _check_depth(root: nodes.Node) -> None:
    # A chain of `and` or `or` is walked flat, so it counts as one level however long it is.
    level: list[tuple[nodes.Node, int]] = [(root, 1)]
    while level:
        node, depth = level.pop()
        if depth > MAX_DEPTH:
            raise ExpressionError("is nested too deeply")
        for child in node.iter_child_nodes():
            flat = isinstance(node, (nodes.And, nodes.Or)) and type(child) is type(node)
            level.append((child, depth if flat else depth + 1))


def _slip(code: str) -> str | None:
    return next((hint for pattern, hint in _NOT_JINJA if pattern.search(code)), None)


def _reason(error: TemplateSyntaxError) -> str:
    message = error.message or "it cannot be read"
    for jargon in ("end of print statement", "end of template"):
        message = message.replace(f"'{jargon}'", "the end").replace(jargon, "the end")
    if message.endswith("the end"):
        return "cannot be read: it ends where something should follow"
    return f"cannot be read: {shown(message[0].lower() + message[1:])}"
