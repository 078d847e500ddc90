"""What is wrong with trees that read well: names, waits, times, what is never reached."""

from __future__ import annotations

import pytest

from hub.errors import Diagnostic, InvalidDefinition
from hub.tree import Tree, check_trees, load_tree, tree_from_document

HEAD = """
tree: {name}
events:
  begun: {{webhook: app, where: event.type == "begun", key: event.data.id}}
  ended: {{webhook: app, where: event.type == "ended", key: event.data.id}}
start: begun
vars: {{given: 1}}
do:
"""
USED = "  - {wait_for: ended, if: 'false'}\n"


def read(do: str, *, name: str = "t", used: bool = True) -> Tree:
    body = "".join(f"  {line}\n" for line in do.strip("\n").splitlines())
    return load_tree(HEAD.format(name=name) + (USED if used else "") + body)


def said(do: str, *, used: bool = True) -> list[Diagnostic]:
    try:
        return list(read(do, used=used).warnings)
    except InvalidDefinition as error:
        return error.diagnostics


def codes(do: str) -> list[tuple[str, str]]:
    return [(d.code, d.severity) for d in said(do)]


NAMES_THAT_ARE_THERE = {
    "a step before": "- {log: a, id: a}\n- log: ${{ steps.a }}",
    "a step of all branches": (
        "- parallel:\n  - {log: a, id: a}\n  - {log: b, id: b}\n- log: ${{ steps.a }} ${{ steps.b }}"
    ),
    "both ways of an if": (
        "- if: vars.given\n  then: {set: {x: 1}}\n  else: {set: {x: 2}}\n- log: ${{ vars.x }}"
    ),
    "every case and the default": (
        "- switch: vars.given\n  cases: {'1': {set: {x: 1}}}\n  default: {set: {x: 2}}\n"
        "- log: ${{ vars.x }}"
    ),
    "a later value of the same set": "- set: {x: 1, y: '${{ vars.x }}'}",
    "the failure in catch": "- try: {check: 'false'}\n  catch: {log: '${{ error.message }}'}",
    "the item of a loop": "- for_each: [1]\n  do: {log: '${{ item }} ${{ index }}'}",
    "the item by its own name": "- for_each: [1]\n  as: order\n  do: {log: '${{ order }}'}",
    "the index in until": "- repeat: null\n  do: {log: a}\n  until: index > 2",
    "what the first round of a repeat sets": (
        "- repeat: 3\n  do: {set: {x: '${{ (vars.x | default(0)) + 1 }}'}}\n- log: ${{ vars.x }}"
    ),
    "asked for first": "- log: ${{ steps.a.b if steps.a is defined else 0 }}\n- {log: a, id: a}",
    "set in finally": (
        "- try: {check: 'false'}\n  catch: {log: a}\n  finally: {set: {x: 1}}\n- log: ${{ vars.x }}"
    ),
    "the link of an event": "- log: ${{ callback('ended') }}",
    "a part of the run": "- log: ${{ run.id }} ${{ run.key }} ${{ now() }}",
    "an undo that knows its step": "- saga:\n  - {log: a, id: a, undo: {log: '${{ steps.a }}'}}",
}


@pytest.mark.parametrize("do", NAMES_THAT_ARE_THERE.values(), ids=NAMES_THAT_ARE_THERE)
def test_names_that_are_there(do: str) -> None:
    assert [d for d in said(do) if d.code != "maybe_unset" or "undo" not in do] == []


