"""Approvals in virtual time: who may decide, when, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from hub.errors import InvalidDefinition
from hub.event import Event
from hub.routing.router import Router
from hub.simulation import Simulation, load_scenarios, run_scenario
from hub.simulation.mocks import Mock, MockFailure
from hub.simulation.result import SimulatedRun, SimulationResult
from hub.tree import Tree, load_tree

RUN = "deploy/d1"
GROUPS = {"release": ["Ada@x.org", "bob@x.org", "cleo@x.org"], "leads": ["dora@x.org"]}
EVENTS = """
tree: deploy
events:
  asked: {webhook: app, where: event.type == "asked", key: event.data.id}
  stopped: {webhook: app, where: event.type == "stopped", key: event.data.id}
start: asked
"""
HOUR = timedelta(hours=1)
Cuts = Callable[[], bool]


def tree(approval: str, common: str = "") -> Tree:
    lines = "\n".join(f"      {line}" for line in approval.strip().splitlines())
    return load_tree(
        f"{EVENTS}\ndo:\n  - id: ok\n    approval:\n      title: Deploy ${{{{ event.data.id }}}}\n"
        f"{lines}\n{common}"
    )


def lived(
    of: Tree,
    *decisions: tuple[float, str, str],
    cuts: Cuts | None = None,
    mocks: dict[str, Any] | None = None,
    stop_at: float | None = None,
    cancel_at: float | None = None,
    forms: dict[str, Any] | None = None,
) -> SimulationResult:
    """Live one run; decisions are (hours after the start, who, approve or reject).

    An address instead of these is of the one to whom it is passed on.
    """
    with Simulation(Router([of], groups=GROUPS), cuts=cuts, mocks=mocks) as simulation:
        data = {"id": "d1", "by": "cleo@x.org"}
        simulation.send(Event(id="e1", source="/t", type="asked", data=data), "app")
        if stop_at is not None:
            stop = Event(id="e2", source="/t", type="stopped", data=data)
            simulation.send(stop, "app", at=stop_at * HOUR)
        if cancel_at is not None:
            simulation.cancel(RUN, at=cancel_at * HOUR)
        for after, who, decision in decisions:
            to = decision if "@" in decision else None
            simulation.decide(
                RUN,
                who,
                "delegate" if to else "approve" if decision == "approve" else "reject",
                to=to,
                form=(forms or {}).get(who),
                at=after * HOUR,
            )
        return simulation.run()


def outcomes(result: SimulationResult) -> list[str]:
    return [decision.outcome for decision in result.decisions]


def approval(run: SimulatedRun) -> dict[str, Any]:
    found = run.state.nodes["do[0]"].result
    assert isinstance(found, dict)
    return found


def test_one_of_the_people_approves() -> None:
    result = lived(tree("from: {people: [Ada@x.org]}"), (2, "ADA@x.org", "approve"))
    run = result.run(RUN)
    assert (run.status, run.lasts) == ("succeeded", 2 * HOUR)
    given = run.state.steps["ok"]
    assert given["decision"] == "approved"
    assert [(one["who"], one["how"]) for one in given["by"]] == [("ada@x.org", "scenario")]


def test_a_quorum_takes_so_many_different_people() -> None:
    result = lived(
        tree("from: {groups: [release]}\nquorum: 2"),
        (1, "ada@x.org", "approve"),
        (2, "ada@x.org", "approve"),
        (3, "bob@x.org", "approve"),
        (4, "cleo@x.org", "approve"),
    )
    assert outcomes(result) == ["recorded", "decided_before", "recorded", "not_found"]
    assert result.run(RUN).lasts == 3 * HOUR


def test_two_decide_at_once_and_one_is_enough() -> None:
    of = tree("from: {groups: [release]}")
    result = lived(of, (1, "ada@x.org", "approve"), (1, "bob@x.org", "reject"))
    assert outcomes(result) == ["recorded", "already_decided"]
    assert "by ada@x.org" in str(result.decisions[1].message)
    assert result.run(RUN).status == "succeeded"


def test_who_is_excluded_or_not_asked_may_not_decide() -> None:
    result = lived(
        tree("from: {groups: [release]}\nexclude: ${{ event.data.by }}"),
        (1, "Cleo@x.org", "approve"),
        (2, "eve@x.org", "approve"),
        (3, "bob@x.org", "approve"),
    )
    assert outcomes(result) == ["not_yours", "not_yours", "recorded"]
    assert "excluded" in str(result.decisions[0].message)
    assert "not among" in str(result.decisions[1].message)
    assert approval(result.run(RUN))["approvers"] == ["ada@x.org", "bob@x.org"]


def test_one_rejection_ends_it_and_its_comment_is_the_reason() -> None:
    result = lived(tree("from: {groups: [release]}\nquorum: 2"), (1, "bob@x.org", "reject"))
    run = result.run(RUN)
    assert run.state.error is not None
    assert (run.state.error.code, run.state.error.message) == ("rejected", "rejected by bob@x.org")
    assert approval(run)["decision"] == "rejected"


def test_without_veto_it_ends_when_the_quorum_is_out_of_reach() -> None:
    of = tree("from: {groups: [release]}\nquorum: 2\nveto: false")
    one_against = lived(
        of, (1, "ada@x.org", "reject"), (2, "bob@x.org", "approve"), (3, "cleo@x.org", "approve")
    )
    assert one_against.run(RUN).status == "succeeded"
    two_against = lived(of, (1, "ada@x.org", "reject"), (2, "bob@x.org", "reject"))
    assert (two_against.run(RUN).status, two_against.run(RUN).lasts) == ("failed", 2 * HOUR)


def test_without_veto_the_escalation_may_still_bring_the_quorum() -> None:
    of = tree(
        "from: {people: [ada@x.org]}\nveto: false\nescalate: [{after: 5h, to: {groups: [leads]}}]"
    )
    result = lived(of, (1, "ada@x.org", "reject"), (6, "dora@x.org", "approve"))
    assert (result.run(RUN).status, result.run(RUN).lasts) == ("succeeded", 6 * HOUR)


@pytest.mark.parametrize(
    ("meaning", "status", "decision"),
    [("fail", "failed", "timed_out"), ("approve", "succeeded", "approved"), ("reject", "failed", "rejected")],
)  # fmt: skip
def test_what_the_end_of_its_time_means(meaning: str, status: str, decision: str) -> None:
    of = tree(f"from: {{groups: [release]}}\non_timeout: {meaning}", "    timeout: 8h")
    result = lived(of, (9, "ada@x.org", "approve"))
    run = result.run(RUN)
    assert (run.status, run.lasts, outcomes(result)) == (status, 8 * HOUR, ["not_found"])
    assert (approval(run)["decision"], approval(run)["timed_out"]) == (decision, True)
    if meaning == "fail":
        assert run.state.error is not None
        assert run.state.error.code == "timeout"


def test_a_decision_after_the_timeout_is_told_that_the_time_is_over() -> None:
    of = load_tree(
        f"{EVENTS}\ndo:\n  - fallback:\n      - approval: {{title: x, from: [ada@x.org]}}\n"
        "        timeout: 1h\n      - delay: 5h\n"
    )
    result = lived(of, (2, "ada@x.org", "approve"))
    assert outcomes(result) == ["approval_over"]
    assert "ended on" in str(result.decisions[0].message)


def test_a_decision_in_the_very_moment_of_the_deadline_is_too_late() -> None:
    of = tree("from: {groups: [release]}", "    timeout: 8h")
    result = lived(of, (8, "ada@x.org", "approve"))
    assert result.run(RUN).status == "failed"
    assert outcomes(result)[0] != "recorded"


def test_reminders_go_to_those_who_have_not_decided() -> None:
    of = tree("from: {groups: [release]}\nquorum: 3\nremind: 4h", "    timeout: 10h")
    result = lived(of, (1, "bob@x.org", "approve"))
    sent = [(c.arguments["to"], c.at - result.run(RUN).state.started_at) for c in result.calls]
    assert sent == [
        *((who, timedelta(0)) for who in ("ada@x.org", "bob@x.org", "cleo@x.org")),
        *((who, 4 * HOUR) for who in ("ada@x.org", "cleo@x.org")),
        *((who, 8 * HOUR) for who in ("ada@x.org", "cleo@x.org")),
    ]
    assert approval(result.run(RUN))["reminders"] == 2


def test_escalation_asks_others_and_may_lower_the_quorum() -> None:
    of = tree(
        "from: {groups: [release]}\nquorum: 2\n"
        "escalate:\n  - {after: 24h, to: {groups: [leads]}}\n  - {after: 48h, quorum: 1}"
    )
    early = lived(of, (23, "dora@x.org", "approve"), (25, "dora@x.org", "approve"))
    assert outcomes(early) == ["not_yours", "recorded"]
    run = early.run(RUN)
    assert (run.status, run.lasts) == ("succeeded", 48 * HOUR)
    assert [step["to"] for step in approval(run)["escalations"]] == [["dora@x.org"], []]


def test_a_decision_in_the_moment_of_the_escalation() -> None:
    of = tree("from: {groups: [release]}\nescalate: [{after: 24h, to: {groups: [leads]}}]")
    result = lived(of, (24, "ada@x.org", "approve"))
    assert outcomes(result) == ["recorded"]
    assert (result.run(RUN).status, result.run(RUN).lasts) == ("succeeded", 24 * HOUR)


def test_a_run_that_is_cancelled_is_not_decided_any_more() -> None:
    of = tree("from: {groups: [release]}")
    result = lived(of, (2, "ada@x.org", "approve"), cancel_at=1)
    assert (result.run(RUN).status, outcomes(result)) == ("cancelled", ["not_found"])
    aborted = lived(
        load_tree(
            f"{EVENTS}\ndo:\n  - fallback:\n      - approval: {{title: x, from: [ada@x.org]}}\n"
            "        abort_on: stopped\n      - delay: 5h\n"
        ),
        (2, "ada@x.org", "approve"),
        stop_at=1,
    )
    assert outcomes(aborted) == ["approval_over"]
    assert "stopped" in str(aborted.decisions[0].message)


FORM = """
from: {groups: [release]}
form:
  window: {type: choice, choices: [now, tonight], required: true}
  share: {type: number}
  sure: {type: boolean}
  why: {label: The reason}
