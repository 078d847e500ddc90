"""Approvals on a real Temporal server: decisions are updates, lists are one query."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest

from hub.errors import (
    AlreadyDecided,
    ApprovalOver,
    DecidedBefore,
    HubError,
    InvalidDelegate,
    InvalidForm,
    NotFound,
    NotYours,
)
from hub.event import Event
from hub.run import Delivery, RunState, Start
from hub.run.approvals import Answer, Decision, Delegation
from hub.run.pending import PendingApproval
from hub.temporal.approvals import TemporalApprovals
from hub.temporal.client import TemporalRuns
from hub.temporal.connect import connect
from hub.temporal.dev_server import DevServer
from hub.temporal.run_input import Limits
from hub.tree import load_tree

GROUPS = {"release": ["ada@x.org", "bob@x.org", "cleo@x.org"], "leads": ["dora@x.org"]}


@pytest.fixture
async def approvals(server: DevServer) -> TemporalApprovals:
    return TemporalApprovals(await connect(server.address))


async def ask(runs: TemporalRuns, approval: str, common: str = "", after: str = "") -> str:
    name = f"asks-{uuid.uuid4().hex[:8]}"
    lines = "\n".join(f"      {line}" for line in approval.strip().splitlines())
    tree = load_tree(
        f'tree: {name}\nevents:\n  asked: {{webhook: app, where: event.type == "asked", '
        f"key: event.data.id}}\nstart: asked\ndo:\n  - approval:\n      title: Deploy\n{lines}\n"
        f"{common}{after}"
    )
    event = Event(id=uuid.uuid4().hex, source="/t", type="asked", data={"id": "d1"})
    await runs.start(
        Start(
            run_id=f"{name}/d1",
            tree=name,
            key="d1",
            hash=tree.hash,
            document=tree.document,
            delivery=Delivery(event=event, trigger="app"),
            groups=GROUPS,
        )
    )
    return f"{name}/d1"


async def asked(approvals: TemporalApprovals, run_id: str, **wanted: Any) -> PendingApproval:
    """The run's open approval, as a list finds it."""
    while True:
        page = await approvals.list(tree=run_id.partition("/")[0], **wanted)
        if page.items:
            return page.items[0]
        await asyncio.sleep(0.02)


async def gone(approvals: TemporalApprovals, run_id: str) -> None:
    while (await approvals.list(tree=run_id.partition("/")[0])).items:
        await asyncio.sleep(0.02)


async def decide(
    approvals: TemporalApprovals,
    of: PendingApproval,
    who: str,
    decision: str = "approve",
    **more: Any,
) -> Answer:
    more.setdefault("id", uuid.uuid4().hex)
    return await approvals.decide(
        of.run_id,
        Decision(
            path=of.path,
            approval=of.approval,
            decision="approve" if decision == "approve" else "reject",
            who=who,
            how="api",
            **more,
        ),
    )


async def ended(runs: TemporalRuns, run_id: str) -> RunState:
    while True:
        state = await runs.show(run_id)
        if state.status != "running":
            return state
        await asyncio.sleep(0.02)


async def in_a_later_part(runs: TemporalRuns, run_id: str) -> RunState:
    while True:
        try:
            state = await runs.show(run_id)
        except HubError:
            # A part that has begun in this moment cannot be asked yet.
            await asyncio.sleep(0.02)
            continue
        if state.part > 1:
            return state
        await asyncio.sleep(0.02)