NAMES_THAT_ARE_NOT = {
    "unknown step": ("- log: ${{ steps.a }}", "unknown_name", "error"),
    "unknown variable": ("- log: ${{ vars.nothing }}", "unknown_name", "error"),
    "unknown top-level name": ("- log: ${{ nothing }}", "unknown_name", "error"),
    "env": ("- log: ${{ env.HOME }}", "unknown_name", "error"),
    "unknown part of the run": ("- log: ${{ run.colour }}", "unknown_name", "error"),
    "unknown event of a link": ("- log: ${{ callback('nothing') }}", "unknown_event", "error"),
    "a step that comes later": (
        "- log: ${{ steps.a }}\n- {log: a, id: a}",
        "used_before_set",
        "error",
    ),
    "a step of one option": (
        "- fallback:\n  - {check: vars.given, id: a}\n  - log: b\n- log: ${{ steps.a }}",
        "maybe_unset",
        "warning",
    ),
    "a step with an if": (
        "- {log: a, id: a, if: vars.given}\n- log: ${{ steps.a }}",
        "maybe_unset",
        "warning",
    ),
    "one way of an if": (
        "- if: vars.given\n  then: {set: {x: 1}}\n- log: ${{ vars.x }}",
        "maybe_unset",
        "warning",
    ),
    "a loop that may not turn": (
        "- while: vars.given\n  do: {set: {x: 1}}\n- log: ${{ vars.x }}",
        "maybe_unset",
        "warning",
    ),
    "what the body of a try sets, in catch": (
        "- try: [{set: {x: 1}}, {check: 'false'}]\n  catch: {log: '${{ vars.x }}'}",
        "maybe_unset",
        "warning",
    ),
    "a branch that need not win": (
        "- parallel: [{log: a, id: a}, {log: b}]\n  success: 1\n- log: ${{ steps.a }}",
        "maybe_unset",
        "warning",
    ),
    "the item outside of its loop": (
        "- for_each: [1]\n  do: {log: a}\n- log: ${{ item }}",
        "unknown_name",
        "error",
    ),
    "the failure outside of catch": (
        "- try: {log: '${{ error.code }}'}\n  catch: {log: a}",
        "unknown_name",
        "error",
    ),
    "a part that no event has": ("- log: ${{ event.colour }}", "unknown_name", "warning"),
    "deep inside an argument": (
        "- http.request: {url: 'https://a', json: {a: [{b: '${{ vars.nothing }}'}]}}",
        "unknown_name",
        "error",
    ),
}


@pytest.mark.parametrize(
    ("do", "code", "severity"), NAMES_THAT_ARE_NOT.values(), ids=NAMES_THAT_ARE_NOT
)
def test_names_that_are_not(do: str, code: str, severity: str) -> None:
    assert codes(do) == [(code, severity)]


def test_the_place_is_that_of_the_expression() -> None:
    (found,) = said("- http.request:\n    json: {a: [{b: '${{ vars.nothing }}'}]}")
    assert found.path == "do[1].http.request.json.a[0].b"
    assert found.line == 11


def test_vars_see_those_above_them() -> None:
    text = HEAD.format(name="t").replace("{given: 1}", "{a: '${{ vars.b }}', b: 1}")
    with pytest.raises(InvalidDefinition) as caught:
        load_tree(text + USED)
    assert [d.code for d in caught.value.diagnostics] == ["used_before_set"]


def test_a_name_is_suggested() -> None:
    (found,) = said("- {log: a, id: verification}\n- log: ${{ steps.verificaton }}")
    assert found.suggestion == "did you mean `verification`?"
    (found,) = said("- log: ${{ given }}")
    assert found.suggestion == "write `vars.given`"


DUBIOUS = {
    "after fail": ("- fail: a\n- log: b", "unreachable"),
    "after a sequence that fails": ("- sequence: [{fail: a}]\n- log: b", "unreachable"),
    "after a fallback that fails": ("- fallback: [{fail: a}, {fail: b}]\n- log: b", "unreachable"),
    "an option after one that succeeds": (
        "- fallback: [{succeed: 1}, {check: vars.given}]",
        "unreachable",
    ),
    "a timeout within a shorter one": (
        "- sequence: [{check: vars.given, timeout: 2h}]\n  timeout: 1h",
        "timeout_too_long",
    ),
    "a delay within a shorter timeout": (
        "- sequence: [{delay: 2h}]\n  timeout: 1h",
        "timeout_too_short",
    ),
    "a delay with a shorter timeout": ("- {delay: 2h, timeout: 1h}", "timeout_too_short"),
    "a retry of what never fails": ("- {delay: 2h, retry: 3}", "pointless_retry"),
    "one attempt": ("- {check: vars.given, retry: {attempts: 1}}", "pointless_retry"),
    "late without a timeout": ("- {wait_for: ended, late: keep}", "pointless_late"),
}


@pytest.mark.parametrize(("do", "code"), DUBIOUS.values(), ids=DUBIOUS)
def test_what_is_allowed_and_hardly_meant(do: str, code: str) -> None:
    assert codes(do) == [(code, "warning")]


MEANT = {
    "a fail with an if": "- {fail: a, if: vars.given}\n- log: b",
    "a fail in one option": "- fallback: [{fail: a}, {log: b}]\n- log: c",
    "a fail that is turned round": "- invert: {fail: a}\n- log: c",
    "a fail that is caught": "- try: {fail: a}\n  catch: {log: b}\n- log: c",
    "an option that may fail by its expression": (
        "- fallback: [{log: '${{ event.data.x }}'}, {log: b}]"
    ),
    "an option that is given up in time": "- fallback: [{delay: 2h, timeout: 3h}, {log: b}]",
    "a shorter timeout within a longer": "- sequence: [{check: vars.given, timeout: 1h}]\n  timeout: 2h",
    "late for the next round": (
        "- repeat: 3\n  do: {always: {wait_for: ended, timeout: 1h, late: keep}}"
    ),
    "late for another wait": (
        "- always: {wait_for: ended, timeout: 1h, late: keep}\n- wait_for: ended"
    ),
    "an undo of a saga": "- saga: [{log: a, undo: {log: b}}]",
}


