"""Why an event did, or did not, wake what: for any event of the journal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from hub.errors import ExpressionError, HubError, NotFound
from hub.expressions import Expression, compile_expression
from hub.routing.journal import DeliveryRecord, Entry, Journal, Outcome
from hub.routing.replay import original
from hub.routing.router import Match, Router
from hub.run import Delivery, Runs, RunState, gate_of, key_text
from hub.run.correlation import is_correlator
from hub.run.state import Address

__all__ = ["Explanation", "NearMiss", "Verdict", "explain", "told", "word_of"]

_CHAIN = re.compile(r"\bevent(?:\.[A-Za-z_]\w*)+")
_MOST_NEAR = 5
_NOWHERE = ("no_run", "none", "failed")
_LONGEST = 80


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What one subscription made of the event.

    `outcome` is "filtered" or "failed" where the event got no further than the subscription, and
    what became of it at the run otherwise; "none" means that it would be for that run, but was not
    delivered by this subscription when it came. `values` are those that `where` and `key` looked at.

    Where runs wait for the event by a value that they learnt (`match`), `match` is that value, and
    `run_id` is no run but the place where they wait. `runs` are those that it was given to there (the
    first 20, as long as the place remembers it), and elsewhere the one of `run_id`.
    """

    tree: str
    subscription: str
    outcome: Outcome | Literal["none"]
    key: str | None = None
    run_id: str | None = None
    reason: str | None = None
    values: dict[str, Any] = {}
    match: str | None = None
    runs: Sequence[str] = ()
    woke: str | None = None
    """The path of the node that the event woke."""


class NearMiss(msgspec.Struct, frozen=True, kw_only=True):
    """A run that the event nearly reached, and what kept it apart."""

    run_id: str
    tree: str
    subscription: str
    key: str | None
    reason: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was made of one event."""

    id: str
    trigger: str
    type: str
    status: str
    duplicates: int
    error: str | None
    subscriptions: Sequence[Verdict]
    near_misses: Sequence[NearMiss]


async def explain(entry: Entry, router: Router, runs: Runs) -> Explanation:
    """Explain an entry by the subscriptions of now and of the runs that still live.

    Asks the runs that it reached for their own word. Raises `Unreachable`.
    """
    # A tree and its former definitions mostly agree; what they say alike is said once.
    told = {
        (m.tree, m.subscription, m.outcome, m.run_id): m
        for m in reversed(router.explain(entry.trigger, original(entry.event)))
    }
    matches = list(reversed(told.values()))
    recorded = {
        (d.tree, d.subscription, is_correlator(d.run_id or "")): d for d in entry.deliveries
    }
    scope = {"event": entry.event.to_cloudevent()}
    verdicts = []
    for match in matches:
        record = recorded.pop((match.tree, match.subscription, match.at is not None), None)
        verdicts.append(await _verdict(match, record, router, runs, entry, scope))
    # What was delivered by subscriptions that no tree has any more.
    for record in recorded.values():
        word = await word_of(record, entry, runs, router)
        verdicts.append(await _with_runs(_told(record, word), entry, runs))
    return Explanation(
        id=entry.id,
        trigger=entry.trigger,
        type=entry.event.type,
        status=entry.status,
        duplicates=entry.duplicates,
        error=entry.error,
        subscriptions=verdicts,
        near_misses=await _near_misses(matches, router, runs, scope),
    )


async def word_of(
    record: DeliveryRecord, entry: Entry, runs: Runs, router: Router | None = None
) -> DeliveryRecord:
    """The delivery with the word on it of the run, or of the gate that holds it back: resumed, ...

    The gate is found by the tree of now.
    """
    if record.run_id is not None and is_correlator(record.run_id):
        return await _word_of_correlator(record, record.run_id, entry, runs)
    if record.outcome == "buffered" and router is not None:
        record = await _word_of_gate(record, entry, runs, router)
    if record.outcome not in ("delivered", "buffered") or record.run_id is None:
        return record
    try:
        state = await runs.show(record.run_id)
    except NotFound:
        return record
    except HubError as error:
        return msgspec.structs.replace(record, reason=error.message)
    seen_as = original(entry.event).id
    for handled in state.mailbox.handled:
        if handled.id == seen_as and handled.outcome not in ("duplicate", record.outcome):
            return msgspec.structs.replace(
                record,
                outcome=handled.outcome,
                subscription=handled.subscription or record.subscription,
                reason=handled.reason or _why(handled.outcome, handled.path, state),
            )
    return record


async def _word_of_gate(
    record: DeliveryRecord, entry: Entry, runs: Runs, router: Router
) -> DeliveryRecord:
    tree = router.trees.get(record.tree)
    if tree is None or not tree.start.is_held or record.subscription != tree.start.event:
        return record
    event = original(entry.event)
    try:
        gate, _ = gate_of(tree, record.key, Delivery(event=event, trigger=entry.trigger))
        fate = await runs.fate(gate, event, entry.received_at)
    except HubError:
        return record
    if fate is None or fate.outcome == "duplicate":
        return record
    return msgspec.structs.replace(
        record,
        outcome=fate.outcome,
        run_id=fate.run_id or record.run_id,
        reason=fate.reason or record.reason if fate.outcome == "buffered" else fate.reason,
    )


async def _word_of_correlator(
    record: DeliveryRecord, correlator_id: str, entry: Entry, runs: Runs
) -> DeliveryRecord:
    """The same where the event went to a correlator: what became of it there, and in the runs."""
    if record.outcome not in ("delivered", "buffered"):
        return record
    state = await runs.correlator(correlator_id)
    seen_as = original(entry.event).id
    words = [] if state is None else [word for word in state.words if word.id == seen_as]
    if not words:
        return record
    word = words[-1]
    if word.outcome != "delivered":
        return msgspec.structs.replace(record, outcome=word.outcome, reason=word.reason)
    told = [
        (run_id, await word_of(_at_run(record, run_id), entry, runs))
        for run_id in dict.fromkeys(word.runs)
    ]
    woken = [f"{run_id}: {one.reason}" for run_id, one in told if one.outcome == "resumed"]
    others = [f"{run_id}: {one.outcome}" for run_id, one in told if one.outcome != "resumed"]
    return msgspec.structs.replace(
        record,
        outcome="resumed" if woken else told[0][1].outcome if told else "delivered",
        reason="; ".join([*woken, *others]) or None,
    )


def _at_run(record: DeliveryRecord, run_id: str) -> DeliveryRecord:
    return msgspec.structs.replace(record, run_id=run_id, outcome="delivered")


async def told(entry: Entry, journal: Journal, runs: Runs, router: Router | None = None) -> Entry:
    """The entry with the runs' own words on its deliveries; what is learnt is kept in the journal."""
    records = []
    for record in entry.deliveries:
        word = await word_of(record, entry, runs, router)
        if word.outcome != record.outcome == "delivered":
            await journal.update_delivery(
                entry.seq, msgspec.structs.replace(word, subscription=record.subscription)
            )
        records.append(word)
    return msgspec.structs.replace(entry, deliveries=records)