async def test_each_person_gets_a_true_answer(
    runs: TemporalRuns, approvals: TemporalApprovals
) -> None:
    run_id = await ask(
        runs,
        "from: {groups: [release]}\nexclude: cleo@x.org\nquorum: 2\nform: {why: {required: true}}",
        after="  - delay: 1h\n",
    )
    of = await asked(approvals, run_id)
    assert of.waiting_on == ["ada@x.org", "bob@x.org"]
    with pytest.raises(NotYours, match="excluded"):
        await decide(approvals, of, "cleo@x.org")
    with pytest.raises(NotYours, match="not among"):
        await decide(approvals, of, "eve@x.org")
    with pytest.raises(InvalidForm, match="'why' must be answered"):
        await decide(approvals, of, "ada@x.org")
    first = await decide(approvals, of, "ada@x.org", form={"why": "green"}, comment="well done")
    assert (first.outcome, first.approvals, first.quorum) == ("pending", 1, 2)
    with pytest.raises(DecidedBefore):
        await decide(approvals, of, "Ada@x.org", "reject")
    second = await decide(approvals, of, "bob@x.org", form={"why": "yes"})
    assert second.outcome == "approved"
    with pytest.raises(AlreadyDecided, match=r"ada@x\.org, bob@x\.org"):
        await decide(approvals, of, "bob@x.org")
    await gone(approvals, run_id)
    kept = (await runs.show(run_id)).nodes["do[0]"].result
    assert [(one["who"], one["comment"], one["how"]) for one in kept["by"]] == [
        ("ada@x.org", "well done", "api"),
        ("bob@x.org", None, "api"),
    ]
    assert await approvals.show(run_id, of.path, of.approval) == kept


async def test_two_people_at_once(runs: TemporalRuns, approvals: TemporalApprovals) -> None:
    run_id = await ask(runs, "from: {groups: [release]}")
    of = await asked(approvals, run_id)
    answers = await asyncio.gather(
        decide(approvals, of, "ada@x.org"),
        decide(approvals, of, "bob@x.org", "reject"),
        return_exceptions=True,
    )
    recorded = [answer for answer in answers if isinstance(answer, Answer)]
    refused = [answer for answer in answers if isinstance(answer, HubError)]
    assert (len(recorded), len(refused)) == (1, 1)
    assert isinstance(refused[0], (AlreadyDecided, NotFound))
    state = await ended(runs, run_id)
    assert state.status == ("succeeded" if recorded[0].decision == "approve" else "failed")


async def test_a_decision_that_is_sent_again_counts_once(
    runs: TemporalRuns, approvals: TemporalApprovals
) -> None:
    run_id = await ask(runs, "from: {groups: [release]}\nquorum: 2")
    of = await asked(approvals, run_id)
    first = await decide(approvals, of, "ada@x.org", id="one")
    assert await decide(approvals, of, "ada@x.org", id="one") == first
    assert (await asked(approvals, run_id)).approvals == 1
    last = await decide(approvals, of, "bob@x.org", id="two")
    assert (await ended(runs, run_id)).status == "succeeded"
    # The run is over, and the answer is still the true one.
    assert await decide(approvals, of, "bob@x.org", id="two") == last
    with pytest.raises(NotFound, match="has ended"):
        await decide(approvals, of, "cleo@x.org")


async def test_after_the_timeout(runs: TemporalRuns, approvals: TemporalApprovals) -> None:
    run_id = await ask(
        runs,
        "from: {groups: [release]}\non_timeout: approve\nnotify: false",
        "    timeout: 3 days\n",
        "  - delay: 9 days\n",
    )
    of = await asked(approvals, run_id)
    await runs.forward(run_id, timedelta(days=4))
    with pytest.raises(ApprovalOver, match="counts as approved"):
        await decide(approvals, of, "ada@x.org")
    result = (await runs.show(run_id)).nodes["do[0]"].result
    assert (result["decision"], result["timed_out"]) == ("approved", True)


async def test_a_run_that_is_cancelled(runs: TemporalRuns, approvals: TemporalApprovals) -> None:
    run_id = await ask(runs, "from: {groups: [release]}")
    of = await asked(approvals, run_id)
    await runs.cancel(run_id)
    assert (await ended(runs, run_id)).status == "cancelled"
    with pytest.raises(NotFound, match="has ended"):
        await decide(approvals, of, "ada@x.org")
    await gone(approvals, run_id)


