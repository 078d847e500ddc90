"""The JSON Schema of trees, and the page of all nodes: from the same classes as everything else."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from typer.testing import CliRunner

from hub.cli.app import app
from hub.connector import installed_actions
from hub.tree import NODES
from hub.tree.docs import node_docs
from hub.tree.schema import json_schema
from hub.tree.spec import common_fields, node_fields
from hub.tree.yaml import read_yaml
from hub.trigger import installed_triggers

ROOT = Path(__file__).parent.parent.parent
TREES = sorted(
    file
    for folder in ("examples/trees", "hub/cli/new_project/trees")
    for file in (ROOT / folder).glob("*.yaml")
    if not file.name.endswith(".test.yaml")
)
MALFORMED = (
    "arguments-not-indented",
    "catch-without-try",
    "clock-as-duration",
    "field-indented-too-deep",
    "for-each-without-do",
    "hyphen-in-id",
    "if-without-then",
    "list-without-dashes",
    "misspelt-verb",
    "no-name",
    "no-space-after-colon",
    "nothing-to-do",
    "number-as-duration",
    "on-instead-of-events",
    "one-instead-of-a-list",
    "switch-without-cases",
    "two-verbs",
    "unknown-argument",
    "word-of-another-tool",
    "wrong-trigger-kind",
)
"""Those of tests/broken whose structure is wrong. What others mean, a schema cannot know."""


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json_schema(installed_actions(), installed_triggers())


@pytest.fixture(scope="module")
def validator(schema: dict[str, Any]) -> Any:
    return jsonschema_rs.Draft202012Validator(schema)


def in_a_tree(do: Any) -> dict[str, Any]:
    return {"tree": "t", "events": {"a": {"webhook": "app"}}, "start": "a", "do": do}


@pytest.mark.parametrize("file", TREES, ids=lambda file: file.stem)
def test_takes_the_example_trees(validator: Any, file: Path) -> None:
    errors = [str(e) for e in validator.iter_errors(read_yaml(file.read_bytes()).value)]
    assert errors == []


@pytest.mark.parametrize("name", MALFORMED)
def test_refuses_what_is_malformed(validator: Any, name: str) -> None:
    file = ROOT / "tests" / "broken" / f"{name}.yaml"
    assert not validator.is_valid(read_yaml(file.read_bytes()).value)


@pytest.mark.parametrize(
    "do",
    [
        {"delay": "24h"},
        {"delay": {"until": "${{ vars.due }}"}},
        [{"wait_for": "a", "timeout": "${{ vars.limit }}"}],
        {"parallel": [{"log": "a"}, {"log": "b"}], "success": 1},
        {"parallel": {"branches": [{"log": "a"}], "success": 1}},
        {"if": "vars.a > 1", "then": [{"log": "a"}], "else": {"log": "b"}},
        {"log": "a", "if": "vars.a"},
        {"repeat": None, "do": {"log": "a"}, "until": "index > 3"},
        {"repeat": {"times": 3, "do": {"log": "a"}}},
        {"for_each": [1, 2], "do": {"log": "${{ item }}"}},
        {"try": {"log": "a"}, "catch": {"fail": None}, "finally": ["fail"]},
        {"switch": "vars.a", "cases": {"1": {"log": "a"}}},
        {"set": {"a": 1, "b": "${{ vars.a }}"}},
        {"log": "a", "retry": 3},
        {"log": "a", "retry": {"attempts": 3, "unless": "timeout"}},
        {"email.send": {"to": "${{ vars.to }}", "template": "a", "data": {"a": 1}}},
        {"email.send": {"to": "a@example.com", "headers": "${{ vars.headers }}"}},
        {"type": "Delay", "id": "a-week", "config": {"duration": "7 days"}},
        {"sequence": [{"type": "Selector", "children": [{"log": "a"}]}]},
    ],
    ids=lambda do: json.dumps(do)[:60],
)
def test_takes_what_the_reader_takes(validator: Any, do: Any) -> None:
    assert [str(e) for e in validator.iter_errors(in_a_tree(do))] == []


@pytest.mark.parametrize(
    "do",
    [
        {"delay": 24},
        {"delay": "24h", "unknown": 1},
        {"delay": {"length": "24h"}},
        {"wait_for": ["a"]},
        {"parallel": []},
        {"parallel": [{"log": "a"}], "success": "one"},
        {"log": "a", "level": "loud"},
        {"log": "a", "retry": {"attempt": 3}},
        {"if": "vars.a > 1"},
        {"while": "true"},
        {"email.send": {"template": "a"}},
        {"email.send": {"to": "a@example.com", "attachments": "none"}},
        {"unheard.of": {}},
        {"id": "a"},
        "wait",
        7,
    ],
    ids=lambda do: json.dumps(do)[:60],
)
def test_refuses_what_the_reader_refuses(validator: Any, do: Any) -> None:
    assert not validator.is_valid(in_a_tree(do))


def test_a_bare_node_is_a_tree(validator: Any) -> None:
    assert validator.is_valid({"type": "Delay", "config": {"duration": "7 days"}})
    assert not validator.is_valid({"config": {"duration": "7 days"}})


def test_hover_texts_are_those_of_the_classes(schema: dict[str, Any]) -> None:
    offered = schema["$defs"]["mapping"]["properties"]
    for verb, kind in NODES.items():
        if verb != "if":
            assert offered[verb]["description"] == inspect.getdoc(kind)
        fields = schema["$defs"][f"node.{verb}"]["properties"]
        for key, spec in node_fields(kind).items():
            if spec.doc and key in fields:
                assert spec.doc in fields[key]["description"]
    for key in common_fields():
        assert offered[key]["description"]
    for name in installed_actions():
        assert offered[name]["description"]


def test_every_field_has_a_text() -> None:
    for kind in NODES.values():
        assert kind.__doc__
        for spec in node_fields(kind).values():
            assert spec.doc, f"{kind.__name__}.{spec.attribute} has no Doc"


def test_the_command_writes_both(tmp_path: Path) -> None:
    out = tmp_path / "tree.schema.json"
    runner = CliRunner()
    assert runner.invoke(app, ["schema", "--out", str(out)]).exit_code == 0
    assert json.loads(out.read_text())["$schema"].endswith("2020-12/schema")
    printed = runner.invoke(app, ["schema", "--docs"])
    assert printed.exit_code == 0
    assert printed.output.startswith("# Nodes")


def test_the_page_of_nodes_is_up_to_date() -> None:
    committed = (ROOT / "docs" / "nodes.md").read_text(encoding="utf-8")
    assert committed == node_docs(installed_actions()), "run: make docs"


def test_the_page_names_everything() -> None:
    page = node_docs(installed_actions())
    for name in [*NODES, *installed_actions()]:
        assert f"### `{name}`" in page
