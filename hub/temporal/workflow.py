"""The one workflow that lives every tree: its type is the tree's name, its id `tree/key`.

The definition comes with the input, so any worker can run any tree, and a running tree is never
changed under its feet. Code here and below must do the same on every replay: no clock, random,
I/O, set order or thread of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

import msgspec
from temporalio import workflow
from temporalio.common import RawValue, SearchAttributeKey, SearchAttributeUpdate
from temporalio.exceptions import ApplicationError

from hub.errors import BadRequest, HubError, NodeFailed, NotFound, NotMigratable
from hub.run import Delivery, RunState, Suspended, TreeRun
from hub.run import state as state_format
from hub.run.approvals import Decision, Delegation
from hub.run.correlation import Refusal
from hub.run.schedules import scheduled
from hub.temporal.attributes import HUB_HASH, HUB_STATUS, HUB_WAITING_FOR
from hub.temporal.home import TemporalHome
from hub.temporal.move import Move
from hub.temporal.publication import Publication
from hub.temporal.run_input import RunInput
from hub.temporal.surroundings import Surroundings
from hub.tree import tree_from_document

__all__ = ["TreeWorkflow"]

_DUE = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")


@workflow.defn(dynamic=True)
class TreeWorkflow:
    """A run of a tree, natively on Temporal."""

    around = Surroundings()
    _is_later = False
    """Is the run's state of a later release than this worker?"""

    @workflow.init
    def __init__(self, args: Sequence[RawValue]) -> None:
        try:
            given = workflow.payload_converter().from_payload(args[0].payload, RunInput)
        except (RuntimeError, IndexError) as error:
            # An input that no worker can read must end the run, not block it for ever.
            self._broken: str | None = str(error)
            return
        self._begin(given)

    def _begin(self, given: RunInput) -> None:
        self._broken = None
        self._next: RunInput | None = None
        self._publication = Publication(self.around)
        self._home = TemporalHome(given, self.around, self._publication.changed)
        try:
            tree = tree_from_document(bytes(given.document))
        except HubError as error:
            self._broken = str(error)
            return
        if given.state is not None and given.state.format > state_format.FORMAT:
            self._broken = (
                f"the run's state is of format {given.state.format}, and this worker's release knows "
                f"{state_format.FORMAT}"
            )
            self._is_later = True
            return
        info = workflow.info()
        state = given.state or RunState(
            id=info.workflow_id,
            tree=tree.name,
            key=given.key,
            hash=given.hash,
            decided=list(given.decided),
        )
        self._given = given
        self._run = TreeRun(
            tree, state, self._home, {n: bytes(d) for n, d in given.trees.items()}, given.groups
        )
        self._publication.run = self._run
        self._move = Move(self._run, given.hash, self.around)
        if given.state is not None:
            return
        if given.deliveries:
            self._run.follow(given.deliveries, given.seen)
        elif given.delivery is not None:
            self._run.deliver(given.delivery)
        elif given.schedule is not None:
            # The time that was due, not the one at which the server came to it.
            due = info.typed_search_attributes.get(_DUE) or info.start_time
            self._run.deliver(scheduled(given.schedule, due, tree.start.event))

    # -- the run ----------------------------------------------------------------------------

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> Any:
        """Live the tree. Returns its result; fails with the code of the node that failed it."""
        return await self._live()

    async def _live(self) -> Any:
        if self._is_later:
            # Not the run's failure, but that of its task: a worker of a later release goes on.
            raise RuntimeError(self._broken)
        if self._broken is not None:
            raise ApplicationError(self._broken, type="invalid_input", non_retryable=True)
        try:
            result = await self._run.main()
        except Suspended:
            state = self._run.state
            state.part += 1
            given = msgspec.structs.replace(
                self._given, delivery=None, deliveries=[], seen=[], decided=[], state=state
            )
            given = await self._move.made(given)
            self._go_on(given)
        except NodeFailed as error:
            await self._move.missed()
            self._begin_again()
            # The end of this turn is too late for a run that ends in it.
            self._publication.publish()
            raise ApplicationError(
                error.message, {"path": error.path}, type=error.failure, non_retryable=True
            ) from None
        except asyncio.CancelledError:
            if not self._run.leaving:
                await self._move.missed()
                self._begin_again()
                self._publication.publish_people()
                _end_as_cancelled()
            raise
        await self._move.missed()
        self._begin_again()
        self._publication.publish_people()
        return result

    def _go_on(self, given: RunInput) -> NoReturn:
        """Go on in a new part, in the version of workers that is the current one then."""
        workflow.continue_as_new(
            self.around.sent(given),
            initial_versioning_behavior=workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE,
        )

    def _begin_again(self) -> None:
        """Where the run was restarted: go on as the run that follows it."""
        following = self._run.successor
        if self._next is None or not following:
            return
        given = msgspec.structs.replace(
            self._next,
            delivery=None,
            deliveries=list(following),
            seen=self._run.seen_for_successor(),
            decided=self._run.state.decided,
        )
        attributes: list[SearchAttributeUpdate[Any]] = [
            HUB_HASH.value_set(given.hash),
            HUB_STATUS.value_set("running"),
            HUB_WAITING_FOR.value_unset(),
        ]
        workflow.upsert_search_attributes(attributes)
        self._go_on(given)

    @workflow.signal(name="event")
    def event(self, payload: RawValue) -> None:
        """An event for this run."""
        if self._broken is not None:
            return
        self._home.signals += 1
        try:
            delivery = workflow.payload_converter().from_payload(payload.payload, Delivery)
        except RuntimeError as error:
            workflow.logger.error("a signal does not decode: %s", error)
            return
        self._run.deliver(delivery)

    @workflow.signal(name="refused")
    def refused(self, payload: RawValue) -> None:
        """A correlator does not take a wait of this run."""
        if self._broken is not None:
            return
        self._home.signals += 1
        try:
            given = workflow.payload_converter().from_payload(payload.payload, Refusal)
        except RuntimeError as error:
            workflow.logger.error("a signal does not decode: %s", error)
            return
        self._run.tickets.refuse(given.ticket, given.failure)

    @workflow.signal(name="restart")
    def restart(self, payload: RawValue) -> None:
        """What this run is to begin again with, once it has cleaned up."""
        if self._broken is not None:
            return
        self._home.signals += 1
        try:
            given = workflow.payload_converter().from_payload(payload.payload, RunInput)
        except RuntimeError as error:
            workflow.logger.error("a signal does not decode: %s", error)
            return
        if given.delivery is not None and self._run.restart(given.delivery) == "started":
            self._next = given

    @workflow.update(name="decide")
    def decide(self, payload: RawValue) -> Any:
        """What a person decides on an approval of this run."""
        try:
            return self.around.sent(self._run.desk.decide(_read(payload, Decision)))
        except HubError as error:
            raise _refusal(error) from None

    @decide.validator
    def _check_decision(self, payload: RawValue) -> None:
        try:
            if self._broken is not None:
                raise NotFound("The run does not wait for this decision any more.")
            self._run.desk.check(_read(payload, Decision))
        except HubError as error:
            raise _refusal(error) from None

    @workflow.update(name="delegate")
    def delegate(self, payload: RawValue) -> Any:
        """To whom a person passes a decision on."""
        try:
            return self.around.sent(self._run.desk.delegate(_read(payload, Delegation)))
        except HubError as error:
            raise _refusal(error) from None

    @delegate.validator
    def _check_delegation(self, payload: RawValue) -> None:
        try:
            if self._broken is not None:
                raise NotFound("The run does not wait for this decision any more.")
            self._run.desk.check_delegation(_read(payload, Delegation))
        except HubError as error:
            raise _refusal(error) from None

    # -- migration --------------------------------------------------------------------------

    @workflow.update(name="migrate")
    async def migrate(self, payload: RawValue) -> Any:
        """Go on with another definition. Answered when the run is about to, or will not."""
        try:
            return self.around.sent(await self._movable().ask(_target(payload)))
        except HubError as error:
            raise _refusal(error) from None

    @migrate.validator
    def _check_migration(self, payload: RawValue) -> None:
        try:
            self._movable().check(_target(payload))
        except HubError as error:
            raise _refusal(error) from None

    @workflow.query(name="migration")
    def migration(self, payload: RawValue) -> Any:
        """What a migration would come to."""
        try:
            plan = self._movable().plan(_target(payload))
            return self.around.sent(msgspec.structs.replace(plan, state=None))
        except HubError as error:
            raise _refusal(error) from None

    def _movable(self) -> Move:
        if self._broken is not None:
            raise NotMigratable(["it could not begin"])
        return self._move

    @workflow.query(name="state")
    def state(self) -> Any:
        """The run's state document."""
        return None if self._broken is not None else self._run.state


def _end_as_cancelled() -> None:
    """Let Temporal show a run as cancelled that an event has cancelled, or that was before it went
    on in a new part: it does so only for one that was itself asked to stop."""
    runtime: Any = workflow._Runtime.current()
    if runtime._cancel_reason is None:
        runtime._cancel_reason = ""


_Said = TypeVar("_Said", Decision, Delegation)


def _read(payload: RawValue, kind: type[_Said]) -> _Said:
    """What a person has said. Raises `BadRequest`."""
    try:
        value = workflow.payload_converter().from_payload(payload.payload)
        return msgspec.convert(value, kind)
    except (RuntimeError, ValueError) as error:
        raise BadRequest(f"this is no decision: {error}") from None


def _target(payload: RawValue) -> RunInput:
    """The definition that a run is to go on with. Raises `BadRequest`."""
    try:
        return workflow.payload_converter().from_payload(payload.payload, RunInput)
    except RuntimeError as error:
        raise BadRequest(f"this is no definition: {error}") from None


def _refusal(error: HubError) -> ApplicationError:
    details = [list(error.reasons)] if isinstance(error, NotMigratable) else []
    return ApplicationError(error.message, *details, type=error.code, non_retryable=True)
