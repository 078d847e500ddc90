"""A live run's move to another definition of its tree, at a quiet moment."""

from __future__ import annotations

import asyncio

import msgspec
from temporalio import workflow

from hub.errors import HubError, NotMigratable
from hub.run import TreeRun
from hub.run.migration import Plan, plan_migration
from hub.run.run import MAX_STATE_BYTES
from hub.temporal.run_input import RunInput
from hub.temporal.surroundings import Surroundings
from hub.tree import tree_from_document
from hub.tree.concurrency import first_done

__all__ = ["Move"]


class Move:
    """Where a run is to be moved, if it is, and who waits for the answer."""

    def __init__(self, run: TreeRun, hash: str, around: Surroundings) -> None:  # noqa: A002
        self._run = run
        self._hash = hash
        self._around = around
        self._asked: tuple[RunInput, asyncio.Future[Plan]] | None = None

    def plan(self, target: RunInput) -> Plan:
        """What the move comes to by the state of now. Raises `HubError` for a wrong definition."""
        run = self._run
        if target.hash == self._hash:
            return Plan(from_hash=target.hash)
        tree = tree_from_document(bytes(target.document))
        plan = plan_migration(run.tree, tree, run.state, run.in_flight)
        reasons = list(plan.reasons)
        if run.is_ending:
            reasons.append("it has been asked to stop, or to begin again")
        if len(msgspec.json.encode(run.state)) > MAX_STATE_BYTES:
            reasons.append("its state has become too large to be taken up")
        return msgspec.structs.replace(plan, reasons=reasons) if reasons else plan

    def check(self, target: RunInput) -> Plan:
        """The same. Raises `NotMigratable` where the run cannot be moved."""
        plan = self.plan(target)
        if plan.reasons:
            raise NotMigratable(plan.reasons)
        return plan

    async def ask(self, target: RunInput) -> Plan:
        """Have the run moved. Returns when it is about to be; raises `NotMigratable` otherwise."""
        plan = self.check(target)
        if plan.from_hash == target.hash:
            return plan
        if self._asked is None:
            self._asked = (target, asyncio.get_running_loop().create_future())
            self._run.go_on()
        elif self._asked[0].hash != target.hash:
            raise NotMigratable(["it is being moved to another definition just now"])
        await first_done([self._asked[1]])
        return self._asked[1].result()

    async def made(self, given: RunInput) -> RunInput:
        """With what the next part begins: the new definition, where the run is to be moved."""
        if self._asked is None:
            return given
        target, answered = self._asked
        try:
            # Things may have happened since it was asked.
            plan = self.check(target)
        except HubError as error:
            answered.set_exception(error)
        else:
            given = msgspec.structs.replace(
                given,
                hash=target.hash,
                document=target.document,
                trees=target.trees,
                groups=target.groups,
                state=plan.state,
            )
            self._around.publish_hash(target.hash)
            answered.set_result(msgspec.structs.replace(plan, state=None))
        await workflow.wait_condition(workflow.all_handlers_finished)
        return given

    async def missed(self) -> None:
        """The run ends before it could be moved: those who asked are told."""
        if self._asked is not None and not self._asked[1].done():
            self._asked[1].set_exception(NotMigratable(["it has ended meanwhile"]))
            await workflow.wait_condition(workflow.all_handlers_finished)
