"""The processes of production, in this process over the real servers, and as processes of their own."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleSpec,
)

from hub.access import Access
from hub.errors import (
    CredentialsRefused,
    HubError,
    InvalidDefinition,
    InvalidSetting,
    MissingSecret,
    NotPrepared,
)
from hub.ports import find_free
from hub.process.apply import apply_project
from hub.process.production import Process, Role
from hub.process.stopping import Stop
from hub.routing.journal import Journal
from hub.routing.project import load_project
from hub.settings import Settings
from hub.sign_in import SignInSettings
from hub.temporal.connect import connect
from hub.temporal.dev_server import DevServer
from hub.temporal.namespace import SEARCH_ATTRIBUTES, look
from tests.grpc_peer import refusing
from tests.parts import eventually
from tests.postgresql import postgresql_server, postgresql_url

__all__ = ["postgresql_server", "postgresql_url"]

ROOT = Path(__file__).parents[2]
HUB = """
name: NAME
triggers:
  app: {webhook: {provider: none}}
"""
TREE = """
tree: greet
events:
  met: {webhook: app, where: event.type == "met", key: event.data.who}
  left: {webhook: app, where: event.type == "left", key: event.data.who}
start: met
do:
  - wait_for: left
  - log: bye, ${{ run.key }}
"""
AUTH = """
auth:
  passwords: false
  oidc: {issuer: "https://login.example.com", client_id: hub, everyone: viewer, label: Login}
"""
NIGHTLY = """
tree: nightly
events:
  due: {schedule: {every: 1 day}}
start: due
do:
  - log: tidy
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / f"p{uuid.uuid4().hex[:8]}"
    (folder / "trees").mkdir(parents=True)
    (folder / "hub.yaml").write_text(HUB.replace("NAME", folder.name))
    (folder / "trees" / "greet.yaml").write_text(TREE)
    return folder


def settings_of(project: Path, temporal: str, **more: str) -> dict[str, str]:
    """The environment of a process: a task queue of its own keeps it apart on the shared server."""
    return {
        "HUB_PORT": str(find_free()),
        "HUB_SECRET_KEY": "k" * 32,
        "HUB_TASK_QUEUE": project.name,
        "TEMPORAL_ADDRESS": temporal,
        **more,
    }


@dataclass
class Running:
    process: Process
    stop: Stop
    task: asyncio.Task[None]
    client: httpx.AsyncClient

    async def ready(self) -> dict[str, Any]:
        answer = await self.client.get("/readyz")
        return {"code": answer.status_code, **answer.json()}

    async def send(self, kind: str, who: str) -> httpx.Response:
        event = {"id": f"{kind}-{who}", "type": kind, "data": {"who": who}}
        return await self.client.post("/hooks/app", json=event)

    async def end(self) -> None:
        self.stop.is_stopping = True
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


async def known_to(project: Path) -> dict[str, str]:
    """What a caller of the management side sends along: a token, made beside the process."""
    (project / ".hub").mkdir(exist_ok=True)
    journal = await Journal.open(str(project / ".hub" / "journal.db"))
    access = Access(journal, SignInSettings())
    given = await access.tokens.create("test", ["admin"], created_by="test")
    await journal.close()
    return {"authorization": f"Bearer {given.token}"}


@asynccontextmanager
async def running(
    project: Path, env: dict[str, str], roles: Collection[Role]
) -> AsyncIterator[Running]:
    """A process as it runs in production, but for its signals; answering."""
    settings = Settings.read(env)
    port = settings.port if "serve" in roles else settings.health_port
    url = f"http://127.0.0.1:{port}"
    headers = await known_to(project) if "serve" in roles else {}
    process, stop = Process(project, env, settings, roles), Stop()
    task = asyncio.create_task(process.run(stop))
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as client:
        one = Running(process, stop, task, client)

        async def answers() -> bool:
            if task.done():
                await task
            try:
                return (await client.get("/healthz")).status_code == 200
            except httpx.TransportError:
                return False

        try:
            await eventually(answers)
            yield one
        finally:
            await one.end()