async def test_escalation(runs: TemporalRuns, approvals: TemporalApprovals) -> None:
    run_id = await ask(
        runs,
        "from: {groups: [release]}\nquorum: 3\nnotify: false\n"
        "escalate: [{after: 24h, to: {groups: [leads]}, quorum: 1}]",
    )
    of = await asked(approvals, run_id)
    assert of.due_at == of.opened_at + timedelta(hours=24)
    with pytest.raises(NotYours):
        await decide(approvals, of, "dora@x.org")
    assert not (await approvals.list(person="dora@x.org", tree=of.tree)).items
    await runs.forward(run_id, timedelta(hours=25))
    assert (await asked(approvals, run_id, person="dora@x.org")).approval == of.approval
    assert (await decide(approvals, of, "dora@x.org")).outcome == "approved"
    assert (await ended(runs, run_id)).status == "succeeded"


async def test_it_goes_on_in_a_new_part_of_the_run(
    server: DevServer, runs: TemporalRuns, approvals: TemporalApprovals
) -> None:
    short = TemporalRuns(await connect(server.address), limits=Limits(events=25))
    run_id = await ask(short, "from: {groups: [release]}\nquorum: 3\nremind: 1h\nnotify: false")
    of = await asked(approvals, run_id)
    assert of.due_at == of.opened_at + timedelta(hours=1)
    assert (await decide(approvals, of, "ada@x.org", id="one")).approvals == 1
    await runs.forward(run_id, timedelta(hours=12))
    state = await in_a_later_part(runs, run_id)
    assert state.nodes["do[0]"].result["approvals"] == 1
    with pytest.raises(DecidedBefore):
        await decide(approvals, of, "ada@x.org", "reject")
    # Temporal has forgotten the update's id with the part in which it came; the run has not.
    assert (await decide(approvals, of, "ada@x.org", id="one")).approvals == 1
    later = await asked(approvals, run_id, person="bob@x.org")
    assert (later.approvals, later.due_at) == (1, of.due_at)
    await decide(approvals, of, "bob@x.org")
    assert (await decide(approvals, of, "cleo@x.org")).outcome == "approved"
    assert (await ended(runs, run_id)).status == "succeeded"
    # One item, though each part of the run has been a run of its own to Temporal.
    while not (page := await approvals.decided(tree=of.tree)).items:
        await asyncio.sleep(0.02)
    assert [one.approval.outcome for one in page.items] == ["approved"]


async def test_it_is_passed_on(runs: TemporalRuns, approvals: TemporalApprovals) -> None:
    run_id = await ask(runs, "from: [ada@x.org]\nexclude: cleo@x.org\nnotify: false")
    of = await asked(approvals, run_id)

    def passed(who: str, to: str, id_: str = "one") -> Delegation:
        return Delegation(
            id=id_, path=of.path, approval=of.approval, who=who, to=to, how="api", comment="away"
        )

    with pytest.raises(InvalidDelegate, match="excluded"):
        await approvals.delegate(run_id, passed("ada@x.org", "cleo@x.org"))
    answer = await approvals.delegate(run_id, passed("Ada@x.org", "Eve@x.org", "two"))
    assert (answer.who, answer.to) == ("ada@x.org", "eve@x.org")
    assert await approvals.delegate(run_id, passed("Ada@x.org", "Eve@x.org", "two")) == answer
    assert (await asked(approvals, run_id, person="eve@x.org")).waiting_on == ["eve@x.org"]
    with pytest.raises(NotYours, match=r"passed this decision on to eve@x\.org"):
        await decide(approvals, of, "ada@x.org")
    assert (await decide(approvals, of, "eve@x.org")).outcome == "approved"
    kept = (await ended(runs, run_id)).nodes["do[0]"].result["delegations"]
    assert [(one["who"], one["to"], one["comment"]) for one in kept] == [
        ("ada@x.org", "eve@x.org", "away")
    ]
    with pytest.raises(NotFound, match="has ended"):
        await approvals.delegate(run_id, passed("eve@x.org", "fay@x.org", "three"))