"""


@pytest.mark.parametrize(
    ("form", "wrong"),
    [
        ({}, "'window' must be answered"),
        ({"window": "later"}, "'window' is one of now, tonight"),
        ({"window": "now", "share": True}, "'share' is a number"),
        ({"window": "now", "sure": "yes"}, "'sure' is yes or no"),
        ({"window": "now", "why": 3}, "'The reason' is a text"),
        ({"window": "now", "other": 3}, "there is no field 'other'"),
    ],
)
def test_a_form_that_is_not_answered_as_it_asks(form: dict[str, Any], wrong: str) -> None:
    result = lived(tree(FORM), (1, "ada@x.org", "approve"), forms={"ada@x.org": form})
    assert outcomes(result) == ["invalid_form"]
    assert wrong in str(result.decisions[0].message)
    assert result.run(RUN).status == "running"


def test_the_answers_of_a_form_are_kept_and_who_rejects_need_not_answer() -> None:
    form = {"window": "now", "share": 0.5, "sure": True, "why": "it is ready"}
    result = lived(tree(FORM), (1, "ada@x.org", "approve"), forms={"ada@x.org": form})
    assert result.run(RUN).state.steps["ok"]["by"][0]["form"] == form
    against = lived(tree(FORM), (1, "ada@x.org", "reject"))
    assert outcomes(against) == ["recorded"]


@pytest.mark.parametrize(
    ("who", "code"),
    [
        ("from: {people: [ada@x.org]}\nquorum: 2", "no_quorum"),
        ("from: [cleo@x.org]\nexclude: ${{ event.data.by }}", "no_quorum"),
        ("from: {groups: [nobody_knows]}", "unknown_group"),
        ("from: [ada@x.org]\nexclude: ${{ event.data.get('nobody') }}", "invalid_person"),
        (f"from: [{', '.join(f'p{n}@x.org' for n in range(101))}]", "too_many_people"),
    ],
)
def test_nobody_could_decide(who: str, code: str) -> None:
    error = lived(tree(who)).run(RUN).state.error
    assert error is not None
    assert error.code == code


def test_mails_that_cannot_be_sent_stop_nothing() -> None:
    failing = Mock(fail=MockFailure(code="smtp_away", message="no answer", retryable=True))
    of = tree("from: {groups: [release]}")
    result = lived(of, (5, "ada@x.org", "approve"), mocks={"email.send": [failing]})
    run = result.run(RUN)
    assert (run.status, run.lasts) == ("succeeded", 5 * HOUR)
    assert len(approval(run)["unsent"]) == 3


def test_no_mails_where_none_are_wanted() -> None:
    of = tree("from: {groups: [release]}\nnotify: false\nremind: 1h", "    timeout: 5h")
    assert lived(of).calls == []


def test_a_mail_has_the_link_of_its_reader_and_never_the_mark() -> None:
    of = tree("from: [ada@x.org]\ndetails: All tests are green.", "    timeout: 5h")
    (call,) = lived(of).calls
    text = call.arguments["text"]
    assert "https://hub.invalid/decisions" in text
    assert "All tests are green." in text
    assert "You decide as ada@x.org" in text
    assert "[decision:" not in str(call.arguments)


def test_whoever_is_asked_may_pass_it_on_and_has_no_voice_any_more() -> None:
    result = lived(
        tree("from: {people: [ada@x.org, bob@x.org]}\nquorum: 2"),
        (1, "ada@x.org", "Eve@x.org"),
        (2, "ada@x.org", "approve"),
        (3, "eve@x.org", "approve"),
        (4, "bob@x.org", "approve"),
    )
    assert outcomes(result) == ["recorded", "not_yours", "recorded", "recorded"]
    assert "passed this decision on to eve@x.org" in str(result.decisions[1].message)
    given = approval(result.run(RUN))
    assert given["approvers"] == ["eve@x.org", "bob@x.org"]
    (passed,) = given["delegations"]
    assert (passed["who"], passed["to"], passed["how"]) == ("ada@x.org", "eve@x.org", "scenario")
    sent = [call for call in result.calls if call.arguments["to"] == "eve@x.org"]
    assert "ada@x.org has passed this decision on to you" in sent[0].arguments["text"]
    assert sent[0].arguments["subject"].startswith("Passed on to you")


@pytest.mark.parametrize(
    ("who", "to", "outcome", "said"),
    [
        ("eve@x.org", "fay@x.org", "not_yours", "not among"),
        ("cleo@x.org", "fay@x.org", "not_yours", "excluded"),
        ("bob@x.org", "fay@x.org", "decided_before", "already decided"),
        ("ada@x.org", "cleo@x.org", "invalid_delegate", "excluded"),
        ("ada@x.org", "bob@x.org", "invalid_delegate", "asked for this decision already"),
        ("ada@x.org", "ADA@x.org", "invalid_delegate", "asked for this decision already"),
        ("ada@x.org", "dora@x.org", "invalid_delegate", "later in any case"),
        ("ada@x.org", "nobody at@all", "invalid_delegate", "no mail address"),
    ],
)
def test_who_may_pass_it_on_to_whom(who: str, to: str, outcome: str, said: str) -> None:
    of = tree(
        "from: {groups: [release]}\nexclude: ${{ event.data.by }}\nquorum: 2\n"
        "escalate: [{after: 9h, to: {groups: [leads]}}]"
    )
    result = lived(of, (1, "bob@x.org", "approve"), (2, who, to))
    assert outcomes(result)[1] == outcome
    assert said in str(result.decisions[1].message)
    assert approval(result.run(RUN))["delegations"] == []


def test_what_was_passed_on_may_come_back() -> None:
    result = lived(
        tree("from: {people: [ada@x.org]}"),
        (1, "ada@x.org", "eve@x.org"),
        (2, "eve@x.org", "ada@x.org"),
        (3, "eve@x.org", "approve"),
        (4, "ada@x.org", "approve"),
    )
    assert outcomes(result) == ["recorded", "recorded", "not_yours", "recorded"]
    assert result.run(RUN).lasts == 4 * HOUR


def test_a_later_step_gives_nobody_a_second_voice() -> None:
    of = tree(
        "from: {people: [ada@x.org]}\nquorum: 2\n"
        "escalate: [{after: 9h, to: {people: [ada@x.org, bob@x.org]}}]"
    )
    script = (1, "ada@x.org", "eve@x.org"), (10, "eve@x.org", "approve")
    result = lived(of, *script, (11, "ada@x.org", "approve"), (12, "bob@x.org", "approve"))
    assert outcomes(result) == ["recorded", "recorded", "not_yours", "recorded"]
    given = approval(result.run(RUN))
    assert (given["decision"], given["escalations"][0]["to"]) == ("approved", ["bob@x.org"])


def test_approvals_that_are_over_are_remembered_also_when_their_nodes_are_not() -> None:
    of = load_tree(
        f"{EVENTS}\ndo:\n  - repeat: 25\n    do:\n"
        "      - approval: {title: '${{ index }}', from: [ada@x.org], notify: false}\n"
    )
    result = lived(of, *((n + 1, "ada@x.org", "approve") for n in range(25)))
    kept = result.run(RUN).state.decided
    assert [one.title for one in kept] == [str(n) for n in range(25)][-20:]
    assert {one.outcome for one in kept} == {"approved"}
    assert {one.by[0].who for one in kept} == {"ada@x.org"}


def test_a_decision_that_ends_it_is_remembered_though_the_run_is_stopped_with_it() -> None:
    result = lived(tree("from: {groups: [release]}"), (1, "ada@x.org", "approve"), cancel_at=1)
    (kept,) = result.run(RUN).state.decided
    assert (kept.outcome, kept.by[0].who) == ("approved", "ada@x.org")


def every(number: int) -> Iterator[bool]:
    return (at % number == 0 and at < 80 for at in count(1))


@pytest.mark.parametrize("often", [1, 2, 3])
def test_it_goes_on_in_new_parts_of_the_run(often: int) -> None:
    of = tree(
        "from: {groups: [release]}\nquorum: 2\nremind: 4h\n"
        "escalate: [{after: 10h, to: {groups: [leads]}}]",
        "    timeout: 3 days",
    )
    script = (
        (1, "ada@x.org", "eve@x.org"),
        (2, "eve@x.org", "approve"),
        (3, "eve@x.org", "approve"),
        (11, "dora@x.org", "approve"),
    )
    whole, cut = every(10**9), every(often)
    plain = lived(of, *script, cuts=lambda: next(whole))
    parts = lived(of, *script, cuts=lambda: next(cut))
    assert parts.run(RUN).state.part > 1
    assert (
        outcomes(parts)
        == outcomes(plain)
        == [
            "recorded",
            "recorded",
            "decided_before",
            "recorded",
        ]
    )
    same = ("decision", "by", "approvers", "reminders", "escalations", "mails")
    mine, theirs = approval(parts.run(RUN)), approval(plain.run(RUN))
    assert [mine[name] for name in same if name != "by"] == [
        theirs[name] for name in same if name != "by"
    ]
    assert [one["who"] for one in mine["by"]] == [one["who"] for one in theirs["by"]]
    assert [one["to"] for one in mine["delegations"]] == ["eve@x.org"]
    assert len(parts.run(RUN).state.decided) == 1


@pytest.mark.parametrize(
    ("approval_", "said"),
    [
        ("quorum: 1", "an approval says who may decide"),
        ("from: [a@x.org]\nquorum: 0", "a quorum is at least 1"),
        ("from: [a@x.org]\nremind: 2s", "at least a minute"),
        ("from: [a@x.org]\non_timeout: approve", "needs a `timeout`"),
        ("from: [a@x.org]\nform: {when: {type: choice}}", "`choices`"),
        ("from: [a@x.org]\nform: {when: {choices: [a]}}", "`choices`"),
    ],
)
def test_what_is_wrong_with_a_definition(approval_: str, said: str) -> None:
    with pytest.raises(InvalidDefinition, match=said):
        tree(approval_)


SCENARIO = """
- name: they approve
  start: {type: asked, data: {id: d1, by: cleo@x.org}}
  decisions:
    - {after: 1h, who: cleo@x.org, decision: approve, outcome: OUTCOME}
    - {after: 2h, who: ada@x.org, decision: approve}
  expect: {status: succeeded}
