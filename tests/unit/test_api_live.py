"""Live streams: server-sent events of runs and of the journal's tail."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hub.api.streams import Streams
from hub.errors import Unreachable
from hub.event import Event
from hub.routing.journal import DeliveryRecord
from hub.run.state import RunState
from tests.unit.api_home import Home, MemoryRuns, open_home
from tests.unit.test_api_ingress import is_problem
from tests.unit.test_api_management import NOW

STREAM = {"accept": "text/event-stream"}


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with open_home(tmp_path) as home:
        yield home


class Listener:
    """One client of a stream, without a socket."""

    def __init__(self, home: Home, path: str, headers: dict[str, str], query: str = "") -> None:
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.ended = False
        self.text = ""
        self.stalled = asyncio.Event()
        self._taking = asyncio.Event()
        self._taking.set()
        self._moved = asyncio.Event()
        self._gone = asyncio.Event()
        self._asked = False
        pairs = {"host": "localhost", **STREAM, **headers}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(n.encode(), v.encode()) for n, v in pairs.items()],
            "server": ("localhost", 80),
            "client": ("127.0.0.1", 1234),
            "state": {},
        }
        app: Any = home.app
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if not self._taking.is_set():
            self.stalled.set()
            await self._taking.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {n.decode().lower(): v.decode() for n, v in message["headers"]}
        else:
            self.text += message.get("body", b"").decode()
            self.ended = not message.get("more_body", False)
        self._moved.set()

    def stall(self) -> None:
        """Take nothing more."""
        self._taking.clear()

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not done():
                self._moved.clear()
                await self._moved.wait()

    async def leave(self) -> None:
        self._gone.set()
        await asyncio.wait_for(self.task, 60)

    @property
    def events(self) -> list[tuple[str, str | None, Any]]:
        """What came: name, id and data."""
        found = []
        for block in self.text.split("\n\n")[:-1]:
            fields = dict(line.split(": ", 1) for line in block.splitlines() if line[0] != ":")
            if "data" in fields:
                found.append((fields["event"], fields.get("id"), json.loads(fields["data"])))
        return found

    def named(self, name: str) -> list[Any]:
        return [data for kind, _, data in self.events if kind == name]

    @property
    def last_id(self) -> str:
        return [event_id for _, event_id, _ in self.events if event_id][-1]


@asynccontextmanager
async def listening(
    home: Home, path: str, last_id: str | None = None, query: str = ""
) -> AsyncIterator[Listener]:
    headers = {} if last_id is None else {"last-event-id": last_id}
    listener = Listener(home, path, headers, query)
    await listener.until(lambda: listener.status is not None)
    yield listener
    await listener.leave()


# --- runs ---


async def test_a_run_is_sent_at_once_and_as_it_changes_until_it_ends(home: Home) -> None:
    state = home.runs.add("onboarding/a/b", status="running")
    async with listening(home, "/api/runs/onboarding/a/b/live") as one:
        await one.until(lambda: len(one.named("run")) == 1)
        assert one.status == 200
        assert one.headers["content-type"].startswith("text/event-stream")
        assert one.headers["cache-control"] == "no-store"
        assert "content-length" not in one.headers
        state.waiting_for = ["verified"]
        home.runs.moved.set()
        await one.until(lambda: len(one.named("run")) == 2)
        state.status = "succeeded"
        home.runs.moved.set()
        await one.until(lambda: one.ended)
    shown = (await home.client.get("/api/runs/onboarding/a/b")).json()
    assert [name for name, _, _ in one.events] == ["run", "run", "run", "end"]
    assert one.named("run")[-1] == shown
    assert home.services.streams.open == 0


async def test_a_client_that_comes_again_is_sent_only_what_it_does_not_have(home: Home) -> None:
    state = home.runs.add("onboarding/u1", status="running")
    path = "/api/runs/onboarding/u1/live"
    async with listening(home, path) as first:
        await first.until(lambda: bool(first.events))
    async with listening(home, path, first.last_id) as again:
        await asyncio.sleep(0.05)
        assert again.events == []
        state.waiting_for = ["verified"]
        home.runs.moved.set()
        await again.until(lambda: len(again.events) == 1)
    async with listening(home, path, first.last_id) as late:
        await late.until(lambda: len(late.events) == 1)
        assert late.last_id == again.last_id


async def test_nothing_follows_an_end_that_is_known(home: Home) -> None:
    home.runs.add("onboarding/u1", status="failed")
    path = "/api/runs/onboarding/u1/live"
    async with listening(home, path) as first:
        await first.until(lambda: first.ended)
    answer = await home.client.get(path, headers={**STREAM, "last-event-id": first.last_id})
    assert (answer.status_code, answer.content) == (204, b"")


async def test_a_run_whose_key_ends_in_live_is_shown(home: Home) -> None:
    home.runs.add("onboarding/x/live", status="failed")
    assert (await home.client.get("/api/runs/onboarding/x/live")).json()["key"] == "x/live"
    async with listening(home, "/api/runs/onboarding/x/live/live") as one:
        await one.until(lambda: one.ended)
    assert one.named("run")[0]["key"] == "x/live"
    is_problem(
        await home.client.get("/api/runs/onboarding/x/live", headers=STREAM), 404, "not_found"
    )
    is_problem(await home.client.get("/api/runs/onboarding/x", headers=STREAM), 404, "not_found")


async def test_1000_open_streams_of_one_run_are_one_look_at_it(home: Home) -> None:
    state = home.runs.add("onboarding/u1", status="running")
    path = "/api/runs/onboarding/u1/live"
    listeners = [Listener(home, path, {}) for _ in range(1000)]
    for one in listeners:
        await one.until(lambda: bool(one.events))  # noqa: B023
    assert home.services.streams.open == 1000
    for round_ in range(3):
        state.waiting_for = [f"e{round_}"]
        home.runs.moved.set()
        for one in listeners:
            await one.until(lambda: one.named("run")[-1]["waiting_for"] == [f"e{round_}"])  # noqa: B023
    assert home.runs.followed == ["onboarding/u1"]
    for one in listeners[:400]:
        await one.leave()
    assert home.services.streams.open == 600
    state.status = "succeeded"
    home.runs.moved.set()
    for one in listeners[400:]:
        await asyncio.wait_for(one.task, 60)
        assert one.events[-1][0] == "end"
    assert home.services.streams.open == 0


async def test_1000_open_streams_of_1000_runs(home: Home) -> None:
    for number in range(1000):
        home.runs.add(f"onboarding/{number}", status="running")
    listeners = [Listener(home, f"/api/runs/onboarding/{n}/live", {}) for n in range(1000)]
    for number, one in enumerate(listeners):
        await one.until(lambda: bool(one.events))  # noqa: B023
        assert one.named("run")[0]["key"] == str(number)
    home.services.streams.close()
    for one in listeners:
        await asyncio.wait_for(one.task, 60)
        assert one.ended


async def test_a_client_that_takes_nothing_is_let_go_and_holds_nobody_up(tmp_path: Path) -> None:
    async with open_home(tmp_path, streams=Streams(beat=0.02, patience=0.1)) as home:
        state = home.runs.add("onboarding/u1", status="running")
        path = "/api/runs/onboarding/u1/live"
        async with listening(home, path) as quick:
            slow = Listener(home, path, {})
            await slow.until(lambda: bool(slow.events))
            slow.stall()
            await asyncio.wait_for(slow.stalled.wait(), 60)
            for number in range(20):
                state.waiting_for = [f"e{number}"]
                home.runs.moved.set()
                await quick.until(lambda: quick.named("run")[-1]["waiting_for"] == [f"e{number}"])  # noqa: B023
            await asyncio.wait_for(slow.task, 60)
            assert not slow.ended
            assert home.services.streams.open == 1


async def test_a_slow_client_gets_the_newest_document_and_no_backlog(home: Home) -> None:
    state = home.runs.add("onboarding/u1", status="running")
    path = "/api/runs/onboarding/u1/live"
    async with listening(home, path) as quick, listening(home, path) as slow:
        await slow.until(lambda: bool(slow.events))
        slow.stall()
        for number in range(50):
            state.waiting_for = [f"e{number}"]
            home.runs.moved.set()
            await quick.until(lambda: quick.named("run")[-1]["waiting_for"] == [f"e{number}"])  # noqa: B023
        slow._taking.set()
        await slow.until(lambda: slow.named("run")[-1]["waiting_for"] == ["e49"])
        assert len(slow.named("run")) <= 3


async def test_signs_of_life_and_a_bounded_life(tmp_path: Path) -> None:
    async with open_home(tmp_path, streams=Streams(beat=0.01, lasts=0.2)) as home:
        home.runs.add("onboarding/u1", status="running")
        one = Listener(home, "/api/runs/onboarding/u1/live", {})
        await asyncio.wait_for(one.task, 60)
        assert one.text.count(": \n\n") > 2
        assert one.ended
        assert "end" not in [name for name, _, _ in one.events]


async def test_streams_are_bounded(tmp_path: Path) -> None:
    async with open_home(tmp_path, streams=Streams(most=1)) as home:
        home.runs.add("onboarding/u1", status="running")
        path = "/api/runs/onboarding/u1/live"
        async with listening(home, path):
            is_problem(await home.client.get(path, headers=STREAM), 503, "busy")
        async with listening(home, path) as again:
            assert again.status == 200


async def test_a_run_that_cannot_be_asked_says_so_and_comes_back(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.api.live_runs._PAUSES", (0.01,))
    state = home.runs.add("onboarding/u1", status="running")
    path = "/api/runs/onboarding/u1/live"
    shown = MemoryRuns.show

    async def away(self: MemoryRuns, run_id: str) -> RunState:
        raise Unreachable("Temporal does not answer")

    async with listening(home, path) as one:
        await one.until(lambda: bool(one.events))
        monkeypatch.setattr(MemoryRuns, "show", away)
        home.runs.moved.set()
        await one.until(lambda: bool(one.named("problem")))
        assert one.named("problem")[0]["code"] == "unreachable"
        is_problem(
            await home.client.get("/api/runs/onboarding/u2/live", headers=STREAM),
            503,
            "unreachable",
        )
        state.waiting_for = ["verified"]
        monkeypatch.setattr(MemoryRuns, "show", shown)
        await one.until(lambda: len(one.named("run")) == 2)
        del home.runs.states["onboarding/u1"]
        home.runs.moved.set()
        await one.until(lambda: one.ended)
        assert one.named("problem")[-1]["code"] == "not_found"


# --- the journal's tail ---


def event(number: int, type_: str = "t.x") -> Event:
    return Event(id=f"e{number}", source="/t", type=type_, data={"n": number})


async def settle(home: Home, event_id: str) -> None:
    entry = await home.journal.get(event_id)
    record = DeliveryRecord(tree="onboarding", subscription="s", outcome="started", at=NOW)
    await home.journal.settle(entry.seq, "delivered", [record])


def told(listener: Listener) -> list[tuple[str, str]]:
    return [(data["id"], data["status"]) for data in listener.named("event")]


async def test_events_are_told_as_they_come_and_when_they_are_settled(home: Home) -> None:
    await home.journal.append("app", [event(0)])
    async with listening(home, "/api/events/live") as one:
        await home.journal.append("app", [event(1)])
        await one.until(lambda: told(one) == [("e1", "accepted")])
        await settle(home, "e0")
        await settle(home, "e1")
        await one.until(lambda: len(told(one)) == 3)
        assert sorted(told(one)[1:]) == [("e0", "delivered"), ("e1", "delivered")]
        assert one.named("event")[-1]["deliveries"][0]["outcome"] == "started"
        # A copy of what is settled is nothing new; one of what is open is.
        await home.journal.append("app", [event(1), event(2)])
        await one.until(lambda: len(told(one)) == 4)
    shown = (await home.client.get("/api/events/e1")).json()
    assert [data for data in one.named("event") if data["id"] == "e1"][-1] == shown


async def test_the_tail_goes_on_where_a_client_was(home: Home) -> None:
    async with listening(home, "/api/events/live") as one:
        await home.journal.append("app", [event(n) for n in range(3)])
        await one.until(lambda: len(told(one)) == 3)
        await settle(home, "e0")
        await one.until(lambda: len(told(one)) == 4)
    # e1 is settled and 500 more come while the client is away.
    await settle(home, "e1")
    await home.journal.append("app", [event(n) for n in range(3, 503)])
    async with listening(home, "/api/events/live", one.last_id) as again:
        await again.until(lambda: len({e for e, _ in told(again)}) == 502)
        assert told(again)[:3] == [("e1", "delivered"), ("e2", "accepted"), ("e3", "accepted")]
        await settle(home, "e2")
        await again.until(lambda: told(again)[-1] == ("e2", "delivered"))


async def test_a_client_that_the_tail_has_left_behind_reads_the_journal(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.api.tail._KEPT", 5)
    async with (
        listening(home, "/api/events/live") as quick,
        listening(home, "/api/events/live") as slow,
    ):
        slow.stall()
        for number in range(40):
            await home.journal.append("app", [event(number)])
            await quick.until(lambda: (f"e{number}", "accepted") in told(quick))  # noqa: B023
        for number in range(10):
            await settle(home, f"e{number}")
        first = {f"e{n}" for n in range(10)}
        await quick.until(
            lambda: {name for name, status in told(quick) if status == "delivered"} == first
        )
        slow._taking.set()
        await slow.until(lambda: {e for e, _ in told(slow)} == {f"e{n}" for n in range(40)})
        assert dict(told(slow))["e9"] == "delivered"
        assert dict(told(slow))["e10"] == "accepted"


async def test_1000_listeners_of_the_tail_are_one_reader(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    from hub.routing.journal.tail import TailReader

    after = TailReader.after

    async def counted(self: TailReader, seq: int, limit: int) -> Any:
        reads.append(seq)
        return await after(self, seq, limit)

    monkeypatch.setattr(TailReader, "after", counted)
    listeners = [Listener(home, "/api/events/live", {}) for _ in range(1000)]
    for one in listeners:
        await one.until(lambda: bool(one.text))  # noqa: B023
    reads.clear()
    await home.journal.append("app", [event(1)])
    for one in listeners:
        await one.until(lambda: bool(told(one)))  # noqa: B023
    assert len(reads) < 100
    for one in listeners:
        await one.leave()
    assert home.services.streams.open == 0


async def test_the_tail_of_one_trigger_and_type(home: Home) -> None:
    path = "/api/events/live"
    async with listening(home, path, query="trigger=app&type=t.y") as one:
        await home.journal.append("api", [event(0, "t.y")])
        await home.journal.append("app", [event(1), event(2, "t.y")])
        await one.until(lambda: bool(told(one)))
        assert told(one) == [("e2", "accepted")]
    async with listening(home, path, "0.0", query="trigger=app&type=t.y") as again:
        await again.until(lambda: bool(told(again)))
        assert told(again) == [("e2", "accepted")]


async def test_an_event_whose_id_is_live_is_shown(home: Home) -> None:
    await home.journal.append("app", [Event(id="live", source="/t", type="t.x")])
    assert (await home.client.get("/api/events/live")).json()["id"] == "live"
    is_problem(
        await home.client.get("/api/events/live", headers={**STREAM, "last-event-id": "x"}),
        400,
        "bad_request",
    )
