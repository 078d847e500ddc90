"""Scenario files and the commands that run them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any
from xml.etree import ElementTree as Xml

import pytest

from hub.cli import main
from hub.cli.init import create_project
from hub.errors import Diagnostic, InvalidDefinition
from hub.routing.router import Router
from hub.simulation import Verdict, load_scenarios, run_scenario
from hub.simulation.expectation import is_part_of
from hub.tree import load_tree

ROOT = Path(__file__).parent.parent.parent
TREE = """
tree: signup
events:
  signed_up: {webhook: app, where: event.type == "user.signed_up", key: event.data.user_id}
  verified: {webhook: app, where: event.type == "user.email_verified", key: event.data.user_id}
  shipped: {kafka: orders, where: event.type == "shipped", key: event.data.user_id}
start: signed_up
vars: {email: "${{ event.data.email }}"}
do:
  - id: welcome
    email.send: {to: "${{ vars.email }}", template: welcome}
  - fallback:
      - id: verification
        wait_for: verified
        timeout: 24h
      - email.send: {to: "${{ vars.email }}", template: reminder}
"""
START = "start: {type: user.signed_up, data: {user_id: u1, email: a@example.com}}"
TREES = Router([load_tree(TREE)])


def verdicts(*scenarios: str) -> list[Verdict]:
    text = "".join(_item(index, scenario) for index, scenario in enumerate(scenarios))
    listed = load_scenarios(text, TREES.trees["signup"], TREES, file="trees/signup.test.yaml")
    return [run_scenario(scenario, TREES) for scenario in listed]


def verdict(scenario: str) -> Verdict:
    (one,) = verdicts(scenario)
    return one


def differences(scenario: str) -> list[tuple[str, str, str]]:
    return [(d.what, d.expected, d.got) for d in verdict(scenario).differences]


def faults(text: str) -> list[Diagnostic]:
    with pytest.raises(InvalidDefinition) as raised:
        load_scenarios(text, TREES.trees["signup"], TREES, file="trees/signup.test.yaml")
    return raised.value.diagnostics


def _item(index: int, scenario: str) -> str:
    body = dedent(scenario).strip()
    if "start:" not in body:
        body = f"{START}\n{body}"
    lines = [f"name: scenario {index}", *body.splitlines()]
    return "- " + "\n  ".join(lines) + "\n"


# -- what is expected -------------------------------------------------------------------------


def test_everything_that_can_be_expected() -> None:
    passed = verdict("""
        expect:
          status: succeeded
          lasts: 1 day
          called:
            - email.send: {to: a@example.com}
            - email.send: {template: reminder}
          not_called: [{email.send: {template: survey}}]
          vars: {email: a@example.com}
          nodes: {welcome: succeeded, "do[1].fallback[0]": failed, verification: failed}
          result: {refused: []}
    """)
    assert passed.differences == []


@pytest.mark.parametrize(
    ("expect", "what", "expected", "got"),
    [
        ("status: failed", "status", "failed", "succeeded"),
        ("lasts: 23h", "lasts", "23h", "1 day"),
        ("lasts: 1 day 1ms", "lasts", "1 day 1ms", "1 day"),
        ("vars: {email: b@example.com}", "vars.email", '"b@example.com"', '"a@example.com"'),
        ("vars: {name: Ada}", "vars.name", '"Ada"', "it is not set"),
        ("result: {refused: [x]}", "result", '{"refused": ["x"]}', "refused"),
        ("nodes: {verification: succeeded}", "node verification", "succeeded", "failed (timeout"),
        ("error: {code: timeout}", "status", "failed", "succeeded"),
        ("waiting_for: verified", "waiting for", "verified", "nothing"),
        (
            "called: [{email.send: {template: survey}}]",
            "called",
            'email.send {"template": "survey"}',
            '"template": "reminder"',
        ),
        (
            "called: [{email.send: {template: reminder}}, {email.send: {template: welcome}}]",
            "called",
            'email.send {"template": "welcome"}, after email.send {"template": "reminder"}',
            "nothing was then called",
        ),
        (
            "not_called: [email.send]",
            "not called",
            "no call of email.send",
            '"template": "welcome"} at do[0]',
        ),
    ],
)
def test_a_difference_is_said_in_words(expect: str, what: str, expected: str, got: str) -> None:
    found = differences(f"expect: {{{expect}}}")
    assert found, "the scenario passed"
    assert found[0][:2] == (what, expected)
    assert got in found[0][2]


def test_a_run_that_fails_unasked_fails_the_scenario() -> None:
    mocks = "mocks: {email.send: {fail: {code: smtp_down, message: no server}}}\n"
    ((what, expected, got),) = differences(mocks + "expect: {not_called: []}")
    assert (what, expected) == ("status", "a run that does not fail")
    assert got == "failed (smtp_down: no server)"
    assert differences(mocks + "expect: {status: failed}") == []
    assert differences(mocks + "expect: {error: smtp_down}") == []
    assert differences(mocks + "expect: {error: {message: server}}") == []
    ((what, expected, got),) = differences(mocks + "expect: {error: {code: smtp_slow}}")
    assert (what, expected) == ("error code", "smtp_slow")
    assert got == "smtp_down (no server), at do[0]"


def test_a_run_that_waits_for_what_does_not_come() -> None:
    text = TREE.replace("timeout: 24h", "name: the mail")
    tree = load_tree(text)
    router = Router([tree])

    def lived(expect: str) -> Verdict:
        (scenario,) = load_scenarios(_item(0, f"expect: {expect}"), tree, router)
        return run_scenario(scenario, router)

    assert lived("{status: waiting, waiting_for: [verified]}").passed
    assert lived("{status: running, nodes: {verification: waiting}}").passed
    (difference,) = lived("{lasts: 2h}").differences
    assert difference.got == "it has not ended: waiting, for verified"
    (difference,) = lived("{status: succeeded}").differences
    assert difference.got == "waiting, for verified"


def test_what_becomes_of_an_event() -> None:
    story = """
        events:
          - {after: 25h, type: user.email_verified, data: {user_id: u1}, outcome: OUTCOME}
        """
    assert verdict(story.replace("OUTCOME", "no_run")).passed
    ((what, expected, got),) = differences(story.replace("OUTCOME", "resumed"))
    assert (what, expected, got) == ("outcome of user.email_verified", "resumed", "no_run")
    unmatched = "events: [{after: 1h, type: nonsense, outcome: unmatched}]"
    assert verdict(unmatched).passed


def test_events_come_by_the_trigger_that_takes_them() -> None:
    seen = verdict("""
        start: {type: user.signed_up, data: {user_id: u1, email: a@example.com},
                at: 2031-05-01T09:00:00+02:00}
        events:
          - {at: 2031-05-01T10:00:00+02:00, type: shipped, data: {user_id: u1}}
          - {after: 2h, callback: verified}
        expect: {lasts: 2h}
    """)
    assert seen.passed
    assert seen.simulation is not None
    assert [e.trigger for e in seen.simulation.events] == ["app", "orders", "callback"]
    assert str(seen.simulation.now) == "2031-05-01 09:00:00+00:00"


def test_a_cancelled_run() -> None:
    assert verdict("""
        events: [{after: 1h, cancel: true}]
        expect: {status: cancelled, lasts: 1h, nodes: {verification: cancelled}}
    """).passed


@pytest.mark.parametrize(
    ("expected", "got", "fits"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, True),
        ({"a": 1}, {"b": 2}, False),
        ([1], [1, 2], False),
        ([{"a": 1}], [{"a": 1, "b": 2}], True),
        (1, 1.0, True),
        (1, True, False),
        (None, None, True),
        ("1", 1, False),
    ],
)
def test_partial_matching(expected: Any, got: Any, fits: bool) -> None:
    assert is_part_of(expected, got) is fits


# -- files that are wrong ---------------------------------------------------------------------


def test_all_that_is_wrong_is_said_at_once_with_places_and_suggestions() -> None:
    found = faults(
        dedent("""
            - name: first
              start: {type: user.signed_upp, data: {user_id: u1}}
              evnts: []
            - name: second
              start: {type: user.signed_up, data: {user_id: u1, email: x}}
              events:
                - {after: 2 hours 2 hours, type: user.email_verifed, data: {user_id: u1}}
                - {type: user.email_verified, data: {user_id: u1}}
                - {after: 1h, callback: verifid}
              mocks:
                email.sent: {result: 1}
                email.send: {times: 0, fail: {cod: x}}
              expect:
                status: succeded
                called: [{email.send: {templat: x}}]
                nodes: {welcom: succeeded}
                waiting_for: verifyed
                vars: {a: "${{ 1 }}"}
        """).lstrip()
    )
    said = [(d.line, d.message, d.suggestion) for d in found]
    assert all(d.file == "trees/signup.test.yaml" and d.column for d in found)
    for line, message, suggestion in [
        (3, "has no field 'evnts'", "`events`"),
        (2, "does not start the tree", "`user.signed_up`"),
        (7, "names the unit 'h' twice", None),
        (7, "no tree takes this event", "`user.email_verified`"),
        (8, "says when it comes", "after"),
        (9, "no event 'verifid'", "`verified`"),
        (11, "no action 'email.sent'", "`email.send`"),
        (12, "`times` is a whole number", None),
        (12, "has no field 'cod'", "`code`"),
        (14, "'succeded' is not one of", "`succeeded`"),
        (15, "has no argument 'templat'", "`template`"),
        (16, "'welcom'", "`welcome`"),
        (17, "'verifyed'", "`verified`"),
        (18, "plain values", None),
    ]:
        assert any(
            line == at and message in text and (suggestion is None or suggestion in (hint or ""))
            for at, text, hint in said
        ), (line, message, suggestion, said)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is a list"),
        ("name: x", "is a list"),
        ("- 5", "is a mapping"),
        ("- name: x", "has a start event"),
        ("- {name: x, start: 5}", "is a mapping"),
        ("- {name: x, start: {data: 5}}", "has a type"),
        ("- {name: x, start: {type: user.signed_up, data: {}}}", "user_id"),
        ("- {name: x, start: {type: user.signed_up, id: 5}}", "must be a string"),
        (_item(0, "start: {type: x, at: noon}"), "is no time"),
        (_item(0, "start: {type: x, at: 2030-01-01T00:00:00}"), "has no zone"),
        (_item(0, "events: 5"), "is a list"),
        (_item(0, "events: [5]"), "is a mapping"),
        (_item(0, "events: [{after: 1h}]"), "says what comes"),
        (_item(0, "events: [{after: 1h, at: 2030-01-02T00:00:00Z, cancel: true}]"), "either"),
        (_item(0, "events: [{at: 2020-01-02T00:00:00Z, cancel: true}]"), "before the start"),
        (_item(0, "events: [{after: 1h, type: x, trigger: app}]"), "no tree takes this event"),
        (_item(0, "mocks: 5"), "mapping of actions"),
        (_item(0, "mocks: {email.send: 5}"), "is a mapping"),
        (_item(0, "mocks: {email.send: {fail: x, result: 1}}"), "either fails or has"),
        (_item(0, "mocks: {email.send: {when: 'a +'}}"), "cannot be read"),
        (_item(0, "mocks: {email.send: {fail: {code: 5}}}"), "are texts"),
        (_item(0, "expect: 5"), "is a mapping"),
        (_item(0, "expect: {lasts: 5}"), "no unit"),
        (_item(0, "expect: {called: 5}"), "list of calls"),
        (_item(0, "expect: {called: [{a: 1, b: 2}]}"), "one action"),
        (_item(0, "expect: {called: [{email.send: 5}]}"), "are a mapping"),
        (_item(0, "expect: {nodes: 5}"), "is a mapping"),
        (_item(0, "expect: {vars: 5}"), "is a mapping"),
        (_item(0, "expect: {error: 5}"), "is a mapping"),
        (_item(0, "expect: {waiting_for: {}}"), "event's name"),
        (_item(0, "").replace("scenario 0", "a") * 2, "is taken"),
        ("- {name: x", "is not closed"),
    ],
)
def test_a_file_that_is_wrong_is_told_what(text: str, message: str) -> None:
    found = faults(text)
    assert any(message in d.message for d in found), found


# -- the commands -----------------------------------------------------------------------------


@dataclass
class Done:
    code: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["hub", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture
def project(tmp_path: Path) -> Path:
    create_project(tmp_path / "shop")
    return tmp_path / "shop"


def add(project: Path, scenario: str) -> None:
    file = project / "trees" / "signup.test.yaml"
    file.write_text(file.read_text() + _item(0, scenario))


def test_a_new_project_passes_its_tests(project: Path, command: Command) -> None:
    done = command("test", project)
    assert done.code == 0, done
    assert done.out.splitlines()[-1] == "2 passed, 0 failed"
    assert "✓ passed  signup: reminds after a day when nobody verifies  (1 day)" in done.out


def test_scenarios_need_no_secrets(project: Path, command: Command) -> None:
    (project / ".env").unlink()
    assert command("test", project).code == 0


def test_the_examples_pass_their_tests(command: Command) -> None:
    done = command("test", ROOT / "examples")
    assert done.code == 0, done
    tested = {
        file.name.removesuffix(".test.yaml") for file in ROOT.glob("examples/trees/*.test.yaml")
    }
    trees = {f.stem for f in ROOT.glob("examples/trees/*.yaml") if ".test" not in f.name}
    assert tested == trees, "every example has scenarios"


def test_a_failed_scenario_is_drawn(project: Path, command: Command) -> None:
    add(project, "expect: {lasts: 2h, called: [{email.send: {template: survey}}]}")
    done = command("test", project)
    assert done.code == 1
    assert done.out.splitlines()[-1] == "2 passed, 1 failed"
    for line in (
        "✗ failed  signup: scenario 0",
        "trees/signup.test.yaml:2",
        "expected  2h",
        "got       1 day",
        "✗ failed  wait_for  fallback[0]  +0s … +1 day",
        "✓ succeeded  +1 day  email.send",
        "user.signed_up  started signup/u1",
    ):
        assert line in done.out
    assert "\x1b" not in done.out


def test_nodes_that_never_began_are_drawn(project: Path, command: Command) -> None:
    add(project, "mocks: {email.send: {fail: {code: down}}}\nexpect: {status: succeeded}")
    done = command("test", project)
    assert "· pending  fallback  [1]" in done.out
    assert "down: the mock says so" in done.out


def test_choosing_scenarios(project: Path, command: Command) -> None:
    assert "1 passed" in command("test", project, "-k", "REMINDS").out
    assert "2 passed" in command("test", project, "--tree", "signup").out
    nothing = command("test", project, "-k", "nonsense")
    assert (nothing.code, nothing.out) == (1, "0 passed, 0 failed\n")
    wrong = command("test", project, "--tree", "singup")
    assert wrong.code == 2
    assert "did you mean 'signup'?" in wrong.err


def test_what_is_wrong_does_not_hide_the_rest(project: Path, command: Command) -> None:
    (project / "trees" / "other.test.yaml").write_text("- name: x\n")
    (project / "trees" / "broken.yaml").write_text("tree: broken\n")
    (project / "trees" / "broken.test.yaml").write_text("- name: x\n")
    done = command("test", project)
    assert done.code == 1
    assert "there is no tree trees/other.yaml" in done.err
    assert "trees/broken.yaml" in done.err
    assert "trees/broken.test.yaml" not in done.err
    assert "2 passed, 0 failed, " in done.out


def test_no_project_and_no_scenarios(tmp_path: Path, project: Path, command: Command) -> None:
    assert command("test", tmp_path).code == 1
    (project / "trees" / "signup.test.yaml").unlink()
    done = command("test", project)
    assert done.code == 0
    assert "no scenarios" in done.err


def test_verdicts_as_json(project: Path, command: Command) -> None:
    add(project, "expect: {lasts: 2h}")
    done = command("test", project, "--json")
    document = json.loads(done.out)
    assert (done.code, document["passed"], document["failed"]) == (1, 2, 1)
    last = document["scenarios"][-1]
    assert last["differences"] == [{"what": "lasts", "expected": "2h", "got": "1 day"}]
    assert (last["tree"], last["name"], last["passed"]) == ("signup", "scenario 0", False)
    assert last["run"]["status"] == "succeeded"
    assert [call["action"] for call in last["calls"]] == ["email.send", "email.send"]
    assert last["run"]["nonce"] == ""


def test_verdicts_as_junit(project: Path, tmp_path: Path, command: Command) -> None:
    add(project, 'expect: {vars: {email: "\\x01"}}')
    (project / "trees" / "other.test.yaml").write_text("- name: x\n")
    file = tmp_path / "junit.xml"
    assert command("test", project, "--junit", file).code == 1
    suite = Xml.parse(file).getroot()[0]
    assert {k: suite.get(k) for k in ("tests", "failures", "errors")} == {
        "tests": "4", "failures": "1", "errors": "1",
    }  # fmt: skip
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert "vars.email" in (failure.get("message") or "")
    assert "wait_for" in (failure.text or "")
    assert command("test", project, "--junit", tmp_path / "no" / "x.xml").code == 2


RECORDED = """
{"id": "1", "source": "/x", "type": "user.signed_up", "data": {"user_id": "u1"}, "trigger": "app"}
{"id": "2", "source": "/x", "type": "user.email_verified", "data": {"user_id": "u1"}}
{"id": "3", "source": "/x", "type": "user.email_verified", "data": {}}
{"id": "4", "source": "/x", "type": "user.signed_up", "data": {"user_id": "u1"}, "trigger": "app2"}
"""


def test_recorded_events_are_explained(project: Path, tmp_path: Path, command: Command) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(RECORDED)
    done = command("simulate", file, project)
    assert done.code == 0
    for line in (
        "▶ start    signup.signed_up  (app)  signup/u1",
        "→ resume   signup.verified  (app)  signup/u1",
        "✗ failed   signup.verified  (app)",
        "· filtered signup.signed_up  (app)  `where` does not hold",
        "no tree has an event of its trigger",
        "4 events, 2 matched, 2 unmatched",
    ):
        assert line in done.out
    assert command("simulate", file, project, "--fail-unmatched").code == 1
    told = [json.loads(x) for x in command("simulate", file, project, "--json").out.splitlines()]
    assert [(t["id"], t["matched"]) for t in told] == [
        ("1", True), ("2", True), ("3", False), ("4", False),
    ]  # fmt: skip
    assert told[0]["matches"][0]["run_id"] == "signup/u1"


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "this is not JSON"), ('{"id": "1"}', "'source' is required"), ("5", "JSON object")],
)
def test_recorded_events_that_are_none(
    text: str, said: str, project: Path, tmp_path: Path, command: Command
) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text("\n" + text)
    done = command("simulate", file, project)
    assert done.code == 2
    assert ":2: " in done.err
    assert said in done.err
    assert command("simulate", tmp_path / "none", project).code == 2


def test_a_tree_that_is_wrong_is_not_simulated(
    project: Path, tmp_path: Path, command: Command
) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(RECORDED)
    (project / "trees" / "broken.yaml").write_text("tree: broken\n")
    assert command("simulate", file, project).code == 1
