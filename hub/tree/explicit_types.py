"""The types of the explicit form, each with the verb that stands for it and what its settings mean.

Durations may be numbers there: seconds, or milliseconds where the setting's name says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from hub.tree.node import NODES
from hub.tree.spec import holds_nodes, node_fields
from hub.tree.verbs import ACTION
from hub.tree.words import Place, listed

if TYPE_CHECKING:
    from hub.tree.explicit import Translator

__all__ = ["TYPES", "Explicit", "Taken", "generic", "identifier", "pascal", "words"]

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


# -- control --------------------------------------------------------------------------------------


def _list(verb: str) -> Make:
    def make(to: Translator, node: Explicit) -> None:
        _need(to, node)
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
    _condition(to, node, "if")
    _need(to, node)
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
    _expression(to, node, "for_each", "items", "collection", "in", "list", "array", "over")
    to.move(node, "as", "item_var", "as", "item", "item_name", "variable", "var")
    to.move(node, "concurrency", "concurrency", "max_concurrency", "parallelism", "max_parallel")
    parallel = node.take("parallel")
    if parallel is not None and parallel.value is True and "concurrency" not in node.node:
        to.put(node, ("concurrency",), 10, parallel.place)
    _child(to, node, "do")


def _while(to: Translator, node: Explicit) -> None:
    _condition(to, node, "while")
    to.move(node, "max", "max_iterations", "max", "limit", "max_loops")
    _child(to, node, "do")


def _repeat(to: Translator, node: Explicit) -> None:
    times = node.take("count", "times", "num_cycles", "iterations", "n", "repeat")
    endless = times is None or times.value in (-1, None, "infinite", "forever")
    to.put(node, ("repeat",), None if endless or times is None else times.value)
    if times is not None:
        to.origins[(*node.target, "repeat")] = (*node.source, *times.place)
    _expression(to, node, "until", "until", "condition", needed=False)
    to.move(node, "max", "max_iterations", "max")
    _child(to, node, "do")


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
    _leaf(to, node)


def _decorated(verb: str) -> Make:
    def make(to: Translator, node: Explicit) -> None:
        _child(to, node, verb)

    return make


def _force_failure(to: Translator, node: Explicit) -> None:
    forced = {"fail": "forced to fail", "code": "forced_failure"}
    if not node.children:
        node.node |= forced
        return
    child = to.one(node, "sequence", 0, "always")
    node.node["sequence"] = [{"always": child}, forced]


def _run_once(to: Translator, node: Explicit) -> None:
    _child(to, node, "sequence", as_list=True)
    to.differs(
        node,
        f"`{node.type}` runs its child once for all ticks; here every node runs once by itself, but "
        "inside of a loop once in each round",
        "to do something once in a loop, put it before the loop, or write `if: index == 0`",
    )


def _timeout(to: Translator, node: Explicit) -> None:
    _duration(to, node, "timeout", "duration", "timeout", "limit", "after", needed=True)
    _child(to, node, "sequence", as_list=True)


def _retry(to: Translator, node: Explicit) -> None:
    policy: dict[str, Any] = {}
    found = node.take("max_attempts", "attempts", "num_attempts", "max_retries", "retries", "count")
    if found is not None:
        extra = 1 if "retries" in found.name and isinstance(found.value, int) else 0
        policy["attempts"] = found.value + extra if extra else found.value
    for key, names in (("backoff", ("delay", "backoff", "interval")), ("max", ("max_delay",))):
        length = _length(to, node, *names)
        if length is not None:
            policy[key] = length.value
    to.put(node, ("retry",), policy, () if found is None else found.place)
    _child(to, node, "sequence", as_list=True)


def _delay(to: Translator, node: Explicit) -> None:
    if not node.children:
        if not to.move(node, "delay", "until"):
            _duration(to, node, "delay", *_LENGTHS, needed=True)
        else:
            node.node["delay"] = {"until": node.node["delay"]}
        return
    length = _length(to, node, *_LENGTHS)
    if length is None:
        _no_length(to, node)
    wait = {"delay": "0s" if length is None else length.value}
    if length is not None:
        to.origins[(*node.target, "sequence", 0, "delay")] = (*node.source, *length.place)
    below = [
        to.anything(origin, (*node.target, "sequence", index + 1), child)
        for index, (child, origin) in enumerate(node.children)
    ]
    node.node["sequence"] = [wait, *below]


# -- conditions -----------------------------------------------------------------------------------


def _check(to: Translator, node: Explicit) -> None:
    _condition(to, node, "check")
    to.move(node, "message", "message", "error_message")
    _leaf(to, node)


def _always_condition(to: Translator, node: Explicit) -> None:
    result = node.take("result", "value", "always", "status", "condition")
    holds = result is None or str(result.value).lower() in ("true", "success", "succeed", "1")
    to.put(node, ("check",), "true" if holds else "false", () if result is None else result.place)
    _leaf(to, node)


def _precondition(to: Translator, node: Explicit) -> None:
    found = _condition_of(to, node)
    to.put(node, ("sequence",), None)
    to.origins[(*node.target, "sequence", 0, "check")] = (*node.source, *found.place)
    below = [
        to.anything(origin, (*node.target, "sequence", index + 1), child)
        for index, (child, origin) in enumerate(node.children)
    ]
    node.node["sequence"] = [{"check": found.value}, *below]


def _soft_assert(to: Translator, node: Explicit) -> None:
    found = _condition_of(to, node) if "condition" in node.settings or not node.children else None
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


def _log(to: Translator, node: Explicit) -> None:
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
    _leaf(to, node)


def _counter(to: Translator, node: Explicit) -> None:
    found = node.take("variable", "counter", "name", "key", "counter_name", "output")
    name = identifier("counter" if found is None else found.value)
    step = node.take("increment", "step", "by", "amount")
    start = node.take("initial", "start", "initial_value")
    by = 1 if step is None else step.value
    first = 0 if start is None else start.value
    total = f"${{{{ (vars.{name} | default({first})) + ({by}) }}}}"
    to.put(node, ("set",), {name: total}, () if found is None else found.place)
    _leaf(to, node)


def _mock(to: Translator, node: Explicit) -> None:
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
    length = _length(to, node, "delay", "duration", "latency")
    if length is None:
        node.node |= done
    else:
        node.node["sequence"] = [{"delay": length.value}, done]
        to.origins[(*node.target, "sequence", 0, "delay")] = (*node.source, *length.place)
    _leaf(to, node)


def _wait(to: Translator, node: Explicit) -> None:
    event = node.take("event", "wait_for", "signal")
    if event is not None:
        to.put(node, ("wait_for",), identifier(event.value), event.place)
        _duration(to, node, "timeout", "timeout", needed=False)
    else:
        _duration(to, node, "delay", *_LENGTHS, needed=True)
    _leaf(to, node)


def _script(to: Translator, node: Explicit) -> None:
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


def _regex(to: Translator, node: Explicit) -> None:
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
    inside = _bare(text.value)
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
    _leaf(to, node)


_APPROVAL: Mapping[str, tuple[str, ...]] = {
    "title": ("title", "message", "prompt", "question"),
    "details": ("details", "description", "body"),
    "from": ("from", "approvers", "assignees", "approver", "assignee"),
    "quorum": ("quorum", "required_approvals", "min_approvals"),
}


def _approval(to: Translator, node: Explicit) -> None:
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
    _duration(to, node, "timeout", "timeout", needed=False)
    _leaf(to, node)


# -- parts of the above ---------------------------------------------------------------------------

_LENGTHS = ("duration", "delay", "time", "wait", "length", "for", "timeout")


def _need(to: Translator, node: Explicit) -> None:
    if not node.children:
        to.say(
            node,
            (),
            f"`{node.type}` has no children",
            suggestion="add `children:` with a list of nodes",
            code="missing_field",
        )


def _leaf(to: Translator, node: Explicit) -> None:
    if node.children:
        to.say(
            node,
            ("children",),
            f"`{node.type}` takes no children",
            suggestion="put them beside it, into a Sequence",
        )


def _child(to: Translator, node: Explicit, key: str, *, as_list: bool = False) -> None:
    _need(to, node)
    to.put(node, (key,), None)
    node.node[key] = to.below(node, key) if as_list else to.one(node, key)


def _bare(value: Any) -> str:
    """A value as an expression: what is one whole `${{ }}` loses it."""
    text = str(value).strip()
    if text.startswith("${{") and text.endswith("}}"):
        return text[3:-2].strip()
    return text if re.fullmatch(r"[a-z]\w*(\.\w+)+", text) else repr(text)


def _expression(to: Translator, node: Explicit, key: str, *names: str, needed: bool = True) -> None:
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


def _condition_of(to: Translator, node: Explicit) -> Taken:
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


def _condition(to: Translator, node: Explicit, key: str) -> None:
    found = _condition_of(to, node)
    to.put(node, (key,), found.value, found.place)


def _length(to: Translator, node: Explicit, *names: str) -> Taken | None:
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


def _duration(to: Translator, node: Explicit, key: str, *names: str, needed: bool) -> None:
    found = _length(to, node, *names)
    if found is not None:
        to.put(node, (key,), found.value, found.place)
    elif needed:
        _no_length(to, node)
        to.put(node, (key,), "0s")


def _no_length(to: Translator, node: Explicit) -> None:
    to.say(
        node,
        (),
        f"`{node.type}` does not say how long",
        suggestion='add `duration: "7 days"` to its config',
        code="missing_field",
    )


def generic(written: str) -> Make | None:
    """An action by its own name, or a verb of the language written as a type: `WaitFor`."""
    if ACTION.fullmatch(written):

        def call(to: Translator, node: Explicit) -> None:
            connection = node.take("connection")
            arguments, node.settings = node.settings, {}
            to.put(node, (written,), arguments, (node.settings_key,) if arguments else ())
            if connection is not None:
                to.put(node, ("connection",), connection.value, connection.place)
            _leaf(to, node)

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
    "SoftAssert": _soft_assert,
    "Precondition": _precondition,
    "HumanApproval": _approval,
    "LogMessage": _log,
    "PrintAction": _log,
    "MockAction": _mock,
    "CounterAction": _counter,
    "CheckCondition": _check,
    "AlwaysCondition": _always_condition,
    "WaitAction": _wait,
    "RegexExtract": _regex,
    "Script": _script,
}
"""What makes each type; the first of several names is the one that is suggested."""
