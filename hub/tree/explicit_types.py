"""The types of the explicit form, each with the verb that stands for it and what its settings mean.

Durations may be numbers there: seconds, or milliseconds where the setting's name says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hub.tree import explicit_leaves as leaves
from hub.tree.explicit_node import (
    LENGTHS,
    Explicit,
    Make,
    child_as,
    condition_as,
    duration_as,
    expression_as,
    length_of,
    need_children,
    no_children,
    no_length,
    words,
)
from hub.tree.node import NODES
from hub.tree.spec import holds_nodes, node_fields
from hub.tree.verbs import ACTION

if TYPE_CHECKING:
    from hub.tree.explicit import Translator

__all__ = ["TYPES", "generic"]

# -- control --------------------------------------------------------------------------------------


def _list(verb: str) -> Make:
    def make(to: Translator, node: Explicit) -> None:
        need_children(to, node)
        to.put(node, (verb,), None)
        node.node[verb] = to.below(node, verb)

    return make


def _reactive(to: Translator, node: Explicit) -> None:
    _list("sequence")(to, node)
    to.differs(
        node,
        f"`{node.type}` checks its first children again at every tick; here nothing ticks, and it "
        "is a plain sequence",
        "what must stop it while it runs is an event: write `abort_on: <event>`",
    )


def _conditional(to: Translator, node: Explicit) -> None:
    condition_as(to, node, "if")
    need_children(to, node)
    names = ("then", "else")
    if len(node.children) > 2:
        to.say(
            node,
            ("children",),
            f"`{node.type}` has a child for `then` and one for `else`, and here are "
            f"{len(node.children)}",
            suggestion="put those that belong together into a Sequence",
        )
    for index, name in enumerate(names[: len(node.children)]):
        node.node[name] = to.one(node, name, at=index)


def _recovery(to: Translator, node: Explicit) -> None:
    if len(node.children) != 2:
        to.say(
            node,
            ("children",),
            f"`{node.type}` has two children: what may fail, and what puts it right",
            suggestion="put those that belong together into a Sequence",
        )
        node.node["sequence"] = to.below(node, "sequence")
        return
    node.node["try"] = to.one(node, "try", at=0)
    retries = node.take("retries", "number_of_retries", "max_retries", "max_attempts", "attempts")
    if retries is None:
        node.node["catch"] = to.one(node, "catch", at=1)
        return
    # As in a recovery node: after the second child has succeeded, the first is tried again.
    cure = to.one(node, "catch", 0, at=1)
    node.node["catch"] = [cure, {"fail": "put right; tried again", "code": "recovered"}]
    times = retries.value + 1 if isinstance(retries.value, int) else retries.value
    to.put(node, ("retry",), {"attempts": times, "backoff": "0s"}, retries.place)


def _parallel(to: Translator, node: Explicit) -> None:
    _list("parallel")(to, node)
    to.move(node, "success", "success_threshold", "success", "success_count", "required_successes")
    to.move(node, "failure", "failure_threshold", "failure", "failure_count", "max_failures")
    policy = node.take("policy", "success_policy", "wait_for")
    if policy is None:
        return
    chosen = words(str(policy.value), "_").replace("-", "_").removeprefix("success_on_")
    if chosen in ("one", "any", "require_one", "first"):
        to.put(node, ("success",), 1, policy.place)
    elif chosen not in ("all", "require_all"):
        to.say(
            node,
            policy.place,
            f"`{node.type}` has no policy {policy.value!r}",
            suggestion="write all or any, or a number as `success_threshold`",
        )


def _for_each(to: Translator, node: Explicit) -> None:
    expression_as(to, node, "for_each", "items", "collection", "in", "list", "array", "over")
    to.move(node, "as", "item_var", "as", "item", "item_name", "variable", "var")
    to.move(node, "concurrency", "concurrency", "max_concurrency", "parallelism", "max_parallel")
    parallel = node.take("parallel")
    if parallel is not None and parallel.value is True and "concurrency" not in node.node:
        to.put(node, ("concurrency",), 10, parallel.place)
    child_as(to, node, "do")


def _while(to: Translator, node: Explicit) -> None:
    condition_as(to, node, "while")
    to.move(node, "max", "max_iterations", "max", "limit", "max_loops")
    child_as(to, node, "do")


def _repeat(to: Translator, node: Explicit) -> None:
    times = node.take("count", "times", "num_cycles", "iterations", "n", "repeat")
    endless = times is None or times.value in (-1, None, "infinite", "forever")
    to.put(node, ("repeat",), None if endless or times is None else times.value)
    if times is not None:
        to.origins[(*node.target, "repeat")] = (*node.source, *times.place)
    expression_as(to, node, "until", "until", "condition", needed=False)
    to.move(node, "max", "max_iterations", "max")
    child_as(to, node, "do")


def _subtree(to: Translator, node: Explicit) -> None:
    name = node.take("tree", "tree_id", "tree_name", "subtree", "id", "ref", "name")
    if name is None:
        to.say(
            node,
            (),
            f"`{node.type}` does not say which tree it runs",
            suggestion="add `tree: <its name>` to its config",
            code="missing_field",
        )
    to.put(
        node,
        ("run",),
        "tree" if name is None else str(name.value),
        () if name is None else name.place,
    )
    to.move(node, "with", "params", "input", "inputs", "with", "arguments", "variables")
    to.move(node, "key", "key")
    to.move(node, "detach", "detach", "async")
    no_children(to, node)


def _decorated(verb: str) -> Make:
    def make(to: Translator, node: Explicit) -> None:
        child_as(to, node, verb)

    return make


def _force_failure(to: Translator, node: Explicit) -> None:
    forced = {"fail": "forced to fail", "code": "forced_failure"}
    if not node.children:
        node.node |= forced
        return
    child = to.one(node, "sequence", 0, "always")
    node.node["sequence"] = [{"always": child}, forced]


def _run_once(to: Translator, node: Explicit) -> None:
    child_as(to, node, "sequence", as_list=True)
    to.differs(
        node,
        f"`{node.type}` runs its child once for all ticks; here every node runs once by itself, but "
        "inside of a loop once in each round",
        "to do something once in a loop, put it before the loop, or write `if: index == 0`",
    )


def _timeout(to: Translator, node: Explicit) -> None:
    duration_as(to, node, "timeout", "duration", "timeout", "limit", "after", needed=True)
    child_as(to, node, "sequence", as_list=True)


def _retry(to: Translator, node: Explicit) -> None:
    policy: dict[str, Any] = {}
    found = node.take("max_attempts", "attempts", "num_attempts", "max_retries", "retries", "count")
    if found is not None:
        extra = 1 if "retries" in found.name and isinstance(found.value, int) else 0
        policy["attempts"] = found.value + extra if extra else found.value
    for key, names in (("backoff", ("delay", "backoff", "interval")), ("max", ("max_delay",))):
        length = length_of(to, node, *names)
        if length is not None:
            policy[key] = length.value
    to.put(node, ("retry",), policy, () if found is None else found.place)
    child_as(to, node, "sequence", as_list=True)


def _delay(to: Translator, node: Explicit) -> None:
    if not node.children:
        if not to.move(node, "delay", "until"):
            duration_as(to, node, "delay", *LENGTHS, needed=True)
        else:
            node.node["delay"] = {"until": node.node["delay"]}
        return
    length = length_of(to, node, *LENGTHS)
    if length is None:
        no_length(to, node)
    wait = {"delay": "0s" if length is None else length.value}
    if length is not None:
        to.origins[(*node.target, "sequence", 0, "delay")] = (*node.source, *length.place)
    below = [
        to.anything(origin, (*node.target, "sequence", index + 1), child)
        for index, (child, origin) in enumerate(node.children)
    ]
    node.node["sequence"] = [wait, *below]


def generic(written: str) -> Make | None:
    """An action by its own name, or a verb of the language written as a type: `WaitFor`."""
    if ACTION.fullmatch(written):

        def call(to: Translator, node: Explicit) -> None:
            connection = node.take("connection")
            arguments, node.settings = node.settings, {}
            to.put(node, (written,), arguments, (node.settings_key,) if arguments else ())
            if connection is not None:
                to.put(node, ("connection",), connection.value, connection.place)
            no_children(to, node)

        return call
    verb = words(written, "_").replace("-", "_")
    if verb not in NODES:
        return None

    def make(to: Translator, node: Explicit) -> None:
        known = node_fields(NODES[verb])
        primary = (NODES[verb].primary or "").rstrip("_")
        to.put(node, (verb,), None)
        for key, spec in known.items():
            target = verb if key == primary else key
            if holds_nodes(spec.type) and node.children and key == primary:
                several = str(spec.type).startswith("list")
                node.node[target] = to.below(node, target) if several else to.one(node, target)
            elif (found := node.take(key)) is not None:
                value = found.value
                if holds_nodes(spec.type):
                    value = to.anything((*node.source, *found.place), (*node.target, target), value)
                to.put(node, (target,), value, found.place)
        if node.children and "do" in known and "do" not in node.node:
            node.node["do"] = to.one(node, "do")

    return make


TYPES: Mapping[str, Make] = {
    "Sequence": _list("sequence"),
    "MemorySequence": _list("sequence"),
    "ReactiveSequence": _reactive,
    "Selector": _list("fallback"),
    "Fallback": _list("fallback"),
    "MemorySelector": _list("fallback"),
    "MemoryFallback": _list("fallback"),
    "Conditional": _conditional,
    "Recovery": _recovery,
    "Parallel": _parallel,
    "ForEach": _for_each,
    "While": _while,
    "SubTree": _subtree,
    "Subtree": _subtree,
    "Timeout": _timeout,
    "Delay": _delay,
    "Repeat": _repeat,
    "Retry": _retry,
    "Invert": _decorated("invert"),
    "Inverter": _decorated("invert"),
    "ForceSuccess": _decorated("always"),
    "ForceFailure": _force_failure,
    "RunOnce": _run_once,
    "SoftAssert": leaves.soft_assert,
    "Precondition": leaves.precondition,
    "HumanApproval": leaves.approval,
    "LogMessage": leaves.log,
    "PrintAction": leaves.log,
    "MockAction": leaves.mock,
    "CounterAction": leaves.counter,
    "CheckCondition": leaves.check,
    "AlwaysCondition": leaves.always_condition,
    "WaitAction": leaves.wait,
    "RegexExtract": leaves.regex_extract,
    "Script": leaves.script,
}
"""What makes each type; the first of several names is the one that is suggested."""