async def test_serve_and_worker_are_processes_of_their_own_and_say_how_they_are(
    project: Path, server: DevServer
) -> None:
    health = str(find_free())
    env = settings_of(project, server.address)
    async with running(project, env, ("serve", "dispatch")) as serve:
        assert await serve.ready() == {
            "code": 200,
            "status": "ready",
            "checks": [
                {"name": name, "ok": True, "detail": None}
                for name in ("accepting", "journal", "temporal")
            ],
        }
        assert (await serve.send("met", "ada")).status_code == 202
        async with running(project, {**env, "HUB_HEALTH_PORT": health}, ("worker",)) as worker:

            async def is_ready() -> bool:
                return bool((await worker.ready())["status"] == "ready")

            await eventually(is_ready)
            run = "/api/runs/greet/ada"

            async def waits() -> bool:
                shown = await serve.client.get(run)
                return shown.status_code == 200 and bool(shown.json()["waiting_for"])

            await eventually(waits)
            worker.stop.is_stopping = True
            stopping = await worker.ready()
            assert (stopping["code"], stopping["status"]) == (503, "not_ready")
            assert stopping["checks"][0]["detail"] == "this process is stopping"


async def test_serve_takes_events_while_temporal_is_away_and_delivers_them_after(
    project: Path, server: DevServer
) -> None:
    port = find_free()
    host, _, real = server.address.rpartition(":")
    env = settings_of(project, f"127.0.0.1:{port}")
    async with running(project, env, ("serve", "dispatch", "worker")) as serve:
        ready = await serve.ready()
        assert (ready["code"], ready["status"]) == (200, "degraded")
        assert "does not answer" in next(
            check["detail"] for check in ready["checks"] if check["name"] == "temporal"
        )
        assert (await serve.send("met", "bob")).status_code == 202
        assert (await serve.send("left", "bob")).status_code == 202
        async with _forwarding(port, host, int(real)):

            async def succeeded() -> bool:
                shown = await serve.client.get("/api/runs/greet/bob")
                return shown.status_code == 200 and shown.json()["status"] == "succeeded"

            await eventually(succeeded, patience=60)
            assert (await serve.ready())["status"] == "ready"
            await serve.end()


@asynccontextmanager
async def _forwarding(port: int, to_host: str, to_port: int) -> AsyncIterator[None]:
    """While it lasts, what listens there can be reached at this port too."""
    pipes: set[asyncio.Task[None]] = set()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await asyncio.open_connection(to_host, to_port)
        for one in (pipe(reader, other_writer), pipe(other_reader, writer)):
            pipes.add(asyncio.create_task(one))

    listening = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield
    finally:
        listening.close()
        for task in pipes:
            task.cancel()
        await asyncio.gather(*pipes, return_exceptions=True)


async def test_what_cannot_work_is_said_at_once(project: Path, server: DevServer) -> None:
    async def start(**more: str) -> None:
        env = settings_of(project, server.address, **more)
        async with running(project, env, ("serve", "dispatch")):
            pass

    with pytest.raises(NotPrepared, match=r"no namespace 'elsewhere'.*namespace create"):
        await start(TEMPORAL_NAMESPACE="elsewhere")
    with pytest.raises(CredentialsRefused, match=r"speaks none; TEMPORAL_TLS=false"):
        await start(TEMPORAL_API_KEY="key")
    with pytest.raises(MissingSecret, match=r"HUB_SECRET_KEY is not set.*openssl rand"):
        await start(HUB_SECRET_KEY="")
    other = project.parent / "other"
    shutil.copytree(project, other, ignore=shutil.ignore_patterns(".hub"))
    env = settings_of(other, server.address, HUB_HOST="0.0.0.0")
    with pytest.raises(InvalidSetting, match=r"nobody can sign in yet.*hub users create"):
        await Process(other, env, Settings.read(env), ("serve",)).run(Stop())
    async with refusing(7, "Request unauthorized.") as address:
        with pytest.raises(CredentialsRefused, match=r"unauthorized.*TEMPORAL_API_KEY"):
            await start(TEMPORAL_ADDRESS=address)
    (project / "trees" / "greet.yaml").write_text("tree: greet\ndo: []\n")
    with pytest.raises(InvalidDefinition):
        await start()


