"""The one workflow that lives every tree: its type is the tree's name, its id `tree/key`.

The definition comes with the input, so any worker can run any tree, and a running tree is never
changed under its feet. Code here and below must do the same on every replay: no clock, random,
I/O, set order or thread of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NoReturn, TypeVar

import msgspec
from temporalio import workflow
from temporalio.common import (
    RawValue,
    RetryPolicy,
    SearchAttributeKey,
    SearchAttributePair,
    SearchAttributeUpdate,
    TypedSearchAttributes,
)
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    TerminatedError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)
from temporalio.exceptions import TimeoutError as ActionTimeout

from hub.connector import installed_actions
from hub.errors import BadRequest, HubError, NodeFailed, NotFound, NotMigratable
from hub.run import ActionCall, ChildCall, Delivery, RunState, Suspended, TreeRun
from hub.run import state as state_format
from hub.run.approvals import Decision, Delegation, OpenApproval
from hub.run.correlation import Refusal
from hub.run.decided import DecidedApproval
from hub.run.migration import Plan, plan_migration
from hub.run.run import MAX_STATE_BYTES
from hub.run.schedules import scheduled
from hub.run.state import Errand
from hub.temporal.approvers import DECIDED_MEMO, HUB_APPROVERS, MEMO, tokens_of
from hub.temporal.details import describe
from hub.tree import Retry, tree_from_document
from hub.tree.concurrency import first_done, halt

__all__ = [
    "CORRELATE",
    "HUB_HASH",
    "HUB_KEY",
    "HUB_STATUS",
    "HUB_TREE",
    "HUB_WAITING_FOR",
    "Limits",
    "RunInput",
    "TreeWorkflow",
    "attributes_of",
]

HUB_TREE = SearchAttributeKey.for_keyword("HubTree")
HUB_KEY = SearchAttributeKey.for_keyword("HubKey")
HUB_STATUS = SearchAttributeKey.for_keyword("HubStatus")
HUB_HASH = SearchAttributeKey.for_keyword("HubHash")
HUB_WAITING_FOR = SearchAttributeKey.for_keyword_list("HubWaitingFor")
_DUE = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")

CORRELATE = "hub.correlate"
"""The activity that tells a correlator what a run has to tell it."""

_ERRAND_TIMEOUT = timedelta(seconds=10)
_DEFAULT_TIMEOUT = timedelta(seconds=30)
_HEARTBEAT_TIMEOUT = timedelta(seconds=20)
_DEFAULT_RETRY = Retry(attempts=0, backoff=timedelta(seconds=1), max=timedelta(minutes=5))


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When a run goes on in a new part: the lengths of its history that are enough for that.

    The run carries them, since a replay must come to the same decisions. Temporal ends a run at
    51,200 events, 50 MiB or 10,000 signals. At `factor` times these lengths the run does not wait
    for a quiet moment any more, but makes one.
    """

    events: int = 4000
    size: int = 4 * 1024 * 1024
    signals: int = 2000
    factor: int = 3


