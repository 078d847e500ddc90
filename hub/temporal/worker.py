"""The worker: lives runs and does their actions. Any number of them share one task queue."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkerDeploymentConfig

from hub import __version__
from hub.blobs import Blobs
from hub.connections import Connections
from hub.connector import installed_actions
from hub.links import Links
from hub.structs import learn_structs
from hub.temporal.actions import Actions
from hub.temporal.correlator import CorrelatorWorkflow
from hub.temporal.correlators import Correlators
from hub.temporal.gate import GateWorkflow, Look
from hub.temporal.workflow import TreeWorkflow
from hub.trigger import Intake

__all__ = ["make_worker", "release"]


def release() -> str:
    """The build id of workers that are given none."""
    return f"hub-{__version__}"


def make_worker(
    client: Client,
    *,
    connections: Callable[[], Connections],
    links: Links,
    intake: Intake | None = None,
    blobs: Blobs | None = None,
    task_queue: str = "hub",
    max_cached: int = 1000,
    max_actions: int = 100,
    graceful: timedelta = timedelta(seconds=5),
    deployment: str | None = None,
    build_id: str | None = None,
) -> Worker:
    """A worker for every tree. `connections` gives the project's connections as they are now;
    `intake` takes in the events that trees emit; `blobs` keep results too large for a run, and are
    the same for all workers. `max_cached` runs are held in memory; others are replayed when they go
    on. `max_actions` are done at once. A worker that is shut down takes nothing new, and has the
    time of `graceful` for the actions that it has begun.

    With a `deployment` the worker is one of its versions, named by `build_id`: runs stay with the
    version that they began with, and go on in the current one when they next go on in a new part.

    The workflow runs unsandboxed, which is several times faster; the stored histories that the
    tests replay in fresh processes are what guards its determinism instead.
    """
    # Read now: the first run's first task would take longer for it than a task may.
    installed_actions()
    learn_structs()
    actions = Actions(connections, links, intake, blobs)
    # Temporal's own default reads the code of every loaded module, for more than a second.
    build_id = build_id or release()
    versions: dict[str, Any] = {"build_id": build_id}
    if deployment is not None:
        versions = {
            "deployment_config": WorkerDeploymentConfig(
                version=WorkerDeploymentVersion(deployment_name=deployment, build_id=build_id),
                use_worker_versioning=True,
                default_versioning_behavior=VersioningBehavior.PINNED,
            )
        }
    return Worker(
        client,
        task_queue=task_queue,
        workflows=[TreeWorkflow, GateWorkflow, CorrelatorWorkflow],
        activities=[
            actions.perform,
            Look(client).look,
            Correlators(client, task_queue=task_queue).correlate,
        ],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=max_cached,
        max_concurrent_activities=max_actions,
        # A worker that was killed holds its cached runs back for this long.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
        graceful_shutdown_timeout=graceful,
        **versions,
    )