async def test_two_deployments_at_once_prepare_a_fresh_namespace_and_touch_nothing_of_others(
    project: Path, server: DevServer, postgresql_url: str
) -> None:
    namespace = f"ns-{uuid.uuid4().hex[:8]}"
    anywhere = await connect(server.address)
    request = RegisterNamespaceRequest(namespace=namespace)
    request.workflow_execution_retention_period.FromSeconds(86400)
    await anywhere.workflow_service.register_namespace(request)
    (project / "trees" / "nightly.yaml").write_text(NIGHTLY)
    env = settings_of(
        project, server.address, TEMPORAL_NAMESPACE=namespace, HUB_JOURNAL_URL=postgresql_url
    )
    loaded = load_project(project, env)

    async def known() -> list[str] | None:
        # The server's own parts learn of a new namespace one by one.
        try:
            return (await apply_project(loaded, env, dry_run=True)).search_attributes
        except HubError:
            return None

    client = await connect(server.address, namespace=namespace)
    assert await eventually(known) == sorted(SEARCH_ATTRIBUTES)
    with pytest.raises(NotPrepared, match=r"no search attributes Hub.*`hub apply` makes them"):
        await look(client)
    foreign = Schedule(
        action=ScheduleActionStartWorkflow("theirs", id="theirs", task_queue="theirs"),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(days=1))]),
    )
    await client.create_schedule("theirs", foreign)
    await client.create_schedule(f"hub/{project.name}x/nightly/due", foreign)

    done = await asyncio.gather(*(apply_project(loaded, env) for _ in range(2)))
    await look(client)
    assert {change.id for one in done for change in one.plan.changes} <= {"nightly/due"}
    again = await apply_project(loaded, env)
    assert (again.search_attributes, again.plan.changes) == ([], [])
    assert again.plan.unchanged == ["nightly/due"]
    for theirs in ("theirs", f"hub/{project.name}x/nightly/due"):
        there = await client.get_schedule_handle(theirs).describe()
        assert isinstance(there.schedule.action, ScheduleActionStartWorkflow)
        assert there.schedule.action.workflow == "theirs"
    journal = await Journal.open(postgresql_url)
    assert (await journal.counts())["accepted"] == 0
    await journal.close()


async def test_signals_reread_the_project_and_end_the_process_in_order(
    project: Path, server: DevServer
) -> None:
    env = settings_of(project, server.address)
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("HUB_", "TEMPORAL_"))}
    log = project / "log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "hub", "serve", "--all", str(project)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=ROOT,
            env={**kept, **env, "NO_COLOR": "1"},
        )

    def says(text: str) -> Any:
        async def look() -> bool:
            assert process.returncode is None or text in log.read_text(), log.read_text()
            return text in log.read_text()

        return eventually(look, patience=60)

    try:
        await says("ready")
        url = f"http://127.0.0.1:{env['HUB_PORT']}"
        headers = await known_to(project)
        async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as client:
            (project / "trees" / "nightly.yaml").write_text(NIGHTLY)
            (project / "trees" / "wrong.yaml").write_text("tree: wrong\ndo: nothing\n")
            assert len((await client.get("/api/trees")).json()["items"]) == 1
            signing_in = (await client.get("/api/session")).json()["ways"]
            assert signing_in == {"password": True, "provider": None}
            saved = await client.put(
                "/api/trees/other", json={"text": NIGHTLY}, headers={"if-none-match": "*"}
            )
            assert (saved.status_code, "HUB_EDIT_TREES" in saved.json()["detail"]) == (409, True)
            with (project / "hub.yaml").open("a") as file:
                file.write(AUTH)
            process.send_signal(signal.SIGHUP)
            await says("the project was read again")
            assert "wrong.yaml" in log.read_text()
            assert len((await client.get("/api/trees")).json()["items"]) == 2
            signing_in = (await client.get("/api/session")).json()["ways"]
            assert signing_in == {"password": False, "provider": "Login"}
            refused = await client.get("/api/trees", headers={"authorization": "Bearer none"})
            assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 60) == 0, log.read_text()
        assert "stopped" in log.read_text()
        assert "Traceback" not in log.read_text()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
