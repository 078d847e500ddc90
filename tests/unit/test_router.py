"""Routing is pure: which runs an event is for, by where and key."""

from __future__ import annotations

from typing import Any

import pytest

from hub.event import Event
from hub.routing.router import Match, Router
from hub.tree import Tree, load_tree


def tree(name: str, *, key: str = "event.data.user", extra: str = "") -> Tree:
    return load_tree(
        f"""
tree: {name}
events:
  began: {{webhook: app, where: event.type == "began", key: {key}}}
  ended: {{webhook: app, where: event.type == "ended" and event.data.ok, key: {key}}}
{extra}
start: began
do:
  - wait_for: ended
"""
    )


def event(kind: str, **data: Any) -> Event:
    return Event(id="e1", source="/t", type=kind, data=data)


def outcomes(matches: list[Match]) -> list[tuple[str, str, str | None]]:
    return [(m.subscription, m.outcome, m.run_id) for m in matches]


def test_the_start_event_starts_and_another_resumes() -> None:
    router = Router([tree("a")])
    assert outcomes(router.route("app", event("began", user="u1"))) == [("began", "start", "a/u1")]
    assert outcomes(router.route("app", event("ended", user="u1", ok=True))) == [
        ("ended", "resume", "a/u1")
    ]


def test_another_trigger_and_a_filter_that_does_not_hold_match_nothing() -> None:
    router = Router([tree("a")])
    assert router.route("other", event("began", user="u1")) == []
    assert router.route("app", event("ended", user="u1", ok=False)) == []
    assert router.route("app", event("nothing", user="u1")) == []


def test_explain_tells_what_was_filtered_out() -> None:
    explained = Router([tree("a")]).explain("app", event("ended", user="u1", ok=False))
    assert [(m.subscription, m.outcome) for m in explained] == [
        ("began", "filtered"),
        ("ended", "filtered"),
    ]
    assert "event.data.ok" in str(explained[1].reason)


@pytest.mark.parametrize(
    ("key", "data", "run_id"),
    [
        ("event.data.user", {"user": 42}, "a/42"),
        ("event.data.user", {"user": "42"}, "a/42"),
        ("event.data.user", {"user": 42.0}, "a/42"),
        ("event.data.user", {"user": "ü/ b"}, "a/ü/ b"),
    ],
)
def test_keys_that_are_written_alike_are_one(key: str, data: dict[str, Any], run_id: str) -> None:
    (match,) = Router([tree("a", key=key)]).route("app", event("began", **data))
    assert match.run_id == run_id


@pytest.mark.parametrize("user", [None, True, "", [], {}, [1]])
def test_what_is_no_key_is_said(user: Any) -> None:
    (match,) = Router([tree("a")]).route("app", event("began", user=user))
    assert (match.outcome, match.run_id) == ("failed", None)
    assert "key" in str(match.reason)


def test_an_expression_that_fails_is_an_outcome() -> None:
    (match,) = Router([tree("a")]).route("app", event("began"))
    assert match.outcome == "failed"
    assert "user" in str(match.reason)


def test_without_a_key_each_start_event_is_a_run_of_its_own() -> None:
    one = load_tree("tree: a\nevents: {began: {webhook: app}}\nstart: began\ndo:\n  - log: hello\n")
    (match,) = Router([one]).route("app", event("whatever"))
    assert (match.outcome, match.run_id, match.key) == ("start", "a/~e1", None)


def test_former_definitions_find_their_runs_and_start_none() -> None:
    now, before = tree("a", key="event.data.account"), tree("a")
    router = Router([now], [before, now])
    assert outcomes(router.route("app", event("ended", user="u1", account="x", ok=True))) == [
        ("ended", "resume", "a/x"),
        ("ended", "resume", "a/u1"),
    ]
    assert outcomes(router.route("app", event("began", user="u1", account="x"))) == [
        ("began", "start", "a/x"),
        ("began", "resume", "a/u1"),
    ]


@pytest.mark.parametrize(
    "where",
    [
        'event.type == "x" or event.data.any',
        'event.type == "x" and event.data.a or event.data.any',
        'event.data.any or event.type == "x"',
        '"x" == event.type or event.data.any',
        'event.type == "x" if event.data.strict else event.data.any',
    ],
)
def test_the_index_by_type_changes_nothing(where: str) -> None:
    one = load_tree(
        f"tree: a\nevents:\n  began:\n    webhook: app\n    where: |-\n      {where}\n    key: 1\n"
        "start: began\ndo:\n  - log: hello\n"
    )
    data = {"any": True, "a": False, "strict": False}
    assert len(Router([one]).route("app", event("y", **data))) == 1


def test_a_callback_names_its_run() -> None:
    extensions: dict[str, str | int | bool] = {"hubrun": "a/u1", "hubsubscription": "ended"}
    given = Event(id="t", source="/callbacks", type="hub.callback", extensions=extensions)
    (match,) = Router([]).route("callback", given)
    assert (match.tree, match.run_id, match.subscription) == ("a", "a/u1", "ended")
