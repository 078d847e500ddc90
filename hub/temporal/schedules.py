"""Schedules as the rest of the hub reaches them: over a Temporal client.

A project's schedules are called `hub/<project>/<tree>/<event>`, and their memo says whose they are.
What is not so called, or is another's by its memo, is never touched.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.workflowservice.v1 import (
    ListScheduleMatchingTimesRequest,
    UpdateScheduleRequest,
)
from temporalio.client import (
    Client,
    ScheduleActionExecutionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleBackfill,
    ScheduleDescription,
    ScheduleHandle,
)
from temporalio.service import RPCError, RPCStatusCode

from hub.errors import BadRequest, Conflict, HubError, NotFound
from hub.run.schedules import Change, LastRun, Plan, ScheduleStatus, ScheduleView, WantedSchedule
from hub.temporal.answers import away
from hub.temporal.schedule_spec import (
    MEMO,
    OVERLAPS,
    Owner,
    differences,
    owner_of,
    read_origin,
    read_owner,
    schedule_for,
    times_of,
)
from hub.timetable import Overlap

__all__ = ["TemporalSchedules"]

_T = TypeVar("_T")

_RPC_TIMEOUT = timedelta(seconds=10)
_PREFIX = "hub"
_AT_ONCE = 16
_TRIES = 5
_SHOWN = 5
_MAX_TIMES = 1000


@dataclass(frozen=True)
class _Known:
    """A schedule of this project as the server has it."""

    id: str
    owner: Owner
    description: ScheduleDescription
    token: bytes


class TemporalSchedules:
    """`hub.run.schedules.KeptSchedules` of one project, on a Temporal namespace."""

    def __init__(self, client: Client, project: str, *, task_queue: str = "hub") -> None:
        self._client = client
        self._project = project
        self._task_queue = task_queue
        self._made: set[str] = set()

    # -- making the server's schedules equal the project's --------------------------------

    async def plan(self, wanted: Sequence[WantedSchedule], *, delete: bool = True) -> Plan:
        """What `apply` would do."""
        changes: list[Change] = []
        unchanged: list[str] = []
        known = {one.id: one for one in await self._known(wanted)}
        for one in wanted:
            found = known.get(one.id)
            if found is None:
                changes.append(Change(action="create", id=one.id, reasons=times_of(one)))
            elif reasons := await self._differences(found, one):
                changes.append(Change(action="update", id=one.id, reasons=reasons))
            else:
                unchanged.append(one.id)
        if delete:
            ids = {one.id for one in wanted}
            changes += [
                Change(action="delete", id=id_, reasons=["the project does not have it any more"])
                for id_ in sorted(known)
                if id_ not in ids
            ]
        return Plan(changes=changes, unchanged=unchanged)

    async def apply(self, wanted: Sequence[WantedSchedule], *, delete: bool = True) -> Plan:
        """Make the server's schedules of this project equal the wanted ones; say what was done.

        Others may do the same at the same time. Without `delete`, what is not wanted stays. Raises
        `Conflict` where a schedule has the name of a wanted one and is not this project's.
        """
        plan = await self.plan(wanted, delete=delete)
        by_id = {one.id: one for one in wanted}
        await _each(
            self._delete(change.id) if change.action == "delete" else self._put(by_id[change.id])
            for change in plan.changes
        )
        return plan

    async def _put(self, wanted: WantedSchedule) -> None:
        """Create it, or update it; whichever another `apply` has not just done."""
        for attempt in range(_TRIES):
            found = await self._find(wanted.id)
            try:
                if found is None:
                    await self._create(wanted)
                elif await self._differences(found, wanted):
                    await self._update(found, wanted)
            except (Conflict, NotFound):
                if attempt == _TRIES - 1:
                    raise
            else:
                self._made.add(wanted.id)
                return

    async def _create(self, wanted: WantedSchedule) -> None:
        try:
            async with _reaching(wanted.id):
                await self._client.create_schedule(
                    self._name(wanted.id),
                    schedule_for(wanted, self._task_queue),
                    memo={MEMO: owner_of(wanted, self._project)},
                    rpc_timeout=_RPC_TIMEOUT,
                )
        except ScheduleAlreadyRunningError:
            raise Conflict(f"the schedule {wanted.id} was made by others meanwhile") from None

    async def _update(self, found: _Known, wanted: WantedSchedule) -> None:
        """Raises `Conflict` where the schedule is no more as it was found."""
        client = self._client
        schedule = schedule_for(wanted, self._task_queue, found.description.schedule.state)
        request = UpdateScheduleRequest(
            namespace=client.namespace,
            schedule_id=self._name(wanted.id),
            schedule=await schedule._to_proto(client),
            conflict_token=found.token,
            identity=client.identity,
            request_id=str(uuid.uuid4()),
        )
        async with _reaching(wanted.id):
            await client.workflow_service.update_schedule(request, retry=True, timeout=_RPC_TIMEOUT)

    async def _delete(self, id_: str) -> None:
        try:
            if await self._find(id_) is not None:
                async with _reaching(id_):
                    await self._handle(id_).delete(rpc_timeout=_RPC_TIMEOUT)
        except NotFound:
            pass
        self._made.discard(id_)

    # -- reading --------------------------------------------------------------------------

    async def list(self, wanted: Sequence[WantedSchedule]) -> Sequence[ScheduleView]:
        known = {one.id: one for one in await self._known(wanted)}
        views = [_missing(one) for one in wanted if one.id not in known]
        by_id = {one.id: one for one in wanted}
        for id_, found in known.items():
            one = by_id.get(id_)
            differs = one is not None and await self._differences(found, one)
            views.append(
                await self._view(
                    found, "unwanted" if one is None else "outdated" if differs else "current"
                )
            )
        return sorted(views, key=lambda view: view.id)

    async def times(self, id: str, after: datetime, count: int) -> Sequence[datetime]:  # noqa: A002
        if not 0 < count <= _MAX_TIMES:
            raise BadRequest(f"the number of times goes from 1 to {_MAX_TIMES}")
        await self._owned(id)
        found: list[datetime] = []
        # The server tells the times of a span, and at most so many; the span grows until they do.
        begin, span = after, timedelta(days=1)
        while len(found) < count and begin.year < 2100:
            end = begin + span
            request = ListScheduleMatchingTimesRequest(
                namespace=self._client.namespace,
                schedule_id=self._name(id),
                start_time=_stamp(begin),
                end_time=_stamp(end),
            )
            async with _reaching(id):
                response = await self._client.workflow_service.list_schedule_matching_times(
                    request, retry=True, timeout=_RPC_TIMEOUT
                )
            times = [stamp.ToDatetime(tzinfo=UTC) for stamp in response.start_time]
            found += [at for at in times if not found or at > found[-1]]
            begin, span = (times[-1], span) if len(times) >= _MAX_TIMES else (end, span * 4)
        return found[:count]

    # -- acting ---------------------------------------------------------------------------

    async def trigger(self, id: str, overlap: Overlap | None = None) -> None:  # noqa: A002
        await self._owned(id)
        async with _reaching(id):
            await self._handle(id).trigger(
                overlap=None if overlap is None else OVERLAPS[overlap], rpc_timeout=_RPC_TIMEOUT
            )

    async def pause(self, id: str, note: str) -> None:  # noqa: A002
        await self._owned(id)
        async with _reaching(id):
            await self._handle(id).pause(note=note, rpc_timeout=_RPC_TIMEOUT)

    async def resume(self, id: str, note: str) -> None:  # noqa: A002
        await self._owned(id)
        async with _reaching(id):
            await self._handle(id).unpause(note=note, rpc_timeout=_RPC_TIMEOUT)

    async def backfill(
        self,
        id: str,  # noqa: A002
        begin: datetime,
        end: datetime,
        overlap: Overlap | None = None,
    ) -> None:
        if end < begin:
            raise BadRequest("the span to fill ends before it begins")
        await self._owned(id)
        async with _reaching(id):
            await self._handle(id).backfill(
                ScheduleBackfill(
                    # The server leaves out the time at which the span begins.
                    start_at=begin - timedelta(milliseconds=1),
                    end_at=end,
                    overlap=None if overlap is None else OVERLAPS[overlap],
                ),
                rpc_timeout=_RPC_TIMEOUT,
            )

    async def _view(self, found: _Known, status: ScheduleStatus) -> ScheduleView:
        schedule, info = found.description.schedule, found.description.info
        origin = await read_origin(schedule, self._client.data_converter)
        overlaps = {policy: name for name, policy in OVERLAPS.items()}
        return ScheduleView(
            id=found.id,
            tree=found.owner.tree,
            subscription=found.owner.subscription,
            trigger="" if origin is None else origin.trigger,
            status=status,
            times=[] if origin is None else origin.times,
            timezone=schedule.spec.time_zone_name or "UTC",
            overlap=overlaps[schedule.policy.overlap],
            paused=schedule.state.paused,
            note=schedule.state.note or "",
            next=[] if schedule.state.paused else list(info.next_action_times[:_SHOWN]),
            last=[
                LastRun(
                    run_id=result.action.workflow_id,
                    scheduled_at=result.scheduled_at,
                    started_at=result.started_at,
                )
                for result in reversed(info.recent_actions[-_SHOWN:])
                if isinstance(result.action, ScheduleActionExecutionStartWorkflow)
            ],
            running=[
                action.workflow_id
                for action in info.running_actions
                if isinstance(action, ScheduleActionExecutionStartWorkflow)
            ],
        )

    # -- one schedule ---------------------------------------------------------------------

    def _name(self, id_: str) -> str:
        return f"{_PREFIX}/{self._project}/{id_}"

    def _handle(self, id_: str) -> ScheduleHandle:
        return self._client.get_schedule_handle(self._name(id_))

    async def _find(self, id_: str) -> _Known | None:
        """The schedule of that id. Raises `Conflict` when it is there and another's."""
        try:
            async with _reaching(id_):
                description = await self._handle(id_).describe(rpc_timeout=_RPC_TIMEOUT)
        except NotFound:
            return None
        owner = await read_owner(description)
        if owner is None or owner.project != self._project:
            raise Conflict(
                f"there is a schedule {self._name(id_)!r} that is not this project's; rename the "
                "tree, or delete that schedule"
            )
        return _Known(id_, owner, description, description.raw_description.conflict_token)

    async def _differences(self, found: _Known, wanted: WantedSchedule) -> Sequence[str]:
        there, converter = found.description.schedule, self._client.data_converter
        return await differences(there, wanted, self._task_queue, converter)

    async def _owned(self, id_: str) -> _Known:
        found = await self._find(id_)
        if found is None:
            raise NotFound(f"there is no schedule {id_!r} on the server; `hub apply` makes them")
        return found

    async def _known(self, wanted: Sequence[WantedSchedule]) -> Sequence[_Known]:
        """What of this project is on the server: by name, and what the server's list tells."""
        # The list lags behind; what is wanted or was made here is asked for by name.
        ids = dict.fromkeys([*(one.id for one in wanted), *sorted(self._made)])
        prefix = self._name("")
        async with _reaching(None):
            async for entry in await self._client.list_schedules(rpc_timeout=_RPC_TIMEOUT):
                if entry.id.startswith(prefix):
                    ids[entry.id.removeprefix(prefix)] = None
        mine = {one.id for one in wanted}

        async def find(id_: str) -> _Known | None:
            try:
                return await self._find(id_)
            except Conflict:
                # Of a project whose name begins like this one's.
                if id_ in mine:
                    raise
                return None

        return [one for one in await _each(find(id_) for id_ in ids) if one is not None]


