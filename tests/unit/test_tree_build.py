"""Constructors: trees built in code give the same documents as YAML."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

import hub.nodes
from hub import Tree
from hub.connector import installed_actions
from hub.errors import InvalidDefinition, WrongUsage
from hub.nodes import (
    Always,
    Check,
    Delay,
    EmailSend,
    Fail,
    Fallback,
    ForEach,
    HttpRequest,
    If,
    Log,
    Parallel,
    Repeat,
    RunTree,
    Saga,
    Sequence,
    Set,
    Switch,
    Try,
    WaitFor,
    While,
)
from hub.tree import NODES, Retry
from scripts import stubs

EVENTS = {
    "signed_up": {
        "webhook": "app",
        "where": 'event.type == "user.signed_up"',
        "key": "event.data.user_id",
    },
    "verified": {
        "webhook": "app",
        "where": 'event.type == "user.email_verified"',
        "key": "event.data.user_id",
    },
}


@pytest.mark.parametrize(
    ("built", "document"),
    [
        (Delay("7 days"), {"delay": "7 days"}),
        (Delay(timedelta(days=7)), {"delay": "7 days"}),
        (Delay(until="2030-01-01T09:00:00Z"), {"delay": None, "until": "2030-01-01T09:00:00Z"}),
        (
            WaitFor("verified", timeout="24h", id="w"),
            {"wait_for": "verified", "timeout": "24h", "id": "w"},
        ),
        (Sequence(Log("a"), Log("b")), {"sequence": [{"log": "a"}, {"log": "b"}]}),
        (Sequence([Log("a"), Log("b")]), {"sequence": [{"log": "a"}, {"log": "b"}]}),
        (Fallback(Log("a")), {"fallback": [{"log": "a"}]}),
        (
            Parallel(Log("a"), Log("b"), success=1),
            {"parallel": [{"log": "a"}, {"log": "b"}], "success": 1},
        ),
        (Log("a", level="warning", if_="vars.a"), {"log": "a", "level": "warning", "if": "vars.a"}),
        (
            If("vars.a", then=Log("a"), else_=[Log("b")]),
            {"if": "vars.a", "then": {"log": "a"}, "else": [{"log": "b"}]},
        ),
        (
            Switch("vars.a", cases={"1": Log("a")}),
            {"switch": "vars.a", "cases": {"1": {"log": "a"}}},
        ),
        (While("vars.a", do=Log("a"), max=3), {"while": "vars.a", "do": {"log": "a"}, "max": 3}),
        (Repeat(3, do=Log("a")), {"repeat": 3, "do": {"log": "a"}}),
        (
            Repeat(do=Log("a"), until="index > 1"),
            {"repeat": None, "do": {"log": "a"}, "until": "index > 1"},
        ),
        (
            ForEach("vars.all", do=Log("a"), as_="one"),
            {"for_each": "vars.all", "do": {"log": "a"}, "as": "one"},
        ),
        (ForEach(in_=[1, 2], do=Log("a")), {"for_each": [1, 2], "do": {"log": "a"}}),
        (
            Try(Log("a"), Log("b"), catch=Fail("c"), finally_=Log("d")),
            {"try": [{"log": "a"}, {"log": "b"}], "catch": {"fail": "c"}, "finally": {"log": "d"}},
        ),
        (Saga(Log("a", undo=Log("b"))), {"saga": [{"log": "a", "undo": {"log": "b"}}]}),
        (Always(Check("vars.a")), {"always": {"check": "vars.a"}}),
        (Set({"a": 1}), {"set": {"a": 1}}),
        (
            RunTree("other", with_={"a": 1}, detach=True),
            {"run": "other", "with": {"a": 1}, "detach": True},
        ),
        (Check("vars.a", retry=3), {"check": "vars.a", "retry": 3}),
        (
            Check("vars.a", retry=Retry(attempts=5, backoff=timedelta(minutes=1))),
            {"check": "vars.a", "retry": {"attempts": 5, "backoff": "1m"}},
        ),
        (Check("vars.a", retry=Retry()), {"check": "vars.a", "retry": {"attempts": 3}}),
        (
            EmailSend(to="a@example.com", template="welcome", connection="mail", timeout="1m"),
            {
                "email.send": {"to": "a@example.com", "template": "welcome"},
                "connection": "mail",
                "timeout": "1m",
            },
        ),
        (
            HttpRequest(url="https://example.com", method="POST"),
            {"http.request": {"url": "https://example.com", "method": "POST"}},
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_documents(built: Any, document: Any) -> None:
    assert built == document


def test_there_is_one_for_every_node_and_action() -> None:
    for kind in NODES.values():
        assert getattr(hub.nodes, kind.__name__).__doc__ == kind.__doc__
    assert len(dir(hub.nodes)) == len(NODES) + len(installed_actions())


def test_unknown_names_are_refused_with_a_suggestion() -> None:
    with pytest.raises(WrongUsage, match="did you mean `timeout`"):
        WaitFor("verified", timeut="24h")
    with pytest.raises(WrongUsage, match="did you mean `template`"):
        EmailSend(to="a@example.com", templat="welcome")
    with pytest.raises(WrongUsage, match="one value"):
        Delay("1h", "2h")
    with pytest.raises(AttributeError, match="Delay"):
        hub.nodes.Dely  # noqa: B018


def test_a_tree_in_code_is_the_tree_in_yaml() -> None:
    built = Tree.define(
        "user-onboarding",
        events=EVENTS,
        start="signed_up",
        vars={"email": "${{ event.data.email }}"},
        do=Sequence(
            EmailSend(to="${{ vars.email }}", template="welcome"),
            Fallback(
                WaitFor("verified", timeout="24h"),
                EmailSend(to="${{ vars.email }}", template="verify-reminder"),
            ),
            Delay("7 days"),
        ),
    )
    again = Tree.loads(built.dump())
    assert again.document == built.document
    assert again.hash == built.hash
    assert again.dump() == built.dump()


def test_a_list_is_a_body() -> None:
    tree = Tree.define("t", do=[Log("a"), Log("b")])
    assert [node.path for node in tree.nodes()] == ["do", "do[0]", "do[1]"]
    assert tree.to_document()["events"] == {
        "start": {"api": "api", "where": 'event.type == "t.start"'}
    }


def test_what_is_wrong_is_said_as_for_yaml() -> None:
    with pytest.raises(InvalidDefinition) as caught:
        Tree.define("t", do=Sequence(Delay("7"), Log("${{ vars.nothing }}")))
    assert [d.path for d in caught.value.diagnostics] == ["do.sequence[0].delay"]


def test_dump_gives_the_text_back(tmp_path: Any) -> None:
    text = (
        "# a comment\ntree: t\nevents: {a: {api: api}}\nstart: a\ndo:\n  - log: hello   # another\n"
    )
    file = tmp_path / "t.yaml"
    file.write_text(text)
    tree = Tree.load(file)
    assert tree.dump() == text
    assert tree.name == "t"
    assert tree.to_document()["do"] == [{"log": "hello"}]


def test_the_types_of_the_constructors_are_up_to_date() -> None:
    assert stubs.FILE.read_text(encoding="utf-8") == stubs.formatted(), "run: make docs"


def test_the_names_of_the_package() -> None:
    assert hub.__all__ == ["Tree", "__version__"]
    with pytest.raises(AttributeError):
        hub.Trea  # noqa: B018