@pytest.mark.parametrize("do", MEANT.values(), ids=MEANT)
def test_what_is_meant(do: str) -> None:
    assert said(do) == []


def test_undo_belongs_to_a_saga() -> None:
    assert codes("- {log: a, undo: {log: b}}") == [("undo_outside_saga", "error")]
    assert codes("- saga: [{sequence: [{log: a, undo: {log: b}}]}]") == [
        ("undo_outside_saga", "error")
    ]


def test_an_event_that_nothing_uses() -> None:
    assert [(d.code, d.path) for d in said("- log: a", used=False)] == [
        ("unused_event", "events.ended")
    ]
    assert said("- {log: a, abort_on: ended}", used=False) == []
    assert said("- log: ${{ callback('ended') }}", used=False) == []


@pytest.mark.parametrize("of", ["begun", "ended"])
def test_a_wait_that_no_event_can_end(of: str) -> None:
    text = HEAD.format(name="t")
    lines = [
        line.replace(", key: event.data.id", "") if line.strip().startswith(of) else line
        for line in text.splitlines()
    ]
    with pytest.raises(InvalidDefinition) as caught:
        load_tree("\n".join(lines) + "\n  - wait_for: ended\n")
    assert [(d.code, d.path) for d in caught.value.diagnostics] == [("no_key", f"events.{of}")]
    # A link names its run itself.
    assert load_tree(
        "\n".join(lines) + "\n  - log: ${{ callback('ended') }}\n  - wait_for: ended\n"
    )


@pytest.mark.parametrize("part", ["where", "key"])
def test_a_subscription_sees_the_event_alone(part: str) -> None:
    text = HEAD.format(name="t").replace("key: event.data.id", f"{part}: vars.given", 1)
    if part == "where":
        text = text.replace('where: event.type == "begun", where', "where")
    with pytest.raises(InvalidDefinition) as caught:
        load_tree(text + USED)
    assert ("unknown_name", f"events.begun.{part}") in [
        (d.code, d.path) for d in caught.value.diagnostics
    ]


def test_what_is_dubious_is_kept_beside_the_tree_and_runs() -> None:
    tree = read("- fail: a\n- log: b")
    assert [d.code for d in tree.warnings] == ["unreachable"]
    assert tree_from_document(tree.document).warnings == ()


def test_a_pinned_definition_is_not_checked_again() -> None:
    # Written before the check was: a run that lives must be able to go on.
    tree = read("- {log: a, id: a}\n- log: ${{ steps.a }}")
    broken = tree.document.replace(b"steps.a ", b"steps.b ")
    assert broken != tree.document
    assert tree_from_document(broken).name == "t"


# -- several trees ------------------------------------------------------------------------------


def running(name: str, *others: str, detach: bool = False) -> Tree:
    lines = [f"- {{run: {other}, detach: {str(detach).lower()}}}" for other in others]
    return read("\n".join(lines or ["- log: a"]), name=name)


def test_trees_that_run_each_other() -> None:
    trees = [running("a", "b"), running("b", "c"), running("c", "a")]
    found = check_trees(trees, {"a": "trees/a.yaml"})
    assert [(d.code, d.path) for d in found] == [("tree_cycle", "do[1].run")] * 3
    assert found[0].file == "trees/a.yaml"
    assert found[0].line == 10
    assert "a → b → c → a" in found[0].message


def test_a_tree_that_runs_itself() -> None:
    assert [d.code for d in check_trees([running("a", "a")])] == ["tree_cycle"]


def test_trees_in_a_diamond() -> None:
    trees = [running("a", "b", "c"), running("b", "d"), running("c", "d"), running("d")]
    assert check_trees(trees) == []


def test_a_circle_with_a_run_that_nobody_waits_for() -> None:
    assert check_trees([running("a", "b"), running("b", "a", detach=True)]) == []


def test_an_unknown_tree() -> None:
    (found,) = check_trees([running("order", "shipping"), running("shiping")])
    assert (found.code, found.suggestion) == ("unknown_tree", "did you mean `shiping`?")
