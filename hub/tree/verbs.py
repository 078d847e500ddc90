"""What a person meant by a word that is no verb of the language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from hub.tree.node import NODES
from hub.tree.words import did_you_mean, listed

__all__ = ["ACTION", "meant_by"]

ACTION = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
"""How an action is written: `connector.action`."""

_ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(("sleep", "pause", "timer", "wait_until", "intermediate_timer"), "delay"),
    **dict.fromkeys(
        ("wait", "await", "receive", "wait_event", "wait_for_event", "wait_for_signal", "signal"),
        "wait_for",
    ),
    **dict.fromkeys(("selector", "priority", "any", "first", "try_each", "or"), "fallback"),
    **dict.fromkeys(("steps", "serial", "chain", "then", "and", "memory_sequence"), "sequence"),
    **dict.fromkeys(("fork", "concurrent", "all", "parallel_gateway", "join"), "parallel"),
    **dict.fromkeys(("any_of", "first_of", "event_gateway"), "race"),
    **dict.fromkeys(("foreach", "for", "map", "loop", "split_in_batches", "each"), "for_each"),
    **dict.fromkeys(("case", "choice", "exclusive_gateway", "router", "match"), "switch"),
    **dict.fromkeys(("condition", "assert", "guard", "precondition"), "check"),
    **dict.fromkeys(("unless", "gateway", "when"), "if"),
    **dict.fromkeys(("until", "do_while"), "while"),
    **dict.fromkeys(("inverter", "not", "negate"), "invert"),
    **dict.fromkeys(("force_success", "ignore_failure", "continue_on_fail"), "always"),
    **dict.fromkeys(("subtree", "sub_tree", "call_activity", "child", "workflow", "call"), "run"),
    **dict.fromkeys(("publish_event", "throw", "send_event", "trigger"), "emit"),
    **dict.fromkeys(("error", "raise", "stop", "abort", "failure"), "fail"),
    **dict.fromkeys(("success", "end", "return", "exit", "no_op", "noop"), "succeed"),
    **dict.fromkeys(("print", "echo", "debug"), "log"),
    **dict.fromkeys(("assign", "variables", "set_variable", "var", "let", "edit_fields"), "set"),
    **dict.fromkeys(("compensate", "transaction", "compensation"), "saga"),
    **dict.fromkeys(("human_approval", "user_task", "human_task", "approve", "manual"), "approval"),
    **dict.fromkeys(("on_error", "recovery", "error_boundary", "begin"), "try"),
    **dict.fromkeys(
        ("http", "request", "http_request", "rest", "fetch", "service_task", "curl"), "http.request"
    ),
    **dict.fromkeys(("email", "mail", "send_mail", "send_email", "smtp"), "email.send"),
    **dict.fromkeys(("sql", "query", "database", "postgres", "execute_query"), "sql.query"),
    **dict.fromkeys(("kafka", "produce", "publish", "kafka_producer"), "kafka.publish"),
    **dict.fromkeys(("slack", "slack_message"), "slack.post"),
}
"""Words of other tools, and of behaviour trees and BPMN, by what they are called here."""

_TRAPS: Mapping[str, str] = {
    "on": "the events that a tree is about stand under `events:` at the top, not at a node",
    "timeout": "`timeout` stands beside a verb; to wait for a length of time write `delay: 24h`",
    "retry": "`retry` stands beside the verb that is tried again, indented as deep as the verb",
    "catch": "`catch` stands beside its `try`, without a `- ` of its own",
    "finally": "`finally` stands beside its `try`, without a `- ` of its own",
    "else": "`else` stands beside its `if`, without a `- ` of its own",
    "then": "`then` stands beside its `if`, without a `- ` of its own",
    "undo": "`undo` stands beside the step of a `saga` that it takes back",
}


def meant_by(word: str, actions: Iterable[str] | None) -> str:
    """What to write instead of a word that is neither a verb nor an installed action."""
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word)
    plain = re.sub(r"[^a-z0-9.]+", "_", plain.lower()).strip("_")
    known = [*NODES, *(actions or ())]
    if plain in known:
        return f"write `{plain}`"
    if plain in _TRAPS:
        return _TRAPS[plain]
    here = _ELSEWHERE.get(plain)
    if here is not None and (here in NODES or actions is None or here in known):
        return f"here this is called `{here}`"
    if here is not None and "." in here:
        return f"this would be `{here}`, whose connector is not installed"
    return did_you_mean(plain, known) or f"the verbs are {listed(sorted(NODES))}; an action is " + (
        f"written by its name: {listed(sorted(actions)[:8])}" if actions else "like `email.send`"
    )
