"""Migrations of runs on Temporal: the run itself decides, in an update that it answers."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, Literal

import msgspec
from temporalio.client import (
    Client,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError

from hub.errors import NotFound, NotMigratable, Unreachable
from hub.run.migration import Definition, Migration, Plan
from hub.temporal.reaching import reaching
from hub.temporal.run_input import RunInput

__all__ = ["TemporalMigrations"]

_QUERY_TIMEOUT = timedelta(seconds=10)
_UPDATE_TIMEOUT = 30.0
_TOO_OLD = "its worker knows no migrations; it is of an earlier release"


class TemporalMigrations:
    """`hub.run.migration.RunMigrations` on a Temporal namespace."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def migrate(self, run_id: str, to: Definition, *, dry_run: bool) -> Migration:
        given = RunInput(
            hash=to.hash,
            document=msgspec.Raw(to.document),
            trees={name: msgspec.Raw(document) for name, document in to.trees.items()},
            groups={name: list(people) for name, people in to.groups.items()},
        )
        handle: WorkflowHandle[Any, Any] = self._client.get_workflow_handle(run_id)
        plan = await (self._asked(handle, given) if dry_run else self._moved(handle, given))
        outcome: Literal["migrated", "would_migrate", "refused", "already"]
        if plan.reasons:
            outcome = "refused"
        elif plan.from_hash == to.hash:
            outcome = "already"
        else:
            outcome = "would_migrate" if dry_run else "migrated"
        return Migration(
            id=run_id,
            outcome=outcome,
            from_hash=plan.from_hash,
            to_hash=to.hash,
            reasons=plan.reasons,
            skipped=plan.skipped,
            repeated=plan.repeated,
            kept=plan.kept,
            gone=plan.gone,
            notes=plan.notes,
        )

    async def _asked(self, handle: WorkflowHandle[Any, Any], given: RunInput) -> Plan:
        async with reaching(handle.id):
            try:
                answer = await handle.query("migration", given, rpc_timeout=_QUERY_TIMEOUT)
            except (WorkflowQueryFailedError, WorkflowQueryRejectedError) as error:
                if "not found" in str(error):
                    return Plan(reasons=[_TOO_OLD])
                raise Unreachable(f"the run cannot be asked: {error}") from None
        return msgspec.convert(answer, Plan)

    async def _moved(self, handle: WorkflowHandle[Any, Any], given: RunInput) -> Plan:
        try:
            async with reaching(handle.id):
                answer = await asyncio.wait_for(
                    handle.execute_update("migrate", given), _UPDATE_TIMEOUT
                )
        except NotFound:
            # It has ended since it was listed, or there never was one: a query tells these apart.
            return await self._asked(handle, given)
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
            raise Unreachable(
                "the run did not answer in time, so it is not known whether it was moved; ask "
                "again: it is moved once"
            ) from None
        except WorkflowUpdateFailedError as error:
            cause = error.cause
            if isinstance(cause, ApplicationError) and cause.type == NotMigratable.code:
                return Plan(reasons=msgspec.convert(cause.details[0], list[str]))
            if isinstance(cause, ApplicationError) and "migrate" in cause.message:
                return Plan(reasons=[_TOO_OLD])
            return Plan(reasons=[f"it did not take it: {cause}"])
        return msgspec.convert(answer, Plan)