async def test_what_was_decided_is_listed_also_when_the_run_ends_with_it(
    runs: TemporalRuns, approvals: TemporalApprovals
) -> None:
    # It ends with the decision, it fails with it, and it goes on.
    more = "  - delay: 1h\n"
    run_ids = [await ask(runs, "from: {groups: [release]}", after=a) for a in ("", "", more)]
    said = ("approve", "reject", "approve")
    for run_id, decision in zip(run_ids, said, strict=True):
        of = await asked(approvals, run_id)
        await decide(approvals, of, "bob@x.org", decision, comment="c" * 400)
    for run_id, decision in zip(run_ids, said, strict=True):
        tree = run_id.partition("/")[0]
        while not (page := await approvals.decided(tree=tree, person="Bob@x.org")).items:
            await asyncio.sleep(0.02)
        (one,) = page.items
        assert (one.run_id, one.key) == (run_id, "d1")
        assert one.approval.outcome == ("approved" if decision == "approve" else "rejected")
        (by,) = one.approval.by
        assert (by.who, by.how, by.decision) == ("bob@x.org", "api", decision)
        assert by.comment is not None
        assert len(by.comment) == 300
        assert not (await approvals.decided(tree=tree, person="ada@x.org")).items
        assert len((await approvals.decided(tree=tree)).items) == 1
        assert not (await approvals.list(tree=tree)).items


async def test_what_was_decided_is_listed_page_by_page(
    runs: TemporalRuns, approvals: TemporalApprovals
) -> None:
    who = f"{uuid.uuid4().hex[:8]}@x.org"
    run_ids = []
    for _ in range(3):
        run_ids.append(await ask(runs, f"from: ['{who}']\nnotify: false"))
        await decide(approvals, await asked(approvals, run_ids[-1]), who)
    while len((await approvals.decided(person=who)).items) < 3:
        await asyncio.sleep(0.02)
    found, cursor = [], None
    while True:
        page = await approvals.decided(person=who, limit=1, cursor=cursor)
        found += [one.run_id for one in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert found == run_ids[::-1]


async def test_a_later_approval_at_the_same_place_is_another(
    runs: TemporalRuns, approvals: TemporalApprovals
) -> None:
    run_id = await ask(runs, "from: {groups: [release]}", "    retry: {attempts: 2, backoff: 1s}\n")
    of = await asked(approvals, run_id)
    await decide(approvals, of, "ada@x.org", "reject")
    while (again := await asked(approvals, run_id)).approval == of.approval:
        await asyncio.sleep(0.02)
    assert again.path == of.path
    with pytest.raises(NotFound):
        await decide(approvals, of, "bob@x.org")
    assert (await decide(approvals, again, "bob@x.org")).outcome == "approved"


async def test_many_people_are_found_by_each(
    runs: TemporalRuns, approvals: TemporalApprovals
) -> None:
    people = [f"somebody.with.a.long.name.{number}@example.org" for number in range(100)]
    run_id = await ask(runs, f"from: [{', '.join(people)}]\nnotify: false")
    for who in (people[0], people[99]):
        assert (await asked(approvals, run_id, person=who)).run_id == run_id
    assert not (await approvals.list(person="eve@x.org")).items


async def test_no_run_and_no_approval(runs: TemporalRuns, approvals: TemporalApprovals) -> None:
    nothing = Decision(id="1", path="do[0]", approval="x", decision="approve", who="a", how="api")
    with pytest.raises(NotFound):
        await approvals.decide("nobody/here", nothing)
    run_id = await ask(runs, "from: {groups: [release]}")
    of = await asked(approvals, run_id)
    with pytest.raises(NotFound):
        await approvals.decide(run_id, nothing)
    with pytest.raises(NotFound):
        await approvals.show(run_id, of.path, "another")
