"""One expression: compiled once, evaluated often."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from hub.errors import ExpressionError, HubError
from hub.expressions.bounds import Work, kind_of, shown
from hub.expressions.evaluator import Evaluate, evaluator, names_of
from hub.expressions.methods import did_you_mean
from hub.expressions.syntax import Hole, parse, split

__all__ = ["Expression", "compile_expression", "unknown_names"]


class Expression:
    """A compiled expression. Make one with `compile_expression`.

    `text` is the bare expression, `names` are the names that it takes from its scope.
    """

    __slots__ = ("_evaluate", "names", "text")

    def __init__(self, text: str, names: frozenset[str], evaluate: Evaluate) -> None:
        self.text = text
        self.names = names
        self._evaluate = evaluate

    def evaluate(self, scope: Mapping[str, Any]) -> Any:
        """The value of the expression over a scope of JSON values, structs and times.

        The same scope gives the same value in every process, and is left as it is. The value may
        share parts with the scope, so it is not to be changed either.

        Raises `ExpressionError`, and no other exception.
        """
        return self.evaluate_within(Work(scope))

    def evaluate_within(self, work: Work) -> Any:
        """The same, as a part of a larger evaluation whose budget it shares."""
        try:
            value = self._evaluate(work)
            kind = type(value)
            if kind in (str, bool, int, dict, list):
                return value
            if kind is set or kind is frozenset:
                return sorted(value, key=lambda item: (type(item).__name__, repr(item)))
            if callable(value):
                raise ExpressionError(f"{kind_of(value)} is no value; call it")
            return value
        except ExpressionError as error:
            if error.expression is not None:
                raise
            raise self._error(error.message, error.suggestion) from None
        except HubError as error:
            raise self._error(error.message) from None
        except ZeroDivisionError:
            raise self._error("a division by zero") from None
        except (OverflowError, MemoryError):
            raise self._error("the result is out of bounds") from None
        except RecursionError:
            raise self._error("the values are nested too deeply") from None
        except UnicodeError:
            raise self._error("a text has characters that cannot be written") from None
        except Exception as error:
            # Its message is Python's and may quote values, so only its kind is told.
            raise self._error(f"it cannot be computed ({type(error).__name__})") from None

    def _error(self, reason: str, suggestion: str | None = None) -> ExpressionError:
        return ExpressionError(
            f"{reason}, in `{shown(self.text)}`", expression=self.text, suggestion=suggestion
        )

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"


def compile_expression(text: str) -> Expression:
    """Compile a bare expression, or the one in a text that is one whole `${{ }}`.

    Raises `ExpressionError`, which says what is wrong and where it can what to write instead.
    """
    if not isinstance(text, str):
        raise ExpressionError(
            f"an expression is a text, not {kind_of(text)}", suggestion="put it in quotes"
        )
    return _compiled(text)


@lru_cache(maxsize=1024)
def _compiled(text: str) -> Expression:
    bare = _unwrapped(text)
    try:
        node = parse(bare)
        try:
            return Expression(bare, names_of(node), evaluator(node))
        except RecursionError:
            raise ExpressionError("is nested too deeply") from None
    except ExpressionError as error:
        raise ExpressionError(
            f"the expression `{shown(bare)}` {error.message}",
            expression=bare,
            suggestion=error.suggestion,
        ) from None


def _unwrapped(text: str) -> str:
    stripped = text.strip()
    if not stripped.startswith("${{"):
        return stripped
    parts = split(stripped)
    if len(parts) == 1 and isinstance(parts[0], Hole):
        return parts[0].expression.strip()
    raise ExpressionError(
        f"`{shown(stripped)}` is more than one expression",
        expression=stripped,
        suggestion="write one expression, and join texts in it with ~",
    )


def unknown_names(names: Iterable[str], known: Iterable[str]) -> list[tuple[str, str | None]]:
    """Those of `names` that are not `known`, sorted, each with a suggestion where one is near."""
    all_known = tuple(known)
    return [(name, did_you_mean(name, all_known)) for name in sorted(set(names) - set(all_known))]
