"""Schemathesis over the whole description, by an admin's token and by nobody, at the real server.

What it finds is an answer of 500 and above, one that the description does not know, and one that is
not as it says. A success has to be described by its own status; problems all have one form.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.generation.case import Case
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from hub.errors import NotFound, NotYours
from hub.event import Event
from hub.process.http import listen, serve_http
from hub.routing.schedules import ProjectSchedules
from hub.routing.sources import TreeFiles
from hub.run.pending import ApprovalPage, DecidedPage, PendingApproval
from tests.unit.api_home import open_home
from tests.unit.test_access_approvals import Decided
from tests.unit.test_api_schedules import AT, Folder

EXAMPLES = {GenerationMode.POSITIVE: 3, GenerationMode.NEGATIVE: 2}
PARTS = 2
# Any text is a token, and what a hook's body has to be is the provider's affair.
ANYTHING_GOES = {
    "POST /hooks/{trigger}",
    *(
        f"{method} /{what}/{{token}}"
        for method in ("GET", "POST")
        for what in ("callbacks", "decisions")
    ),
}
CHECKS: Any = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
# Streams end when their caller goes: their own tests read them.
STREAMS = ("/api/runs/{run_id}/live", "/api/events/live")


class Approvals(Decided):
    """One that is open, for ever."""

    async def list(self, **_: Any) -> ApprovalPage:
        one = PendingApproval(
            run_id="t/1",
            tree="t",
            key="1",
            path="do[0]",
            approval="a1",
            title="Ship it?",
            opened_at=AT,
            deadline=None,
            quorum=1,
            approvals=0,
            waiting_on=["ada@example.com"],
        )
        return ApprovalPage(items=[one], next=None)

    async def decided(self, **_: Any) -> DecidedPage:
        return DecidedPage(items=[], next=None)

    async def show(self, run_id: str, path: str, approval: str) -> Any:
        raise NotFound(f"the run {run_id} has no such approval")

    async def delegate(self, run_id: str, delegation: Any) -> Any:
        raise NotYours("it is not yours to pass on")


class Served:
    """A whole hub behind a real HTTP server, in a thread with a loop of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = self.token = ""
        self.document: dict[str, Any] = {}
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(120)
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)
        self._loop.close()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        shop = Folder(self.folder)
        async with open_home(
            self.folder,
            is_development=False,
            files=TreeFiles(self.folder, lambda: shop.project),
            schedules=ProjectSchedules(lambda: shop.project, shop.keep),
            approvals=Approvals(),
        ) as home:
            home.runs.add("onboarding/u1", started_at=AT)
            await home.journal.append("app", [Event(id="e1", source="/s", type="t", time=AT)])
            given = await home.access.tokens.create("schema", ["admin"], created_by="test")
            self.token = given.token
            headers = {"authorization": f"Bearer {given.token}"}
            self.document = (await home.client.get("/openapi.json", headers=headers)).json()
            listener = listen("127.0.0.1", 0, what="the hub", setting="HUB_PORT")
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            async with serve_http(home.app, listener):
                self._ready.set()
                await self._stop.wait()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    one = Served(tmp_path_factory.mktemp("schema"))
    one.start()
    yield one
    one.stop()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_operation_answers_as_it_should_not(
    served: Served, mode: GenerationMode, part: int
) -> None:
    schema = schemathesis.openapi.from_dict(served.document)
    schema.config.update(base_url=served.url)
    admin = {"authorization": f"Bearer {served.token}"}
    asked: list[str] = []
    found: list[str] = []
    left_out: set[str] = set()
    for result in list(schema.get_all_operations())[part::PARTS]:
        operation = result.ok()
        if operation.path in STREAMS:
            continue
        if mode.is_negative and (operation.label in ANYTHING_GOES or not _is_given_any(operation)):
            continue

        @settings(
            max_examples=EXAMPLES[mode],
            phases=[Phase.generate],
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Case) -> None:
            described = served.document["paths"][case.operation.path][case.method.lower()]
            answer = case.call(base_url=served.url, headers=admin)
            case.validate_response(answer, checks=CHECKS)
            if answer.status_code < 400:
                assert str(answer.status_code) in described["responses"], case.as_curl_command()
            if described["security"] and case.operation.label not in asked:
                stranger = case.call(base_url=served.url)
                case.validate_response(stranger, checks=CHECKS)
                assert stranger.status_code in (400, 401), case.as_curl_command()
            asked.append(case.operation.label)

        try:
            ask()
        except Unsatisfiable:
            left_out.add(operation.label)
        except (Failure, FailureGroup, AssertionError) as error:
            found.append(f"{operation.label}: {error}")
    assert found == []
    assert left_out == set(), "nothing was asked of these"
    assert len(set(asked)) > 10


def _is_given_any(operation: Any) -> bool:
    """Has it parameters or a body, with which something could be wrong?"""
    raw = operation.definition.raw
    return bool(raw.get("parameters") or raw.get("requestBody"))


def test_the_description_says_who_may_call(served: Served) -> None:
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in served.document["paths"].items()
        for method, operation in methods.items()
    }
    cancel = operations["POST /api/runs/{run_id}/cancel"]
    assert cancel["security"] == [{"token": []}, {"session": []}]
    assert cancel["x-roles"] == ["operator", "editor", "admin"]
    assert operations["POST /hooks/{trigger}"]["security"] == []
    assert operations["POST /api/session"]["security"] == []
    assert set(served.document["components"]["securitySchemes"]) == {"token", "session"}
    assert msgspec.json.encode(served.document).count(b"hub_session") == 1
