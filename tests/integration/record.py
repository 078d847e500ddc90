"""Records the history of one run of each kind of node, for `test_replay.py`.

`python -m tests.integration.record` lives the stories of `tests/node_cases.py` on a Temporal server
of its own and writes `tests/histories/<release>/<story>.json`; with `gate` or `correlator`, those of
such a one. Do so when the commands of runs change on purpose, before there are runs in the world that
would be broken by that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from temporalio.client import WorkflowExecutionStatus

from hub import __version__
from hub.errors import HubError
from hub.run import Start, gate_of
from hub.run.approvals import Decision, Delegation
from hub.run.correlation import address_of
from hub.run.state import Errand
from hub.temporal.approvals import TemporalApprovals
from hub.temporal.dev_server import DevServer
from hub.temporal.run_input import Limits
from hub.tree import load_tree
from tests.integration.doing import Place, doing, live
from tests.node_cases import CASES, Case, delivery

HISTORIES = Path(__file__).parents[1] / "histories" / __version__
IN_PARTS = load_tree("""
tree: parts
events:
  begin: {webhook: app, where: event.type == "begin", key: event.data.user_id}
  first: {webhook: app, where: event.type == "first", key: event.data.user_id}
start: begin
vars: {came: []}
do:
- timeout: 9 days
  race:
  - {delay: 10 days}
  - repeat: 12
    do:
    - {wait_for: first}
    - {test.do: {n: "${{ index + 1 }}"}}
    - {set: {came: "${{ vars.came + [index] }}"}}
""")
APPROVAL = load_tree("""
tree: approval
events:
  begin: {webhook: app, where: event.type == "begin", key: event.data.user_id}
start: begin
do:
- repeat: 2
  do:
  - approval:
      title: Round ${{ index }}
      from: {groups: [release]}
      quorum: 2
      veto: false
      remind: 4h
      escalate: [{after: 24h, to: {groups: [leads]}}]
      notify: {slack: {channel: "#deploys"}}
- test.do: {n: 1}
""")
GROUPS = {"release": ["ada@x.org", "bob@x.org"], "leads": ["dora@x.org"]}

GATED = load_tree("""
tree: gated
events:
  begin: {webhook: app, where: event.type == "begin", key: event.data.user_id}
start: {event: begin, debounce: {for: 300ms}, rate: {limit: 3, per: 2s}, concurrency: {limit: 1}}
do:
- {test.do: {n: "${{ events | length }}"}}
- {delay: 500ms}
""")

MATCHING = load_tree("""
tree: matching
events:
  begin: {webhook: app, where: event.type == "begin", key: event.data.user_id}
  first: {webhook: app, where: event.type == "first", key: event.data.parcel, deliver: one}
start: begin
do:
- if: run.key == "takes-the-early"
  then: [{wait_for: {event: first, match: "'p1'"}}]
  else: [{wait_for: {event: first, match: "'p1'"}, since: wait, timeout: 3h}]
