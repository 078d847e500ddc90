"""Trees are tried out at arm's length: what they do is told, and the hub goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.errors import Busy
from hub.simulation import TrialRequest, Trials
from tests.unit.api_home import open_home
from tests.unit.test_api_ingress import is_problem
from tests.unit.test_api_sources import TREE, project

WAITS = """tree: onboarding
events:
  paid: {webhook: app, where: event.type == "paid", key: event.data.id}
  packed: {webhook: app, where: event.type == "packed", key: event.data.id}
start: paid
do:
  - id: wait
    wait_for: packed
    timeout: 2h
  - email.send: {to: "${{ event.data.email }}", subject: done, text: it is}
"""
SCENARIO = """name: packed in time
start: {type: paid, data: {id: k1, email: ada@example.com}}
events:
  - {after: 90m, type: packed, data: {id: k1}}
"""
ENDLESS = """tree: onboarding
events:
  paid: {webhook: app, key: event.data.id}
start: paid
do:
  - while: "true"
    do:
      - log: again
"""


def request(text: str = WAITS, scenario: str = SCENARIO) -> TrialRequest:
    return TrialRequest(text=text, file="trees/onboarding.yaml", scenario=scenario)


async def test_what_is_tried_is_lived_in_virtual_time() -> None:
    trial = await Trials().live(request())
    (run,) = trial.runs
    assert (run.id, run.status, trial.passed) == ("onboarding/k1", "succeeded", True)
    assert trial.began is not None
    assert trial.now is not None
    assert (trial.now - trial.began).total_seconds() == 90 * 60
    assert [call.action for call in trial.calls] == ["email.send"]


async def test_one_that_never_ends_is_given_up_and_the_next_is_lived() -> None:
    trials = Trials(seconds=1.0)
    given_up = await trials.live(request(ENDLESS, "name: x\nstart: {type: q, data: {id: 1}}"))
    assert not given_up.passed
    (difference,) = given_up.differences
    assert "1 seconds" in difference.got
    assert (await Trials().live(request())).passed


async def test_one_that_takes_too_much_memory_is_given_up() -> None:
    hungry = """tree: onboarding
events: {a: {webhook: app, key: event.data.id}}
start: a
do:
  - repeat: 10000
    do:
      - email.send: {to: a@example.com, subject: again, text: "${{ event.data.text ~ run.id }}"}
"""
    scenario = f"name: x\nstart: {{type: q, data: {{id: 1, text: {'x' * 200_000}}}}}"
    trial = await Trials(seconds=60.0, memory=32 * 1024 * 1024).live(request(hungry, scenario))
    (difference,) = trial.differences
    assert "32 MiB" in difference.got


async def test_a_wrong_scenario_is_said_at_its_line() -> None:
    trial = await Trials().live(request(scenario="name: x\nstart: {type: pad, data: {id: k1}}"))
    assert trial.runs == []
    (problem,) = trial.problems
    assert (problem.file, problem.line) == ("scenario", 2)
    assert problem.suggestion == "did you mean `paid`?"


async def test_what_is_tried_is_bounded_in_number() -> None:
    with pytest.raises(Busy):
        await Trials(at_once=0).live(request())


async def test_the_route_lives_the_text_that_it_is_given(tmp_path: Path) -> None:
    files = project(tmp_path)
    (tmp_path / "trees" / "onboarding.test.yaml").write_text(
        "- name: paid\n  start: {type: any, data: {id: k1}}\n"
    )
    async with open_home(tmp_path, files=files) as home:
        listed = (await home.client.get("/api/trees/onboarding/scenarios")).json()
        assert listed["file"] == "trees/onboarding.test.yaml"
        assert [one["name"] for one in listed["items"]] == ["paid"]
        answer = await home.client.post(
            "/api/trees/onboarding/try", json={"text": WAITS, "scenario": SCENARIO}
        )
        assert answer.status_code == 200
        tried = answer.json()
        assert tried["passed"]
        assert tried["runs"][0]["nodes"]["do[0]"]["status"] == "succeeded"
        assert [one["deliveries"][0]["outcome"] for one in tried["events"]] == [
            "started",
            "resumed",
        ]
        wrong = await home.client.post("/api/trees/onboarding/try", json={"text": TREE})
        is_problem(wrong, 400, "bad_request")
