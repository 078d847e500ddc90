"""A whole HTTP side for tests: the real journal, links and webhooks, and runs kept in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
from argon2 import PasswordHasher
from litestar import Litestar

from hub.access import Access
from hub.access.passwords import Passwords
from hub.api import Services, create_app
from hub.connections import Connections
from hub.errors import BadRequest, Conflict, NotFound
from hub.event import Event
from hub.links import CallbackClaims, Links
from hub.routing.intake import JournalIntake
from hub.routing.journal import Journal
from hub.routing.router import Router
from hub.run import Fate, Offer
from hub.run.correlation import CorrelatorState, Word
from hub.run.runs import Delivery, Offered, RunPage, RunSummary, Start, Started
from hub.run.state import Address, Outcome, RunState
from hub.sign_in import SignInSettings
from hub.trigger import Trigger
from triggers.webhook import Settings, Webhook

ONBOARDING: dict[str, Any] = {
    "tree": "onboarding",
    "title": "User onboarding",
    "events": {"signed_up": {"webhook": "app", "key": "event.data.user_id"}},
    "start": "signed_up",
    "do": [],
}
"""What the home's one tree says."""


@dataclass
class MemoryRuns:
    """Runs as documents in a dict; what was done to them is written down."""

    states: dict[str, RunState] = field(default_factory=dict)
    done: list[tuple[Any, ...]] = field(default_factory=list)
    can_forward: bool = True
    followed: list[str] = field(default_factory=list)
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, run_id: str, **fields: Any) -> RunState:
        tree, _, key = run_id.partition("/")
        state = RunState(id=run_id, tree=tree, key=key, hash="h1", **fields)
        self.states[run_id] = state
        return state

    async def start(self, start: Start) -> Started:
        self.add(start.run_id)
        return "started"

    async def deliver(self, run_id: str, delivery: Delivery) -> bool:
        return run_id in self.states

    async def restart(self, start: Start) -> bool:
        return start.run_id in self.states

    async def hold(self, gate: str, offer: Offer, start: Start) -> bool:
        raise NotImplementedError

    async def fate(self, gate: str, event: Event, since: datetime | None = None) -> Fate | None:
        return None

    async def had(self, run_id: str, delivery: Delivery, since: datetime) -> Outcome | None:
        return None

    async def live(self, tree: str, key: str) -> Sequence[str]:
        return [run_id for run_id, s in self.states.items() if (s.tree, s.key) == (tree, key)]

    async def offer(self, address: Address, delivery: Delivery) -> Offered:
        return "no_run" if delivery.expires_at is None else "started"

    async def correlator(self, correlator_id: str) -> CorrelatorState | None:
        return None

    async def word(self, correlator_id: str, delivery: Delivery, since: datetime) -> Word | None:
        return None

    async def is_live(self, run_id: str) -> bool:
        return run_id in self.states

    async def uses(self, tree: str, hash: str) -> bool:  # noqa: A002
        return any((s.tree, s.hash) == (tree, hash) for s in self.states.values())

    async def list(
        self,
        *,
        tree: str | None = None,
        key: str | None = None,
        text: str | None = None,
        status: str | None = None,
        waiting_for: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> RunPage:
        found = [
            state
            for state in self.states.values()
            if tree in (None, state.tree)
            and key in (None, state.key)
            and (text is None or state.id.startswith(text) or (state.key or "").startswith(text))
            and status in (None, state.status)
            and (waiting_for is None or waiting_for in state.waiting_for)
        ]
        if cursor is not None and not (cursor.isascii() and cursor.isdigit()):
            raise BadRequest("the cursor is not one that this hub gave")
        begin = int(cursor or 0)
        rest = found[begin + limit :]
        return RunPage(
            items=[
                RunSummary(
                    id=state.id,
                    tree=state.tree,
                    key=state.key,
                    status=state.status,
                    started_at=state.started_at,
                    ended_at=state.ended_at,
                    waiting_for=state.waiting_for,
                )
                for state in found[begin : begin + limit]
            ],
            next=str(begin + limit) if rest else None,
        )

    async def show(self, run_id: str) -> RunState:
        if run_id not in self.states:
            raise NotFound(f"there is no run {run_id!r}")
        return self.states[run_id]

    async def follow(self, run_id: str) -> AsyncIterator[RunState]:
        self.followed.append(run_id)
        while True:
            state = await self.show(run_id)
            yield state
            if state.status not in ("dormant", "running"):
                return
            moved = self.moved = asyncio.Event()
            await moved.wait()

    async def cancel(self, run_id: str) -> None:
        await self.show(run_id)
        self.done.append(("cancel", run_id))

    async def terminate(self, run_id: str, reason: str) -> None:
        await self.show(run_id)
        self.done.append(("terminate", run_id, reason))

    async def forward(self, run_id: str, by: timedelta) -> None:
        await self.show(run_id)
        if not self.can_forward:
            raise Conflict("only a development server's clock can be moved")
        self.done.append(("forward", run_id, by))


class ScheduleLike(Trigger):
    """A trigger that nobody calls."""

    kind = "schedule"
    settings_type = Settings


@dataclass(frozen=True)
class TreeStub:
    name: str
    hash: str
    document: bytes


@dataclass
class ProjectStub:
    name: str
    triggers: Mapping[str, Trigger]
    trees: Mapping[str, TreeStub]
    connections: Connections


@dataclass
class Home:
    """Everything behind one test's client."""

    app: Litestar
    client: httpx.AsyncClient
    journal: Journal
    links: Links
    runs: MemoryRuns
    project: ProjectStub
    services: Services
    access: Access

    async def journaled(self) -> Sequence[Any]:
        return (await self.journal.list(limit=1000)).items

    def token(self, *, expires_in: timedelta = timedelta(hours=1), **claims: Any) -> str:
        fields = {"run_id": "onboarding/u1", "subscription": "verified", "token_id": "t-1"}
        now = datetime.now(UTC)
        url = self.links.sign(CallbackClaims(**(fields | claims), expires_at=now + expires_in), now)
        return url.rpartition("/")[2]


@asynccontextmanager
async def open_home(folder: Path, **options: Any) -> AsyncIterator[Home]:
    """A home in this folder. `options` are fields of `Services`, `max_backlog`, `journal_url`."""
    url = options.pop("journal_url", str(folder / "journal.db"))
    journal = await Journal.open(url, retention=timedelta(days=1))
    try:
        links = Links([b"k" * 32], "http://localhost:8080")
        runs = MemoryRuns()
        project = ProjectStub(
            name="shop",
            triggers={
                "app": Webhook("app", Settings(secret="s3cret")),
                "open": Webhook("open", Settings(provider="none", max_body="1 KiB")),
                "nightly": ScheduleLike("nightly", Settings()),
            },
            trees={"onboarding": TreeStub("onboarding", "h1", msgspec.json.encode(ONBOARDING))},
            connections=Connections(folder, options.pop("connections", {}), {}),
        )
        backlog = options.pop("max_backlog", 100_000)
        extra_routes = options.pop("extra_routes", ())
        passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        access = Access(journal, options.pop("sign_in", SignInSettings()), passwords=passwords)
        services = Services(
            intake=JournalIntake(journal, max_backlog=backlog),
            journal=journal,
            runs=runs,
            links=links,
            project=lambda: project,
            router=lambda: Router([]),
            **{"base_url": "http://localhost:8080", "is_development": True, **options},
            access=access,
        )
        app = create_app(services, extra_routes=extra_routes)
        # Litestar's own client runs the application in a thread of its own, away from the journal.
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost:8080"
        ) as client:
            yield Home(app, client, journal, links, runs, project, services, access)
        await access.close()
    finally:
        await journal.close()
