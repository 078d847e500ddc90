"""The versions of a Temporal deployment that workers are: which there are, and which is the current one.

A version is there once a worker of it has been seen. The current one is where runs begin, and go on.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import msgspec
from temporalio.api.enums.v1 import WorkerDeploymentVersionStatus
from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from hub.errors import Conflict, NotFound
from hub.temporal.reaching import reaching

__all__ = ["WorkerVersion", "WorkerVersions"]

_RPC_TIMEOUT = timedelta(seconds=10)
_PAUSE = 0.5
_NOT_YET = (RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION)
_PREFIX = "WORKER_DEPLOYMENT_VERSION_STATUS_"


class WorkerVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version. `status` is Temporal's word: `current`, `inactive` (was never the current one),
    `draining` (has live runs of when it was) or `drained` (has none: its workers may go)."""

    build_id: str
    status: str


class WorkerVersions:
    """The versions of one deployment."""

    def __init__(self, client: Client, deployment: str) -> None:
        self._client = client
        self.deployment = deployment

    async def list(self) -> list[WorkerVersion]:
        """Newest first; none before the first worker was seen. Raises `Unreachable`."""
        request = DescribeWorkerDeploymentRequest(
            namespace=self._client.namespace, deployment_name=self.deployment
        )
        try:
            async with reaching():
                answer = await self._client.workflow_service.describe_worker_deployment(
                    request, retry=False, timeout=_RPC_TIMEOUT
                )
        except NotFound:
            return []
        return [
            WorkerVersion(
                build_id=one.deployment_version.build_id,
                status=WorkerDeploymentVersionStatus.Name(one.status).removeprefix(_PREFIX).lower(),
            )
            for one in sorted(
                answer.worker_deployment_info.version_summaries,
                key=lambda one: one.create_time.ToNanoseconds(),
                reverse=True,
            )
        ]

    async def use(self, build_id: str, *, patience: float) -> None:
        """Make it the current version; it may be already.

        A version that no worker of has been seen is waited for, `patience` seconds; so is one whose
        workers do not take all that those of the current one take. Raises `Conflict` with what
        Temporal says when that is over, and `Unreachable`.
        """
        end = asyncio.get_running_loop().time() + patience
        while (reason := await self._try(build_id)) is not None:
            if asyncio.get_running_loop().time() >= end:
                there = ", ".join(one.build_id for one in await self.list()) or "none"
                raise Conflict(
                    f"{build_id} of the deployment {self.deployment} cannot be the current version "
                    f"yet: {reason}. Versions whose workers have been seen: {there}. Start "
                    f"`hub worker` with HUB_DEPLOYMENT={self.deployment} and HUB_BUILD_ID={build_id}, "
                    "or wait longer (--wait)"
                )
            await asyncio.sleep(_PAUSE)

    async def _try(self, build_id: str) -> str | None:
        """Ask for it. None when it is so, else why it is not yet."""
        request = SetWorkerDeploymentCurrentVersionRequest(
            namespace=self._client.namespace,
            deployment_name=self.deployment,
            build_id=build_id,
            identity=self._client.identity,
        )
        async with reaching():
            try:
                await self._client.workflow_service.set_worker_deployment_current_version(
                    request, retry=False, timeout=_RPC_TIMEOUT
                )
            except RPCError as error:
                if error.status not in _NOT_YET:
                    raise
                return error.message
        return None
