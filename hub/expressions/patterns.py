r"""Regular expressions in bounded time: `text | regex_extract('order ([0-9]+)', 1)`.

All ways through a pattern are followed at once, a character at a time (Thompson, "Regular Expression
Search Algorithm", 1968), so the time is that of the text's length times the pattern's, whatever the
text is. What needs to go back, such as `\1` and `(?=...)`, is not there. Of several matches it is the
leftmost one, and of those the one that Python's `re` would find.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from hub.errors import ExpressionError
from hub.expressions.bounds import Work, kind_of

__all__ = ["PATTERN_FILTERS", "compile_pattern"]

_MAX_PATTERN = 1000
_MAX_PROGRAM = 5000
_MAX_REPEAT = 1000
_MAX_DEPTH = 50
_STEP = 8
"""Units of work that one step of one way costs."""

Test = Callable[[str], bool]


class _Char(NamedTuple):
    test: Test


class _Split(NamedTuple):
    first: int
    second: int


class _Jump(NamedTuple):
    to: int


class _Enter(NamedTuple):
    """Here begins a turn of a repetition whose part may take no character."""


class _Leave(NamedTuple):
    """Here it ends: on to a further turn, or `out` if this one took no character."""

    to: int
    out: int


class _Save(NamedTuple):
    slot: int


class _Assert(NamedTuple):
    holds: Callable[[str, int], bool]


class _Match(NamedTuple):
    pass


_Instruction = _Char | _Split | _Jump | _Enter | _Leave | _Save | _Assert | _Match


class _Pattern(NamedTuple):
    program: tuple[_Instruction, ...]
    groups: int
    names: dict[str, int]


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


_CLASSES: dict[str, Test] = {
    "d": str.isdecimal,
    "s": str.isspace,
    "w": _is_word,
    "D": lambda c: not c.isdecimal(),
    "S": lambda c: not c.isspace(),
    "W": lambda c: not _is_word(c),
}
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "a": "\a", "0": "\0"}


def _at_boundary(text: str, position: int) -> bool:
    before = position > 0 and _is_word(text[position - 1])
    after = position < len(text) and _is_word(text[position])
    return before != after


_ASSERTIONS: dict[str, Callable[[str, int], bool]] = {
    "b": _at_boundary,
    "B": lambda text, position: not _at_boundary(text, position),
    "A": lambda text, position: position == 0,
    "Z": lambda text, position: position == len(text),
}


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> _Pattern:
    """Compile a regular expression. Raises `ExpressionError` for one that cannot be read."""
    if len(pattern) > _MAX_PATTERN:
        raise ExpressionError(f"the pattern is longer than {_MAX_PATTERN} characters")
    return _Compiler(pattern).compile()


class _Compiler:
    """Reads a pattern by recursive descent, and writes the program for it as it goes."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.position = 0
        self.program: list[Any] = []
        self.groups = 0
        self.names: dict[str, int] = {}
        self.ignore_case = False
        self.depth = 0

    def compile(self) -> _Pattern:
        if self.pattern.startswith("(?i)"):
            self.ignore_case = True
            self.position = 4
        self._emit(_Save(0))
        self._alternatives()
        if self.position < len(self.pattern):
            raise self._wrong("has a ) that closes nothing")
        self._emit(_Save(1))
        self._emit(_Match())
        return _Pattern(tuple(self.program), self.groups, self.names)

    def _wrong(self, what: str) -> ExpressionError:
        return ExpressionError(f"the pattern {what}, at its character {self.position + 1}")

    def _emit(self, instruction: Any) -> int:
        if len(self.program) >= _MAX_PROGRAM:
            raise ExpressionError("the pattern is too large: it repeats too much")
        self.program.append(instruction)
        return len(self.program) - 1

    def _peek(self) -> str:
        return self.pattern[self.position : self.position + 1]

    def _next(self) -> str:
        character = self._peek()
        if not character:
            raise self._wrong("ends too early")
        self.position += 1
        return character

    def _alternatives(self) -> None:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self._wrong("is nested too deeply")
        ends: list[int] = []
        start = len(self.program)
        self._sequence()
        while self._peek() == "|":
            self.position += 1
            ends.append(self._emit(None))
            # What was written for this alternative moves on by one for the choice before it.
            self._insert(start, _Split(start + 1, len(self.program) + 1))
            ends[-1] += 1
            start = len(self.program)
            self._sequence()
        for end in ends:
            self.program[end] = _Jump(len(self.program))
        self.depth -= 1

    def _insert(self, at: int, instruction: Any) -> None:
        self._emit(None)
        moved = [_moved(i, at) for i in self.program[at:-1]]
        self.program[at:] = [instruction, *moved]

    def _sequence(self) -> None:
        while self._peek() not in ("", "|", ")"):
            start = len(self.program)
            groups = self.groups
            begin = self.position
            can_repeat = self._atom()
            self._repeats(start, begin, groups, can_repeat)

    def _atom(self) -> bool:
        """One part of a sequence. False if it takes no character, so that it cannot be repeated."""
        character = self._next()
        if character == "(":
            self._group()
        elif character == "[":
            self._char(self._set())
        elif character == ".":
            self._emit(_Char(lambda c: c != "\n"))
        elif character == "^":
            self._emit(_Assert(_ASSERTIONS["A"]))
            return False
        elif character == "$":
            self._emit(_Assert(lambda text, at: at == len(text) or text[at:] == "\n"))
            return False
        elif character == "\\":
            return self._escape()
        elif character in "*+?":
            self.position -= 1
            raise self._wrong(f"has a {character} with nothing to repeat")
        else:
            self._char(lambda c, wanted=character: c == wanted)  # type: ignore[misc]
        return True

    def _char(self, test: Test) -> None:
        if self.ignore_case:
            self._emit(_Char(lambda c: test(c) or test(c.lower()) or test(c.upper())))
        else:
            self._emit(_Char(test))

    def _escape(self) -> bool:
        character = self._next()
        if character in _ASSERTIONS:
            self._emit(_Assert(_ASSERTIONS[character]))
            return False
        if character in _CLASSES:
            self._emit(_Char(_CLASSES[character]))
        else:
            wanted = self._literal(character)
            self._char(lambda c: c == wanted)
        return True

    def _literal(self, escaped: str) -> str:
        if escaped in _CONTROLS:
            return _CONTROLS[escaped]
        if escaped.isalnum():
            self.position -= 1
            raise self._wrong(f"has \\{escaped}, which patterns here do not know")
        return escaped

    def _set(self) -> Test:
        negated = self._peek() == "^"
        if negated:
            self.position += 1
        tests: list[Test] = []
        first = True
        while first or self._peek() != "]":
            first = False
            low = self._member()
            if not isinstance(low, str):
                tests.append(low)
                continue
            high: str | Test = low
            if self._peek() == "-" and self.pattern[self.position + 1 : self.position + 2] != "]":
                self.position += 1
                high = self._member()
            if not isinstance(high, str) or high < low:
                raise self._wrong("has a range that is none")
            tests.append(lambda c, low=low, high=high: low <= c <= high)  # type: ignore[misc]
        self.position += 1
        return lambda c: any(test(c) for test in tests) != negated

    def _member(self) -> str | Test:
        character = self._next()
        if character != "\\":
            return character
        escaped = self._next()
        return _CLASSES.get(escaped) or ("\b" if escaped == "b" else self._literal(escaped))

    def _group(self) -> None:
        slot = None
        if self._peek() == "?":
            self.position += 1
            kind = self._next()
            if kind == "P" or (kind == "<" and self._peek() not in ("=", "!")):
                if kind == "P" and self._next() != "<":
                    raise self._wrong("has a (?P that names no group")
                slot = self._named()
            elif kind != ":":
                raise self._wrong(f"has (?{kind}, which patterns here do not know")
        else:
            self.groups += 1
            slot = self.groups
        if slot is not None:
            self._emit(_Save(2 * slot))
        self._alternatives()
        if self._peek() != ")":
            raise self._wrong("has a ( that is not closed")
        self.position += 1
        if slot is not None:
            self._emit(_Save(2 * slot + 1))

    def _named(self) -> int:
        end = self.pattern.find(">", self.position)
        name = self.pattern[self.position : end]
        if end < 0 or not name.isidentifier() or name in self.names:
            raise self._wrong("has a group without a name of its own")
        self.position = end + 1
        self.groups += 1
        self.names[name] = self.groups
        return self.groups

    # -- repetition -----------------------------------------------------------------------

    def _repeats(self, start: int, begin: int, groups: int, can_repeat: bool) -> None:
        bounds = self._bounds()
        if bounds is None:
            return
        if not can_repeat:
            raise self._wrong("repeats something that takes no character")
        greedy = self._peek() != "?"
        if not greedy:
            self.position += 1
        if self._peek() and self._peek() in "*+?":
            raise self._wrong("repeats a repetition")
        least, most = bounds
        after = self.position
        empty = self._may_be_empty(start)
        # What was written once is written as often as it is wanted, from its text.
        del self.program[start:]
        counted = self.groups
        for _ in range(least):
            self._again(begin, groups)
        if most is None:
            self._star(begin, groups, greedy, empty)
        else:
            self._optional(most - least, begin, groups, greedy, empty)
        self.position = after
        self.groups = counted

    def _may_be_empty(self, start: int) -> bool:
        """Is there a way through what was written last that takes no character?"""
        end = len(self.program)
        seen: set[int] = set()
        stack = [start]
        while stack:
            at = stack.pop()
            if at == end:
                return True
            instruction = self.program[at]
            if at in seen or isinstance(instruction, _Char):
                continue
            seen.add(at)
            if isinstance(instruction, (_Split, _Leave)):
                stack.extend(instruction)
            else:
                stack.append(instruction.to if isinstance(instruction, _Jump) else at + 1)
        return False

    def _star(self, begin: int, groups: int, greedy: bool, empty: bool) -> None:
        split = self._emit(None)
        if empty:
            self._emit(_Enter())
        self._again(begin, groups)
        last = self._emit(_Jump(split))
        out = len(self.program)
        if empty:
            self.program[last] = _Leave(split, out)
        self.program[split] = _Split(split + 1, out) if greedy else _Split(out, split + 1)

    def _optional(self, times: int, begin: int, groups: int, greedy: bool, empty: bool) -> None:
        splits: list[int] = []
        leaves: list[int] = []
        for further in reversed(range(times)):
            splits.append(self._emit(None))
            if empty and further:
                self._emit(_Enter())
            self._again(begin, groups)
            if empty and further:
                leaves.append(self._emit(None))
        out = len(self.program)
        for at in splits:
            self.program[at] = _Split(at + 1, out) if greedy else _Split(out, at + 1)
        for at in leaves:
            self.program[at] = _Leave(at + 1, out)

    def _again(self, begin: int, groups: int) -> None:
        """Write the repeated part once more, with the same groups."""
        self.position = begin
        self.groups = groups
        names, self.names = self.names, {}
        self._atom()
        self.names = {**self.names, **names}

    def _bounds(self) -> tuple[int, int | None] | None:
        character = self._peek()
        if character and character in "*+?":
            self.position += 1
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[character]
        if character != "{":
            return None
        end = self.pattern.find("}", self.position)
        low, comma, high = self.pattern[self.position + 1 : max(end, 0)].partition(",")
        if (
            end < 0
            or not all(part == "" or part.isdigit() for part in (low, high))
            or not (low or high)
        ):
            # As in other dialects, a { that bounds nothing is a character.
            return None
        self.position = end + 1
        least = int(low or 0)
        most = (int(high) if high else None) if comma else least
        if max(least, most or 0) > _MAX_REPEAT or (most is not None and most < least):
            raise self._wrong(f"repeats something in no order, or more than {_MAX_REPEAT} times")
        return least, most