class RunInput(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a run is started with.

    `document` is the pinned definition and `hash` its name, `trees` are the definitions of the trees
    that it may run. `delivery` is the start event where it does not come as a signal; `schedule` is
    the trigger's name where a schedule starts the run, which then makes its start event itself from
    the time that was due. `state` is there when the run continues an earlier part of itself.
    A run that was restarted has the `deliveries` that it begins with, and what the one before it
    had `seen` and `decided`.
    """

    hash: str
    document: msgspec.Raw
    key: str | None = None
    delivery: Delivery | None = None
    schedule: str | None = None
    state: RunState | None = None
    trees: dict[str, msgspec.Raw] = {}
    groups: dict[str, list[str]] = {}
    limits: Limits = Limits()
    deliveries: list[Delivery] = []
    seen: list[str] = []
    decided: list[DecidedApproval] = []


def attributes_of(
    tree: str,
    key: str | None,
    hash: str | None = None,  # noqa: A002
    status: str = "running",
    waiting_for: Sequence[str] = (),
) -> TypedSearchAttributes:
    """The search attributes that a run is started with.

    What is known already then need not be written by the run itself.
    """
    pairs: list[SearchAttributePair[Any]] = [
        SearchAttributePair(HUB_TREE, tree),
        SearchAttributePair(HUB_STATUS, status),
    ]
    if hash is not None:
        pairs.append(SearchAttributePair(HUB_HASH, hash))
    if key is not None:
        pairs.append(SearchAttributePair(HUB_KEY, key))
    if waiting_for:
        pairs.append(SearchAttributePair(HUB_WAITING_FOR, list(waiting_for)))
    return TypedSearchAttributes(pairs)


@workflow.defn(dynamic=True)
class TreeWorkflow:
    """A run of a tree, natively on Temporal."""

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
        self._publishing = False
        self._signals = 0
        info = workflow.info()
        # What an earlier part has published still stands.
        self._published = list(info.typed_search_attributes.get(HUB_WAITING_FOR) or ())
        self._approvals: tuple[Sequence[OpenApproval], Sequence[DecidedApproval]] | None = (
            None if info.typed_search_attributes.get(HUB_APPROVERS) else ([], [])
        )
        self._status = info.typed_search_attributes.get(HUB_STATUS) or "running"
        self._next: RunInput | None = None
        self._move: tuple[RunInput, asyncio.Future[Plan]] | None = None
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
        state = given.state or RunState(
            id=info.workflow_id,
            tree=tree.name,
            key=given.key,
            hash=given.hash,
            decided=list(given.decided),
        )
        self._given = given
        self._run = TreeRun(
            tree, state, self, {n: bytes(d) for n, d in given.trees.items()}, given.groups
        )
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

    # -- what differs in a worker that is not the hub's: see hub.temporal.standalone --------

    def _sent(self, value: msgspec.Struct) -> Any:
        """What stands for one of the hub's structs in an input."""
        return value

    def _attributes(
        self,
        tree: str,
        key: str | None,
        hash: str,  # noqa: A002
    ) -> TypedSearchAttributes | None:
        """The search attributes that a child is started with."""
        return attributes_of(tree, key, hash)

    def _publish_hash(self, hash: str) -> None:  # noqa: A002
        """Make the run to be found by the definition that it goes on with."""
        workflow.upsert_search_attributes([HUB_HASH.value_set(hash)])

    def _publish_waiting(self, waiting: list[str]) -> None:
        """Make the run to be found by what it waits for."""
        workflow.upsert_search_attributes([HUB_WAITING_FOR.value_set(waiting)])

    def _publish_approvals(
        self, approvals: Sequence[OpenApproval], decided: Sequence[DecidedApproval]
    ) -> None:
        """Make the run to be found by those who may decide something in it, or have."""
        people = tokens_of(approvals, decided)
        workflow.upsert_search_attributes(
            [HUB_APPROVERS.value_set(people) if people else HUB_APPROVERS.value_unset()]
        )
        workflow.upsert_memo(
            {
                MEMO: msgspec.to_builtins(approvals) if approvals else None,
                DECIDED_MEMO: msgspec.to_builtins(decided) if decided else None,
            }
        )

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
            given = await self._moved(given)
            self._go_on(given)
        except NodeFailed as error:
            await self._stay()
            self._begin_again()
            # The end of this turn is too late for a run that ends in it.
            self._publish()
            raise ApplicationError(
                error.message, {"path": error.path}, type=error.failure, non_retryable=True
            ) from None
        except asyncio.CancelledError:
            if not self._run.leaving:
                await self._stay()
                self._begin_again()
                self._publish_people()
                _end_as_cancelled()
            raise
        await self._stay()
        self._begin_again()
        self._publish_people()
        return result

    def _go_on(self, given: RunInput) -> NoReturn:
        """Go on in a new part, in the version of workers that is the current one then."""
        workflow.continue_as_new(
            self._sent(given),
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
        self._signals += 1
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
        self._signals += 1
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
        self._signals += 1
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
            return self._sent(self._run.desk.decide(_read(payload, Decision)))
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
            return self._sent(self._run.desk.delegate(_read(payload, Delegation)))
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
            given = _target(payload)
            plan = self._plan(given)
            if plan.reasons:
                raise NotMigratable(plan.reasons)
            if plan.from_hash == given.hash:
                return self._sent(plan)
            if self._move is None:
                self._move = (given, asyncio.get_running_loop().create_future())
                self._run.go_on()
            elif self._move[0].hash != given.hash:
                raise NotMigratable(["it is being moved to another definition just now"])
            await first_done([self._move[1]])
            return self._sent(self._move[1].result())
        except HubError as error:
            raise _refusal(error) from None

    @migrate.validator
    def _check_migration(self, payload: RawValue) -> None:
        try:
            plan = self._plan(_target(payload))
            if plan.reasons:
                raise NotMigratable(plan.reasons)
        except HubError as error:
            raise _refusal(error) from None

    @workflow.query(name="migration")
    def migration(self, payload: RawValue) -> Any:
        """What a migration would come to."""
        try:
            return self._sent(msgspec.structs.replace(self._plan(_target(payload)), state=None))
        except HubError as error:
            raise _refusal(error) from None

    def _plan(self, given: RunInput) -> Plan:
        """What the migration comes to by the state of now."""
        if self._broken is not None:
            raise NotMigratable(["it could not begin"])
        run = self._run
        if given.hash == self._given.hash:
            return Plan(from_hash=given.hash)
        tree = tree_from_document(bytes(given.document))
        plan = plan_migration(run.tree, tree, run.state, run.in_flight)
        reasons = list(plan.reasons)
        if run.is_ending:
            reasons.append("it has been asked to stop, or to begin again")
        if len(msgspec.json.encode(run.state)) > MAX_STATE_BYTES:
            reasons.append("its state has become too large to be taken up")
        return msgspec.structs.replace(plan, reasons=reasons) if reasons else plan

    async def _moved(self, given: RunInput) -> RunInput:
        """With what the next part begins: the new definition, where the run is to be moved."""
        if self._move is None:
            return given
        target, answered = self._move
        try:
            # Things may have happened since it was asked.
            plan = self._plan(target)
            if plan.reasons:
                raise NotMigratable(plan.reasons)
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
            self._publish_hash(target.hash)
            answered.set_result(msgspec.structs.replace(plan, state=None))
        await workflow.wait_condition(workflow.all_handlers_finished)
        return given

    async def _stay(self) -> None:
        """The run ends before it could be moved: those who asked are told."""
        if self._move is not None and not self._move[1].done():
            self._move[1].set_exception(NotMigratable(["it has ended meanwhile"]))
            await workflow.wait_condition(workflow.all_handlers_finished)

    @workflow.query(name="state")
    def state(self) -> Any:
        """The run's state document."""
        return None if self._broken is not None else self._run.state

    # -- the run's home: see hub.run.home.Home --------------------------------------------

    def leaving(self) -> bool:
        # Temporal cancels every task of a run that it drops from its cache. Only what may not be
        # done any more then tells that from a cancellation of the run.
        try:
            workflow.random()
        except BaseException:
            return True
        return False

    def is_long(self, *, very: bool = False) -> bool:
        info, limits = workflow.info(), self._given.limits
        if not very and info.is_target_worker_deployment_version_changed():
            # Workers of the version that it began with will be gone one day.
            return True
        factor = limits.factor if very else 1
        return (
            info.get_current_history_length() >= limits.events * factor
            or info.get_current_history_size() >= limits.size * factor
            or self._signals >= limits.signals * factor
        )

    async def settle(self) -> None:
        # Signals of a moment are handled before its cancellation is seen. When a timer fires, both
        # of that moment have been.
        await workflow.sleep(
            timedelta(milliseconds=1), summary="before the run goes on in a new part"
        )

    def now(self) -> datetime:
        return workflow.now()

    def new_id(self) -> str:
        return workflow.uuid4().hex

    async def sleep(self, duration: timedelta, summary: str) -> None:
        await workflow.sleep(duration, summary=summary)

    def wants_scope(self, action: str) -> bool:
        known = installed_actions().get(action)
        return known is not None and known.needs_scope

    async def child(self, call: ChildCall) -> Any:
        given = RunInput(
            hash=call.hash,
            document=msgspec.Raw(call.document),
            key=call.key,
            delivery=call.delivery,
            trees={name: msgspec.Raw(document) for name, document in call.trees.items()},
            groups=self._given.groups,
            limits=self._given.limits,
        )
        try:
            child = await workflow.start_child_workflow(
                call.tree,
                self._sent(given),
                id=call.run_id,
                search_attributes=self._attributes(call.tree, call.key, call.hash),
                cancellation_type=workflow.ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON
                if call.detach
                else workflow.ParentClosePolicy.REQUEST_CANCEL,
            )
        except WorkflowAlreadyStartedError:
            raise NodeFailed(
                "already_running",
                f"the run {call.run_id} is live already",
                call.path,
                harmless=True,
            ) from None
        except ChildWorkflowError as error:
            if is_cancelled_exception(error):
                raise asyncio.CancelledError from None
            raise _child_failure(error, call) from None
        if call.detach:
            return call.run_id
        try:
            await first_done([child])
        except asyncio.CancelledError:
            await halt([child])
            raise
        try:
            return child.result()
        except ChildWorkflowError as error:
            raise _child_failure(error, call) from None

    async def call(self, call: ActionCall, retry: Retry | None) -> Any:
        retry = retry or _DEFAULT_RETRY
        known = installed_actions().get(call.action)
        try:
            return await workflow.execute_activity(
                call.action,
                self._sent(call),
                activity_id=call.path,
                summary=call.label,
                start_to_close_timeout=_DEFAULT_TIMEOUT if known is None else known.timeout,
                heartbeat_timeout=_HEARTBEAT_TIMEOUT,
                cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                retry_policy=RetryPolicy(
                    initial_interval=max(retry.backoff, timedelta(milliseconds=1)),
                    backoff_coefficient=retry.factor,
                    maximum_interval=max(retry.max, retry.backoff, timedelta(milliseconds=1)),
                    maximum_attempts=retry.attempts,
                    non_retryable_error_types=list(retry.unless) or None,
                ),
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise asyncio.CancelledError from None
            raise _node_failure(error, call) from None

    @property
    def correlates(self) -> bool:
        return True

    async def correlate(self, errand: Errand) -> None:
        try:
            await workflow.execute_local_activity(
                CORRELATE,
                self._sent(errand),
                start_to_close_timeout=_ERRAND_TIMEOUT,
                retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=30)),
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise asyncio.CancelledError from None
            cause = error.cause
            code = cause.type if isinstance(cause, ApplicationError) else None
            raise NodeFailed(code or "undeliverable", str(cause or error)) from None

    def log(self, level: str, message: str, fields: dict[str, Any]) -> None:
        info = workflow.info()
        getattr(workflow.logger, level)(
            message, extra={"run": info.workflow_id, "tree": info.workflow_type, **fields}
        )

    def changed(self) -> None:
        # Several nodes may change in one turn; what others see is written once, at its end.
        if not self._publishing and not self._run.leaving:
            self._publishing = True
            asyncio.get_running_loop().call_soon(self._publish)

    def _publish(self) -> None:
        self._publishing = False
        if self._run.leaving:
            return
        state = self._run.state
        workflow.set_current_details(describe(state))
        if self._status == "dormant" != state.status:
            self._status = state.status
            workflow.upsert_search_attributes([HUB_STATUS.value_set(state.status)])
        waiting = list(dict.fromkeys(state.waiting_for))
        # Only what it waits for is worth a write: that it waits no more shows soon enough.
        if waiting and sorted(waiting) != sorted(self._published):
            self._published = waiting
            self._publish_waiting(waiting)
        self._publish_people()

    def _publish_people(self) -> None:
        """What is open matters while the run lives; what was decided also after its end."""
        desk, before = self._run.desk, self._approvals
        open_, decided = desk.open(), list(desk.decided())
        if (
            before is None
            or decided != before[1]
            or (open_ != before[0] and self._run.state.status == "running")
        ):
            self._approvals = open_, decided
            self._publish_approvals(open_, decided)


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


def _node_failure(error: ActivityError, call: ActionCall) -> NodeFailed:
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return NodeFailed(
            cause.type or "failed",
            cause.message,
            call.path,
            # Refused at the first attempt: nothing was done. An earlier one may have done it.
            harmless=cause.non_retryable and tuple(cause.details) == ({"attempt": 1},),
        )
    if isinstance(cause, ActionTimeout):
        return NodeFailed("action_timeout", f"{call.action} gave no answer in time", call.path)
    if isinstance(cause, CancelledError):
        return NodeFailed("cancelled", f"{call.action} was cancelled", call.path)
    return NodeFailed("failed", str(cause or error), call.path)


def _child_failure(error: ChildWorkflowError, call: ChildCall) -> NodeFailed:
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return NodeFailed(cause.type or "failed", cause.message, call.path)
    if isinstance(cause, CancelledError):
        return NodeFailed("cancelled", f"the run {call.run_id} was cancelled", call.path)
    if isinstance(cause, TerminatedError):
        return NodeFailed("terminated", f"the run {call.run_id} was terminated", call.path)
    return NodeFailed("failed", str(cause or error), call.path)
