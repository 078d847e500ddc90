"""The explicit form of the original design, read into the same nodes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hub.errors import Diagnostic, InvalidDefinition
from hub.tree import Tree, load_tree, read_tree

SNIPPET = 'type: Delay\nconfig:\n  duration: "7 days"\n'


def node(value: dict[str, Any]) -> Any:
    """What an explicit node becomes."""
    return document({"type": "Sequence", "children": [value]})["do"]["sequence"][0]


def document(value: dict[str, Any]) -> Any:
    return msgspec.json.decode(read_tree(value).document)


def told(value: dict[str, Any]) -> list[Diagnostic]:
    try:
        return list(read_tree({"type": "Sequence", "children": [value]}).warnings)
    except InvalidDefinition as error:
        return error.diagnostics


LOG = {"type": "LogMessage", "config": {"message": "hello"}}


def test_the_snippet_of_the_original_design() -> None:
    tree = load_tree(SNIPPET, file="trees/wait-a-week.yaml")
    assert tree.name == "wait-a-week"
    assert msgspec.json.decode(tree.document) == {
        "tree": "wait-a-week",
        "events": {"start": {"api": "api", "where": 'event.type == "wait-a-week.start"'}},
        "start": "start",
        "do": {"delay": "7 days"},
    }


def test_a_bare_root_is_a_tree_named_by_its_id() -> None:
    tree = load_tree(
        "type: Sequence\nid: Send-Survey\nchildren:\n  - {type: LogMessage, id: say-it}\n"
    )
    assert tree.name == "send-survey"
    assert tree.do.id == "send_survey"
    assert next(tree.do.children()).id == "say_it"


def test_without_id_and_file_it_is_named_by_its_type() -> None:
    assert (
        load_tree("type: MemorySequence\nchildren: [{type: LogMessage}]").name == "memory-sequence"
    )


WANTED: dict[str, tuple[dict[str, Any], Any]] = {
    "Sequence": ({"type": "Sequence", "children": [LOG]}, {"sequence": [{"log": "hello"}]}),
    "MemorySequence": (
        {"type": "MemorySequence", "children": [LOG]},
        {"sequence": [{"log": "hello"}]},
    ),
    "ReactiveSequence": (
        {"type": "ReactiveSequence", "children": [LOG]},
        {"sequence": [{"log": "hello"}]},
    ),
    "Selector": ({"type": "Selector", "children": [LOG]}, {"fallback": [{"log": "hello"}]}),
    "Fallback": ({"type": "Fallback", "children": [LOG]}, {"fallback": [{"log": "hello"}]}),
    "Conditional": (
        {"type": "Conditional", "config": {"condition": "1 < 2"}, "children": [LOG, LOG]},
        {"if": "1 < 2", "then": {"log": "hello"}, "else": {"log": "hello"}},
    ),
    "Recovery": (
        {"type": "Recovery", "children": [LOG, LOG]},
        {"try": {"log": "hello"}, "catch": {"log": "hello"}},
    ),
    "Recovery with retries": (
        {"type": "Recovery", "config": {"number_of_retries": 2}, "children": [LOG, LOG]},
        {
            "try": {"log": "hello"},
            "catch": [{"log": "hello"}, {"fail": "put right; tried again", "code": "recovered"}],
            "retry": {"attempts": 3, "backoff": "0s"},
        },
    ),
    "Parallel": (
        {"type": "Parallel", "config": {"success_threshold": 1}, "children": [LOG, LOG]},
        {"parallel": [{"log": "hello"}, {"log": "hello"}], "success": 1},
    ),
    "Parallel with a policy": (
        {"type": "Parallel", "config": {"policy": "SuccessOnOne"}, "children": [LOG]},
        {"parallel": [{"log": "hello"}], "success": 1},
    ),
    "ForEach": (
        {
            "type": "ForEach",
            "config": {"items": "event.data.all", "item_var": "one"},
            "children": [LOG],
        },
        {"for_each": "event.data.all", "as": "one", "do": {"log": "hello"}},
    ),
    "While": (
        {"type": "While", "config": {"condition": "1 > 2", "max_iterations": 3}, "children": [LOG]},
        {"while": "1 > 2", "max": 3, "do": {"log": "hello"}},
    ),
    "SubTree": (
        {"type": "SubTree", "config": {"tree_id": "other", "params": {"a": 1}}},
        {"run": "other", "with": {"a": 1}},
    ),
    "Timeout": (
        {"type": "Timeout", "config": {"seconds": 5}, "children": [LOG]},
        {"timeout": "5s", "sequence": [{"log": "hello"}]},
    ),
    "Delay as a leaf": ({"type": "Delay", "config": {"duration": "7 days"}}, {"delay": "7 days"}),
    "Delay around a child": (
        {"type": "Delay", "config": {"duration": "1h"}, "children": [LOG]},
        {"sequence": [{"delay": "1h"}, {"log": "hello"}]},
    ),
    "Delay with its unit in the name": (
        {"type": "Delay", "props": {"delay_ms": 250}},
        {"delay": "250ms"},
    ),
    "Repeat": (
        {"type": "Repeat", "config": {"count": 3}, "children": [LOG]},
        {"repeat": 3, "do": {"log": "hello"}},
    ),
    "Repeat for ever": (
        {"type": "Repeat", "config": {"num_cycles": -1}, "children": [LOG]},
        {"repeat": None, "do": {"log": "hello"}},
    ),
    "Retry": (
        {"type": "Retry", "config": {"max_attempts": 3, "delay": 2}, "children": [LOG]},
        {"retry": {"attempts": 3, "backoff": "2s"}, "sequence": [{"log": "hello"}]},
    ),
    "Invert": ({"type": "Invert", "children": [LOG]}, {"invert": {"log": "hello"}}),
    "ForceSuccess": ({"type": "ForceSuccess", "children": [LOG]}, {"always": {"log": "hello"}}),
    "ForceFailure": (
        {"type": "ForceFailure", "children": [LOG]},
        {
            "sequence": [
                {"always": {"log": "hello"}},
                {"fail": "forced to fail", "code": "forced_failure"},
            ]
        },
    ),
    "RunOnce": ({"type": "RunOnce", "children": [LOG]}, {"sequence": [{"log": "hello"}]}),
    "SoftAssert": (
        {"type": "SoftAssert", "config": {"condition": "1 > 2", "message": "odd"}},
        {"try": {"check": "1 > 2"}, "catch": {"log": "odd", "level": "warning"}},
    ),
    "Precondition": (
        {"type": "Precondition", "config": {"condition": "1 < 2"}, "children": [LOG]},
        {"sequence": [{"check": "1 < 2"}, {"log": "hello"}]},
    ),
    "LogMessage": (
        {"type": "LogMessage", "config": {"message": "a", "level": "WARN"}},
        {"log": "a", "level": "warning"},
    ),
    "PrintAction": ({"type": "PrintAction", "props": {"text": "a"}}, {"log": "a"}),
    "MockAction": ({"type": "MockAction", "config": {"output": {"a": 1}}}, {"succeed": {"a": 1}}),
    "MockAction that fails": (
        {"type": "MockAction", "config": {"result": "FAILURE", "message": "no"}},
        {"fail": "no", "code": "mocked"},
    ),
    "CounterAction": (
        {"type": "CounterAction", "config": {"name": "my-count", "increment": 2}},
        {"set": {"my_count": "${{ (vars.my_count | default(0)) + (2) }}"}},
    ),
    "CheckCondition": (
        {"type": "CheckCondition", "config": {"condition": "1 < 2"}},
        {"check": "1 < 2"},
    ),
    "AlwaysCondition": (
        {"type": "AlwaysCondition", "config": {"result": False}},
        {"check": "false"},
    ),
    "WaitAction": ({"type": "WaitAction", "config": {"duration": "2h"}}, {"delay": "2h"}),
    "HumanApproval": (
        {
            "type": "HumanApproval",
            "config": {"message": "Ship it?", "approvers": ["a@example.com"], "timeout": "2 days"},
        },
        {"approval": "Ship it?", "from": ["a@example.com"], "timeout": "2 days"},
    ),
    "an action": (
        {"type": "email.send", "config": {"to": "a@example.com", "template": "welcome"}},
        {"email.send": {"to": "a@example.com", "template": "welcome"}},
    ),
    "a verb of the language": (
        {"type": "WaitFor", "config": {"event": "start"}, "timeout": "1h"},
        {"wait_for": "start", "timeout": "1h"},
    ),
    "a name in snake case": ({"type": "log-message", "config": {"message": "a"}}, {"log": "a"}),
    "what every node has": (
        {
            "type": "LogMessage",
            "id": "a-b",
            "name": "Say it",
            "if": "1 < 2",
            "retry": 2,
            "config": {"message": "a"},
        },
        {"id": "a_b", "name": "Say it", "if": "1 < 2", "retry": 2, "log": "a"},
    ),
}


@pytest.mark.parametrize(("written", "wanted"), WANTED.values(), ids=WANTED)
def test_types(written: dict[str, Any], wanted: Any) -> None:
    assert node(written) == wanted


def test_a_pattern_is_taken_out_of_a_text() -> None:
    config = {
        "input": "${{ event.data.text }}",
        "pattern": "order ([0-9]+)",
        "group": 1,
        "output": "order-id",
    }
    steps = node({"type": "RegexExtract", "config": config})["sequence"]
    assert list(steps[0]["set"]) == ["order_id"]
    assert steps[1]["check"] == "vars.order_id is not none"


@pytest.mark.parametrize("written", ["ReactiveSequence", "RunOnce"])
def test_says_how_a_meaning_differs(written: str) -> None:
    found = [d for d in told({"type": written, "children": [LOG]}) if d.code == "differs"]
    assert [(d.severity, d.path) for d in found] == [("warning", "children[0].type")]
    assert found[0].suggestion


def test_a_number_without_a_unit_is_seconds_and_says_so() -> None:
    found = told({"type": "Delay", "config": {"duration": 5}})
    assert [(d.code, d.path) for d in found] == [("differs", "children[0].config.duration")]
    assert found[0].suggestion == 'write "5s"'


def test_a_script_cannot_be_kept() -> None:
    (found,) = told({"type": "Script", "config": {"code": "x = 1"}})
    assert (found.code, found.severity) == ("not_kept", "error")
    assert "http.request" in (found.suggestion or "")


def test_problems_stand_where_they_were_written() -> None:
    text = (
        "type: Sequence\nid: a-tree\nchildren:\n"
        "  - type: Timeout\n    config: {seconds: 5}\n    children:\n"
        "      - type: CheckCondition\n        props:\n          condition: vars.nothing\n"
    )
    with pytest.raises(InvalidDefinition) as caught:
        load_tree(text, file="a.yaml")
    (found,) = caught.value.diagnostics
    assert found.path == "children[0].children[0].props.condition"
    assert (found.line, found.column) == (9, 11)


def test_unknown_settings_and_types_have_suggestions() -> None:
    found = told({"type": "Delay", "config": {"durration": "1h"}})
    assert "did you mean `duration`?" in [d.suggestion for d in found]
    assert [d.suggestion for d in told({"type": "Dealy"})] == ["did you mean `Delay`?"]


def test_both_forms_in_one_tree() -> None:
    tree = load_tree(
        "tree: t\nevents: {a: {api: api}}\nstart: a\ndo:\n"
        "  - type: Delay\n    config: {duration: 1h}\n"
        "  - if: 'true'\n    then: {type: LogMessage, id: say-it, config: {message: hi}}\n"
    )
    do = msgspec.json.decode(tree.document)["do"]
    assert do == [{"delay": "1h"}, {"if": "true", "then": {"id": "say_it", "log": "hi"}}]


def test_arguments_that_look_like_nodes_are_left_alone() -> None:
    data = {"type": "Delay", "config": {"duration": "1h"}}
    tree = read_tree(
        {
            "tree": "t",
            "events": {"a": {"api": "api"}},
            "start": "a",
            "do": [
                {"http.request": {"json": data}},
                {"type": "Delay", "config": {"duration": "1h"}},
            ],
        }
    )
    do = msgspec.json.decode(tree.document)["do"]
    assert do == [{"http.request": {"json": data}}, {"delay": "1h"}]


def test_both_forms_have_the_same_hash() -> None:
    explicit = load_tree(SNIPPET, file="a.yaml")
    verbs: Tree = read_tree(msgspec.json.decode(explicit.document))
    assert verbs.hash == explicit.hash
