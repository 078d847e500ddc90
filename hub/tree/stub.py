"""The types of the constructors of `hub.nodes`, for editors and type checkers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal, get_args, get_origin

from hub.expressions import Expression
from hub.tree.node import NODES, Node, Retry, Span, Subscribed
from hub.tree.spec import common_fields, node_fields, options_of

__all__ = ["stub"]


def stub() -> str:
    """The types of the constructors of nodes. Those of actions depend on what is installed."""
    common = "".join(
        f"    {spec.attribute}: {_hint(spec.type)} = ...,\n" for spec in common_fields().values()
    )
    parts = [_STUB_HEAD]
    for kind in sorted(NODES.values(), key=lambda kind: kind.__name__):
        primary = (kind.primary or "").rstrip("_")
        known = node_fields(kind)
        options = options_of(known[primary].type) if primary else ()
        several = any(option is Node or option == list[Node] for option in options)
        lead = f"    {'*nodes' if several else 'first'}: {_hint(known[primary].type) if primary else 'Any'}"
        if several:
            lead += ",\n"
        else:
            lead += " = ...,\n    /,\n    *,\n"
        own = "".join(
            f"    {spec.attribute}: {_hint(spec.type)}"
            + (" = ...,\n" if not spec.required or key == primary else ",\n")
            for key, spec in known.items()
        )
        parts.append(f"def {kind.__name__}(\n{lead}{own}{common}) -> NodeDocument: ...\n")
    return "\n".join(parts)


_STUB_HEAD = '''"""The types of the constructors. Generated from the classes of nodes: `make docs`."""

# ruff: noqa: A002, N802

from collections.abc import Callable, Mapping
from collections.abc import Sequence as _Sequence
from datetime import timedelta
from typing import Any, Literal

from hub.tree.build import NodeDocument
from hub.tree.node import Retry as _Retry

_Body = Mapping[str, Any] | _Sequence[Mapping[str, Any] | str] | str
_Span = str | timedelta

# Actions of connectors: EmailSend, HttpRequest, ...
def __getattr__(name: str) -> Callable[..., NodeDocument]: ...
'''


def _hint(kind: Any) -> str:
    return " | ".join(dict.fromkeys([*map(_hint_one, options_of(kind)), "None"]))


def _hint_one(kind: Any) -> str:
    plain_hints: Mapping[Any, str] = {
        Node: "_Body",
        Span: "_Span",
        timedelta: "_Span",
        Expression: "str | bool",
        Subscribed: "str",
        Retry: "_Retry | int | Mapping[str, Any]",
        str: "str",
        int: "int",
        float: "float",
        bool: "bool",
    }
    if kind in plain_hints:
        return plain_hints[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, arguments))}]"
    if origin in (list, tuple):
        return "_Body" if arguments[0] is Node else "_Sequence[Any]"
    if origin in (dict, Mapping):
        return "Mapping[str, Any]"
    return "Any"