"""


def test_a_scenario_may_pass_a_decision_on() -> None:
    of = tree("from: {people: [bob@x.org]}")
    router = Router([of], groups=GROUPS)
    passed = SCENARIO.replace("approve, outcome: OUTCOME", "delegate, to: eve@x.org").replace(
        "who: cleo@x.org", "who: bob@x.org"
    )
    (scenario,) = load_scenarios(passed.replace("who: ada@x.org", "who: eve@x.org"), of, router)
    assert run_scenario(scenario, router).passed
    with pytest.raises(InvalidDefinition, match="stands with `decision: delegate`"):
        load_scenarios(passed.replace(", to: eve@x.org", ""), of, router)


def test_a_scenario_says_what_becomes_of_each_decision() -> None:
    of = tree("from: {groups: [release]}\nexclude: ${{ event.data.by }}")
    router = Router([of], groups=GROUPS)
    (right,) = load_scenarios(SCENARIO.replace("OUTCOME", "not_yours"), of, router)
    assert run_scenario(right, router).passed
    (wrong,) = load_scenarios(SCENARIO.replace("OUTCOME", "recorded"), of, router)
    (difference,) = run_scenario(wrong, router).differences
    assert difference.what == "decision of cleo@x.org"
    assert difference.got.startswith("not_yours: ")
    with pytest.raises(InvalidDefinition, match="is not one of"):
        load_scenarios(SCENARIO.replace("OUTCOME", "perhaps"), of, router)
