"""Runs in virtual time: events come by script, the real router finds their runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal

import msgspec

from hub.connector import Action, installed_actions
from hub.errors import ExpressionError, HubError, NodeFailed, NotFound
from hub.event import Event
from hub.routing.router import Match, Router
from hub.run import (
    CALLBACK,
    ChildCall,
    Delivery,
    Held,
    RunState,
    Suspended,
    TreeRun,
    allows_another,
    ended_reason,
    held_because,
    meeting,
    meets,
)
from hub.run.approvals import Decision, Delegation, Desk, approval_id
from hub.run.correlation import Correlator, CorrelatorState, Waiter
from hub.run.state import Address, Errand
from hub.simulation.gates import Begun, Gates
from hub.simulation.home import SimulatedHome, World
from hub.simulation.loop import VirtualLoop
from hub.simulation.mocks import Mock, Mocks
from hub.simulation.result import (
    SimulatedDecision,
    SimulatedDelivery,
    SimulatedEvent,
    SimulatedRun,
    SimulationResult,
)
from hub.tree import Tree, tree_from_document
from hub.tree.needs import needed_trees
from hub.tree.nodes.approval import Approval

__all__ = ["START_TIME", "Simulation"]

START_TIME = datetime(2030, 1, 1, tzinfo=UTC)
"""When a simulation begins unless it is told otherwise."""

_MAX_STEPS = 2_000_000


class Simulation:
    """A hub in virtual time: trees, the real router, and mocks instead of connectors.

    `send` and `cancel` plan what happens from outside; `run` lives it. A simulation is closed at
    the end (`with`), which gives up the runs that still wait. `cuts` is asked whenever a run could
    go on in a new part, from its document; by default it never does.
    """

    def __init__(
        self,
        trees: Iterable[Tree] | Router,
        *,
        mocks: Mapping[str, Sequence[Mock]] | None = None,
        start_time: datetime = START_TIME,
        actions: Mapping[str, Action] | None = None,
        max_steps: int = _MAX_STEPS,
        cuts: Callable[[], bool] | None = None,
    ) -> None:
        self.router = trees if isinstance(trees, Router) else Router(trees)
        self._loop = VirtualLoop(max_steps)  # type: ignore[abstract]  # only what asyncio needs
        self._world = World(
            self._loop,
            start_time.astimezone(UTC),
            Mocks(mocks or {}),
            installed_actions() if actions is None else actions,
            cuts,
        )
        self._world.emit = self._emit
        self._world.start_run = self._start_child
        self._world.correlate = self._correlate
        self._correlators: dict[str, Correlator] = {}
        self._runs: list[_Live] = []
        self._latest: dict[str, _Live] = {}
        self._seen: set[tuple[str, str]] = set()
        self._events: list[SimulatedEvent] = []
        self._decisions: dict[int, SimulatedDecision] = {}
        self._planned = 0
        self._gates = Gates(self._world.now, self._begin_held, cuts)

    def __enter__(self) -> Simulation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def now(self) -> datetime:
        """The virtual time."""
        return self._world.now()

    # -- what comes from outside ----------------------------------------------------------

    def send(self, event: Event, trigger: str, *, at: datetime | timedelta = timedelta(0)) -> None:
        """Plan an event: at a time, or so long after the start of the simulation."""
        self._plan(at, partial(self._accept, event, trigger))

    def cancel(self, run_id: str, *, at: datetime | timedelta = timedelta(0)) -> None:
        """Plan that somebody asks the run to stop."""
        self._plan(at, partial(self._cancel, run_id))

    def decide(
        self,
        run_id: str,
        who: str,
        decision: Literal["approve", "reject", "delegate"],
        *,
        to: str | None = None,
        node: str | None = None,
        comment: str | None = None,
        form: Mapping[str, Any] | None = None,
        at: datetime | timedelta = timedelta(0),
    ) -> None:
        """Plan what somebody decides on an approval of the run, the one of that id if given.

        With `delegate` they pass the decision on `to` somebody else.
        """
        number = self._planned
        self._planned += 1

        def come() -> None:
            outcome, message = "recorded", None
            try:
                desk, path, approval = self._asked(run_id, node)
                one = f"decision-{number}"
                if decision == "delegate":
                    desk.delegate(
                        Delegation(
                            id=one,
                            path=path,
                            approval=approval,
                            who=who,
                            to=to or "",
                            how="scenario",
                            comment=comment,
                        )
                    )
                else:
                    desk.decide(
                        Decision(
                            id=one,
                            path=path,
                            approval=approval,
                            decision=decision,
                            who=who,
                            how="scenario",
                            comment=comment,
                            form=dict(form or {}),
                        )
                    )
            except HubError as error:
                outcome, message = error.code, error.message
            self._decisions[number] = SimulatedDecision(
                number=number,
                run_id=run_id,
                who=who,
                decision=decision,
                at=self.now,
                outcome=outcome,
                message=message,
            )

        self._plan(at, come)

    def _plan(self, at: datetime | timedelta, what: Any) -> None:
        offset = at if isinstance(at, timedelta) else at - self._world.start
        moment = max(offset.total_seconds(), self._loop.time())
        self._loop.call_on_event(moment, what)

    # -- running --------------------------------------------------------------------------

    def run(self, span: timedelta | None = None) -> SimulationResult:
        """Let time pass: as long as given, or until nothing happens any more.

        A run that has not ended then waits for something that does not come. Raises `EndlessRun`
        when that never is the case.
        """
        until = None if span is None else self._loop.time() + span.total_seconds()
        self._loop.run_until_idle(until)
        return self.result()

    def result(self) -> SimulationResult:
        """How things stand; a copy that does not change any more."""
        return SimulationResult(
            runs=[live.result() for live in self._runs],
            events=list(self._events),
            calls=[msgspec.structs.replace(call) for call in self._world.calls],
            logs=list(self._world.logs),
            decisions=[self._decisions[number] for number in sorted(self._decisions)],
            now=self.now,
        )

    def close(self) -> None:
        """Give up what still waits."""
        if self._loop.is_closed():
            return
        self._loop.unbind()
        self._gates.close()
        for live in self._runs:
            live.run.suspending = True
            live.task.cancel()
        try:
            self._loop.run_until_idle(self._loop.time())
        finally:
            self._loop.close()

    # -- as journal and dispatcher do -----------------------------------------------------

    def _accept(self, event: Event, trigger: str) -> None:
        if (trigger, event.id) in self._seen:
            self._note(event, trigger, "duplicate", [])
            return
        self._seen.add((trigger, event.id))
        targets: dict[tuple[str, bool], list[Match]] = {}
        deliveries: list[SimulatedDelivery] = []
        for match in self.router.route(trigger, event):
            if match.run_id is None:
                deliveries.append(_fate(match, "failed", match.reason))
            else:
                targets.setdefault((match.run_id, match.every), []).append(match)
        for matches in targets.values():
            matches.sort(key=lambda match: (match.outcome != "start", match.early is None))
            deliveries += self._deliver(event, trigger, matches)
        unreached = ("failed", "no_run", "ignored", "rejected")
        reached = any(d.outcome not in unreached for d in deliveries)
        self._note(event, trigger, "delivered" if reached else "unmatched", deliveries)

    def _note(
        self, event: Event, trigger: str, status: Any, deliveries: list[SimulatedDelivery]
    ) -> None:
        self._events.append(
            SimulatedEvent(
                event=event, trigger=trigger, at=self.now, status=status, deliveries=deliveries
            )
        )

    def _deliver(
        self, event: Event, trigger: str, matches: Sequence[Match]
    ) -> list[SimulatedDelivery]:
        match = matches[0]
        assert match.run_id is not None
        delivery = Delivery(
            event=event,
            trigger=trigger,
            subscription=match.subscription if trigger == CALLBACK else None,
            expires_at=None if match.early is None else self.now + match.early,
        )
        if match.at is not None:
            return self._offer(match, match.at, delivery)
        if match.every:
            fates = [
                _fate(msgspec.structs.replace(match, run_id=run_id), live.run.deliver(delivery))
                for run_id, live in self._latest.items()
                if live.is_of(match.tree, match.key)
            ]
            return fates or [_fate(match, "no_run", f"no run of the key {match.key!r} is live")]
        if match.outcome == "start":
            return [self._start_by(match, delivery, resumes=len(matches) > 1)]
        return [self._resume(match, delivery)]

    def _offer(self, match: Match, address: Address, delivery: Delivery) -> list[SimulatedDelivery]:
        correlator = self._correlator(address)
        outcome = correlator.offer(delivery, self.now)
        fates = [
            _fate(msgspec.structs.replace(match, run_id=run_id), told)
            for run_id, told in self._post(correlator)
        ]
        word = correlator.word(delivery.event)
        return fates or [_fate(match, outcome, None if word is None else word.reason)]

    def _correlator(self, address: Address) -> Correlator:
        found = self._correlators.get(address.id)
        if found is None:
            found = self._correlators[address.id] = Correlator(CorrelatorState(address=address))
        return found

    def _correlate(self, errand: Errand) -> None:
        correlator = self._correlator(errand.address)
        if errand.what == "subscribe":
            waiter = Waiter(
                ticket=errand.ticket,
                run_id=errand.run_id,
                run=errand.run,
                fresh=errand.fresh,
                without=errand.without,
            )
            correlator.subscribe(waiter, self.now)
        elif errand.what == "unsubscribe":
            correlator.unsubscribe(errand.ticket)
        elif errand.event is not None and errand.trigger is not None:
            delivery = Delivery(
                event=errand.event, trigger=errand.trigger, expires_at=errand.expires_at
            )
            correlator.give_back(errand.ticket, delivery, self.now)
        self._post(correlator)

    def _post(self, correlator: Correlator) -> list[tuple[str, str]]:
        """Hand over what the correlator sends; what the runs say to the events."""
        told: list[tuple[str, str]] = []
        while letters := correlator.take_letters(1):
            (letter,) = letters
            run_id = letter.waiter.run_id
            live = self._latest.get(run_id)
            is_there = live is not None and not live.task.done()
            if live is not None and is_there:
                if letter.delivery is not None:
                    told.append((run_id, live.run.deliver(letter.delivery)))
                elif letter.refusal is not None:
                    live.run.tickets.refuse(letter.waiter.ticket, letter.refusal)
            correlator.sent(letter, self.now, reached=is_there)
        return told

    def _resume(self, match: Match, delivery: Delivery) -> SimulatedDelivery:
        assert match.run_id is not None
        live = self._latest.get(match.run_id)
        if live is not None and not live.task.done():
            return _fate(match, live.run.deliver(delivery))
        if delivery.expires_at is None:
            return _fate(match, "no_run", f"no run {match.run_id} is live")
        tree = self.router.trees[match.tree]
        if live is not None and not allows_another(tree, live.run.state.status):
            return _fate(match, "no_run", ended_reason(tree, match.run_id))
        return self._begin(match, tree, delivery)

    def _start_by(self, match: Match, delivery: Delivery, *, resumes: bool) -> SimulatedDelivery:
        assert match.run_id is not None
        tree = self.router.trees[match.tree]
        live = self._latest.get(match.run_id)
        if tree.start.is_held:
            if resumes and live is not None and not live.task.done():
                return _fate(match, live.run.deliver(delivery))
            try:
                outcome = self._gates.hold(tree, match.key, delivery)
            except ExpressionError as error:
                return _fate(msgspec.structs.replace(match, run_id=None), "failed", error.message)
            return _fate(match, outcome, held_because(tree) if outcome == "buffered" else None)
        if live is None:
            return self._begin(match, tree, delivery)
        if live.task.done():
            if not allows_another(tree, live.run.state.status):
                return _fate(match, "rejected", ended_reason(tree, match.run_id))
            return self._begin(match, tree, delivery)
        what = meeting(tree, resumes=resumes)
        if what == "ignore":
            reason = f"the run {match.run_id} is live, and `when_running` is ignore"
            return _fate(match, "ignored", reason)
        if what == "restart":
            outcome = live.run.restart(delivery)
            if live.run.successor:
                live.following = tree
            return _fate(match, outcome)
        return _fate(match, live.run.deliver(delivery))

    def _begin_held(self, held: Held, tree: Tree) -> Begun:
        """A start that was held back has its turn: start its run, or meet the one that lives."""
        live = self._latest.get(held.run_id)
        if live is not None and not live.task.done():
            what = meets(tree)
            if live.run.state.status == "dormant" or what == "deliver":
                dormant = live.run.state.status == "dormant"
                live.run.deliver(held.delivery())
                return "started" if dormant else "delivered"
            if what == "restart":
                live.run.restart(held.delivery())
                if live.run.successor:
                    live.following = tree
                return "started"
            return "live" if what == "wait" else "ignored"
        if live is not None and not allows_another(tree, live.run.state.status):
            return "rejected"
        trees = needed_trees(tree, self.router.trees)
        begun = self._start(held.run_id, tree, held.key, trees)
        begun.run.deliver(held.delivery(tree.start.event))
        return "started"

    def _begin(self, match: Match, tree: Tree, delivery: Delivery) -> SimulatedDelivery:
        assert match.run_id is not None
        trees = needed_trees(tree, self.router.trees)
        live = self._start(match.run_id, tree, match.key, trees)
        return _fate(match, live.run.deliver(delivery))

    def _ended(self, ended: _Live) -> None:
        """Begin the run that an ended one was restarted for, or let those begin that it held back."""
        following, before = ended.following, ended.run
        if self._loop.is_closed():
            return
        if following is None or not before.successor:
            self._gates.ended(before.state.id)
            return
        trees = needed_trees(following, self.router.trees)
        live = self._start(before.state.id, following, before.state.key, trees)
        live.run.follow(before.successor, before.seen_for_successor())

    def _emit(self, event: Event, trigger: str) -> None:
        # As from the journal: in this moment, but after the step that sends it.
        self._loop.call_soon(self._accept, event, trigger)

    def _start_child(self, call: ChildCall, parent: str) -> asyncio.Task[Any]:
        live = self._latest.get(call.run_id)
        if live is not None and not live.task.done():
            raise NodeFailed(
                "already_running",
                f"the run {call.run_id} is live already",
                call.path,
                harmless=True,
            )
        tree = tree_from_document(call.document)
        live = self._start(call.run_id, tree, call.key, call.trees, parent)
        live.run.deliver(call.delivery)
        return live.task

    def _start(
        self,
        run_id: str,
        tree: Tree,
        key: str | None,
        trees: Mapping[str, bytes],
        parent: str | None = None,
    ) -> _Live:
        state = RunState(id=run_id, tree=tree.name, key=key, hash=tree.hash)
        home = SimulatedHome(self._world, run_id, len(self._runs))
        live = _Live(TreeRun(tree, state, home, trees, self.router.groups), home, parent)
        live.task.add_done_callback(lambda _: self._ended(live))
        self._runs.append(live)
        self._latest[run_id] = live
        return live

    def _asked(self, run_id: str, node: str | None) -> tuple[Desk, str, str]:
        """Where a decision on an approval of the run comes in: the desk, the path and the id."""
        live = self._latest.get(run_id)
        if live is None or live.task.done():
            raise NotFound(f"no run {run_id} is live")
        asked = [
            (path, state, approval_id(state))
            for path, state in live.run.state.nodes.items()
            if state.type == Approval.verb and node in (None, state.id)
        ]
        # An open one rather than one that has ended, and of these the latest.
        asked.sort(key=lambda one: one[1].status == "waiting")
        if not asked or asked[-1][2] is None:
            raise NotFound("the run has asked for no such approval")
        path, _, approval = asked[-1]
        assert approval is not None
        return live.run.desk, path, approval

    def _cancel(self, run_id: str) -> None:
        live = self._latest.get(run_id)
        if live is None:
            raise NotFound(f"there is no run {run_id!r} to cancel")
        live.task.cancel()


class _Live:
    """A run at work, and its task."""

    def __init__(self, run: TreeRun, home: SimulatedHome, parent: str | None) -> None:
        self.run = run
        self.home = home
        self.parent = parent
        self.following: Tree | None = None
        self.task: asyncio.Task[Any] = asyncio.get_running_loop().create_task(self._main())
        # The state says how it has ended; nobody else need ask.
        self.task.add_done_callback(lambda task: task.cancelled() or task.exception())

    def is_of(self, tree: str, key: str | None) -> bool:
        """Is it a live run of that tree and key?"""
        state = self.run.state
        return not self.task.done() and (state.tree, state.key) == (tree, key)

    async def _main(self) -> Any:
        try:
            while True:
                try:
                    return await self.run.main()
                except Suspended:
                    self._go_on()
        except NodeFailed:
            raise
        except Exception as error:
            # The state says how a run has ended. What else escapes is a fault of the program, and
            # ends everything.
            asyncio.get_running_loop().call_exception_handler({"exception": error})

    def _go_on(self) -> None:
        """Take the run up again from its document, in a new part."""
        state = _copy(self.run.state)
        state.part += 1
        self.run = TreeRun(self.run.tree, state, self.home, self.run.trees, self.run.groups)

    def result(self) -> SimulatedRun:
        state = _copy(self.run.state)
        state.nonce = ""
        calls = [msgspec.structs.replace(call) for call in self.home.calls]
        return SimulatedRun(state=state, calls=calls, parent=self.parent)


def _copy(state: RunState) -> RunState:
    """The document as it is carried over: through JSON."""
    return msgspec.json.decode(msgspec.json.encode(state), type=RunState)


def _fate(match: Match, outcome: str, reason: str | None = None) -> SimulatedDelivery:
    return SimulatedDelivery(
        tree=match.tree,
        subscription=match.subscription,
        outcome=outcome,
        run_id=match.run_id,
        reason=reason,
    )