def _why(outcome: Outcome, path: str | None, state: RunState) -> str | None:
    waits = ", ".join(state.waiting_for) or "nothing"
    return {
        "resumed": f"it woke {path}" if path else None,
        "started": "it started the run",
        "buffered": f"no node waited for it then; it is kept for a wait to come (now: {waits})",
        "late": "the wait for it was over already",
        "ignored": f"the run had no use for it (it waits for {waits})",
        "rejected": "the run's mailbox was full",
    }.get(outcome)


async def _verdict(
    match: Match,
    record: DeliveryRecord | None,
    router: Router,
    runs: Runs,
    entry: Entry,
    scope: dict[str, Any],
) -> Verdict:
    values = _values(match, router, scope)
    if match.run_id is None:
        outcome: Outcome = "filtered" if match.outcome == "filtered" else "failed"
        return Verdict(
            tree=match.tree,
            subscription=match.subscription,
            outcome=outcome,
            reason=match.reason,
            values=values,
        )
    if record is None:
        return Verdict(
            tree=match.tree,
            subscription=match.subscription,
            outcome="none",
            key=match.key,
            run_id=match.run_id,
            match=None if match.at is None else match.at.value,
            reason="another subscription of the tree took it to that run"
            if any(d.run_id == match.run_id for d in entry.deliveries)
            else "this definition is newer than the delivery, or it has not been delivered yet",
            values=values,
        )
    told = await word_of(record, entry, runs, router)
    if match.at is not None:
        told = msgspec.structs.replace(told, reason=await _with_waiters(told, match.at, runs))
    return await _with_runs(_told(record, told, values), entry, runs)


async def _with_runs(verdict: Verdict, entry: Entry, runs: Runs) -> Verdict:
    """The verdict with the runs that the event was given to."""
    if verdict.run_id is None:
        return verdict
    if not is_correlator(verdict.run_id):
        is_there = verdict.outcome not in _NOWHERE
        return msgspec.structs.replace(verdict, runs=[verdict.run_id] if is_there else [])
    state = await runs.correlator(verdict.run_id)
    seen_as = original(entry.event).id
    given = [] if state is None else [r for w in state.words if w.id == seen_as for r in w.runs]
    return msgspec.structs.replace(verdict, match=verdict.key, runs=list(dict.fromkeys(given)))


