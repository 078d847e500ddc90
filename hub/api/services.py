"""What the HTTP side is given: the parts of a hub that it speaks for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from hub.api.streams import Streams
from hub.trigger import ConsumerStatus, Intake, Trigger

if TYPE_CHECKING:
    from temporalio.converter import PayloadCodec

    from hub.access import Access
    from hub.connections import Connections
    from hub.links import Links
    from hub.routing.journal import Journal
    from hub.routing.router import Router
    from hub.routing.schedules import ProjectSchedules
    from hub.routing.sources import TreeFiles
    from hub.run.migration import RunMigrations
    from hub.run.pending import PendingApprovals
    from hub.run.runs import Runs

__all__ = ["HealthCheck", "ProjectView", "Services", "TreeView"]

HealthCheck = Callable[[], Awaitable[object]]
"""Returns (with anything or nothing) when the part is well, raises when it is not.

What a check returns is ignored; the message of a `HubError` that it raises is shown, any other
exception only by the check's name.
"""


class TreeView(Protocol):
    """One tree of the project, as the HTTP side shows it."""

    @property
    def name(self) -> str: ...

    @property
    def hash(self) -> str:
        """The content hash that runs are pinned to."""

    @property
    def document(self) -> bytes:
        """The definition as canonical JSON, the very bytes that `hash` is of."""


class ProjectView(Protocol):
    """The project of this moment, as the HTTP side needs it."""

    @property
    def name(self) -> str: ...

    @property
    def triggers(self) -> Mapping[str, Trigger]: ...

    @property
    def trees(self) -> Mapping[str, TreeView]: ...

    @property
    def connections(self) -> Connections: ...


@dataclass(kw_only=True)
class Services:
    """The parts behind the HTTP side.

    `project` and `router` are asked for each request, so a reload needs no new application.
    `base_url` is what links begin with. `degrading` names the checks of `health` whose parts may be
    away for a while, as what is to go there waits. `allowed_hosts` are further host names (without
    port; "*" for any) that the management side answers to, beside loopback names and the host of `base_url`; a web page that
    has pointed its own name at this machine is refused by it. `body_timeout` (seconds) bounds the
    reading of one request body, `check_timeout` (seconds) one health check, `max_body` (bytes) a
    body posted to the management side. `files` are the trees' files; None where they
    cannot be shown or changed. `count_runs` counts all runs by status. `consumers` tells how those
    of this process do. `temporal_ui` is where the runs' namespace begins in Temporal's own page;
    `is_development` says that runs' clocks can be forwarded, and that whoever calls from this very
    machine is its local user and needs no token. `access` knows people and tokens; without it nobody
    else gets in. `metrics` gives what Prometheus is told, `codec` is what payloads pass on their way
    to Temporal, and the pages of `codec_origins` may ask for it. `streams` are the live streams: who
    stops the HTTP side closes them first.
    """

    intake: Intake
    journal: Journal
    runs: Runs
    links: Links
    project: Callable[[], ProjectView]
    router: Callable[[], Router]
    base_url: str
    health: Mapping[str, HealthCheck] = field(default_factory=dict)
    degrading: frozenset[str] = frozenset()
    allowed_hosts: frozenset[str] = frozenset()
    body_timeout: float = 20.0
    check_timeout: float = 3.0
    max_body: int = 4 * 1024 * 1024
    schedules: ProjectSchedules | None = None
    approvals: PendingApprovals | None = None
    migrations: RunMigrations | None = None
    files: TreeFiles | None = None
    count_runs: Callable[[], Awaitable[Mapping[str, int]]] | None = None
    consumers: Callable[[], Sequence[ConsumerStatus]] = tuple
    temporal_ui: str | None = None
    is_development: bool = False
    access: Access | None = None
    metrics: Callable[[], Awaitable[bytes]] | None = None
    codec: PayloadCodec | None = None
    codec_origins: frozenset[str] = frozenset()
    streams: Streams = field(default_factory=Streams)
