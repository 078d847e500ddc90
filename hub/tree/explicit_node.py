"""One explicit node on its way into a node with a verb, and what most of its types do alike."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from hub.tree.words import Place, listed

if TYPE_CHECKING:
    from hub.tree.explicit import Translator

__all__ = [
    "LENGTHS",
    "Explicit",
    "Make",
    "Taken",
    "bare_expression",
    "child_as",
    "condition_as",
    "condition_of",
    "duration_as",
    "expression_as",
    "identifier",
    "length_of",
    "need_children",
    "no_children",
    "no_length",
    "pascal",
    "words",
]

_ID = re.compile(r"[a-z][a-z0-9_]*")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


class Taken(NamedTuple):
    """A setting that was taken out: its value, its name, and its place in the written node."""

    value: Any
    name: str
    place: Place


@dataclass(kw_only=True)
class Explicit:
    """One written node on its way: `settings` loses what is used of it, `node` gains the new one."""

    type: str
    source: Place
    target: Place
    settings: dict[str, Any]
    settings_key: str
    children: list[tuple[Any, Place]]
    node: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """The names of the settings that the type has."""

    def take(self, *names: str) -> Taken | None:
        """A setting by any of its names, taken out."""
        found = None
        self.asked += names
        for name in names:
            if name in self.settings:
                value = self.settings.pop(name)
                found = found or Taken(value, name, (self.settings_key, name))
        return found


Make = Callable[["Translator", Explicit], None]


def identifier(written: Any) -> str:
    """An id of the explicit form, which may have hyphens and capitals, as ids are written here."""
    text = re.sub(r"[^a-z0-9_]+", "_", words(str(written), "_")).strip("_")
    return text if _ID.fullmatch(text) else f"n_{text}" if text else "n"


def words(written: str, separator: str) -> str:
    """`MemorySequence` as `memory_sequence`."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", separator, written)
    return text.lower()


def pascal(written: str) -> str:
    """`memory_sequence` and `memory-sequence` as `MemorySequence`."""
    parts = re.split(r"[^A-Za-z0-9]+", written)
    return "".join(part[:1].upper() + part[1:] for part in parts)


LENGTHS = ("duration", "delay", "time", "wait", "length", "for", "timeout")


def need_children(to: Translator, node: Explicit) -> None:
    if not node.children:
        to.say(
            node,
            (),
            f"`{node.type}` has no children",
            suggestion="add `children:` with a list of nodes",
            code="missing_field",
        )


def no_children(to: Translator, node: Explicit) -> None:
    if node.children:
        to.say(
            node,
            ("children",),
            f"`{node.type}` takes no children",
            suggestion="put them beside it, into a Sequence",
        )


def child_as(to: Translator, node: Explicit, key: str, *, as_list: bool = False) -> None:
    need_children(to, node)
    to.put(node, (key,), None)
    node.node[key] = to.below(node, key) if as_list else to.one(node, key)


def bare_expression(value: Any) -> str:
    """A value as an expression: what is one whole `${{ }}` loses it."""
    text = str(value).strip()
    if text.startswith("${{") and text.endswith("}}"):
        return text[3:-2].strip()
    return text if re.fullmatch(r"[a-z]\w*(\.\w+)+", text) else repr(text)


def expression_as(
    to: Translator, node: Explicit, key: str, *names: str, needed: bool = True
) -> None:
    found = node.take(*names)
    if found is not None:
        to.put(node, (key,), found.value, found.place)
    elif needed:
        to.say(
            node,
            (),
            f"`{node.type}` needs `{names[0]}`",
            suggestion=f"add `{names[0]}: ...` to its config; it is also read as "
            f"{listed(names[1:])}",
            code="missing_field",
        )
        to.put(node, (key,), "true" if key != "for_each" else [])


def condition_of(to: Translator, node: Explicit) -> Taken:
    names = ("condition", "expression", "check", "expr", "predicate", "when")
    found = node.take(*names)
    if found is None:
        to.say(
            node,
            (),
            f"`{node.type}` needs `condition`",
            suggestion="add `condition: <expression>` to its config",
            code="missing_field",
        )
        return Taken("true", "condition", ())
    return found


def condition_as(to: Translator, node: Explicit, key: str) -> None:
    found = condition_of(to, node)
    to.put(node, (key,), found.value, found.place)


def length_of(to: Translator, node: Explicit, *names: str) -> Taken | None:
    """A length of time by any of the names, also with its unit in the name."""
    units = {"_ms": "ms", "_milliseconds": "ms", "_seconds": "s", "_minutes": "m", "_hours": "h"}
    spelled = {f"{name}{end}": unit for name in names for end, unit in units.items()}
    spelled |= {"milliseconds": "ms", "ms": "ms", "seconds": "s", "minutes": "m", "hours": "h"}
    spelled |= {"days": "d"}
    found = node.take(*names, *spelled)
    if found is None:
        return None
    bare = isinstance(found.value, (int, float)) and not isinstance(found.value, bool)
    if not bare and not (isinstance(found.value, str) and _NUMBER.fullmatch(found.value.strip())):
        return found
    unit = spelled.get(found.name)
    if unit is None:
        to.say(
            node,
            found.place,
            f"{found.value} has no unit and is read as seconds",
            suggestion=f'write "{found.value}s"',
            code="differs",
            severity="warning",
        )
    return Taken(f"{found.value}{unit or 's'}", found.name, found.place)


def duration_as(to: Translator, node: Explicit, key: str, *names: str, needed: bool) -> None:
    found = length_of(to, node, *names)
    if found is not None:
        to.put(node, (key,), found.value, found.place)
    elif needed:
        no_length(to, node)
        to.put(node, (key,), "0s")


def no_length(to: Translator, node: Explicit) -> None:
    to.say(
        node,
        (),
        f"`{node.type}` does not say how long",
        suggestion='add `duration: "7 days"` to its config',
        code="missing_field",
    )