def _moved(instruction: Any, at: int) -> Any:
    if isinstance(instruction, (_Split, _Leave)):
        return type(instruction)(*(to + 1 if to >= at else to for to in instruction))
    if isinstance(instruction, _Jump):
        return _Jump(instruction.to + 1 if instruction.to >= at else instruction.to)
    return instruction


def _search(pattern: _Pattern, text: str, work: Work) -> tuple[int | None, ...] | None:
    """The slots of the leftmost match: begin and end of each group, or None."""
    program = pattern.program
    none: tuple[int | None, ...] = (None,) * (2 * pattern.groups + 2)
    ways: list[tuple[int, tuple[int | None, ...]]] = []
    found: tuple[int | None, ...] | None = None
    for position in range(len(text) + 1):
        if found is None:
            ways.append((0, none))
        elif not ways:
            break
        reached: list[tuple[int, tuple[int | None, ...]]] = []
        seen: set[tuple[int, int]] = set()
        # In the order of preference: the first way to an instruction is the one that counts. How it
        # goes on from there depends also on how many of the turns that it is in, the innermost
        # ones, have taken no character.
        stack = [(at, slots, 0) for at, slots in reversed(ways)]
        while stack:
            at, slots, empty = stack.pop()
            if (at, empty) in seen:
                continue
            seen.add((at, empty))
            instruction = program[at]
            if isinstance(instruction, _Char):
                reached.append((at, slots))
            elif isinstance(instruction, _Split):
                stack.append((instruction.second, slots, empty))
                stack.append((instruction.first, slots, empty))
            elif isinstance(instruction, _Jump):
                stack.append((instruction.to, slots, empty))
            elif isinstance(instruction, _Enter):
                stack.append((at + 1, slots, empty + 1))
            elif isinstance(instruction, _Leave):
                to = instruction.out if empty else instruction.to
                stack.append((to, slots, max(empty - 1, 0)))
            elif isinstance(instruction, _Save):
                changed = list(slots)
                changed[instruction.slot] = position
                stack.append((at + 1, tuple(changed), empty))
            elif isinstance(instruction, _Assert):
                if instruction.holds(text, position):
                    stack.append((at + 1, slots, empty))
            else:
                found = slots
                # Ways that are less preferred than this match are given up.
                break
        work.spend(_STEP * (len(seen) + len(reached)))
        if position == len(text):
            break
        character = text[position]
        ways = [
            (at + 1, slots)
            for at, slots in reached
            if program[at].test(character)  # type: ignore[union-attr]
        ]
    return found


def _extract(work: Work, value: Any, pattern: Any, group: Any = 0) -> str | None:
    """The part of a text that a pattern, or a group of it, matches; none where it does not."""
    if not isinstance(value, str):
        raise ExpressionError(f"{kind_of(value)} is no text to look for a pattern in")
    if not isinstance(pattern, str):
        raise ExpressionError(f"a pattern is a text, not {kind_of(pattern)}")
    compiled = compile_pattern(pattern)
    index = compiled.names.get(group) if isinstance(group, str) else group
    if not isinstance(index, int) or not 0 <= index <= compiled.groups:
        raise ExpressionError(f"the pattern has no group {group!r}")
    found = _search(compiled, value, work)
    if found is None:
        return None
    begin, end = found[2 * index], found[2 * index + 1]
    return None if begin is None or end is None else value[begin:end]


PATTERN_FILTERS: dict[str, Callable[..., Any]] = {"regex_extract": _extract}