def _missing(wanted: WantedSchedule) -> ScheduleView:
    timetable = wanted.timetable
    return ScheduleView(
        id=wanted.id,
        tree=wanted.tree,
        subscription=wanted.subscription,
        trigger=wanted.trigger,
        status="missing",
        times=times_of(wanted),
        timezone=timetable.timezone,
        overlap=timetable.overlap,
        paused=bool(timetable.paused),
        note="",
        next=[],
        last=[],
        running=[],
    )


async def _each(work: Iterable[Coroutine[Any, Any, _T]]) -> Sequence[_T]:
    """Do it all, some at once; raise the first error when everything has been tried."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(part: Coroutine[Any, Any, _T]) -> _T:
        async with gate:
            return await part

    done = await asyncio.gather(*(one(part) for part in work), return_exceptions=True)
    for result in done:
        if isinstance(result, BaseException):
            raise result
    return cast("Sequence[_T]", done)


def _stamp(at: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(at.astimezone(UTC).replace(tzinfo=None))
    return stamp


@asynccontextmanager
async def _reaching(id_: str | None) -> AsyncIterator[None]:
    """Turns Temporal's answers into the hub's errors."""
    try:
        yield
    except (RPCError, RuntimeError) as error:
        if (unreachable := away(error)) is not None:
            raise unreachable from None
        if isinstance(error, RuntimeError):
            raise
        if error.status == RPCStatusCode.NOT_FOUND:
            raise NotFound(f"there is no schedule {id_!r} on the server") from None
        if error.status == RPCStatusCode.FAILED_PRECONDITION:
            raise Conflict(f"the schedule {id_} is not as it was found: {error.message}") from None
        raise HubError(f"Temporal refuses the schedule {id_}: {error.message}") from None
