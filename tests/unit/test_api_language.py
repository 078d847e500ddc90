from __future__ import annotations

from pathlib import Path

from hub.api.language import describe_language
from hub.connector import installed_actions
from hub.tree.events import START_FIELDS
from hub.tree.flow import FLOW_KINDS
from hub.tree.node import NODES
from tests.unit.api_home import open_home


def verb(name: str) -> dict[str, object]:
    (found,) = [one for one in describe_language().verbs if one.verb == name]
    return {
        "group": found.group,
        "primary": found.primary,
        **{field.key: field.kind for field in found.fields},
    }


def test_every_verb_and_action_is_told() -> None:
    told = [one.verb for one in describe_language().verbs]
    assert told == [*NODES, *installed_actions()]


def test_fields_say_what_they_take() -> None:
    assert verb("fallback") == {"group": "control", "primary": "options", "options": "nodes"}
    assert verb("if") == {
        "group": "control",
        "primary": "condition",
        "condition": "expression",
        "then": "node",
        "else": "node",
    }
    assert verb("switch")["cases"] == "cases"
    assert verb("set")["values"] == "mapping"
    assert verb("delay")["duration"] == "duration"
    assert verb("delay")["group"] == "wait"
    assert verb("wait_for")["event"] == "event"
    assert verb("for_each")["in"] == "expression"
    assert verb("log")["level"] == "choice"
    assert verb("email.send")["group"] == "connector"


def test_how_a_tree_starts_is_told_field_by_field() -> None:
    language = describe_language()
    start = {field.key: field for field in language.start}
    assert list(start) == list(START_FIELDS)
    assert all(field.doc for field in start.values())
    assert (start["event"].kind, start["event"].required) == ("event", True)
    assert (start["rerun"].kind, start["rerun"].default) == ("choice", "always")
    assert set(FLOW_KINDS) == {key for key, field in start.items() if field.kind == "fields"}
    rate = {part.key: (part.kind, part.required) for part in start["rate"].fields or ()}
    assert rate == {
        "limit": ("number", True),
        "per": ("duration", True),
        "key": ("expression", False),
    }
    event = {field.key: field.kind for field in language.event}
    assert event == {
        "where": "expression",
        "key": "expression",
        "early": "duration",
        "deliver": "choice",
    }


def test_every_field_of_the_language_itself_is_documented() -> None:
    language = describe_language()
    fields = [
        (one.verb, field) for one in language.verbs for field in one.fields if one.verb in NODES
    ]
    fields += [("", field) for field in language.common]
    assert [(name, field.key) for name, field in fields if not field.doc] == []
    assert {field.key for field in language.common} >= {"id", "timeout", "retry", "abort_on"}


async def test_over_http(tmp_path: Path) -> None:
    async with open_home(tmp_path) as home:
        document = (await home.client.get("/api/language")).json()
    (log,) = [one for one in document["verbs"] if one["verb"] == "log"]
    (level,) = [field for field in log["fields"] if field["key"] == "level"]
    assert level["choices"] == ["debug", "info", "warning", "error"]
    assert level["default"] == "info"