""")


async def record(cases: Iterable[Case], folder: Path) -> None:
    """Write the histories of the stories, and of a run that goes on in parts."""
    folder.mkdir(parents=True, exist_ok=True)
    async with DevServer() as server:
        with tempfile.TemporaryDirectory(prefix="record-") as place:
            async with doing(server.address, Path(place)) as whole:
                await _record_approval(whole, folder)
                for case in cases:
                    state = await live(whole, case, "k")
                    await _write(whole, state.id, None, folder / f"{case.name}.json")
        with tempfile.TemporaryDirectory(prefix="parts-") as place:
            limits = Limits(events=25)
            async with doing(server.address, Path(place), limits=limits) as parts:
                await _record_parts(parts, folder)


async def _record_approval(place: Place, folder: Path) -> None:
    """Decisions, one passed on and one refused, reminders, an escalation, notices that go nowhere."""
    approvals = TemporalApprovals(place.client)
    run_id = await place.start({"approval": APPROVAL}, "approval", "k", groups=GROUPS)
    for number in range(2):
        while not (found := (await approvals.list(tree="approval")).items) or (
            found[0].title != f"Round {number}"
        ):
            await asyncio.sleep(0.02)
        of = {"path": found[0].path, "approval": found[0].approval, "how": "api"}
        passed = Delegation(id="p", who="ada@x.org", to="eve@x.org", **of)
        await approvals.delegate(run_id, passed)
        with contextlib.suppress(HubError):
            await approvals.decide(
                run_id, Decision(id="1", decision="approve", who="ada@x.org", **of)
            )
        await place.forward(run_id, timedelta(hours=9))
        for who, decision in (("eve@x.org", "approve"), ("bob@x.org", "reject")):
            said = Decision(id=who, decision=decision, who=who, comment="so be it", **of)  # type: ignore[arg-type]
            await approvals.decide(run_id, said)
        await place.forward(run_id, timedelta(hours=16))
        await approvals.decide(run_id, Decision(id="4", decision="approve", who="dora@x.org", **of))
    await place.until_ended(run_id)
    await _write(place, run_id, None, folder / "approval.json")


async def _record_parts(place: Place, folder: Path) -> None:
    """A run in parts: the first of them, and the last."""
    run_id = await place.start({"parts": IN_PARTS}, "parts", "k")
    handle = place.client.get_workflow_handle(run_id)
    first = (await handle.describe()).run_id
    for number in range(12):
        await place.until_waiting(run_id)
        await place.runs.deliver(run_id, delivery("first", "k", f"{number}"))
        while number not in (await place.runs.show(run_id)).vars["came"]:
            await asyncio.sleep(0.02)
    state = await place.until_ended(run_id)
    assert state.part > 2
    await _write(place, run_id, first, folder / "parts-first.json")
    await _write(place, run_id, None, folder / "parts-last.json")


async def record_gate(folder: Path) -> None:
    """Write the histories of a gate in parts: the first of them, and the last."""
    async with DevServer() as server:
        with tempfile.TemporaryDirectory(prefix="gate-") as place:
            limits = Limits(signals=5)
            async with doing(server.address, Path(place), limits=limits) as gated:
                await _record_gate(gated, folder)


async def _record_gate(place: Place, folder: Path) -> None:
    for number, key in enumerate("aabacba"):
        event = delivery("begin", key, f"begin-{number}")
        gate, offer = gate_of(GATED, key, event)
        start = Start(
            run_id=f"gated/{key}",
            tree="gated",
            key=key,
            hash=GATED.hash,
            document=GATED.document,
            delivery=event,
        )
        await place.runs.hold(gate, offer, start)
        await asyncio.sleep(0.4)
    handle = place.client.get_workflow_handle("~gate/gated")
    while (await handle.describe()).status == WorkflowExecutionStatus.RUNNING:
        await asyncio.sleep(0.1)
    raw = (await handle.describe()).raw_info
    assert raw.first_run_id != raw.execution.run_id
    await _write(place, "~gate/gated", raw.first_run_id, folder / "gate-first.json")
    await _write(place, "~gate/gated", None, folder / "gate-last.json")


async def record_correlator(folder: Path) -> None:
    """Write the histories of a correlator in parts: the first of them, and the last."""
    async with DevServer() as server:
        with tempfile.TemporaryDirectory(prefix="correlator-") as place:
            limits = Limits(signals=6)
            async with doing(server.address, Path(place), limits=limits) as matching:
                await _record_correlator(matching, folder)


async def _record_correlator(place: Place, folder: Path) -> None:
    """One event expires; one is there before its wait, one comes to a run that is gone, one comes back."""
    address = address_of("matching", MATCHING.subscriptions["first"], "p1")

    async def offer(name: str, kept_for: timedelta) -> None:
        event = delivery("first", "p1", name)
        expires_at = datetime.now(UTC) + kept_for
        await place.runs.offer(address, msgspec.structs.replace(event, expires_at=expires_at))

    async def until_waiters(*keys: str) -> None:
        wanted = [f"matching/{key}" for key in keys]
        while (state := await place.runs.correlator(address.id)) is None or (
            [waiter.run_id for waiter in state.waiters] != wanted
        ):
            await asyncio.sleep(0.02)

    async def begin(key: str) -> str:
        return await place.start({"matching": MATCHING}, "matching", key)

    handle = place.client.get_workflow_handle(address.id)

    async def until_ended() -> None:
        while (await handle.describe()).status == WorkflowExecutionStatus.RUNNING:
            await asyncio.sleep(0.1)

    await offer("nobodys", timedelta(seconds=1))
    await until_ended()
    await _write(place, address.id, None, folder / "correlator-expired.json")

    await offer("early", timedelta(hours=1))
    keys = ("gone", "late", "over", "waits")
    for number in range(len(keys)):
        await begin(keys[number])
        await until_waiters(*keys[: number + 1])
    await place.runs.terminate("matching/gone", "recorded")
    await place.forward("matching/over", timedelta(hours=3))
    await until_waiters("gone", "late", "waits")
    # The run that is gone does not take it, so the next one does.
    await offer("one", timedelta(hours=1))
    await place.until("matching/late", "succeeded")
    await until_waiters("waits")
    event = delivery("first", "p1", "back")
    errand = Errand(
        what="return",
        address=address,
        ticket="of-a-wait-that-is-over",
        run_id="matching/over",
        run="of-before",
        event=event.event,
        trigger=event.trigger,
        expires_at=datetime.now(UTC) + timedelta(hours=1),
    )
    await place.runs._correlators.correlate(errand)
    await place.until("matching/waits", "succeeded")
    await until_waiters()
    await place.until(await begin("takes-the-early"), "succeeded")
    await until_ended()
    raw = (await handle.describe()).raw_info
    assert raw.first_run_id != raw.execution.run_id
    await _write(place, address.id, raw.first_run_id, folder / "correlator-first.json")
    await _write(place, address.id, None, folder / "correlator-last.json")


async def _write(place: Place, workflow_id: str, run_id: str | None, file: Path) -> None:
    handle = place.client.get_workflow_handle(workflow_id, run_id=run_id)
    history = json.loads((await handle.fetch_history()).to_json())
    file.write_text(json.dumps(_plain(history), separators=(",", ":")) + "\n")


def _plain(value: Any) -> Any:
    """Without what tells of the machine."""
    if isinstance(value, dict):
        return {
            key: "recorded" if key == "identity" else _plain(item)
            for key, item in value.items()
            if key != "stackTrace"
        }
    return [_plain(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    names = sys.argv[1:]
    if not names or "gate" in names:
        asyncio.run(record_gate(HISTORIES))
    if not names or "correlator" in names:
        asyncio.run(record_correlator(HISTORIES))
    if not names or set(names) - {"gate", "correlator"}:
        asyncio.run(record([c for c in CASES if not names or c.name in names], HISTORIES))