async def _with_waiters(told: DeliveryRecord, address: Address, runs: Runs) -> str:
    """The reason, and who waits for the value now."""
    state = await runs.correlator(address.id)
    waiting = [] if state is None else list(dict.fromkeys(w.run_id for w in state.waiters))
    who = ", ".join(waiting[:_MOST_NEAR]) or "nobody"
    if len(waiting) > _MOST_NEAR:
        who += f" and {len(waiting) - _MOST_NEAR} more"
    now = f"now {who} waits for the value {address.value[:_LONGEST]!r} by `match`"
    return f"{told.reason}; {now}" if told.reason else now


def _told(
    record: DeliveryRecord, told: DeliveryRecord, values: dict[str, Any] | None = None
) -> Verdict:
    woke = (
        told.reason.removeprefix("it woke ") if told.outcome == "resumed" and told.reason else None
    )
    return Verdict(
        tree=record.tree,
        subscription=record.subscription,
        outcome=told.outcome,
        key=record.key,
        run_id=told.run_id,
        reason=told.reason,
        values=values or {},
        woke=woke,
    )


def _values(match: Match, router: Router, scope: dict[str, Any]) -> dict[str, Any]:
    """The parts of the event that the subscription looks at, with their values."""
    tree = router.trees.get(match.tree)
    subscription = tree.subscriptions.get(match.subscription) if tree else None
    if subscription is None:
        return {}
    looked_at: dict[str, Any] = {}
    for expression in (subscription.where, subscription.key):
        for chain in _CHAIN.findall(expression.text) if expression else ():
            try:
                value = compile_expression(chain).evaluate(scope)
            except ExpressionError:
                value = None
            looked_at[chain] = (
                f"{value[:_LONGEST]}…"
                if isinstance(value, str) and len(value) > _LONGEST
                else value
            )
    return looked_at


async def _near_misses(
    matches: Sequence[Match], router: Router, runs: Runs, scope: dict[str, Any]
) -> list[NearMiss]:
    """Runs that wait for the same subscription with another key, or for another event of the key."""
    reached = {match.run_id for match in matches if match.run_id is not None}
    missed: dict[str, NearMiss] = {}
    for match in matches:
        if match.outcome in ("resume", "failed"):
            page = await runs.list(
                tree=match.tree, waiting_for=match.subscription, limit=_MOST_NEAR
            )
            for run in page.items:
                if run.id in reached or run.id in missed:
                    continue
                values = await _values_awaited(run.id, match.subscription, runs)
                if match.at is not None and match.key not in values:
                    if not values:
                        continue
                    missed[run.id] = NearMiss(
                        run_id=run.id,
                        tree=match.tree,
                        subscription=match.subscription,
                        key=run.key,
                        reason=f"it waits for `{match.subscription}` with the value "
                        f"{', '.join(map(repr, values))} (`match`); the event has {match.key!r}",
                    )
                elif match.at is None and not values:
                    missed[run.id] = NearMiss(
                        run_id=run.id,
                        tree=match.tree,
                        subscription=match.subscription,
                        key=run.key,
                        reason=f"it waits for `{match.subscription}` with the key {run.key!r}; "
                        f"the event has {match.key!r}",
                    )
        elif match.outcome == "filtered":
            key = _key_of(match, router, scope)
            if key is None or f"{match.tree}/{key}" in reached | missed.keys():
                continue
            page = await runs.list(tree=match.tree, key=key, status="running", limit=1)
            for run in page.items:
                missed[run.id] = NearMiss(
                    run_id=run.id,
                    tree=match.tree,
                    subscription=match.subscription,
                    key=key,
                    reason=f"it has the key {key!r}, but `{match.subscription}` filters the event "
                    f"out; it waits for {', '.join(run.waiting_for) or 'nothing'}",
                )
    return list(missed.values())


async def _values_awaited(run_id: str, subscription: str, runs: Runs) -> list[str]:
    """The values that waits of the run with `match` are open for."""
    try:
        state = await runs.show(run_id)
    except NotFound:
        return []
    return [
        ticket.value
        for ticket in state.tickets.open.values()
        if ticket.subscription == subscription
    ]


def _key_of(match: Match, router: Router, scope: dict[str, Any]) -> str | None:
    tree = router.trees.get(match.tree)
    subscription = tree.subscriptions.get(match.subscription) if tree else None
    key: Expression | None = subscription.key if subscription else None
    try:
        return key_text(key.evaluate(scope)) if key else None
    except ExpressionError:
        return None
