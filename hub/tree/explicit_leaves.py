"""The types of the explicit form that have no children: conditions and actions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hub.tree.explicit_node import (
    LENGTHS,
    Explicit,
    bare_expression,
    condition_as,
    condition_of,
    duration_as,
    identifier,
    length_of,
    no_children,
)
from hub.tree.node import NODES
from hub.tree.spec import node_fields

if TYPE_CHECKING:
    from hub.tree.explicit import Translator

__all__ = [
    "always_condition",
    "approval",
    "check",
    "counter",
    "log",
    "mock",
    "precondition",
    "regex_extract",
    "script",
    "soft_assert",
    "wait",
]

# -- conditions -----------------------------------------------------------------------------------


def check(to: Translator, node: Explicit) -> None:
    condition_as(to, node, "check")
    to.move(node, "message", "message", "error_message")
    no_children(to, node)


def always_condition(to: Translator, node: Explicit) -> None:
    result = node.take("result", "value", "always", "status", "condition")
    holds = result is None or str(result.value).lower() in ("true", "success", "succeed", "1")
    to.put(node, ("check",), "true" if holds else "false", () if result is None else result.place)
    no_children(to, node)


def precondition(to: Translator, node: Explicit) -> None:
    found = condition_of(to, node)
    to.put(node, ("sequence",), None)
    to.origins[(*node.target, "sequence", 0, "check")] = (*node.source, *found.place)
    below = [
        to.anything(origin, (*node.target, "sequence", index + 1), child)
        for index, (child, origin) in enumerate(node.children)
    ]
    node.node["sequence"] = [{"check": found.value}, *below]


def soft_assert(to: Translator, node: Explicit) -> None:
    found = condition_of(to, node) if "condition" in node.settings or not node.children else None
    message = node.take("message", "error_message")
    said = "the assertion does not hold" if message is None else message.value
    if found is not None:
        to.origins[(*node.target, "try", "check")] = (*node.source, *found.place)
        node.node["try"] = {"check": found.value}
    else:
        node.node["try"] = to.one(node, "try")
    if message is not None:
        to.origins[(*node.target, "catch", "log")] = (*node.source, *message.place)
    node.node["catch"] = {"log": said, "level": "warning"}


# -- actions --------------------------------------------------------------------------------------


def log(to: Translator, node: Explicit) -> None:
    if not to.move(node, "log", "message", "text", "msg", "value"):
        to.put(node, ("log",), node.node.get("name") or node.type)
    level = node.take("level", "log_level", "severity")
    if level is not None:
        plain = str(level.value).lower()
        to.put(
            node,
            ("level",),
            {"warn": "warning", "critical": "error"}.get(plain, plain),
            level.place,
        )
    no_children(to, node)


def counter(to: Translator, node: Explicit) -> None:
    found = node.take("variable", "counter", "name", "key", "counter_name", "output")
    name = identifier("counter" if found is None else found.value)
    step = node.take("increment", "step", "by", "amount")
    start = node.take("initial", "start", "initial_value")
    by = 1 if step is None else step.value
    first = 0 if start is None else start.value
    total = f"${{{{ (vars.{name} | default({first})) + ({by}) }}}}"
    to.put(node, ("set",), {name: total}, () if found is None else found.place)
    no_children(to, node)


def mock(to: Translator, node: Explicit) -> None:
    outcome = node.take("result", "status", "outcome", "return_status", "success", "should_succeed")
    text = "success" if outcome is None else str(outcome.value).lower()
    fails = text in ("failure", "fail", "failed", "false", "error")
    output = node.take("output", "return_value", "data", "value")
    message = node.take("message", "error", "error_message")
    done: dict[str, Any] = (
        {"fail": "mocked" if message is None else message.value, "code": "mocked"}
        if fails
        else {"succeed": None if output is None else output.value}
    )
    length = length_of(to, node, "delay", "duration", "latency")
    if length is None:
        node.node |= done
    else:
        node.node["sequence"] = [{"delay": length.value}, done]
        to.origins[(*node.target, "sequence", 0, "delay")] = (*node.source, *length.place)
    no_children(to, node)


def wait(to: Translator, node: Explicit) -> None:
    event = node.take("event", "wait_for", "signal")
    if event is not None:
        to.put(node, ("wait_for",), identifier(event.value), event.place)
        duration_as(to, node, "timeout", "timeout", needed=False)
    else:
        duration_as(to, node, "delay", *LENGTHS, needed=True)
    no_children(to, node)


def script(to: Translator, node: Explicit) -> None:
    node.settings.clear()
    to.say(
        node,
        ("type",),
        "a Script cannot be kept: a tree holds no program code, so that it can be checked, stored "
        "and run again the same",
        suggestion="write small computations as expressions (`set: {total: ${{ ... }}}`), and put "
        "the rest behind `http.request` or into a connector of your own",
        code="not_kept",
    )
    node.node["log"] = "a script stood here"


def regex_extract(to: Translator, node: Explicit) -> None:
    text = node.take("input", "text", "source", "value", "field")
    pattern = node.take("pattern", "regex", "expression")
    group = node.take("group", "group_index", "capture_group")
    found = node.take("output", "variable", "target", "output_variable", "output_key", "name")
    for what, taken in (("input", text), ("pattern", pattern)):
        if taken is None:
            to.say(
                node,
                (),
                f"`{node.type}` needs `{what}`",
                suggestion=f"add `{what}:` to its config",
                code="missing_field",
            )
    if text is None or pattern is None:
        node.node["log"] = node.type
        return
    name = identifier("match" if found is None else found.value)
    inside = bare_expression(text.value)
    quoted = str(pattern.value).replace("\\", "\\\\").replace("'", "\\'")
    which = 0 if group is None else group.value
    which = repr(which) if isinstance(which, str) else which
    whole = f"${{{{ {inside} | regex_extract('{quoted}', {which}) }}}}"
    node.node["sequence"] = [
        {"set": {name: whole}},
        {"check": f"vars.{name} is not none", "message": "the pattern does not match"},
    ]
    to.origins[(*node.target, "sequence", 0, "set")] = (*node.source, *text.place)
    to.origins[(*node.target, "sequence", 0, "set", name)] = (*node.source, *pattern.place)
    no_children(to, node)


_APPROVAL: Mapping[str, tuple[str, ...]] = {
    "title": ("title", "message", "prompt", "question"),
    "details": ("details", "description", "body"),
    "from": ("from", "approvers", "assignees", "approver", "assignee"),
    "quorum": ("quorum", "required_approvals", "min_approvals"),
}


def approval(to: Translator, node: Explicit) -> None:
    if "approval" not in NODES:
        node.settings.clear()
        to.say(
            node,
            ("type",),
            f"this hub has no approvals, so `{node.type}` cannot be kept",
            suggestion="wait for an event instead: `wait_for: approved` with a `timeout`",
            code="not_kept",
        )
        node.node["log"] = node.type
        return
    for key in node_fields(NODES["approval"]):
        target = "approval" if key == "title" else key
        to.move(node, target, *_APPROVAL.get(key, (key,)))
    if "approval" not in node.node:
        to.put(node, ("approval",), node.node.get("name") or node.node.get("id") or "Approval")
    duration_as(to, node, "timeout", "timeout", needed=False)
    no_children(to, node)
